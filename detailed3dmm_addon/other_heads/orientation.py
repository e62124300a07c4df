"""Finds the faces of a head whose normals point inwards."""

import bmesh
import bpy
import numpy as np
from mathutils.bvhtree import BVHTree

from ...ml_backend.errors import UserError
from ...ml_backend.geometry.similarity import Similarity
from .parts import connected_parts
from .target_shape import TargetShape

_NEAR = 0.02
"""Metres on our head: greatest distance of a face whose normal is compared with our skin's."""
_LEAST_PART = 0.3
"""Connected parts with less skin than this share of the largest - eyes, teeth, lashes - do not count."""
_UNDECIDED = 0.2
"""A part that agrees with our skin about as often as not, such as a closed shell, is believed."""
_TOLERATED = 0.02
"""Share of reversed faces up to which wrinkles are as good as without."""


def check_orientation(
    shape: TargetShape,
    placement: Similarity,
    skin: np.ndarray,
    skin_triangles: np.ndarray,
) -> None:
    """Compares the winding of a head's faces with our skin, which lies roughly in the same place.

    The faces of each connected part are wound alike first; then our skin decides which side is outside.

    Args:
        shape: the head.
        placement: from our head to the mesh.
        skin: (V, 3) positions of our skin, metres.
        skin_triangles: (T, 3) of our skin that can wrinkle.

    Raises:
        UserError: more than a few of its faces are inside out.
    """
    mesh = shape.mesh
    count = len(mesh.polygons)
    polygon, vertex, edge = _corners(mesh)
    positions = placement.inverse(shape.positions[: shape.count])
    size = np.bincount(polygon, minlength=count)
    centres = np.stack([np.bincount(polygon, axis[vertex], count) / size for axis in positions.T], 1)
    area = np.empty(count, np.float32)
    mesh.polygons.foreach_get("area", area)
    changed, normals = _wound_alike(mesh, shape.one_place[: shape.count])
    normals = normals @ np.linalg.inv(shape.linear)
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    normals = normals @ placement.rotation
    seen = np.bincount(polygon, shape.shown[vertex], count) == size
    tree = BVHTree.FromPolygons(skin.tolist(), skin_triangles.tolist())
    agrees = np.zeros(count)
    low, high = skin.min(0) - _NEAR, skin.max(0) + _NEAR
    for index in np.flatnonzero(seen & ((centres > low) & (centres < high)).all(1)).tolist():
        place, facing, _, _ = tree.find_nearest(centres[index].tolist(), _NEAR)
        if place is not None:
            agrees[index] = normals[index] @ np.array(facing)
    near = agrees != 0
    part = connected_parts(_neighbours(polygon, _joined_edges(mesh, edge, shape.one_place)), count)
    skin_area = np.bincount(part, area * near)
    vote = np.bincount(part, area * agrees)
    certain = np.abs(vote) > _UNDECIDED * np.bincount(part, area * np.abs(agrees))
    turned = np.bincount(part, area * near * changed)
    inwards = np.where(certain, vote < 0, turned > 0.5 * skin_area)
    counted = near & (skin_area >= _LEAST_PART * skin_area.max())[part]
    total = counted.sum()
    if not total:
        return
    share = (counted & (changed ^ inwards[part])).sum() / total
    if share > _TOLERATED:
        stays = (counted & inwards[part]).sum() > _TOLERATED * total
        raise UserError(
            f"{shape.name}: {share:.0%} of the faces of its skin are inside out.",
            "In Edit Mode, select all, then Mesh > Normals > Recalculate Outside"
            + ("; then select the skin, and Mesh > Normals > Flip." if stays else "."),
        )


def _corners(mesh: bpy.types.Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns polygon, vertex and edge of each corner of a mesh, (L,) each."""
    sizes = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_total", sizes)
    vertex = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", vertex)
    edge = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("edge_index", edge)
    return np.repeat(np.arange(len(sizes)), sizes), vertex, edge


def _neighbours(polygon: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """Finds the polygons that share an edge which belongs to two.

    Args:
        polygon: (L,) of each corner.
        edge: (L,) of each corner.

    Returns:
        (P, 2) pairs of polygons.
    """
    order = np.argsort(edge, kind="stable")
    start = np.flatnonzero(np.diff(edge[order], prepend=-1))
    pair = start[np.diff(start, append=len(edge)) == 2]
    return polygon[order[pair[:, None] + (0, 1)]]


def _joined_edges(mesh: bpy.types.Mesh, edge: np.ndarray, one_place: np.ndarray) -> np.ndarray:
    """Returns (L,) the edge of each corner, edges between the same two places counted as one."""
    ends = np.empty((len(mesh.edges), 2), np.int32)
    mesh.edges.foreach_get("vertices", ends.ravel())
    joined = np.sort(one_place[ends], axis=1)
    return np.unique(joined, axis=0, return_inverse=True)[1].ravel()[edge]


def _wound_alike(mesh: bpy.types.Mesh, one_place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Winds the faces of a copy alike, as Recalculate Outside does after Merge by Distance.

    Args:
        mesh: the head.
        one_place: (N,) the first vertex at each vertex's place.

    Returns:
        (F,) bool, the faces that this turns, and (F, 3) their normals afterwards.
    """
    copy = bmesh.new()
    try:
        copy.from_mesh(mesh)
        row = copy.faces.layers.int.new("row")
        for index, face in enumerate(copy.faces):
            face[row] = index
        before = np.array([face.normal[:] for face in copy.faces])
        after = before.copy()
        copy.verts.ensure_lookup_table()
        doubled = np.flatnonzero(one_place != np.arange(len(one_place)))
        if len(doubled):
            goals = one_place[doubled].tolist()
            pairs = zip(doubled.tolist(), goals, strict=True)
            bmesh.ops.weld_verts(copy, targetmap={copy.verts[one]: copy.verts[goal] for one, goal in pairs})
        bmesh.ops.recalc_face_normals(copy, faces=copy.faces[:])
        for face in copy.faces:
            after[face[row]] = face.normal
    finally:
        copy.free()
    return (before * after).sum(1) < 0, after
