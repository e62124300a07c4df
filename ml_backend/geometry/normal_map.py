"""Tangent-space normal maps from displacement, measured on the surface. numpy only."""

from dataclasses import dataclass

import numpy as np

from .texture_space import TexelLookup

_SLIVER = 1e-12


@dataclass(frozen=True)
class TexelMetric:
    """The length of a step in the texture on the surface, by texel; 0 off the surface.

    The tangent T points along growing u, B is square to it and to the normal, on the side of growing v (as
    MikkTSpace has them).

    Attributes:
        along: (R, R) float32, metres along T for a unit of u.
        shear: (R, R) float32, metres along T for a unit of v.
        across: (R, R) float32, metres along B for a unit of v.
    """

    along: np.ndarray
    shear: np.ndarray
    across: np.ndarray


def measure_texels(
    positions: np.ndarray, uv: np.ndarray, uv_triangles: np.ndarray, lookup: TexelLookup
) -> TexelMetric:
    """Measures a surface's texture coordinates.

    Args:
        positions: (V, 3) metres.
        uv: (U, 2), uv_triangles: (T, 3) into uv; in the order of `lookup.triangles`.
        lookup: which triangle each texel shows.
    """
    corners = positions[lookup.triangles].astype(np.float64)
    places = uv[uv_triangles].astype(np.float64)
    edges = corners[:, 1:] - corners[:, :1]  # (T, 2, 3)
    steps = places[:, 1:] - places[:, :1]  # (T, 2, 2): edge, uv
    double = steps[:, 0, 0] * steps[:, 1, 1] - steps[:, 0, 1] * steps[:, 1, 0]
    solid = np.abs(double) > _SLIVER
    share = np.divide(1.0, double, out=np.zeros_like(double), where=solid)[:, None]
    by_u = (edges[:, 0] * steps[:, 1, 1, None] - edges[:, 1] * steps[:, 0, 1, None]) * share
    by_v = (edges[:, 1] * steps[:, 0, 0, None] - edges[:, 0] * steps[:, 1, 0, None]) * share
    products = np.stack([(by_u * by_u).sum(1), (by_u * by_v).sum(1), (by_v * by_v).sum(1)], 1)
    weights = np.repeat(np.abs(double), 3)
    at = lookup.triangles.ravel()
    total = np.maximum(np.bincount(at, weights, len(positions)), 1e-30)
    smooth = np.stack(
        [np.bincount(at, np.repeat(column, 3) * weights, len(positions)) / total for column in products.T], 1
    )
    uu, uv_product, vv = np.moveaxis(lookup.spread(smooth), 2, 0)
    along = np.sqrt(uu)
    shear = np.divide(uv_product, along, out=np.zeros_like(along), where=along > 0)
    return TexelMetric(along, shear, np.sqrt(np.maximum(vv - shear**2, 0)))


def normals_of_heights(heights: np.ndarray, metric: TexelMetric) -> np.ndarray:
    """Returns the normals of a displaced surface in its undisplaced tangent frame.

    Args:
        heights: (R, R) float32, millimetres along the normal, row 0 at v = 0.
        metric: of the surface.

    Returns:
        (R, R, 3) float32, unit length: along T, B and N; (0, 0, 1) off the surface.

    Source: Blinn 1978, "Simulation of Wrinkled Surfaces", with the surface's metric.
    """
    size = len(heights)
    padded = np.pad(heights.astype(np.float32) * np.float32(1e-3), 1, mode="edge")
    by_u = (padded[1:-1, 2:] - padded[1:-1, :-2]) * (size / 2)
    by_v = (padded[2:, 1:-1] - padded[:-2, 1:-1]) * (size / 2)
    slope_t = np.divide(by_u, metric.along, out=np.zeros_like(by_u), where=metric.along > 0)
    slope_b = np.divide(
        by_v - metric.shear * slope_t, metric.across, out=np.zeros_like(by_v), where=metric.across > 0
    )
    normals = np.stack([-slope_t, -slope_b, np.ones_like(slope_t)], 2)
    return normals / np.linalg.norm(normals, axis=2, keepdims=True)


def encode_normals(normals: np.ndarray) -> np.ndarray:
    """Unit vectors (R, R, 3) as uint8 RGB: 0..255 for -1..1, green up (OpenGL's and glTF's convention)."""
    return np.round((normals * 0.5 + 0.5) * 255).astype(np.uint8)


def smooth_inside(values: np.ndarray, mask: np.ndarray, steps: int) -> np.ndarray:
    """Averages each texel with its neighbours inside a mask, a binomial step at a time.

    Outside, nearby values are carried outwards.

    Args:
        values: (R, R) float32.
        mask: (R, R) bool, where they mean something.
        steps: how often; each reaches one texel.

    Returns:
        (R, R) float32, 0 beyond the reach.
    """
    weight = mask.astype(np.float32)
    total = np.where(mask, values, 0).astype(np.float32)
    for _ in range(steps):
        for axis in (0, 1):
            total = _binomial(total, axis)
            weight = _binomial(weight, axis)
    return np.divide(total, weight, out=np.zeros_like(total), where=weight > 1e-6)


def carry_outwards(values: np.ndarray, mask: np.ndarray, rings: int) -> np.ndarray:
    """Repeats the values at a mask's edge outwards by some texels; 0 beyond.

    Slopes and filters then see no step at the edge.
    """
    known = mask.copy()
    found = np.where(mask, values, 0).astype(np.float32)
    for _ in range(rings):
        near = np.pad(known, 1).astype(np.float32)
        around = np.pad(found, 1)
        shifts = (
            (slice(1, -1), slice(None, -2)),
            (slice(1, -1), slice(2, None)),
            (slice(None, -2), slice(1, -1)),
            (slice(2, None), slice(1, -1)),
        )
        count = np.stack([near[shift] for shift in shifts]).sum(0)
        total = np.stack([around[shift] for shift in shifts]).sum(0)
        fresh = ~known & (count > 0)
        found[fresh] = total[fresh] / count[fresh]
        known |= fresh
    return found


def _binomial(values: np.ndarray, axis: int) -> np.ndarray:
    moved = np.moveaxis(values, axis, 0)
    padded = np.concatenate([moved[:1], moved, moved[-1:]])
    return np.moveaxis(0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:], 0, axis)
