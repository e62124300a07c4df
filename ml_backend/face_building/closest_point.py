"""Nearest places on a triangle mesh, many points at a time."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree


@dataclass(frozen=True)
class Places:
    """Places on a mesh.

    Attributes:
        triangle: (N,) int64.
        weight: (N, 3) barycentric, at least 0, sum 1.
        distance: (N,) from the asked points.
    """

    triangle: np.ndarray
    weight: np.ndarray
    distance: np.ndarray


class ClosestOnMesh:
    """Answers where on a mesh the nearest place to a point is.

    Args:
        positions: (V, 3).
        triangles: (T, 3).
        candidates: triangles with the nearest middles that are tried for each point; meshes of even triangles
            need few.
    """

    def __init__(self, positions: np.ndarray, triangles: np.ndarray, candidates: int = 16):
        self.positions = np.asarray(positions, np.float64)
        self.triangles = np.asarray(triangles, np.int64)
        self._corners = self.positions[self.triangles]
        self._tree = KDTree(self._corners.mean(axis=1))
        self._candidates = min(candidates, len(self.triangles))

    def __call__(self, points: np.ndarray) -> Places:
        """Finds the places nearest to points (N, 3)."""
        tried = np.asarray(self._tree.query(points, k=self._candidates)[1]).reshape(len(points), -1)
        weight = _nearest_on_triangles(points[:, None], self._corners[tried])
        gap = ((weight[..., None] * self._corners[tried]).sum(axis=2) - points[:, None]) ** 2
        square = gap.sum(axis=2)
        best = square.argmin(axis=1)
        row = np.arange(len(points))
        return Places(tried[row, best], weight[row, best], np.sqrt(square[row, best]))

    def points(self, places: Places, values: np.ndarray | None = None) -> np.ndarray:
        """Interpolates at places: the mesh's positions, or values (V, ...) of its vertices: (N, ...)."""
        source = self.positions if values is None else values
        corners = source[self.triangles[places.triangle]]
        return np.einsum("nk,nk...->n...", places.weight, corners)

    def normals(self, places: Places) -> np.ndarray:
        """Unit normals (N, 3) of the triangles of places."""
        a, b, c = self._corners[places.triangle].transpose(1, 0, 2)
        normal = np.cross(b - a, c - a)
        return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)


def _nearest_on_triangles(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Barycentric weights of the nearest places: points (..., 3), corners (..., 3, 3) -> (..., 3).

    The seven cases of Ericson 2005, "Real-Time Collision Detection", 5.1.5.
    """
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    ab, ac = b - a, c - a

    def dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return (one * other).sum(axis=-1)

    d1, d2 = dot(ab, points - a), dot(ac, points - a)
    d3, d4 = dot(ab, points - b), dot(ac, points - b)
    d5, d6 = dot(ab, points - c), dot(ac, points - c)
    area_a, area_b, area_c = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2

    def share(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        total = one + other
        return np.divide(one, total, out=np.zeros_like(one), where=np.abs(total) > 1e-30)

    zero = np.zeros_like(d1)
    one = np.ones_like(d1)
    on_ab, on_ac, on_bc = share(d1, -d3), share(d2, -d6), share(d4 - d3, d5 - d6)
    whole = area_a + area_b + area_c
    inside = (
        np.stack([area_a, area_b, area_c], axis=-1) / np.where(np.abs(whole) > 1e-30, whole, 1)[..., None]
    )
    cases = [
        ((d1 <= 0) & (d2 <= 0), (one, zero, zero)),
        ((d3 >= 0) & (d4 <= d3), (zero, one, zero)),
        ((d6 >= 0) & (d5 <= d6), (zero, zero, one)),
        ((area_c <= 0) & (d1 >= 0) & (d3 <= 0), (1 - on_ab, on_ab, zero)),
        ((area_b <= 0) & (d2 >= 0) & (d6 <= 0), (1 - on_ac, zero, on_ac)),
        ((area_a <= 0) & (d4 >= d3) & (d5 >= d6), (zero, 1 - on_bc, on_bc)),
    ]
    result = inside
    for condition, weights in reversed(cases):
        result = np.where(condition[..., None], np.stack(weights, axis=-1), result)
    return result
