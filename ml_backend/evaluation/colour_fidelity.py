"""Colour maps of skin against the truth: PSNR, structural similarity, squared error, features for Frechet."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..geometry.srgb import from_srgb
from ..layers.band_limits import shrink
from ..simulation.pigment.skin_optics import cielab
from .frechet_distance import ReliefFeatures, frechet_distance

FEATURE_RESOLUTION = 256
_WINDOW_DEVIATION, _WINDOW_REACH = 1.5, 5
_STABLE_MEAN, _STABLE_CONTRAST = 0.01**2, 0.03**2


def _windowed(maps: Tensor) -> Tensor:
    """(..., R, R) -> the mean of each texel's Gaussian window, borders reflected."""
    steps = torch.arange(-_WINDOW_REACH, _WINDOW_REACH + 1, dtype=maps.dtype)
    taps = torch.exp(-0.5 * (steps / _WINDOW_DEVIATION) ** 2)
    taps = (taps / taps.sum()).view(1, 1, 1, -1)
    flat = functional.pad(maps.flatten(0, -3)[:, None], (_WINDOW_REACH,) * 4, mode="reflect")
    found = functional.conv2d(functional.conv2d(flat, taps), taps.transpose(2, 3))
    return found.view(maps.shape)


class TrueColours:
    """A true colour map, and what of the comparison every row shares.

    Args:
        colours: (3, R, R) sRGB in 0..1.
        mask: (R, R) bool, the face.
    """

    def __init__(self, colours: Tensor, mask: Tensor):
        self.colours = colours
        self.mask = mask
        self.mean = _windowed(colours)
        self.variance = _windowed(colours.square()) - self.mean.square()

    def similarity(self, made: Tensor) -> float:
        """Returns the structural similarity of another map inside the mask, the mean of the channels.

        Source: Wang et al. 2004, "Image quality assessment", with its window of 1.5 texels; range 1.
        """
        mean = _windowed(made)
        variance = _windowed(made.square()) - mean.square()
        together = _windowed(made * self.colours) - mean * self.mean
        similar = ((2 * mean * self.mean + _STABLE_MEAN) * (2 * together + _STABLE_CONTRAST)) / (
            (mean.square() + self.mean.square() + _STABLE_MEAN)
            * (variance + self.variance + _STABLE_CONTRAST)
        )
        return float(similar[:, self.mask].mean())

    def square(self, made: Tensor) -> float:
        """Returns the mean squared error inside the mask, in steps of 1/255."""
        return float((made - self.colours)[:, self.mask].square().mean()) * 255**2


class ColourFeatures:
    """Numbers of a colour map for the Frechet distance: those of relief, of L*, a* and b*, and their means.

    Args:
        scale: millimetres per unit of u and of v.
        mask: (R, R) bool, the face.
    """

    def __init__(self, scale: tuple[float, float], mask: Tensor):
        small = shrink(mask.float()[None, None], FEATURE_RESOLUTION)[0, 0] > 0.5
        self.mask = small
        self.texture = ReliefFeatures(FEATURE_RESOLUTION, scale, small)

    def __call__(self, colours: Tensor) -> np.ndarray:
        """(3, R, R) sRGB -> (195,) float64."""
        low = shrink(colours[None], FEATURE_RESOLUTION)[0].clamp(0, 1)
        linear = torch.from_numpy(from_srgb(low.numpy()))
        lab = cielab(linear.permute(1, 2, 0)).permute(2, 0, 1)
        mean = lab[:, self.mask].mean(1)
        return np.concatenate([self.texture(lab - mean[:, None, None]).ravel(), mean.numpy()])


class ColourTotals:
    """Running sums for one way of making maps.

    Attributes:
        features: of the maps so far.
    """

    def __init__(self) -> None:
        self.features: list[np.ndarray] = []
        self._squares: list[float] = []
        self._similar: list[float] = []

    def add(self, made: Tensor, truth: TrueColours, features: ColourFeatures) -> None:
        """Adds a map (3, R, R) sRGB beside its truth; values beyond 0..1 are cut off."""
        made = made.clamp(0, 1)
        self._squares.append(truth.square(made))
        self._similar.append(truth.similarity(made))
        self.features.append(features(made))

    def figures(self, truth: np.ndarray) -> dict[str, float]:
        """Returns psnr_db (mean of the maps'), ssim, mse (in steps of 1/255), frechet.

        Args:
            truth: (N, D) features of the true maps.
        """
        psnr = [10 * math.log10(255**2 / max(square, 1e-12)) for square in self._squares]
        return {
            "psnr_db": round(float(np.mean(psnr)), 2),
            "ssim": round(float(np.mean(self._similar)), 4),
            "mse": round(float(np.mean(self._squares)), 3),
            "frechet": round(frechet_distance(np.stack(self.features), truth), 4),
        }
