"""Compression of a triangle mesh by a movement, at its vertices. numpy only."""

import numpy as np


def compression_at_vertices(
    rest: np.ndarray, moved: np.ndarray, triangles: np.ndarray, smoothing: int = 0
) -> np.ndarray:
    """Returns the strongest compression around each vertex.

    It is minus the least eigenvalue of Green's strain of each triangle, or 0 where nothing is compressed,
    averaged by area; a triangle without area does not count.

    Args:
        rest: (V, 3) positions.
        moved: (V, 3) positions under the movement, same unit.
        triangles: (T, 3).
        smoothing: number of times that a vertex takes the mean of itself and its neighbours.

    Returns:
        (V,) float64, at least 0.
    """
    first, second = _edges(rest, triangles)
    length = np.linalg.norm(first, axis=1)
    along = (first * second).sum(1) / np.maximum(length, 1e-30)
    across = np.sqrt(np.maximum((second**2).sum(1) - along**2, 0))
    sound = across * length > 1e-3 * ((first**2).sum(1) + (second**2).sum(1)).clip(1e-30)
    length, across = np.where(sound, length, 1), np.where(sound, across, 1)
    along = np.where(sound, along, 0)
    a, b = _edges(moved, triangles)
    # Edges by the orthonormal frame of the triangle at rest: e1 = first / length, e2 across it.
    e1 = a / length[:, None]
    e2 = (b - along[:, None] * e1) / across[:, None]
    e11, e22, e12 = (e1 * e1).sum(1) - 1, (e2 * e2).sum(1) - 1, (e1 * e2).sum(1)
    least = 0.5 * (0.5 * (e11 + e22) - np.sqrt(0.25 * (e11 - e22) ** 2 + e12**2))
    area = 0.5 * length * across * sound
    corners = triangles.ravel()
    weight = np.bincount(corners, np.repeat(area, 3), len(rest))
    total = np.bincount(corners, np.repeat(area * np.maximum(-least, 0), 3), len(rest))
    for _ in range(smoothing):
        total, weight = _spread(total, triangles), _spread(weight, triangles)
    return total / np.maximum(weight, 1e-30)


def _edges(positions: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    start = positions[triangles[:, 0]]
    return positions[triangles[:, 1]] - start, positions[triangles[:, 2]] - start


def _spread(values: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Returns (V,): the sum over the triangles around each vertex of their corners' values."""
    sums = values[triangles].sum(1)
    return np.bincount(triangles.ravel(), np.repeat(sums, 3), len(values))
