"""Builds the mesh for other programs: all of a face's vertices or the model's, and plain shape keys."""

from dataclasses import dataclass

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.geometry.dense_face import coarse_corners
from ...ml_backend.models.detail_basis import fit_detail_basis
from ..actions import action_writer
from ..appearance.skin_material import base_skin_colour
from ..face import mesh as face_mesh
from ..model.face_model import dense_mesh, face_model
from ..nodes.detail_modifier import MODIFIER
from ..nodes.materials import new_material, principled_shader
from ..nodes.vertex_attributes import (
    read_shape,
    remove_attributes,
    write_positions,
    write_shape,
)
from .stage import Stage

_PSNR_DB = 48.0
_MOST_FIELDS = 32
DETAIL_KEY = "detail_{:02d}"
_LEAST_MOVE = 4e-6
"""Metres: vertices that a shape moves less stay at rest; formats that store only moving ones are small."""


@dataclass(frozen=True)
class KeyedClip:
    """The values of shape keys by frame: their names, and (T, K) float32."""

    names: tuple[str, ...]
    values: np.ndarray


@dataclass(frozen=True)
class ExportMesh:
    """A mesh for other programs, on the stage.

    Attributes:
        vertices: (M,) indices of its vertices among the face's.
        object: has one shape key for each of the face's.
    """

    vertices: np.ndarray
    object: bpy.types.Object


def build_export_mesh(stage: Stage, base_mesh: bool) -> ExportMesh:
    """Builds the mesh on the stage, in the copy's place: neutral, with its shape keys and plain materials.

    Args:
        stage: with the copy, whose sculpted shapes and added shape keys count.
        base_mesh: only the model's polygons (about 5,000 vertices); an edited mesh is exported whole.
    """
    face = stage.face
    source = face.data
    if base_mesh and face_mesh.has_our_topology(face):
        mesh, vertices = _base_mesh(face.name)
    else:
        mesh = stage.track(source.copy())
        vertices = np.arange(len(source.vertices))
        _strip(mesh)
    made = stage.track(bpy.data.objects.new(face.name, stage.track(mesh)))
    stage.scene.collection.objects.link(made)
    made.matrix_world = stage.matrix()
    rest = read_shape(source.shape_keys.key_blocks[0])
    for key in source.shape_keys.key_blocks:
        shape = read_shape(key)
        still = np.abs(shape - rest).max(1) < _LEAST_MOVE
        copied = made.shape_key_add(name=key.name, from_mix=False)
        write_shape(copied, np.where(still[:, None], rest, shape)[vertices])
        copied.slider_min = key.slider_min
        copied.slider_max = key.slider_max
        copied.value = key.value
        copied.mute = key.mute
    write_positions(mesh, read_shape(made.data.shape_keys.key_blocks[0]))
    mesh.update()
    for index in range(len(source.materials)):
        mesh.materials.append(stage.track(plain_material(source.materials[index])))
    return ExportMesh(vertices, made)


def _strip(mesh: bpy.types.Mesh) -> None:
    """Removes shape keys, materials and attributes from a copied mesh."""
    carrier = bpy.data.objects.new("Stripped", mesh)
    carrier.shape_key_clear()
    bpy.data.objects.remove(carrier)
    mesh.materials.clear()
    remove_attributes(mesh, "d3dmm_")


def _base_mesh(name: str) -> tuple[bpy.types.Mesh, np.ndarray]:
    model = face_model()
    dense = dense_mesh()
    corners = coarse_corners(model, dense)
    vertices, corner_vertex = np.unique(corners.vertex, return_inverse=True)
    sizes = np.bincount(corners.polygon, minlength=len(model.polygons))
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(vertices))
    mesh.loops.add(len(corner_vertex))
    mesh.loops.foreach_set("vertex_index", corner_vertex.astype(np.int32))
    mesh.polygons.add(len(sizes))
    mesh.polygons.foreach_set("loop_start", np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32))
    mesh.polygons.foreach_set("loop_total", sizes.astype(np.int32))
    mesh.polygons.foreach_set("material_index", model.polygon_part.astype(np.int32))
    mesh.polygons.foreach_set("use_smooth", np.ones(len(sizes), bool))
    mesh.update(calc_edges=True)
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", corners.uv.ravel())
    return mesh, vertices


def plain_material(original: bpy.types.Material | None) -> bpy.types.Material:
    """Returns a material of constants, because other programs do not read procedural nodes."""
    made = new_material(original.name if original is not None else "Skin")
    shader = principled_shader(made)
    source = principled_shader(original)
    if source is not None:
        for name in ("Base Color", "Roughness"):
            if not source.inputs[name].is_linked:
                shader.inputs[name].default_value = source.inputs[name].default_value
    colour = base_skin_colour(original)
    if colour is not None:
        shader.inputs["Base Color"].default_value = colour
    return made


