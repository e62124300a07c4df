"""The face as a Blender mesh: made once at display density; a new identity rewrites its shape keys."""

import uuid

import bmesh
import bpy
import numpy as np

from ..model.face_model import (
    dense_mesh,
    dense_parts,
    dense_shapes,
    expression_of,
    face_model,
    identity_digest,
    is_current,
)
from ..nodes.detail_modifier import SKIN_GROUP
from ..nodes.vertex_attributes import read_shape, remove_attributes, write_positions, write_shape
from .attributes import add_attributes
from .look_attributes import refresh_look_attributes

_WEIGHT_STEPS = 32
KEYS_AT_ONCE = 4
"""Shape keys that are computed together: more would take more memory and time at once."""


def create_face_object(context: bpy.types.Context, name: str, identity: np.ndarray) -> bpy.types.Object:
    """Adds a face to the scene: mesh, texture coordinates, vertex groups, 52 shape keys; no materials yet.

    Args:
        context: its collection receives the object. Its scene locks the interface while it renders, so live
            wrinkles can follow.
        name: of the object and its data.
        identity: (K,) float32, standard deviations.
    """
    context.scene.render.use_lock_interface = True
    neutral, _ = dense_shapes(identity, ())
    mesh = _make_mesh(name, neutral)
    face = bpy.data.objects.new(name, mesh)
    context.collection.objects.link(face)
    _add_vertex_groups(face)
    add_attributes(mesh)
    face.shape_key_add(name="Basis", from_mix=False)
    _add_missing_keys(face)
    settings = face.d3dmm
    settings.is_face = True
    settings.uid = uuid.uuid4().hex
    add_sliders(face)
    write_all_keys(face, identity)
    return face


def _add_missing_keys(face: bpy.types.Object) -> None:
    keys = face.data.shape_keys.key_blocks
    for expression in face_model().expression_names:
        if expression not in keys:
            key = face.shape_key_add(name=expression, from_mix=False)
            key.slider_min = -0.5
            key.slider_max = 1.5
            key.value = 0.0


def add_sliders(face: bpy.types.Object) -> None:
    """Gives a face the present model's sliders; new ones are at 0.

    Named directions stay in their order, because keys find them by it; those that the model lacks do nothing.
    """
    model = face_model()
    settings = face.d3dmm
    settings.face_model = model.fingerprint()
    for direction in model.direction_names:
        if direction not in settings.directions:
            settings.directions.add().name = direction
    while len(settings.coefficients) > model.identity_size:
        settings.coefficients.remove(len(settings.coefficients) - 1)
    for index in range(len(settings.coefficients), model.identity_size):
        settings.coefficients.add().name = f"PC{index + 1}"


def remake_mesh(face: bpy.types.Object, identity: np.ndarray) -> None:
    """Gives a face's mesh the present model's vertices in place of those it has.

    Mesh and shape keys stay the same data: their names, users, values, actions, drivers and materials. Keys
    that are not the model's, and vertex groups, become empty; so do attributes and texture layers of others.

    Args:
        face: a face in Object Mode.
        identity: (K,) float32, standard deviations.
    """
    mesh = face.data
    remove_attributes(mesh, "d3dmm_")
    template = _make_mesh("Remade", dense_shapes(identity, ())[0])
    shape = bmesh.new()
    try:
        shape.from_mesh(mesh)
        bmesh.ops.delete(shape, geom=list(shape.verts), context="VERTS")
        shape.from_mesh(template)
        shape.to_mesh(mesh)
    finally:
        shape.free()
        bpy.data.meshes.remove(template)
    _add_vertex_groups(face)
    add_attributes(mesh)
    _add_missing_keys(face)
    write_all_keys(face, identity)


