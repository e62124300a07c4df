"""People's skin colour as a prior for photographs: the albedo model at few texels, with its covariance."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...asset_files import ASSETS
from ...geometry.map_resampling import resample
from ...models.skin.albedo_model import ALBEDO_FILE, AlbedoModel
from ...models.skin.skin_sliders import SKIN_SLIDERS_FILE, SkinSliders

RESOLUTION = 64


@dataclass(frozen=True)
class SkinPrior:
    """The albedo model and what is computed once for all fits.

    Attributes:
        model: the coarse model.
        sliders: its tones.
        mean: (3, n) sRGB of the mean person at n = 64 x 64 texels.
        spread: (3, n, F) sRGB per unit of people's F normal numbers.
        region: (64, 64) 0..1, cheeks and forehead.
    """

    model: AlbedoModel
    sliders: SkinSliders
    mean: np.ndarray
    spread: np.ndarray
    region: np.ndarray

    @classmethod
    def of(cls, model: AlbedoModel, sliders: SkinSliders) -> "SkinPrior":
        """Prepares a model."""
        size = model.resolution
        mean = resample(model.mean.reshape(3, size, size), RESOLUTION)
        groups, count = model.axes.shape[:2]
        low = resample(model.basis.reshape(groups, count, -1, size, size), RESOLUTION)
        low = low.reshape(groups, count, -1)  # (G, K, C n)
        mixing = model.mixing.reshape(groups, count, -1)
        spread = np.einsum("gkn,gkf->gnf", low, mixing, optimize=True).reshape(3, RESOLUTION**2, -1)
        region = resample(sliders.region.astype(np.float32), RESOLUTION).clip(0, 1)
        return cls(model, sliders, mean.reshape(3, -1), spread.astype(np.float32), region)

    @classmethod
    @lru_cache(maxsize=2)
    def default(cls, folder: Path = ASSETS) -> "SkinPrior":
        """Returns the prior of a folder of weights, the package's by default.

        Raises:
            UserError: weights are missing or broken.
        """
        return cls.of(AlbedoModel.read(folder / ALBEDO_FILE), SkinSliders.read(folder / SKIN_SLIDERS_FILE))

    def likeliest(self, colours: np.ndarray, weights: np.ndarray, noise: float) -> np.ndarray:
        """Finds the person's numbers from colours that are seen in part.

        Args:
            colours: (3, 64, 64) sRGB.
            weights: (64, 64) or (3, 64, 64), at least 0.
            noise: deviation of a texel, sRGB.

        Returns:
            (F,) float32, the likeliest under people's covariance.
        """
        weights = np.broadcast_to(weights, colours.shape).reshape(3, -1)
        left = colours.reshape(3, -1) - self.mean
        flat = self.spread.reshape(-1, self.spread.shape[-1])
        heavy = flat * weights.reshape(-1, 1)
        gram = heavy.T @ flat
        gram.flat[:: len(gram) + 1] += noise**2
        return np.linalg.solve(gram, heavy.T @ left.ravel()).astype(np.float32)

    def colours(self, numbers: np.ndarray) -> np.ndarray:
        """Returns (3, 64, 64) sRGB of a person's numbers (F,)."""
        return (self.mean + self.spread @ numbers).reshape(3, RESOLUTION, RESOLUTION)

    def coefficients(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the albedo model's coefficients (300,) of a person's numbers (F,)."""
        return (self.model.mixing @ numbers).astype(np.float32)
