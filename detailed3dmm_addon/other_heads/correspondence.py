"""Finds the place of each vertex of any head on our skin's texture.

Its texture coordinates give it if they are laid out like ours; otherwise our head is wrapped over the mesh.
"""

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils.bvhtree import BVHTree

from ...ml_backend.errors import UserError
from ...ml_backend.expression_names import EXPRESSION_NAMES
from ...ml_backend.geometry.similarity import Similarity, fit_similarity
from ...ml_backend.geometry.surface_wrap import Guide, MovementGuide, triangle_edges, wrap_surface
from ...ml_backend.geometry.texture_space import rasterise, sample_map
from .our_skin import UV_SIZE, known_by_movement, our_movements, our_skin, wrinkle_texels
from .parts import connected_parts
from .placement import place_head
from .target_shape import TargetShape

_REACH = 0.012
"""Metres on our head: greatest distance of a vertex from the wrapped skin."""
_SURE = 0.004
"""Metres on our head: distance up to which a vertex is trusted in full."""
_FACING = 0.3
_AROUND = 0.03
"""Metres on our head: distance from our skin up to which vertices of the mesh are compared by movement."""
_CANDIDATES = 5000
_LEAST_KNOWN = 0.1
_MOVES = 1e-4
"""Metres on our head: least movement of a key that tells where a place is."""
_STILL = ("eyeLook", "tongue")
_UV_AGREES = 0.006
"""Metres on our head: greatest median error of texture coordinates that are laid out like ours."""
_LEAST_ISLAND = 0.3
_LONGEST_IN_UV = 0.15
"""Triangles of the mesh that are longer on our texture cross its seam."""


@dataclass(frozen=True)
class Correspondence:
    """The correspondence between a mesh and our skin.

    Attributes:
        uv: (N, 2) float32, texture coordinates on our skin, -1 for vertices that are not skin.
        trust: (N,) float32, 0 to 1.
        scale: length of a metre of our head in units of the mesh.
        spacing: median length of an edge of the skin that wrinkles, metres on our head.
        by_uv: the mesh's texture coordinates are laid out like ours.
        coverage: share of our skin that can wrinkle for which the mesh has skin, 0 to 1.
        wrapped: (V, 3) our skin's vertices as they lie on the mesh, in the units and the space of its
            `TargetShape`; None where texture coordinates gave the match.
        residual: (V,) metres on our head from each of them to the mesh's surface.
    """

    uv: np.ndarray
    trust: np.ndarray
    scale: float
    spacing: float
    by_uv: bool
    coverage: float = 1.0
    wrapped: np.ndarray | None = None
    residual: np.ndarray | None = None


def find_correspondence(item: bpy.types.Object, method: str) -> Correspondence:
    """Finds our skin on a mesh whose shape keys are ARKit's.

    Args:
        item: a mesh object with shape keys.
        method: "UV", "WRAP", or "AUTO" for texture coordinates where they agree.

    Raises:
        UserError: the expressions do not lie as on a head, faces are inside out, or method is "UV" and the
            texture coordinates are laid out differently.
    """
    return match_shape(TargetShape(item), method)


def match_shape(shape: TargetShape, method: str) -> Correspondence:
    """Finds our skin on a mesh that was read; arguments and errors are those of `find_correspondence`."""
    rough = place_head(shape)
    if method != "WRAP":
        correspondence = _by_uv(shape)
        if correspondence is not None:
            return correspondence
        if method == "UV":
            raise UserError(
                f"{shape.name}: its texture coordinates are not laid out as ours.", "Choose Wrap."
            )
    return _by_wrap(shape, rough)


def check_head(item: bpy.types.Object) -> TargetShape:
    """Checks that a mesh is a head which can wrinkle, before it is subdivided; returns its shape.

    Raises:
        UserError: the expressions do not lie as on a head, or faces are inside out.
    """
    shape = TargetShape(item)
    place_head(shape)
    return shape


