"""Subdivides a copy of a head's mesh so that every shape key is its own Catmull-Clark surface.

Blender's own Subdivision modifier does it, one shape key after the other: creases, borders, n-gons and loose
parts are as artists know them.
"""

from collections.abc import Callable
from typing import cast

import bmesh
import bpy
import numpy as np

from ..nodes.vertex_attributes import read_positions, read_shape, write_positions, write_shape
from .target_shape import TargetShape

_ORIGIN = "d3dmm_origin"
_OTHER = "d3dmm_other_half"


def finer_mesh(item: bpy.types.Object, shape: TargetShape, levels: int) -> bpy.types.Mesh:
    """Returns a subdivided copy of a mesh; its shape keys keep their names, values, ranges and drivers.

    Vertices at one place that all expressions move alike become one, so that doubled vertices make no cracks
    and no creases. The half head of a Mirror modifier is rounded as the half of a whole one. The vertices lie
    on the limit surface, where a Subdivision modifier puts them; if the object has such a modifier itself,
    they are its control points after as many levels, so that the modifier still shows the same surface.

    Args:
        item: a mesh object with shape keys.
        shape: its shape as it was read.
        levels: number of times to halve its edges, at least 1.
    """
    mesh = cast(bpy.types.Mesh, item.data)
    cage, positions_in_cage = _cage(mesh, shape)
    scene = bpy.data.scenes.new("d3dmm_subdivision")
    holder = bpy.data.objects.new("d3dmm_subdivision", cage)
    try:
        scene.collection.objects.link(holder)
        _add_modifier(holder, item, levels)
        layer = scene.view_layers[0]

        def rounded(positions: np.ndarray) -> bpy.types.Mesh:
            write_positions(cage, positions_in_cage(positions))
            cage.update()
            layer.update()
            return holder.evaluated_get(layer.depsgraph).to_mesh()

        keys = mesh.shape_keys.key_blocks
        finer = mesh.copy()
        kept = _replace_geometry(finer, rounded(read_shape(keys[0])))
        for key in finer.shape_keys.key_blocks:
            write_shape(key, read_positions(rounded(read_shape(keys[key.name])))[kept])
            holder.evaluated_get(layer.depsgraph).to_mesh_clear()
    finally:
        bpy.data.objects.remove(holder)
        bpy.data.meshes.remove(cage)
        bpy.data.scenes.remove(scene)
    write_positions(finer, read_shape(finer.shape_keys.key_blocks[0]))
    finer.update()
    return finer


def _cage(
    mesh: bpy.types.Mesh, shape: TargetShape
) -> tuple[bpy.types.Mesh, Callable[[np.ndarray], np.ndarray]]:
    """Makes the mesh that is rounded: whole, each place one vertex.

    Returns:
        The mesh without shape keys, and a function that gives its positions (K, 3) for those of the mesh
        (N, 3).
    """
    edited = bmesh.new()
    edited.from_mesh(mesh)
    for layer in edited.verts.layers.shape.values():
        edited.verts.layers.shape.remove(layer)
    origin_layer = edited.verts.layers.int.new(_ORIGIN)
    other_vertex = edited.verts.layers.int.new(_OTHER)
    other_face = edited.faces.layers.int.new(_OTHER)
    vertices = list(edited.verts)
    for index, vertex in enumerate(vertices):
        vertex[origin_layer] = index
    first = shape.one_place[: shape.count]
    doubled = np.flatnonzero(first != np.arange(shape.count)).tolist()
    bmesh.ops.weld_verts(edited, targetmap={vertices[index]: vertices[first[index]] for index in doubled})
    if shape.half is not None:
        own = {vertex[origin_layer]: vertex for vertex in edited.verts}
        copied = bmesh.ops.duplicate(edited, geom=[*edited.verts, *edited.edges, *edited.faces])["geom"]
        faces = [part for part in copied if isinstance(part, bmesh.types.BMFace)]
        copies = [part for part in copied if isinstance(part, bmesh.types.BMVert)]
        for face in faces:
            face[other_face] = 1
        for vertex in copies:
            vertex[other_vertex] = 1
        bmesh.ops.reverse_faces(edited, faces=faces)
        meeting = [vertex for vertex in copies if shape.seam[vertex[origin_layer]]]
        bmesh.ops.weld_verts(edited, targetmap={vertex: own[vertex[origin_layer]] for vertex in meeting})
    origin = np.array([vertex[origin_layer] for vertex in edited.verts], int)
    other = np.array([vertex[other_vertex] for vertex in edited.verts], bool)
    edited.verts.layers.int.remove(edited.verts.layers.int[_ORIGIN])
    edited.verts.layers.int.remove(edited.verts.layers.int[_OTHER])
    cage = bpy.data.meshes.new("d3dmm_subdivision")
    edited.to_mesh(cage)
    edited.free()

    def positions_in_cage(positions: np.ndarray) -> np.ndarray:
        placed = positions[origin]
        if shape.half is None:
            return placed
        turn, offset = shape.half
        across = placed @ turn.T + offset
        middle = (placed + across) / 2
        return np.where(shape.seam[origin][:, None], middle, np.where(other[:, None], across, placed))

    return cage, positions_in_cage


def _add_modifier(holder: bpy.types.Object, item: bpy.types.Object, levels: int) -> None:
    """Gives the cage a Subdivision modifier that rounds as the object's own does, if it has one."""
    modifier = holder.modifiers.new("Subdivision", "SUBSURF")
    modifier.levels = levels
    for own in item.modifiers:
        if own.type == "SUBSURF" and own.show_viewport:
            modifier.use_limit_surface = False
            modifier.boundary_smooth = own.boundary_smooth
            modifier.uv_smooth = own.uv_smooth
            modifier.use_creases = own.use_creases


def _replace_geometry(mesh: bpy.types.Mesh, rounded: bpy.types.Mesh) -> np.ndarray:
    """Gives a mesh the own half of a rounded one; its shape keys change their length.

    Returns:
        (N,) indices of its vertices in the rounded one.
    """
    edited = bmesh.new()
    edited.from_mesh(mesh)
    bmesh.ops.delete(edited, geom=edited.verts[:], context="VERTS")  # the layers of the shape keys stay
    edited.from_mesh(rounded)
    other = edited.faces.layers.int[_OTHER]
    index = edited.verts.layers.int.new(_ORIGIN)
    for number, vertex in enumerate(edited.verts):
        vertex[index] = number
    beyond = [face for face in edited.faces if face[other]]
    if beyond:
        bmesh.ops.delete(edited, geom=beyond, context="FACES")
    kept = np.array([vertex[index] for vertex in edited.verts], int)
    edited.verts.layers.int.remove(edited.verts.layers.int[_ORIGIN])
    edited.faces.layers.int.remove(edited.faces.layers.int[_OTHER])
    edited.to_mesh(mesh)
    edited.free()
    return kept
