"""Pairs of simulated skin photographed badly and its relief, for training image to displacement."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..geometry.srgb import from_srgb
from ..layers.band_limits import shrink
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import Detailed3DMM
from ..models.image_to_displacement import image_features
from ..models.skin_vector import sample_skin
from ..simulation.portraits.skin_shading import (
    SkinSurface,
    beard_over_skin,
    hair_over_skin,
    sample_albedo,
    sample_light,
    shade_skin,
    smooth_shading,
)
from ..simulation.portraits.smooth_faces import SmoothFaces
from .degraded_maps import seen_parts
from .degraded_textures import photograph
from .map_set import MapSet

TRAINING_SHARE = 0.95
_LIGHT_ERROR = 0.03
_SIMULATED_COLOURS, _MISLED = 0.7, 0.75
_FACING = (0.12, 0.55)  # cosines, those of `fitting/unwrap_photo.py`
_SHIFT = 0.025  # of the map's width
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
        colours: (N, 3, r, r) uint8 sRGB, skins of the pigment simulation; None: patterns of noise alone.
        faces: the people's own smooth faces; None: all have the mean face's form.
    """

    maps: MapSet
    surface: SkinSurface
    expect: Callable[[np.ndarray, np.random.Generator], Tensor]
    unit: float
    numbers: np.random.Generator
    random: torch.Generator
    colours: np.ndarray | None = None
    faces: SmoothFaces | None = None

    @property
    def inside(self) -> Tensor:
        """(R, R) 1 inside the face."""
        return torch.from_numpy(self.maps.mask)

    @cached_property
    def person(self) -> np.ndarray:
        """(N,) number of the person whom each map shows."""
        return np.unique(self.maps.identity, axis=0, return_inverse=True)[1].reshape(-1)

    def pair(
        self,
        rows: np.ndarray,
        factor: float | None = None,
        expected: Tensor | None = None,
        looks: int = 1,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Draws the pairs of these rows, on the CPU.

        Args:
            rows: of `maps`.
            factor: how much coarser than 1024 texels the photograph is; by chance by default.
            expected: (B, 1, R, R) millimetres, in place of what `expect` makes of the rows.
            looks: so many rows after each other share skin and light; the number of rows is a multiple.

        Returns:
            Features (B, 9, R, R), expected and true heights (B, 1, R, R) in units, confidence (B, 1, R, R).
        """
        count = len(rows)
        size = self.surface.mask.shape[-1]
        truth = self.maps.batch(rows, torch.device("cpu"))[0] * self.inside
        light = sample_light(count // looks, self.random).repeat_interleave(looks, 0)
        albedo = self.sample_skin_colour(count // looks).repeat_interleave(looks, 0)
        normal = openness = None
        if self.faces is not None:
            normal = self.faces.normals(self.maps.identity[rows], self.maps.expression[rows])
            openness = self.faces.sample_openness(count, self.random)
        drawn = shade_skin(self.surface, truth, albedo, light, self.random, normal, openness)
        confidence = seen_parts(count, size, self.random, torch.device("cpu")) * self.surface.mask
        confidence = confidence * self.facing(count)
        texture = photograph(drawn, self.random, factor) * confidence
        if expected is None:
            expected = self.expect(rows, self.numbers)
        expected = expected * self.inside
        features = image_features(texture, confidence, *smooth_shading(self.surface, self.fitted(light)))
        return features, expected / self.unit, truth / self.unit, confidence

    def sample_skin_colour(self, count: int) -> Tensor:
        """Draws linear albedo (B, 3, R, R): simulated pigment, or noise for some; beard and
        hair over some of it."""
        size = self.surface.mask.shape[-1]
        albedo = sample_albedo(self.surface, count, self.random)
        if self.colours is not None:
            for number in np.flatnonzero(self.numbers.random(count) < _SIMULATED_COLOURS):
                stored = self.colours[int(self.numbers.integers(len(self.colours)))]
                linear = torch.from_numpy(from_srgb(np.asarray(stored, np.float32) / 255)).float()
                if self.numbers.random() < 0.5:
                    linear = linear.flip(-1)
                albedo[number] = shrink(linear[None], size)[0].clamp_min(0.002)
        for cover in (
            beard_over_skin(self.surface, count, self.random),
            hair_over_skin(count, size, self.random),
        ):
            dark = 0.01 + 0.15 * torch.rand(count, 1, 1, 1, generator=self.random).square()
            albedo = albedo + cover * (dark - albedo)
        return albedo

    def facing(self, count: int) -> Tensor:
        """Draws how surely each texel is seen by cameras around the front, (B, 1, R, R) 0..1."""
        aside = torch.randn(count, 3, generator=self.random) * torch.tensor([0.2, 0.0, 0.12])
        towards = functional.normalize(aside + torch.tensor([0.0, -1.0, 0.0]), dim=1)
        shown = torch.einsum("kyx,bk->byx", self.surface.normal, towards)[:, None]
        ramp = ((shown - _FACING[0]) / (_FACING[1] - _FACING[0])).clamp(0, 1)
        return ramp * ramp * (3 - 2 * ramp)

    def fitted(self, light: Tensor) -> Tensor:
        """Returns lights (B, 9, 3) as a fit to a photograph finds them: mostly too soft."""
        share = 0.3 + 0.8 * torch.rand(len(light), 1, 1, generator=self.random)
        found = torch.cat([light[:, :1], share * light[:, 1:]], 1)
        return found + _LIGHT_ERROR * torch.randn(light.shape, generator=self.random)

    def training_pair(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Draws pairs of people that are not measured.

        An even count shows every person twice, with the same skin in the same light and other wrinkles. Most
        of these people are expected to look one way in both pictures, so that only the picture tells the
        wrinkles. The whole is moved a little, so that wrinkles are not sought at one place alone.
        """
        last = int(len(self.maps) * TRAINING_SHARE)
        looks = 2 if count % 2 == 0 else 1
        rows, misled = [], []
        for first in self.numbers.integers(last, size=count // looks):
            others = np.flatnonzero(self.person[:last] == self.person[first])
            rows += [int(first), int(self.numbers.choice(others))][:looks]
            misled += looks * [int(self.numbers.choice(others)) if self.numbers.random() < _MISLED else -1]
        shown = np.array(rows)
        seen_as = np.where(np.array(misled) >= 0, misled, shown)
        drawn = self.pair(shown, None, self._expected(seen_as), looks)
        reach = max(1, round(_SHIFT * drawn[0].shape[-1]))
        shift = tuple(int(step) for step in self.numbers.integers(-reach, reach + 1, 2))
        features, expected, truth, confidence = (part.roll(shift, (2, 3)) for part in drawn)
        return features, expected, truth, confidence

    def _expected(self, rows: np.ndarray) -> Tensor:
        """Returns what is expected of rows, made once for neighbours that are the same row."""
        fresh = np.append(True, rows[1:] != rows[:-1])
        return self.expect(rows[fresh], self.numbers)[np.cumsum(fresh) - 1]

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
