"""The attribute encoder E: from what one look at a photograph gives to the seven codes of its face, in one
pass.

Two trunks with seven heads. Shape, expression, rotation and translation come from the detector's landmarks,
levelled and in inter-ocular distances, from convolutions over a small crop about the face, which see
outlines and shading, and from two steps that look at pieces of the crop where the codes so far put the face;
texture, illumination and hair from colours sampled at places of the head, which the first trunk's codes put
into the picture.

Source: Zhang et al., "Zero-shot Real Facial Attribute Separation and Transfer at Novel Views", section 3.1,
where each head is a residual network on pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..asset_files import ASSETS
from ..files.network_file import read_network_file
from .face_codes import SIZES
from .head_steps.patch_refiner import PatchRefiner
from .head_steps.seen_places import SeenPlaces

FILE = "attribute_encoder.safetensors"
GEOMETRY = ("shape", "expression", "rotation", "translation")
COLOUR = ("texture", "illumination", "hair")
_SPREAD = torch.cat(
    [torch.full((SIZES[name],), part) for name, part in zip(GEOMETRY, (0.6, 0.4, 0.15, 0.15), strict=True)]
)
"""Deviations of what is left to better, of shape, expression, rotation and translation."""
CROP, SIDE = 192, 3.8
"""Pixels of a side of the crop about a face, and inter-ocular distances: from the hairline to below the chin,
both ears."""
DARKEST = 0.004
"""Linear light under which all colours look alike."""


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes.

    Attributes:
        points: landmarks.
        more: further numbers beside the landmarks.
        places: of which colours are sampled.
        ground: numbers about the rest of the picture.
        geometry_width, colour_width: of the trunks.
        channels: of the convolutions; the first takes a quarter of the crop's side, others but the last a
            half.
        crop: pixels of a side that the convolutions see.
        features: that the convolutions end in.
        blocks: residual blocks of each.
        dropout: share of hidden numbers that training drops.
        looks: places at which the steps look; spacings: of the samples there, inter-ocular distances, a step
            each; samples: along a side of a piece; look_features: of each; look_width: of the networks.
        shape_gain, expression_gain, hair_gain: factors on what is read. What is least wrong is drawn towards
            the mean; with the factors as much of a code arrives in a transfer as was taken.
    """

    points: int = 478
    more: int = 4
    places: int = 400
    ground: int = 12
    geometry_width: int = 320
    colour_width: int = 320
    channels: tuple[int, ...] = (32, 64, 96, 128)
    crop: int = 96
    features: int = 128
    blocks: int = 2
    dropout: float = 0.1
    looks: int = 160
    spacings: tuple[float, ...] = (0.034, 0.017)
    samples: int = 7
    look_features: int = 16
    look_width: int = 384
    shape_gain: float = 1.0
    expression_gain: float = 1.0
    hair_gain: float = 1.0


@dataclass(frozen=True)
class HeadStep:
    """The geometry of B heads as it is believed to be.

    Attributes:
        codes: by name, in deviations.
        places: (B, P, 2), where the step looked, and offsets: (B, P, 2), see `PatchRefiner`; None before
            the first step.
    """

    codes: dict[str, Tensor]
    places: Tensor | None = None
    offsets: Tensor | None = None


class ResidualTrunk(nn.Module):
    """A linear map beside residual blocks of two layers.

    Args:
        size: of the input; width: of the blocks; outputs: of the output; blocks: how many; dropout: in them.
    """

    def __init__(self, size: int, width: int, outputs: int, blocks: int, dropout: float):
        super().__init__()
        self.first = nn.Linear(size, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, width),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Linear(width, width),
            )
            for _ in range(blocks)
        )
        self.last = nn.Linear(2 * width, outputs)

    def forward(self, values: Tensor) -> Tensor:
        """Maps (B, size) to (B, outputs)."""
        start = self.first(values)
        x = functional.gelu(start)
        for block in self.blocks:
            x = x + block(x)
        return self.last(torch.cat([start, functional.gelu(x)], 1))