def _by_uv(shape: TargetShape) -> Correspondence | None:
    """Returns the correspondence by texture coordinates, or None if they are laid out differently.

    They agree if our skin's positions at the mesh's coordinates are, as a whole, those of the mesh.
    """
    uv = shape.vertex_uv()
    skin = our_skin()
    if uv is None:
        return None
    lookup = skin.lookup(UV_SIZE)
    inside = ((uv > 0) & (uv < 1)).all(1)
    inside[inside] = sample_map(lookup.mask.astype(np.float32), uv[inside]) > 0.99
    if inside.sum() < 0.1 * len(uv):
        return None
    ours = sample_map(lookup.spread(skin.positions), uv[inside]).astype(np.float64)
    theirs = shape.positions[inside]
    fitted = fit_similarity(ours, theirs)
    if np.median(np.linalg.norm(fitted(ours) - theirs, axis=1)) / fitted.scale > _UV_AGREES:
        return None
    return _finish(shape, np.where(inside[:, None], uv, -1), inside.astype(np.float32), fitted.scale, True)


def _by_wrap(shape: TargetShape, rough: Similarity) -> Correspondence:
    """Wraps our skin over the mesh, and takes the place on it that is nearest to each vertex.

    All lengths are metres on our head.
    """
    skin = our_skin()
    positions = rough.inverse(shape.positions)
    tree = BVHTree.FromPolygons(positions.tolist(), shape.triangles.tolist())

    def closest(points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        goals = points.copy()
        trust = np.zeros(len(points))
        for index, (point, normal) in enumerate(zip(points.tolist(), normals.tolist(), strict=True)):
            place, facing, _, distance = tree.find_nearest(point)
            if place is not None and sum(a * b for a, b in zip(facing, normal, strict=True)) > _FACING:
                goals[index] = place
                trust[index] = 1 / (1 + (distance / _REACH) ** 2)
        return goals, trust

    counts = np.where(skin.wrinkles, 1.0, 0.25)
    guide = _guide(shape, positions, rough)
    wrapped = wrap_surface(skin.positions, skin.triangles, closest, counts, guide)
    residual = np.array([tree.find_nearest(point)[3] for point in wrapped.tolist()])
    uv, trust = _places_on(wrapped, positions, shape.normals() @ rough.rotation)
    return _finish(shape, uv, trust, rough.scale, False, rough(wrapped), residual)


def _guide(shape: TargetShape, positions: np.ndarray, rough: Similarity) -> Guide:
    """Returns the guide that knows our skin's vertices on the mesh by how both move."""
    skin = our_skin()
    weight = known_by_movement()
    follows = np.flatnonzero(weight > _LEAST_KNOWN)
    low, high = skin.positions[follows].min(0) - _AROUND, skin.positions[follows].max(0) + _AROUND
    near = np.zeros(len(positions), bool)
    near[np.unique(shape.triangles)] = True
    near = np.flatnonzero(near & ((positions > low) & (positions < high)).all(1))
    if len(near) > _CANDIDATES:
        near = np.sort(np.random.default_rng(0).choice(near, _CANDIDATES, replace=False))
    names, moved = [], []
    for name in shape.keys:
        delta = shape.deltas(name)[near] @ rough.rotation / rough.scale
        if not name.startswith(_STILL) and np.abs(delta).max() > _MOVES:
            names.append(EXPRESSION_NAMES.index(name))
            moved.append(delta)
    index = np.full(len(skin.positions), -1)
    index[follows] = np.arange(len(follows))
    edges = index[triangle_edges(skin.triangles)]
    signatures = MovementGuide(
        skin.positions[follows],
        our_movements()[names][:, follows],
        edges[(edges >= 0).all(1)],
        positions[near],
        np.stack(moved),
    )

    def guide(placed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        goals, trust = placed.copy(), np.zeros(len(placed))
        goals[follows], trust[follows] = signatures(placed[follows])
        trust[follows] *= weight[follows]
        return goals, trust

    return guide


def _places_on(
    wrapped: np.ndarray, positions: np.ndarray, normals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the place on the wrapped skin (V, 3) that is nearest to each vertex of the mesh (M, 3).

    Returns:
        (M, 2) float32 texture coordinates, -1 without, and (M,) float32 trust, 0 to 1.
    """
    skin = our_skin()
    ours = BVHTree.FromPolygons(wrapped.tolist(), skin.triangles.tolist())
    low, high = wrapped.min(0) - _REACH, wrapped.max(0) + _REACH
    rows, triangles, places, distances = [], [], [], []
    for index in np.flatnonzero(((positions > low) & (positions < high)).all(1)).tolist():
        place, facing, triangle, distance = ours.find_nearest(positions[index].tolist(), _REACH)
        if place is not None and normals[index] @ facing > _FACING:
            rows.append(index)
            triangles.append(triangle)
            places.append(place)
            distances.append(distance)
    uv = np.full((len(positions), 2), -1, np.float32)
    trust = np.zeros(len(positions), np.float32)
    if rows:
        weights = barycentric(np.array(places), wrapped[skin.triangles[triangles]])
        uv[rows] = (weights[:, :, None] * skin.corner_uv[triangles]).sum(1)
        trust[rows] = np.clip((_REACH - np.array(distances)) / (_REACH - _SURE), 0, 1)
    return uv, trust


def barycentric(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Returns (P, 3): the weights of triangles' corners (P, 3, 3) at points (P, 3) in their planes."""
    first = corners[:, 1] - corners[:, 0]
    second = corners[:, 2] - corners[:, 0]
    offset = points - corners[:, 0]
    d00, d01, d11 = (first**2).sum(1), (first * second).sum(1), (second**2).sum(1)
    d20, d21 = (offset * first).sum(1), (offset * second).sum(1)
    area = np.maximum(d00 * d11 - d01 * d01, 1e-30)
    v = (d11 * d20 - d01 * d21) / area
    w = (d00 * d21 - d01 * d20) / area
    weights = np.stack([1 - v - w, v, w], 1).clip(0)
    return weights / weights.sum(1, keepdims=True)


def _finish(
    shape: TargetShape,
    uv: np.ndarray,
    trust: np.ndarray,
    scale: float,
    by_uv: bool,
    wrapped: np.ndarray | None = None,
    residual: np.ndarray | None = None,
) -> Correspondence:
    """Removes connected parts with little skin - eyes, teeth, lashes - and measures the spacing."""
    island = connected_parts(shape.one_place[shape.triangles], len(uv))[shape.one_place]
    size = np.bincount(island, trust > 0.5)
    trust = np.where(size[island] >= _LEAST_ISLAND * size.max(), trust, 0).astype(np.float32)
    if not (trust > 0.5).any():
        raise UserError(
            f"{shape.name}: our skin could not be laid over it.", "Check that its normals point outwards."
        )
    uv = np.where(trust[:, None] > 0, uv, -1).astype(np.float32)
    edges = shape.triangles[(trust[shape.triangles] > 0.5).all(1)]
    texels = np.clip((UV_SIZE * uv[edges].mean(1)).astype(int), 0, UV_SIZE - 1)
    wrinkling = wrinkle_texels()[texels[:, 1], texels[:, 0]]
    seen = edges[wrinkling] if wrinkling.any() else edges
    length = np.linalg.norm(shape.positions[seen[:, 1]] - shape.positions[seen[:, 0]], axis=1)
    spacing = float(np.median(length)) / scale if len(length) else np.inf
    coverage = _coverage(uv, edges)
    count = shape.count
    return Correspondence(uv[:count], trust[:count], scale, spacing, by_uv, coverage, wrapped, residual)


def _coverage(uv: np.ndarray, triangles: np.ndarray) -> float:
    """Returns the share of our skin that can wrinkle on which triangles (T, 3) of a mesh lie."""
    corners = uv[triangles]
    whole = (np.ptp(corners, axis=1) < _LONGEST_IN_UV).all(1)
    covered = rasterise(uv, triangles[whole], triangles[whole], UV_SIZE).mask
    return float(covered[wrinkle_texels()].mean())
