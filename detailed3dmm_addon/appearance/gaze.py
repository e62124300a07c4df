"""The gaze target: an empty that both eyes of a face follow, the lids with them."""

import bpy
from mathutils import Vector

from ..face.look_attributes import write_look_attributes
from ..model.scene_units import units_per_metre
from ..nodes.eye_groups import EYE_ATTRIBUTE, GAZE_INPUT, TARGET_INPUT
from ..nodes.modifier_inputs import get_input, set_input
from ..nodes.vertex_attributes import read_attribute, read_positions
from .eyes import eye_modifier

_AHEAD = 1.0
"""Metres from the eyes to a new target."""


def add_gaze_target(context: bpy.types.Context, face: bpy.types.Object) -> bpy.types.Object:
    """Gives a face a gaze target straight ahead, or lets its eyes follow the one it has.

    Args:
        context: its collection receives the empty.
        face: with the eyes' modifier.
    """
    write_look_attributes(face)
    modifier = eye_modifier(face)
    target = get_input(modifier, TARGET_INPUT)
    if target is None:
        target = bpy.data.objects.new(f"{face.name} Gaze", None)
        target.empty_display_type = "SPHERE"
        metre = units_per_metre(context.scene)
        target.empty_display_size = 0.02 * metre
        context.collection.objects.link(target)
        target.location = face.matrix_world @ (_between_eyes(face) + Vector((0.0, -_AHEAD, 0.0)))
        set_input(modifier, TARGET_INPUT, target)
    set_input(modifier, GAZE_INPUT, 1.0)
    face.update_tag()
    return target


def remove_gaze_target(face: bpy.types.Object) -> None:
    """Lets the eyes look where clip and sliders say; removes the empty unless others use it."""
    modifier = eye_modifier(face)
    target = get_input(modifier, TARGET_INPUT)
    set_input(modifier, TARGET_INPUT, None)
    set_input(modifier, GAZE_INPUT, 0.0)
    face.update_tag()
    if target is not None and target.name == f"{face.name} Gaze":
        bpy.data.objects.remove(target)


def gaze_target(face: bpy.types.Object) -> bpy.types.Object | None:
    """Returns the object that a face's eyes follow, or None."""
    modifier = eye_modifier(face)
    return None if modifier is None else get_input(modifier, TARGET_INPUT)


def _between_eyes(face: bpy.types.Object) -> Vector:
    """Returns the point between the eyes of the face at rest, in its own space."""
    place = read_attribute(face.data, EYE_ATTRIBUTE)
    assert place is not None, "a face has this attribute from its creation"
    own = (place**2).sum(1) > 0.25
    return Vector(read_positions(face.data)[own].mean(0).tolist())
