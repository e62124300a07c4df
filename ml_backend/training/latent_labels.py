"""Coefficients of principal fields from the full model's latents.

They label any number of people at the cost of the encoder alone.
"""

import dataclasses

import numpy as np

from ..datasets.sampled_expressions import sample_expressions
from ..geometry.linear_models import LinearModel, fit_ridge, held_out_shares
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import Detailed3DMM
from ..models.skin_vector import sample_skin

_ROWS_AT_ONCE = 512
_RESTING_SHARE = 0.1


PENALTIES = 10.0 ** np.arange(-6, 3)


def fit_held_out(inputs: np.ndarray, targets: np.ndarray) -> tuple[LinearModel, float]:
    """Fits a ridge regression whose penalty is the best one on the last fifth of the rows.

    Args:
        inputs: (N, C).
        targets: (N, F).

    Returns:
        The model, fitted to all rows, and the share of the held-out power that it leaves.
    """
    held_out = np.arange(len(inputs)) >= max(1, int(len(inputs) * 0.8))
    shares = held_out_shares(inputs, targets, PENALTIES, held_out, intercept=True, relative=True)
    best = min(shares, key=lambda penalty: shares[penalty])
    return fit_ridge(inputs, targets, best, intercept=True, relative=True), shares[best]


@dataclasses.dataclass(frozen=True)
class LatentLabels:
    """A linear map from latents to the coefficients of one band.

    The band's part of a map follows the style that its block's map layer reads, and, where an expression
    leaves the skin alone, that of the face at rest; both are regressors.

    Attributes:
        style: index into W+.
        model: from both styles (2 * 512) to the coefficients (C).
        unexplained: share of the held-out coefficients' power that the latents do not explain.
    """

    style: int
    model: LinearModel
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
        inputs = np.concatenate([latents[:, style], resting[:, style]], 1)
        return cls(style, *fit_held_out(inputs, coefficients))

    def __call__(self, latents: np.ndarray, resting: np.ndarray) -> np.ndarray:
        """(N, 18, 512) each -> (N, C) float32."""
        return self.model(np.concatenate([latents[:, self.style], resting[:, self.style]], 1))


def latents_of_faces(
    model: Detailed3DMM, identity: np.ndarray, skin: np.ndarray, expression: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """W+ of faces and of the same people at rest: (N, 18, 512) float32 each."""
    latents = []
    for faces in (expression, np.zeros_like(expression)):
        parts = [slice(start, start + _ROWS_AT_ONCE) for start in range(0, len(identity), _ROWS_AT_ONCE)]
        latents.append(
            np.concatenate([model.latent(identity[p], skin[p], faces[p]).cpu().numpy() for p in parts])
        )
    return latents[0], latents[1]


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