def _make_mesh(name: str, positions: np.ndarray) -> bpy.types.Mesh:
    dense = dense_mesh()
    present = dense.polygons >= 0
    sizes = present.sum(1)
    corners = dense.polygons[present]
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(positions))
    write_positions(mesh, positions)
    mesh.loops.add(len(corners))
    mesh.loops.foreach_set("vertex_index", corners.astype(np.int32))
    mesh.polygons.add(len(sizes))
    mesh.polygons.foreach_set("loop_start", np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32))
    mesh.polygons.foreach_set("loop_total", sizes.astype(np.int32))
    mesh.polygons.foreach_set(
        "material_index", face_model().polygon_part[dense.base_polygon].astype(np.int32)
    )
    mesh.polygons.foreach_set("use_smooth", np.ones(len(sizes), bool))
    mesh.update(calc_edges=True)
    layer = mesh.uv_layers.new(name="UVMap")
    layer.data.foreach_set("uv", dense.uv[dense.uv_polygons[present]].ravel())
    return mesh


def _add_vertex_groups(face: bpy.types.Object) -> None:
    model = face_model()
    dense = dense_mesh()
    skin = (dense_parts() == model.part_names.index("skin")).astype(np.float32)
    for name, weights in {
        SKIN_GROUP: skin,
        **{region: dense.refine(values) for region, values in model.regions.items()},
    }.items():
        group = face.vertex_groups.get(name) or face.vertex_groups.new(name=name)
        steps = np.round(np.clip(weights, 0, 1) * _WEIGHT_STEPS).astype(np.int64)
        for step in np.unique(steps[steps > 0]):
            group.add(np.flatnonzero(steps == step).tolist(), float(step) / _WEIGHT_STEPS, "REPLACE")


def move_rest_shape(face: bpy.types.Object, identity: np.ndarray) -> tuple[list[str], list[str]]:
    """Moves the rest shape to an identity immediately, and the visible expressions along with it.

    The expressions themselves depend on the identity too; `write_keys` adds that later. Until then the face
    is off by a small part of the change.

    Args:
        face: the face.
        identity: (K,) float32, standard deviations.

    Returns:
        The visible expressions and all others; `write_keys` has to rewrite both.
    """
    mesh = face.data
    names = face_model().expression_names
    keys = mesh.shape_keys.key_blocks
    neutral = dense_mesh().refine(face_model().neutral(identity))
    moved = neutral - read_shape(keys[0])
    values = expression_of(face)
    shown = [name for name, value in zip(names, values, strict=True) if value != 0.0]
    for name in shown:
        write_shape(keys[name], read_shape(keys[name]) + moved)
    write_shape(keys[0], neutral)
    _show_rest_shape(mesh, neutral)
    return shown, [name for name in names if name not in shown]


def _show_rest_shape(mesh: bpy.types.Mesh, neutral: np.ndarray) -> None:
    write_positions(mesh, neutral)
    mesh.update()
    mesh.shape_keys.update_tag()


def write_keys(face: bpy.types.Object, identity: np.ndarray, names: tuple[str, ...]) -> None:
    """Writes the rest shape and some expressions; updates the mesh if one of them is visible."""
    mesh = face.data
    keys = mesh.shape_keys.key_blocks
    neutral, shapes = dense_shapes(identity, names)
    write_shape(keys[0], neutral)
    for name, shape in zip(names, shapes, strict=True):
        key = keys.get(name)
        if key is not None:
            write_shape(key, shape)
    refresh_look_attributes(face, names)
    if any(name in keys and keys[name].value != 0.0 for name in names):
        _show_rest_shape(mesh, neutral)


def write_all_keys(face: bpy.types.Object, identity: np.ndarray) -> None:
    """Writes every expression for an identity, and stores the digest of that identity."""
    names = face_model().expression_names
    for start in range(0, len(names), KEYS_AT_ONCE):
        write_keys(face, identity, names[start : start + KEYS_AT_ONCE])
    _show_rest_shape(face.data, dense_shapes(identity, ())[0])
    face.d3dmm.keys_identity = identity_digest(identity)


def has_our_topology(face: bpy.types.Object) -> bool:
    """Returns True if the mesh still has the vertices that the present model made.

    An edited mesh keeps its shape, and so does that of an earlier model.
    """
    return len(face.data.vertices) == dense_mesh().vertex_count and is_current(face)


def is_own(face: bpy.types.Object) -> bool:
    """Returns True if object, mesh and shape keys belong to this file and can be written to.

    Of a library override the object does, mesh and shape keys may not.
    """
    return not any(
        block is not None and block.library is not None for block in (face, face.data, face.data.shape_keys)
    )