class CropTrunk(nn.Sequential):
    """Convolutions over a crop (B, 3, S, S) of sRGB in 0..1, to features (B, F).

    Args:
        channels: of the layers, whose strides are 4, 2, ..., 2, 1; crop: S; features: F.
    """

    def __init__(self, channels: tuple[int, ...], crop: int, features: int):
        layers: list[nn.Module] = []
        before = 3
        for index, width in enumerate(channels):
            size, stride = (7, 4) if index == 0 else (3, 1 if index == len(channels) - 1 else 2)
            layers += [nn.Conv2d(before, width, size, stride, size // 2), nn.GroupNorm(4, width), nn.GELU()]
            before = width
        side = crop // 2 ** len(channels)
        super().__init__(*layers, nn.Flatten(), nn.Linear(before * side**2, features))

    def forward(self, crop: Tensor) -> Tensor:
        return super().forward(4 * crop - 2)


class AttributeEncoder(nn.Module):
    """Both trunks, and what is usual of their inputs and outputs.

    Args:
        config: sizes.
    """

    point_mean: Tensor
    point_scale: Tensor
    colour_mean: Tensor
    colour_scale: Tensor
    output_mean: Tensor
    output_scale: Tensor

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        inputs, colours = 2 * config.points + config.more, 3 * config.places + config.ground
        self.register_buffer("point_mean", torch.zeros(inputs))
        self.register_buffer("point_scale", torch.ones(inputs))
        self.register_buffer("colour_mean", torch.zeros(colours))
        self.register_buffer("colour_scale", torch.ones(colours))
        total = sum(SIZES.values())
        self.register_buffer("output_mean", torch.zeros(total))
        self.register_buffer("output_scale", torch.ones(total))
        self.look = CropTrunk(config.channels, config.crop, config.features)
        codes = sum(SIZES[name] for name in GEOMETRY)
        self.steps = nn.ModuleList(
            PatchRefiner(
                config.looks, codes, 2 * spacing / SIDE, config.samples, config.look_features,
                config.look_width, config.dropout,
            )
            for spacing in config.spacings
        )  # fmt: skip
        self.geometry = ResidualTrunk(
            inputs + config.features,
            config.geometry_width,
            sum(SIZES[name] for name in GEOMETRY),
            config.blocks,
            config.dropout,
        )
        self.colour = ResidualTrunk(
            colours + config.places + 3,
            config.colour_width,
            sum(SIZES[name] for name in COLOUR),
            config.blocks,
            config.dropout,
        )

    def scaled(self, name: str, values: Tensor) -> Tensor:
        """Returns a code (B, n) in deviations of drawn people; rotation and translation as `place_face` has
        them."""
        rows = _rows(name)
        return (values - self.output_mean[rows]) / self.output_scale[rows]

    def unscaled(self, name: str, values: Tensor) -> Tensor:
        """Returns the code (B, n) of deviations."""
        rows = _rows(name)
        return values * self.output_scale[rows] + self.output_mean[rows]

    def see_head(self, points: Tensor, crop: Tensor) -> dict[str, Tensor]:
        """Reads landmarks and crop.

        Args:
            points: (B, 2 L + more), from `fitting.attributes.levelled_points`.
            crop: (B, 3, S, S) sRGB in 0..1, from `fitting.attributes.face_crop`.

        Returns:
            Shape, expression, and rotation and translation within the levelled picture, in deviations.
        """
        return self.steps_of_head(points, crop)[-1].codes

    def steps_of_head(self, points: Tensor, crop: Tensor, shaken: float = 0.0) -> list["HeadStep"]:
        """Reads landmarks and crop, and returns what is believed before and after each step.

        Args:
            points, crop: as of `see_head`.
            shaken: largest factor on the errors, like those of faces that training did not see, that are
                added before each step, so that training sees what the steps will have to better.
        """
        values = (points - self.point_mean) / self.point_scale
        small = functional.avg_pool2d(crop, crop.shape[3] // self.config.crop)
        made = self.geometry(torch.cat([values, functional.gelu(self.look(small))], 1))
        found = [HeadStep(_parts(made))]
        now = made
        places = SeenPlaces.default(self.config.looks)
        for step in self.steps:
            now = now.detach()
            if shaken:
                amount = shaken * torch.rand(len(now), 1)
                now = now + amount * torch.randn_like(now) * _SPREAD
                shaken /= 2
            with torch.no_grad():
                codes = {name: self.unscaled(name, value) for name, value in _parts(now).items()}
                codes["expression"] = codes["expression"].clamp(0, 1)
                at = places.seen(codes, points[:, -self.config.more :]) * (2 / SIDE)
            now, offsets = step(now, at, crop)
            found.append(HeadStep(_parts(now), at, offsets))
        return found

    def see_colours(self, colours: Tensor, seen: Tensor, ground: Tensor, turn: Tensor) -> dict[str, Tensor]:
        """Reads colours.

        Args:
            colours: (B, P, 3) linear light at the head's places.
            seen: (B, P) 0..1, which are seen.
            ground: (B, G) logarithms of the picture's other colours.
            turn: (B, 3) rotation as `see_head` returns it.

        Returns:
            Texture, illumination and hair in deviations; the illumination's level is that of the picture.
        """
        values, level = levelled_colours(colours, seen)
        rest = ground - level.mean(1, keepdim=True)
        inputs = (torch.cat([values.flatten(1), rest], 1) - self.colour_mean) / self.colour_scale
        mask = seen.repeat_interleave(3, 1)
        inputs = torch.cat([inputs[:, : mask.shape[1]] * mask, inputs[:, mask.shape[1] :], seen, turn], 1)
        made = dict(zip(COLOUR, self.colour(inputs).split([SIZES[name] for name in COLOUR], 1), strict=True))
        light = self.unscaled("illumination", made["illumination"])
        light = torch.cat([light[:, :3] + level, light[:, 3:]], 1)
        return made | {"illumination": self.scaled("illumination", light)}


def levelled_colours(colours: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Returns logarithms (B, P, 3) of colours over their mean where they are seen, and the mean's (B, 3)."""
    logs = colours.clamp_min(DARKEST).log()
    weights = seen[..., None]
    level = (logs * weights).sum(1) / weights.sum(1).clamp_min(1e-3)
    return logs - level[:, None], level


def _parts(codes: Tensor) -> dict[str, Tensor]:
    return dict(zip(GEOMETRY, codes.split([SIZES[name] for name in GEOMETRY], 1), strict=True))


def _rows(name: str) -> slice:
    names = list(SIZES)
    start = sum(SIZES[other] for other in names[: names.index(name)])
    return slice(start, start + SIZES[name])


def build(config: Mapping[str, Any]) -> AttributeEncoder:
    """Makes an encoder of a stored configuration; encoders before 1.0 have no steps."""
    config = {"spacings": (), **config}
    tables = {name: tuple(config[name]) for name in ("channels", "spacings") if name in config}
    return AttributeEncoder(EncoderConfig(**{**config, **tables}))


@lru_cache(maxsize=2)
def default_encoder(folder: Path = ASSETS) -> AttributeEncoder:
    """Reads the encoder of a folder, the package's by default.

    Raises:
        UserError: the weights are missing or broken.
    """
    return read_network_file(folder / FILE, build, "attribute encoder")
