"""The rotation, scale and translation between two sets of corresponding points. numpy only.

Source: Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns";
without scale Kabsch 1976, "A solution for the best rotation to relate two sets of vectors".
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + offset.

    Attributes:
        scale: a factor above 0; 1 for a rigid motion.
        rotation: (3, 3), determinant 1.
        offset: (3,), in the target's unit.
    """

    scale: float
    rotation: np.ndarray
    offset: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Moves points (N, 3)."""
        return self.scale * points @ self.rotation.T + self.offset

    def inverse(self, points: np.ndarray) -> np.ndarray:
        """Moves points (N, 3) of the target back to the source."""
        return (points - self.offset) @ self.rotation / self.scale


def fit_similarity(
    source: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None, *, scale: bool = True
) -> Similarity:
    """Fits the similarity that brings source nearest to target by least squares, never with a reflection.

    Args:
        source: (N, 3).
        target: (N, 3), corresponding points.
        weights: (N,) at least 0, factors of the points' squared distances; 1 each by default.
        scale: False: a rigid motion, whose scale is 1.

    Raises:
        ValueError: fewer than three points count.
    """
    share = np.ones(len(source)) if weights is None else np.asarray(weights, np.float64)
    if (share > 0).sum() < 3:
        raise ValueError("a similarity needs three points")
    share = share / share.sum()
    source_mean = share @ source
    target_mean = share @ target
    centred = source - source_mean
    left, values, right = np.linalg.svd((target - target_mean).T @ (centred * share[:, None]))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = left @ np.diag(sign) @ right
    factor = float((values * sign).sum() / (share @ (centred**2).sum(1))) if scale else 1.0
    return Similarity(factor, rotation, target_mean - factor * rotation @ source_mean)
