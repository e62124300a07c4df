"""Finds the place of each vertex of any head on our skin's texture.

Its texture coordinates give it if they are laid out like ours; otherwise our head is wrapped over the mesh.
"""

from dataclasses import dataclass
from functools import lru_cache

import bpy
import numpy as np
from mathutils.bvhtree import BVHTree

from ...ml_backend.errors import UserError
from ...ml_backend.geometry.dense_face import coarse_corners
from ...ml_backend.geometry.similarity import Similarity, fit_similarity
from ...ml_backend.geometry.surface_wrap import triangle_normals, wrap_surface
from ...ml_backend.geometry.texture_space import rasterise, sample_map, triangles_of
from ..detail.distilled import distilled_model
from ..model.arkit_keys import expression_keys, moved_places
from ..model.face_model import dense_mesh, face_model
from ..nodes.vertex_attributes import read_corner_uv, read_shape
from .orientation import check_orientation, connected_parts

_REACH = 0.012
"""Metres on our head: greatest distance of a vertex from the wrapped skin."""
_SURE = 0.004
"""Metres on our head: distance up to which a vertex is trusted in full."""
_FACING = 0.3
_FEWEST_PLACES = 6
_KEPT = 0.75
"""Share of the expressions that the alignment is fitted to; the others are outliers."""
_FARTHEST_PLACE = 0.035
_UV_SIZE = 128
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
    """

    uv: np.ndarray
    trust: np.ndarray
    scale: float
    spacing: float
    by_uv: bool
    coverage: float = 1.0


@dataclass(frozen=True)
class _Skin:
    """The skin of our average head.

    Attributes:
        positions: (V, 3), metres.
        triangles: (T, 3).
        corner_uv: (T, 3, 2), texture coordinates by corner.
        wrinkles: (V,) bool, vertices that can wrinkle.
        base: (V,) indices of the model's vertices.
    """

    positions: np.ndarray
    triangles: np.ndarray
    corner_uv: np.ndarray
    wrinkles: np.ndarray
    base: np.ndarray


@lru_cache(maxsize=1)
def _our_skin() -> _Skin:
    model = face_model()
    dense = dense_mesh()
    corners = coarse_corners(model, dense)
    skin = model.polygon_part[corners.polygon] == model.part_names.index("skin")
    polygon, count = np.unique(corners.polygon[skin], return_inverse=True)
    base_vertex = model.polygons[polygon]
    base_uv = np.zeros((len(polygon), 4, 2), np.float32)
    corner = np.arange(skin.sum()) - np.searchsorted(count, count)
    base_uv[count, corner] = corners.uv[skin]
    refined = np.zeros((model.vertex_count, 3), np.float32)
    refined[model.polygons[model.polygons >= 0]] = dense.refine(model.mean)[corners.vertex]
    triangles, owner = triangles_of(base_vertex)
    local = (triangles[:, :, None] == base_vertex[owner][:, None, :]).argmax(2)
    used, index = np.unique(triangles, return_inverse=True)
    corner_uv = base_uv[owner[:, None], local]
    triangles = index.reshape(triangles.shape)
    low = distilled_model().low
    moved = (np.abs(low.fields).max(0) > 0).astype(np.float32)
    vertex_uv = np.zeros((len(used), 2), np.float32)
    vertex_uv[triangles] = corner_uv
    wrinkles = sample_map(low.spread(moved, low.texel_index()), vertex_uv) > 0.5
    return _Skin(
        refined[used], triangles, corner_uv, wrinkles & ((vertex_uv >= 0) & (vertex_uv <= 1)).all(1), used
    )


def find_correspondence(item: bpy.types.Object, method: str) -> Correspondence:
    """Finds our skin on a mesh whose shape keys are ARKit's.

    Args:
        item: a mesh object with shape keys.
        method: "UV", "WRAP", or "AUTO" for texture coordinates where they agree.

    Raises:
        UserError: the expressions do not lie as on a head, faces are inside out, or method is "UV" and the
            texture coordinates are laid out differently.
    """
    shape = _TargetShape(item)
    rough = _place_head(shape)
    if method != "WRAP":
        correspondence = _by_uv(shape)
        if correspondence is not None:
            return correspondence
        if method == "UV":
            raise UserError(f"{item.name}: its texture coordinates are not laid out as ours.", "Choose Wrap.")
    return _by_wrap(shape, rough)


def check_head(item: bpy.types.Object) -> None:
    """Checks that a mesh is a head which can wrinkle, before it is subdivided.

    Raises:
        UserError: the expressions do not lie as on a head, or faces are inside out.
    """
    _place_head(_TargetShape(item))


class _TargetShape:
    """A mesh at rest, as arrays.

    Attributes:
        positions: (N, 3) float64, units of the mesh.
        triangles: (T, 3), indices of vertices.
        corners: (T, 3), indices of the mesh's corners.
    """

    def __init__(self, item: bpy.types.Object):
        self.name = item.name
        self.mesh = item.data
        mesh = self.mesh
        self.positions = read_shape(mesh.shape_keys.key_blocks[0]).astype(np.float64)
        mesh.calc_loop_triangles()
        self.triangles, self.corners = (np.empty((len(mesh.loop_triangles), 3), np.int32) for _ in range(2))
        mesh.loop_triangles.foreach_get("vertices", self.triangles.ravel())
        mesh.loop_triangles.foreach_get("loops", self.corners.ravel())

    def deltas(self, names: list[str], basis: bool = False) -> np.ndarray:
        """Returns (N, 3): the sum of the offsets of some shape keys.

        Args:
            names: of the keys.
            basis: measure from the basis, not from the key that each is relative to.
        """
        keys = self.mesh.shape_keys.key_blocks
        total = np.zeros_like(self.positions)
        for name in names:
            start = self.positions if basis else read_shape(keys[name].relative_key)
            total += read_shape(keys[name]).astype(np.float64) - start
        return total

    def has_relatives(self) -> bool:
        """Returns True if a shape key is relative to another one than the basis."""
        keys = self.mesh.shape_keys.key_blocks
        return any(key.relative_key != keys[0] for key in keys)

    def areas(self) -> np.ndarray:
        """Returns (N,): a third of the area of the triangles around each vertex."""
        a, b, c = (self.positions[self.triangles[:, corner]] for corner in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
        return np.bincount(self.triangles.ravel(), np.repeat(area, 3), len(self.positions))

    def vertex_uv(self) -> np.ndarray | None:
        """Returns (N, 2): the texture coordinate of one corner of each vertex, or None without a layer."""
        if not self.mesh.uv_layers:
            return None
        corner = read_corner_uv(self.mesh.uv_layers.active or self.mesh.uv_layers[0])
        uv = np.full((len(self.positions), 2), -1, np.float32)
        uv[self.triangles] = corner[self.corners]
        return uv


def _place_head(shape: _TargetShape) -> Similarity:
    """Places our head roughly on the mesh, whose faces must look outwards."""
    placement = _from_expressions(shape)
    skin = _our_skin()
    wrinkling = skin.triangles[skin.wrinkles[skin.triangles].all(1)]
    check_orientation(shape.name, shape.mesh, placement, skin.positions, wrinkling)
    return placement


def _from_expressions(shape: _TargetShape) -> Similarity:
    """Fits the similarity from our head to the mesh: each expression acts at one place on both.

    A key that is relative to another one may be drawn from that key or from the basis. Both are tried, and
    for each key the place that lies more as on our head counts.
    """
    skin = _our_skin()
    model = face_model()
    keys = {
        name: theirs
        for name, theirs in expression_keys(shape.mesh).items()
        if not name.startswith(("eyeLook", "tongue", "jaw"))
    }
    starts = (False, True) if shape.has_relatives() else (False,)
    places = np.stack([_acting_places(shape, list(keys.values()), basis) for basis in starts])
    acts = np.isfinite(places).all((0, 2))
    names = [name for name, acting in zip(keys, acts, strict=True) if acting]
    if len(names) < _FEWEST_PLACES:
        raise UserError(
            f"{shape.name}: too few of its shape keys are ARKit expressions that move something.",
            "Add brows, smile, blink.",
        )
    chosen = [model.expression_names.index(name) for name in names]
    ours_moved = model.shapes(np.zeros(model.identity_size, np.float32))[1][chosen][:, skin.base]
    ours = moved_places(skin.positions, ours_moved, _areas(skin.positions, skin.triangles))
    theirs = places[:, acts]
    fits = [_fit_most(ours, candidate) for candidate in theirs]
    similarity, errors = min(fits, key=lambda fit: np.median(fit[1]))
    if len(theirs) > 1:
        nearest = np.linalg.norm(similarity(ours) - theirs, axis=2).argmin(0)
        similarity, errors = _fit_most(ours, theirs[nearest, np.arange(len(ours))])
    if np.median(errors) > _FARTHEST_PLACE:
        raise UserError(
            f"{shape.name}: its expressions do not lie as on a human head.",
            "Check the names of its shape keys.",
        )
    return similarity


def _acting_places(shape: _TargetShape, keys: list[list[str]], basis: bool) -> np.ndarray:
    """Returns (E, 3): the place where each group of shape keys acts, NaN for groups that move nothing."""
    if not keys:
        return np.zeros((0, 3))
    deltas = np.stack([shape.deltas(names, basis) for names in keys])
    still = ~np.abs(deltas).any((1, 2))
    places = moved_places(shape.positions, deltas, shape.areas())
    places[still] = np.nan
    return places


def _fit_most(ours: np.ndarray, theirs: np.ndarray) -> tuple[Similarity, np.ndarray]:
    """Fits a similarity to most of the places (E, 3).

    Returns:
        The similarity, and the error of each place (E,), metres on our head.
    """
    weights = np.ones(len(ours))
    for _ in range(3):
        similarity = fit_similarity(ours, theirs, weights)
        errors = np.linalg.norm(similarity(ours) - theirs, axis=1) / similarity.scale
        weights = (errors <= np.quantile(errors, _KEPT)).astype(float)
    return similarity, errors


def _areas(positions: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (positions[triangles[:, corner]] for corner in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.bincount(triangles.ravel(), np.repeat(area, 3), len(positions))


def _by_uv(shape: _TargetShape) -> Correspondence | None:
    """Returns the correspondence by texture coordinates, or None if they are laid out differently.

    They agree if our skin's positions at the mesh's coordinates are, as a whole, those of the mesh.
    """
    uv = shape.vertex_uv()
    skin = _our_skin()
    if uv is None:
        return None
    corner = np.arange(skin.triangles.size).reshape(-1, 3)
    lookup = rasterise(skin.corner_uv.reshape(-1, 2), corner, skin.triangles, _UV_SIZE)
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


def _by_wrap(shape: _TargetShape, rough: Similarity) -> Correspondence:
    """Wraps our skin over the mesh, and takes the place on it that is nearest to each vertex.

    All lengths are metres on our head.
    """
    skin = _our_skin()
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
    wrapped = wrap_surface(skin.positions, skin.triangles, closest, counts)
    ours = BVHTree.FromPolygons(wrapped.tolist(), skin.triangles.tolist())
    normals = triangle_normals(positions, shape.triangles)
    uv = np.full((len(positions), 2), -1, np.float32)
    trust = np.zeros(len(positions), np.float32)
    for index, (point, normal) in enumerate(zip(positions.tolist(), normals.tolist(), strict=True)):
        place, facing, triangle, distance = ours.find_nearest(point, _REACH)
        if place is not None and sum(a * b for a, b in zip(facing, normal, strict=True)) > _FACING:
            weights = _barycentric(np.array(place), wrapped[skin.triangles[triangle]])
            uv[index] = weights @ skin.corner_uv[triangle]
            trust[index] = np.clip((_REACH - distance) / (_REACH - _SURE), 0, 1)
    return _finish(shape, uv, trust, rough.scale, False)


def _barycentric(point: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Returns (3,): the weights of a triangle's corners (3, 3) at a point in its plane."""
    first = corners[1] - corners[0]
    second = corners[2] - corners[0]
    offset = point - corners[0]
    d00 = first @ first
    d01 = first @ second
    d11 = second @ second
    d20 = offset @ first
    d21 = offset @ second
    area = max(d00 * d11 - d01 * d01, 1e-30)
    v = (d11 * d20 - d01 * d21) / area
    w = (d00 * d21 - d01 * d20) / area
    return np.array([1 - v - w, v, w]).clip(0, 1)


