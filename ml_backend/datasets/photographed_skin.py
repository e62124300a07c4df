"""Pairs of simulated skin photographed badly and its relief, for training image to displacement."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import Detailed3DMM
from ..models.image_to_displacement import image_features
from ..models.skin_vector import sample_skin
from ..simulation.portraits.skin_shading import (
    SkinSurface,
    sample_albedo,
    sample_light,
    shade_skin,
    smooth_shading,
)
from .degraded_maps import seen_parts
from .degraded_textures import photograph
from .map_set import MapSet

TRAINING_SHARE = 0.95
_LIGHT_ERROR = 0.06
_IDENTITY_COSINE = (0.3, 0.95)  # of a fitted identity with the true one
_EXPRESSION_ERROR = 0.3  # standard deviation of the logarithm of a fitted expression


@dataclass
class PhotographedSkin:
    """Draws pairs of features and true heights.

    Attributes:
        maps: truth, at the resolution of the pairs.
        surface: the smooth face there.
        expect: rows of `maps` and a source of randomness to the maps (B, 1, R, R), millimetres, that the
            encoder makes of fits to photographs of these people.
        unit: millimetres per unit of the network.
        numbers, random: sources of randomness.
    """

    maps: MapSet
    surface: SkinSurface
    expect: Callable[[np.ndarray, np.random.Generator], Tensor]
    unit: float
    numbers: np.random.Generator
    random: torch.Generator

    @property
    def inside(self) -> Tensor:
        """(R, R) 1 inside the face."""
        return torch.from_numpy(self.maps.mask)

    def pair(self, rows: np.ndarray, factor: float | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Draws the pairs of these rows, on the CPU.

        Args:
            rows: of `maps`.
            factor: how much coarser than 1024 texels the photograph is; by chance by default.

        Returns:
            Features (B, 9, R, R), expected and true heights (B, 1, R, R) in units, confidence (B, 1, R, R).
        """
        count = len(rows)
        size = self.surface.mask.shape[-1]
        truth = self.maps.batch(rows, torch.device("cpu"))[0] * self.inside
        light = sample_light(count, self.random)
        drawn = shade_skin(
            self.surface, truth, sample_albedo(self.surface, count, self.random), light, self.random
        )
        confidence = seen_parts(count, size, self.random, torch.device("cpu")) * self.surface.mask
        texture = photograph(drawn, self.random, factor) * confidence
        fitted = light + _LIGHT_ERROR * torch.randn(light.shape, generator=self.random)
        expected = self.expect(rows, self.numbers) * self.inside
        features = image_features(texture, confidence, *smooth_shading(self.surface, fitted))
        return features, expected / self.unit, truth / self.unit, confidence

    def training_pair(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Draws pairs of people that are not measured."""
        return self.pair(self.numbers.integers(int(len(self.maps) * TRAINING_SHARE), size=count))

    def mean_map(self) -> Tensor:
        """Returns the mean map (R, R) of the people that are not measured, in units."""
        last = int(len(self.maps) * TRAINING_SHARE) - 1
        rows = np.linspace(0, last, min(200, len(self.maps))).astype(int)
        mean = np.asarray(self.maps.maps[rows], np.float32).mean(0)
        return torch.from_numpy(mean) * self.inside / self.unit

    def wrinkle_windows(
        self, channels: Tensor, truth: Tensor, confidence: Tensor, side: int, count: int
    ) -> tuple[Tensor, Tensor]:
        """Draws windows around texels where the truth has wrinkles.

        Args:
            channels: (1, C, R, R).
            truth: (1, 1, R, R) heights.
            confidence: (1, 1, R, R).
            side: of a window, odd.
            count: windows.

        Returns:
            (count, C * side * side), and the texels' places in a flat map.
        """
        local = torch.nn.functional.avg_pool2d(truth.abs(), 9, 1, 4)[0, 0]
        chance = (local + 0.2) * self.inside * (confidence[0, 0] > 0.5)
        places = torch.multinomial(chance.flatten(), count, generator=self.random)
        width = truth.shape[-1]
        padded = torch.nn.functional.pad(channels, (side // 2,) * 4)[0]
        windows = padded.unfold(1, side, 1).unfold(2, side, 1)[:, places // width, places % width]
        return windows.permute(1, 0, 2, 3).flatten(1), places


@dataclass(frozen=True)
class PoorlyFitted:
    """The encoder's maps of people as a fit to a photograph gives them.

    A share of their identity is right, the rest is somebody else's; the expression is rough, the skin
    unknown.

    Attributes:
        maps: the people.
        model: makes the maps.
        face: draws identities.
    """

    maps: MapSet
    model: Detailed3DMM
    face: BilinearFace

    def __call__(self, rows: np.ndarray, numbers: np.random.Generator) -> Tensor:
        """Returns (B, 1, R, R) millimetres of the maps' rows."""
        expected = []
        for row in rows:
            share = numbers.uniform(*_IDENTITY_COSINE)
            other = self.face.sample_identity(int(numbers.integers(2**31)))
            identity = share * self.maps.identity[row] + np.sqrt(1 - share**2) * other
            expression = self.maps.expression[row] * np.exp(
                _EXPRESSION_ERROR * numbers.standard_normal(self.maps.expression.shape[1])
            )
            given = (identity[None], sample_skin(0)[None], expression.clip(0, 1)[None])
            expected.append(self.model.displacement(*given, self.maps.maps.shape[-1]))
        return torch.from_numpy(np.stack(expected))
