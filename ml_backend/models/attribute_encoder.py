"""The attribute encoder E: from what one look at a photograph gives to the seven codes of its face, in one
pass.

Two trunks with seven heads. Shape, expression, rotation and translation come from the detector's landmarks,
levelled and in inter-ocular distances, and from convolutions over a crop of 96 pixels about the face, which
see outlines and shading; texture, illumination and hair from colours sampled at places of the head, which
the first trunk's codes put into the picture.

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

FILE = "attribute_encoder.safetensors"
GEOMETRY = ("shape", "expression", "rotation", "translation")
COLOUR = ("texture", "illumination", "hair")
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
        crop: pixels of a side.
        features: that the convolutions end in.
        blocks: residual blocks of each.
        dropout: share of hidden numbers that training drops.
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
        values = (points - self.point_mean) / self.point_scale
        made = self.geometry(torch.cat([values, functional.gelu(self.look(crop))], 1))
        return dict(zip(GEOMETRY, made.split([SIZES[name] for name in GEOMETRY], 1), strict=True))

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


def _rows(name: str) -> slice:
    names = list(SIZES)
    start = sum(SIZES[other] for other in names[: names.index(name)])
    return slice(start, start + SIZES[name])


def build(config: Mapping[str, Any]) -> AttributeEncoder:
    """Makes an encoder of a stored configuration."""
    return AttributeEncoder(EncoderConfig(**{**config, "channels": tuple(config["channels"])}))


@lru_cache(maxsize=2)
def default_encoder(folder: Path = ASSETS) -> AttributeEncoder:
    """Reads the encoder of a folder, the package's by default.

    Raises:
        UserError: the weights are missing or broken.
    """
    return read_network_file(folder / FILE, build, "attribute encoder")
