"""Chosen neighbours of each vertex, from which node groups measure strain and normals in a fraction of the
time that all edges and polygons take.

All are chosen on the mean face, so they stay with the vertices whatever the identity.
"""

from functools import lru_cache

import bpy
import numpy as np

from ...ml_backend.geometry.displacement import vertex_normals
from ..model.face_model import dense_mesh, dense_parts, face_model
from ..nodes.neighbour_nodes import ABOVE, BESIDE, MOVES, OPPOSITE, SIDE
from ..nodes.vertex_attributes import write_attribute

_POINTS_THERE = 0.3
"""Cosine between an edge and a direction from which it counts as pointing there."""
_MOVES = 0.0002
"""Metres that an expression moves skin that strains."""
_ASTRAY = 0.03
"""Distance between two unit normals from which other neighbours are looked for."""


def write_neighbours(mesh: bpy.types.Mesh) -> None:
    """Writes the numbers of neighbours that the groups of strain and of detail read."""
    *opposite, side = opposite_neighbours()
    for name, numbers in zip((BESIDE, ABOVE, *OPPOSITE), (*neighbours(), *opposite), strict=True):
        write_attribute(mesh, name, numbers)
    write_attribute(mesh, SIDE, side.astype(np.float32) * len(side))
    write_attribute(mesh, MOVES, moving_skin())


@lru_cache(maxsize=1)
def neighbours() -> np.ndarray:
    """Returns (2, N) int32: the neighbours of each vertex to the left and above, or on the other side where
    there is none."""
    dense = dense_mesh()
    places = dense.refine(face_model().mean)
    starts, ends = _edges()
    apart = places[ends] - places[starts]
    apart /= np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-9)
    normals = vertex_normals(places, dense.polygons)
    level = np.cross((0.0, 0.0, 1.0), normals)
    level /= np.maximum(np.linalg.norm(level, axis=1, keepdims=True), 1e-9)
    found = []
    for direction in (level, np.cross(normals, level)):
        angle = (apart * direction[starts]).sum(1)
        found.append(_best_ends(starts, ends, np.where(angle > _POINTS_THERE, 2 + angle, np.abs(angle))))
    return np.stack(found).astype(np.int32)


@lru_cache(maxsize=1)
def moving_skin() -> np.ndarray:
    """Returns (N,) bool: True at skin that some expression moves."""
    model, dense = face_model(), dense_mesh()
    largest = np.abs(model.shapes(np.zeros(model.identity_size, np.float32))[1]).max((0, 2))
    skin = dense_parts() == model.part_names.index("skin")
    return skin & (dense.refine(largest) > _MOVES)


@lru_cache(maxsize=1)
def opposite_neighbours() -> np.ndarray:
    """Returns (3, N) int32, by which the detail's modifier finds normals.

    The neighbours opposite to those of `neighbours`, or the vertex itself; then 1, or -1 where the cross
    product of the two lines between opposite neighbours points inwards.
    """
    dense = dense_mesh()
    places = dense.refine(face_model().mean).astype(np.float64)
    left, above = neighbours()
    starts, ends = _edges()
    apart = places[ends] - places[starts]
    apart /= np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-12)
    opposite = [
        _best_ends(starts, ends, -(apart * (places[chosen] - places)[starts]).sum(1))
        for chosen in (left, above)
    ]
    wanted = vertex_normals(places, dense.polygons)
    found = np.stack([*opposite, np.zeros_like(left)], 1)
    error = np.full(len(places), np.inf)
    everywhere = np.arange(len(places))
    _improve(found, error, everywhere, opposite, (left, above), places, wanted)
    poor = np.flatnonzero(error > _ASTRAY)
    choices = _fans(starts, ends, poor)
    for first in choices.T:
        for second in choices.T:
            _improve(found, error, poor, (first, second), (left, above), places, wanted)
    return found.T.astype(np.int32)


def _improve(found, error, here, tried, chosen, places, wanted) -> None:
    """Takes a choice of opposite neighbours over at the vertices where it comes nearer to their normals."""
    lines = [places[start[here]] - places[end] for start, end in zip(chosen, tried, strict=True)]
    normals = np.cross(*lines)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    side = np.where((normals * wanted[here]).sum(1) < 0, -1, 1)
    distance = np.linalg.norm(side[:, None] * normals - wanted[here], axis=1)
    better = distance < error[here]
    error[here[better]] = distance[better]
    found[here[better]] = np.stack([*tried, side], 1)[better]


def _edges() -> tuple[np.ndarray, np.ndarray]:
    """Returns the vertices at both ends of every edge, in both directions; inner edges come twice."""
    polygons = dense_mesh().polygons
    following = np.roll(polygons, -1, 1)
    following[polygons[:, 3] < 0, 2] = polygons[polygons[:, 3] < 0, 0]
    starts, ends = (corners[polygons >= 0] for corners in (polygons, following))
    return np.concatenate([starts, ends]), np.concatenate([ends, starts])


def _best_ends(starts: np.ndarray, ends: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Returns the end with the highest rank for each vertex, or the vertex itself where no edge begins."""
    order = np.lexsort((rank, starts))
    last = np.append(starts[order][1:] != starts[order][:-1], True)
    chosen = np.arange(dense_mesh().vertex_count)
    chosen[starts[order][last]] = ends[order][last]
    return chosen


def _fans(starts: np.ndarray, ends: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Returns (n, W): for each of some vertices itself and its neighbours, filled up with itself."""
    wanted = np.zeros(dense_mesh().vertex_count, bool)
    wanted[vertices] = True
    edges = np.unique(np.stack([starts, ends], 1)[wanted[starts]], axis=0)
    count = np.bincount(edges[:, 0], minlength=len(wanted))[vertices]
    fans = np.tile(vertices[:, None], (1, 1 + count.max(initial=0)))
    within = np.arange(len(edges)) - np.repeat(np.cumsum(count) - count, count)
    fans[np.repeat(np.arange(len(vertices)), count), 1 + within] = edges[:, 1]
    return fans
