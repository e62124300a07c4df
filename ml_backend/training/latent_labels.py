"""Coefficients of principal fields from the full model's latents: labels for any number of people at the price of the encoder alone."""

import dataclasses

import numpy as np

from ..datasets.sampled_expressions import sample_expressions
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import Detailed3DMM
from ..models.skin_vector import sample_skin

_ROWS_AT_ONCE = 512
_RESTING_SHARE = 0.1


def ridge(known: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Linear regression with a penalty that is chosen on the last fifth.

    Args:
        known: (N, C).
        wanted: (N, F).

    Returns:
        slopes (F, C), offsets (F,), and the share of the held-out power that the regression leaves.
    """
    cut = max(1, int(len(known) * 0.8))

    def solve(rows: slice, strength: float) -> tuple[np.ndarray, np.ndarray]:
        x, y = known[rows].astype(np.float64), wanted[rows].astype(np.float64)
        centred = x - x.mean(0)
        gram = centred.T @ centred
        slopes = np.linalg.solve(
            gram + strength * np.trace(gram) / len(gram) * np.eye(len(gram)), centred.T @ (y - y.mean(0))
        ).T
        return slopes, y.mean(0) - slopes @ x.mean(0)

    left = {}
    for strength in 10.0 ** np.arange(-6, 3):
        slopes, offset = solve(slice(0, cut), strength)
        unseen = wanted[cut:] - wanted[:cut].mean(0)
        left[strength] = float(
            np.square(wanted[cut:] - known[cut:] @ slopes.T - offset).sum()
            / max(np.square(unseen).sum(), 1e-20)
        )
    best = min(left, key=lambda strength: left[strength])
    slopes, offset = solve(slice(0, len(known)), best)
    return slopes.astype(np.float32), offset.astype(np.float32), left[best]


@dataclasses.dataclass(frozen=True)
class LatentLabels:
    """A linear map from latents to the coefficients of one band.

    The band's part of a map follows the style that its block's map layer reads, and, where an expression
    leaves the skin alone, that
    of the face at rest; both are regressors.

    Attributes:
        style: index into W+.
        slopes, offset: (C, 2 * 512) and (C,).
        unexplained: share of the held-out coefficients' power that the latents do not tell.
    """

    style: int
    slopes: np.ndarray
    offset: np.ndarray
    unexplained: float

    @classmethod
    def fit(
        cls, resolution: int, latents: np.ndarray, resting: np.ndarray, coefficients: np.ndarray
    ) -> "LatentLabels":
        """Fits labels.

        Args:
            resolution: of the band.
            latents, resting: (N, 18, 512) of the faces, and of the same people at rest.
            coefficients: (N, C).
        """
        style = 2 * (resolution.bit_length() - 3) + 1
        return cls(style, *ridge(np.concatenate([latents[:, style], resting[:, style]], 1), coefficients))

    def __call__(self, latents: np.ndarray, resting: np.ndarray) -> np.ndarray:
        """(N, 18, 512) each -> (N, C) float32."""
        return (
            np.concatenate([latents[:, self.style], resting[:, self.style]], 1) @ self.slopes.T + self.offset
        )


def latents_of_faces(
    model: Detailed3DMM, identity: np.ndarray, skin: np.ndarray, expression: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """W+ of faces and of the same people at rest: (N, 18, 512) float32 each."""
    found = []
    for faces in (expression, np.zeros_like(expression)):
        parts = [slice(start, start + _ROWS_AT_ONCE) for start in range(0, len(identity), _ROWS_AT_ONCE)]
        found.append(
            np.concatenate([model.latent(identity[p], skin[p], faces[p]).cpu().numpy() for p in parts])
        )
    return found[0], found[1]


def draw_faces(face: BilinearFace, count: int, first_seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Identity, skin and expression (count, .) of as many random people, a tenth of them at rest."""
    identity = np.stack([face.sample_identity(first_seed + number) for number in range(count)]).astype(
        np.float32
    )
    skin = np.stack([sample_skin(first_seed + number) for number in range(count)])
    random = np.random.default_rng([first_seed, 0xF])
    expression = sample_expressions(count, random)
    expression[random.random(count) < _RESTING_SHARE] = 0
    return identity, skin, expression