def key_clip(stage: Stage, exported: ExportMesh, progress, with_detail: bool) -> KeyedClip:
    """Keys the mesh's shape keys frame by frame, and its place where it moves; wrinkles become shape keys.

    Args:
        stage: is left at the last frame.
        exported: the mesh made of the stage's face.
        progress: called with 0 to 1.
        with_detail: adds the wrinkles of these frames: a rest shape and principal offsets, weights in 0..1.

    Returns:
        The values that were keyed, for what moves along with the mesh.

    Raises:
        UserError: the copy has modifiers that change its vertices.
    """
    made = exported.object
    keys = made.data.shape_keys.key_blocks
    names = [key.name for key in keys][1:]
    rest, deltas = _shapes(made)
    for modifier in stage.face.modifiers:
        if modifier.name != MODIFIER:
            modifier.show_viewport = False
    rows, places, offsets = [], [], []
    for index, frame in enumerate(stage.frames):
        stage.go_to(frame)
        rows.append(stage.key_values(names))
        places.append(stage.matrix())
        if with_detail:
            positions = stage.positions()
            if len(positions) != len(stage.face.data.vertices):
                raise UserError(
                    "This face's wrinkles cannot become shape keys: a modifier changes its vertices.",
                    "Export Alembic or USD.",
                )
            smooth = rest + np.tensordot(rows[-1], deltas, 1)
            offsets.append((positions[exported.vertices] - smooth).ravel() * 1e3)
        progress(index / len(stage.frames))
    values = np.stack(rows)
    if offsets:
        weights = _add_detail_keys(made, np.stack(offsets).astype(np.float32))
        names += [DETAIL_KEY.format(index) for index in range(weights.shape[1])]
        values = np.concatenate([values, weights], 1)
    if len(stage.frames) > 1:
        first = stage.frames[0]
        stage.track(action_writer.key_expressions(made, made.name, tuple(names), values, first))
        if any(place != places[0] for place in places):
            action = action_writer.key_object(made, made.name, _place_curves(places), first)
            if action is not None:
                stage.track(action)
    for name, value in zip(names, values[0], strict=True):
        keys[name].value = float(value)
    made.matrix_world = places[0]
    return KeyedClip(tuple(names), values)


def _shapes(made: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rest shape (M, 3) and the offsets of each key (E, M, 3)."""
    keys = made.data.shape_keys.key_blocks
    shapes = np.stack([read_shape(key) for key in keys])
    shapes[1:] -= shapes[0]
    return shapes[0], shapes[1:]


def _add_detail_keys(made: bpy.types.Object, offsets: np.ndarray) -> np.ndarray:
    """Adds shape keys whose weighted sum is the frames' offsets; their common offset moves the rest shape.

    Args:
        made: the export mesh.
        offsets: (T, 3 M), millimetres.

    Returns:
        (T, K): the weights of the new keys, 0 to 1.
    """
    basis = fit_detail_basis(offsets, _PSNR_DB, _MOST_FIELDS)
    coefficients = basis.project(offsets)
    low = coefficients.min(0)
    span = np.ptp(coefficients, axis=0)
    moving = span > 1e-9
    shared = ((basis.mean + low @ basis.fields) * 1e-3).reshape(-1, 3)
    keys = made.data.shape_keys.key_blocks
    for key in keys:
        write_shape(key, read_shape(key) + shared)
    rest = read_shape(keys[0])
    write_positions(made.data, rest)
    for index, field in enumerate(basis.fields[moving] * span[moving, None] * 1e-3):
        key = made.shape_key_add(name=DETAIL_KEY.format(index), from_mix=False)
        write_shape(key, rest + field.reshape(-1, 3))
        key.value = 0.0
    made.data.update()
    return ((coefficients - low)[:, moving] / span[moving]).astype(np.float32)


def _place_curves(places) -> dict[tuple[str, int], np.ndarray]:
    parts = [place.decompose() for place in places]
    turns = []
    for _, turn, _ in parts:
        turns.append(turn.to_euler("XYZ", turns[-1]) if turns else turn.to_euler("XYZ"))
    columns = {
        "location": np.array([part[0] for part in parts], np.float32),
        "rotation_euler": np.array(turns, np.float32),
        "scale": np.array([part[2] for part in parts], np.float32),
    }
    return {(path, axis): values[:, axis] for path, values in columns.items() for axis in range(3)}
