"""Adds a face to the scene: Create Face and Face From Photo begin here."""

from collections.abc import Iterator
from contextlib import contextmanager

import bpy
import numpy as np

from ..appearance import eyes, face_materials
from ..appearance import studio as face_scene
from ..appearance.skin_follow import changed
from ..appearance.skin_follow import suspended as skin_suspended
from ..detail import follow as live_update
from ..face import mesh as face_mesh
from ..model.scene_units import units_per_metre
from ..nodes import detail_modifier as detail_modifiers
from .skin import begin_skin


@contextmanager
def new_face(
    context: bpy.types.Context, name: str, identity: np.ndarray, look_seed: int
) -> Iterator[bpy.types.Object]:
    """Adds a face of true size whose sliders are set inside the `with` block.

    Materials and modifier come after the block.

    Args:
        context: its collection receives the face.
        name: of the object.
        identity: (K,) float32, standard deviations; the shape keys are made for it.
        look_seed: of the colours of iris and hair.

    Yields:
        The face; changes of its properties are not followed inside the block.
    """
    with live_update.suspended(), skin_suspended():
        face = face_mesh.create_face_object(context, name, identity)
        yield face
        metre = units_per_metre(context.scene)
        face.scale = (metre, metre, metre)
        face_materials.assign_materials(face, look_seed)
        face_materials.scale_lengths(face, metre)
        detail_modifiers.add_modifier(face)
        eyes.add_eyes(face, look_seed, metre)
        begin_skin(face)
        face.location = face_scene.free_place(context.scene, face)
    changed(face)


def select_face(context: bpy.types.Context, face: bpy.types.Object) -> None:
    """Selects a face alone and makes it active."""
    for other in context.selected_objects:
        other.select_set(False)
    face.select_set(True)
    context.view_layer.objects.active = face
    context.view_layer.update()