def _finish(
    shape: _TargetShape, uv: np.ndarray, trust: np.ndarray, scale: float, by_uv: bool
) -> Correspondence:
    """Removes connected parts with little skin - eyes, teeth, lashes - and measures the spacing."""
    island = connected_parts(shape.triangles, len(uv))
    size = np.bincount(island, trust > 0.5)
    trust = np.where(size[island] >= _LEAST_ISLAND * size.max(), trust, 0).astype(np.float32)
    if not (trust > 0.5).any():
        raise UserError(
            f"{shape.name}: our skin could not be laid over it.", "Check that its normals point outwards."
        )
    uv = np.where(trust[:, None] > 0, uv, -1).astype(np.float32)
    edges = shape.triangles[(trust[shape.triangles] > 0.5).all(1)]
    texels = np.clip((_UV_SIZE * uv[edges].mean(1)).astype(int), 0, _UV_SIZE - 1)
    wrinkling = _wrinkle_texels()[texels[:, 1], texels[:, 0]]
    seen = edges[wrinkling] if wrinkling.any() else edges
    length = np.linalg.norm(shape.positions[seen[:, 1]] - shape.positions[seen[:, 0]], axis=1)
    spacing = float(np.median(length)) / scale if len(length) else np.inf
    return Correspondence(uv, trust, scale, spacing, by_uv, _coverage(uv, edges))


@lru_cache(maxsize=1)
def _wrinkle_texels() -> np.ndarray:
    """Returns (R, R) bool: the texels of our texture whose skin can wrinkle."""
    skin = _our_skin()
    corner = np.arange(skin.triangles.size).reshape(-1, 3)
    lookup = rasterise(skin.corner_uv.reshape(-1, 2), corner, skin.triangles, _UV_SIZE)
    return lookup.mask & (lookup.spread(skin.wrinkles) > 0.5)


def _coverage(uv: np.ndarray, triangles: np.ndarray) -> float:
    """Returns the share of our skin that can wrinkle on which triangles (T, 3) of a mesh lie."""
    corners = uv[triangles]
    whole = (np.ptp(corners, axis=1) < _LONGEST_IN_UV).all(1)
    covered = rasterise(uv, triangles[whole], triangles[whole], _UV_SIZE).mask
    return float(covered[_wrinkle_texels()].mean())
