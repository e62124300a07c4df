"""The detail basis: maps of a person or a clip as a mean and K fields with K coefficients a frame."""

from dataclasses import dataclass

import numpy as np

from ..geometry.linear_models import principal_components

_MOVING_SHARE = 0.1


@dataclass(frozen=True)
class DetailBasis:
    """An affine space of displacement fields.

    Attributes:
        mean: (N,) float32, millimetres.
        fields: (K, N) float32, orthogonal; scaled so that coefficients are in millimetres RMS over the field.
        psnr_db: of the fitted fields against their reconstruction, over the points that move (at least a
            tenth as much as the one that moves most: elsewhere any basis is exact); the peak is the span of
            their 0.1 to 99.9 percentiles there.
    """

    mean: np.ndarray
    fields: np.ndarray
    psnr_db: float

    def project(self, values: np.ndarray) -> np.ndarray:
        """Coefficients of fields: (T, N) -> (T, K) float32."""
        scale = (self.fields**2).sum(1)
        return ((values - self.mean) @ self.fields.T / np.maximum(scale, 1e-12)).astype(np.float32)

    def scatter(self, covered: np.ndarray) -> "DetailBasis":
        """Spreads the basis over more points, zero on the new ones.

        Args:
            covered: (M,) bool with N true entries: where the basis' points go.
        """
        mean = np.zeros(len(covered), np.float32)
        mean[covered] = self.mean
        fields = np.zeros((len(self.fields), len(covered)), np.float32)
        fields[:, covered] = self.fields
        return DetailBasis(mean, fields, self.psnr_db)


def fit_detail_basis(values: np.ndarray, psnr_db: float = 48.0, most_components: int = 32) -> DetailBasis:
    """Finds the smallest principal basis that is close enough.

    Args:
        values: (T, N) float32, millimetres, one row a frame.
        psnr_db: the closeness asked for, over all rows together.
        most_components: upper bound of K.

    Returns:
        The basis, with the closeness that it reached; K is at least 1.

    Raises:
        ValueError: there is no row, or a value is not finite.
    """
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError("values must be (T, N), finite, with at least one row")
    principal = principal_components(values, most_components)
    fields = principal.axes * principal.deviations[:, None]  # [KN], strongest first; millimetres
    movement = values.std(0, dtype=np.float64)
    moving = movement >= _MOVING_SHARE * movement.max()
    low, high = np.percentile(values[:: max(1, len(values) // 64), moving], [0.1, 99.9])
    energy = (fields[:, moving].astype(np.float64) ** 2).mean(1)
    whole = (movement[moving] ** 2).mean()
    left = np.maximum(whole - np.cumsum(energy), 1e-12)  # mean squared error with 1, 2, ... fields
    reached = 10 * np.log10(max(float(high - low), 1e-6) ** 2 / left)
    enough = np.nonzero(reached >= psnr_db)[0]
    count = int(min(most_components, len(fields), enough[0] + 1 if len(enough) else len(fields)))
    scale = np.sqrt((fields[:count] ** 2).mean(1, keepdims=True))
    return DetailBasis(principal.mean, fields[:count] / np.maximum(scale, 1e-12), float(reached[count - 1]))


def spread_order(points: np.ndarray, count: int) -> np.ndarray:
    """Picks points far from one another: each next one is the farthest from those picked.

    Args:
        points: (T, D) float32.
        count: how many to pick, at most T.

    Returns:
        (count,) indices.

    Source: Gonzalez 1985, "Clustering to minimize the maximum intercluster distance".
    """
    chosen = [int(np.argmin(np.abs(points).sum(1)))]
    distance = ((points - points[chosen[0]]) ** 2).sum(1)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(1))
        distance[chosen] = -1
    return np.array(chosen)
