"""The skin of our average head, as it is laid over heads of other makers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...ml_backend.geometry.dense_face import coarse_corners
from ...ml_backend.geometry.texture_space import TexelLookup, rasterise, sample_map, triangles_of
from ..detail.distilled import distilled_model
from ..model.face_model import dense_mesh, face_model
from .target_shape import areas_at

UV_SIZE = 128
_TEXTURE_SIZE = 256
_KNOWN_REACH = 0.007
"""Metres from lips and lids."""
_CALM_LIPS = (0.002, 0.006)
"""Metres from our lips up to which a wrapped head has no wrinkles, and from which it has them whole: what our
skin beside the lips is may be lip on a head that is matched a few millimetres off."""
REGIONS = ("forehead", "glabella", "crows_feet", "nasolabial", "cheeks", "chin")
"""Regions of the model whose match is judged."""


@dataclass(frozen=True)
class Skin:
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

    def lookup(self, size: int) -> TexelLookup:
        """Finds the triangle under each texel of a map of size x size."""
        corner = np.arange(self.triangles.size).reshape(-1, 3)
        return rasterise(self.corner_uv.reshape(-1, 2), corner, self.triangles, size)

    def texture(self, values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Spreads values (V, C) of the vertices over the texture.

        Returns:
            A function of texture coordinates (N, 2) on the skin that gives the values there, (N, C).
        """
        lookup = self.lookup(_TEXTURE_SIZE)
        spread = lookup.spread(values)
        mask = lookup.mask.astype(np.float32)

        def at(uv: np.ndarray) -> np.ndarray:
            place = np.clip(uv, 0, 1)
            return sample_map(spread, place) / np.maximum(sample_map(mask, place), 1e-3)[:, None]

        return at

    def vertex_uv(self) -> np.ndarray:
        """Returns (V, 2): the texture coordinate of one corner of each vertex."""
        uv = np.zeros((len(self.positions), 2), np.float32)
        uv[self.triangles] = self.corner_uv
        return uv

    def areas(self) -> np.ndarray:
        """Returns (V,): square metres around each vertex."""
        return areas_at(self.positions, self.triangles)


@lru_cache(maxsize=1)
def our_skin() -> Skin:
    """Returns the skin of our average head."""
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
    return Skin(
        refined[used], triangles, corner_uv, wrinkles & ((vertex_uv >= 0) & (vertex_uv <= 1)).all(1), used
    )


@lru_cache(maxsize=1)
def our_movements() -> np.ndarray:
    """Returns (52, V, 3) float32: the movement of our skin's vertices under each expression, metres."""
    model = face_model()
    return model.shapes(np.zeros(model.identity_size, np.float32))[1][:, our_skin().base]


@lru_cache(maxsize=1)
def known_by_movement() -> np.ndarray:
    """Returns (V,) weights 0 to 1 of our skin's vertices near lips and lids, which move like nothing else."""
    model = face_model()
    skin = our_skin()
    edges = [model.landmarks[f"lid_{lid}_{side}"] for lid in ("upper", "lower") for side in ("left", "right")]
    marks = np.concatenate([*edges, np.flatnonzero(model.regions["lips"] > 0.5)])
    places = np.full((model.vertex_count, 3), np.nan)
    places[skin.base] = skin.positions
    places = places[marks][np.isfinite(places[marks]).all(1)]
    far = np.linalg.norm(skin.positions[:, None] - places[None], axis=2).min(1)
    return np.exp(-((far / _KNOWN_REACH) ** 2))


@lru_cache(maxsize=1)
def away_from_lips() -> np.ndarray:
    """Returns (V,) shares 0 to 1 of wrinkles that our skin keeps on a wrapped head: 0 on the lips."""
    skin = our_skin()
    lips = skin.positions[face_model().regions["lips"][skin.base] > 0.5]
    far = np.linalg.norm(skin.positions[:, None] - lips[None], axis=2).min(1)
    share = np.clip((far - _CALM_LIPS[0]) / (_CALM_LIPS[1] - _CALM_LIPS[0]), 0, 1)
    return share * share * (3 - 2 * share)


@lru_cache(maxsize=1)
def region_weights() -> dict[str, np.ndarray]:
    """Returns by name of `REGIONS` the weights (V,) of our skin's vertices, 0 to 1."""
    model = face_model()
    return {name: np.clip(model.regions[name][our_skin().base], 0, 1) for name in REGIONS}


@lru_cache(maxsize=1)
def wrinkle_texels() -> np.ndarray:
    """Returns (R, R) bool: the texels of our texture whose skin can wrinkle."""
    skin = our_skin()
    lookup = skin.lookup(UV_SIZE)
    return lookup.mask & (lookup.spread(skin.wrinkles) > 0.5)
