"""Finds the places of a polygon mesh that are closest to points. numpy only."""

from dataclasses import dataclass

import numpy as np

from .surface_wrap import triangle_normals

_NEAREST = 4
_FACING = 0.3


@dataclass(frozen=True)
class SurfacePlaces:
    """Places on the triangles of a mesh.

    Attributes:
        corners: (N, 3) int64, the vertices of each place's triangle.
        weights: (N, 3) float64, barycentric, at least 0, their sum 1.
        distance: (N,) float64 from the point; infinite where no vertex faces the point's way.
    """

    corners: np.ndarray
    weights: np.ndarray
    distance: np.ndarray


def fan_triangles(polygons: np.ndarray) -> np.ndarray:
    """Returns (T, 3) triangles of polygons (F, 4), the last corner -1 for a triangle."""
    quads = polygons[polygons[:, 3] >= 0]
    return np.concatenate([polygons[:, :3], quads[:, [0, 2, 3]]]).astype(np.int64)


def closest_places(
    points: np.ndarray, normals: np.ndarray, positions: np.ndarray, polygons: np.ndarray
) -> SurfacePlaces:
    """Finds the place closest to each point among the triangles around its nearest vertices.

    Args:
        points: (N, 3).
        normals: (N, 3), unit length: only vertices that face the same way count, so a lip is never taken for
            the other.
        positions: (V, 3), in the points' unit and space.
        polygons: (F, 4) int, the last -1 for a triangle.
    """
    triangles = fan_triangles(polygons)
    facing = triangle_normals(positions, triangles)
    used = np.unique(triangles)
    corners = np.zeros((len(points), 3), np.int64)
    weights = np.tile([1.0, 0.0, 0.0], (len(points), 1))
    distance = np.full(len(points), np.inf)
    for index, (point, normal) in enumerate(zip(points, normals, strict=True)):
        apart = np.linalg.norm(positions[used] - point, axis=1)
        apart[facing[used] @ normal < _FACING] = np.inf
        near = used[np.argsort(apart)[:_NEAREST]]
        if not np.isfinite(apart.min()):
            continue
        candidates = triangles[np.isin(triangles, near).any(1)]
        shares = _closest_shares(point, positions[candidates].astype(np.float64))
        places = (positions[candidates] * shares[..., None]).sum(1)
        gaps = np.linalg.norm(places - point, axis=1)
        best = int(gaps.argmin())
        corners[index], weights[index], distance[index] = candidates[best], shares[best], gaps[best]
    return SurfacePlaces(corners, weights, distance)


def _closest_shares(point: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Returns barycentric coordinates (T, 3) of the place of each triangle (T, 3, 3) closest to a point."""
    first, second, third = triangles.transpose(1, 0, 2)
    along, across = second - first, third - first
    gram = np.stack(
        [(along * along).sum(1), (along * across).sum(1), (across * across).sum(1)],
        1,
    )
    to_point = point - first
    right = np.stack([(to_point * along).sum(1), (to_point * across).sum(1)], 1)
    determinant = np.maximum(gram[:, 0] * gram[:, 2] - gram[:, 1] ** 2, 1e-30)
    u = (gram[:, 2] * right[:, 0] - gram[:, 1] * right[:, 1]) / determinant
    v = (gram[:, 0] * right[:, 1] - gram[:, 1] * right[:, 0]) / determinant
    inner = np.stack([1 - u - v, u, v], 1)
    options = [np.where((inner >= 0).all(1)[:, None], inner, np.nan)]
    for start, end in ((0, 1), (1, 2), (2, 0)):
        edge = triangles[:, end] - triangles[:, start]
        share = ((point - triangles[:, start]) * edge).sum(1) / np.maximum((edge**2).sum(1), 1e-30)
        share = share.clip(0, 1)
        on_edge = np.zeros_like(inner)
        on_edge[:, start] = 1 - share
        on_edge[:, end] = share
        options.append(on_edge)
    stacked = np.stack(options)  # [4T3]
    places = np.einsum("otc,tcx->otx", stacked, triangles)
    gaps = np.linalg.norm(places - point, axis=2)
    best = np.where(np.isnan(gaps), np.inf, gaps).argmin(0)
    return stacked[best, np.arange(len(triangles))]
