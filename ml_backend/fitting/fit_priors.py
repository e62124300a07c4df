"""Beliefs of a fit before it sees the landmarks: how they err, and how faces move."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular

_EXPRESSION_SPREAD, _SIDES_SPREAD = 0.40, 0.06
_RARE = {
    "tongueOut": 0.01,
    "cheekPuff": 0.06,
    "jawForward": 0.06,
    "jawLeft": 0.12,
    "jawRight": 0.12,
    "mouthLeft": 0.15,
    "mouthRight": 0.15,
}


@dataclass(frozen=True)
class Noise:
    """The inverse of a covariance D + F F^T of shared factors and single errors, quick to multiply by.

    Attributes:
        mean: (L, 2) float64, what is wrong on every face.
        root: (2 L,) float64, one over the own deviations.
        common: (F, 2 L) float64: with x scaled by `root`, x^T C^-1 x is |x|^2 - |common x|^2 (Woodbury).
    """

    mean: np.ndarray
    root: np.ndarray
    common: np.ndarray

    @classmethod
    def of(cls, mean: np.ndarray, factors: np.ndarray, own: np.ndarray) -> "Noise":
        """Builds it from mean (2 L,), factors (2 L, F) and deviations of single coordinates (2 L,)."""
        scaled = factors / own[:, None]
        inner = cholesky(np.eye(factors.shape[1]) + scaled.T @ scaled, lower=True)
        return cls(mean.reshape(-1, 2), 1 / own, solve_triangular(inner, scaled.T, lower=True))

    def products(self, jacobian: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns J^T C^-1 J (P, P) and J^T C^-1 r (P,) of J (2 L, P) and r (2 L,)."""
        jacobian, wrong = jacobian * self.root[:, None], wrong * self.root
        shared, share = self.common @ jacobian, self.common @ wrong
        return jacobian.T @ jacobian - shared.T @ shared, jacobian.T @ wrong - shared.T @ share


def expression_prior(names: tuple[str, ...]) -> np.ndarray:
    """Returns the precision (52, 52) of expressions: small coefficients, and the left like the right."""
    precision = np.diag([1 / _RARE.get(name, _EXPRESSION_SPREAD) ** 2 for name in names])
    for name in names:
        if name.endswith("Left") and name[:-4] not in ("jaw", "mouth") and "Look" not in name:
            pair = [names.index(name), names.index(name[:-4] + "Right")]
            precision[np.ix_(pair, pair)] += np.array([[1, -1], [-1, 1]]) / _SIDES_SPREAD**2
    for eye in ("Up", "Down"):
        pair = [names.index(f"eyeLook{eye}{side}") for side in ("Left", "Right")]
        precision[np.ix_(pair, pair)] += np.array([[1, -1], [-1, 1]]) / _SIDES_SPREAD**2
    for side, other in (("Left", "Right"), ("Right", "Left")):
        pair = [names.index(f"eyeLookIn{side}"), names.index(f"eyeLookOut{other}")]
        precision[np.ix_(pair, pair)] += np.array([[1, -1], [-1, 1]]) / _SIDES_SPREAD**2
    return precision
