"""Makes a small, blurred picture of a face twice as large and clear, for a landmark detector.

A U-Net whose deepest layers see the whole face corrects what bicubic interpolation makes of the picture; it
draws the mean of what the picture may have shown, sharper where the landmark network looks, and invents no
texture.

Source: Ronneberger et al. 2015, "U-Net"; Shi et al. 2016, "Real-time single image and video super-resolution
using an efficient sub-pixel convolutional neural network" (the last step); He et al. 2016, "Identity mappings
in deep residual networks" (the blocks).
"""

import dataclasses
import itertools
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..asset_files import ASSETS
from ..files.network_file import read_network_file

UPSCALER_FILE = "photo_upscaler.safetensors"
FACTOR = 2
_MARGIN = 8
"""Pixels of the picture's edge repeated around it, so that convolutions do not see black."""


@dataclasses.dataclass(frozen=True)
class PhotoUpscalerConfig:
    """Sizes of the network.

    Attributes:
        widths: channels at the picture's own resolution, half of it, a quarter, ...
        blocks: residual blocks on each level, on the way down and again on the way up.
        last: channels at the doubled resolution.
    """

    widths: tuple[int, ...] = (40, 48, 64, 80)
    blocks: int = 2
    last: int = 24


def upscaler_config(table: dict[str, Any]) -> PhotoUpscalerConfig:
    """A configuration from JSON or TOML, where tuples are lists."""
    return PhotoUpscalerConfig(**{**table, "widths": tuple(table.get("widths", PhotoUpscalerConfig.widths))})


class ResidualBlock(nn.Module):
    """Two convolutions that begin as nothing."""

    def __init__(self, width: int):
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(functional.leaky_relu(self.first(functional.leaky_relu(x, 0.2)), 0.2))


class PhotoUpscaler(nn.Module):
    """(B, 3, h, w) sRGB in 0..1 to (B, 3, 2 h, 2 w); h and w are multiples of `step`."""

    def __init__(self, config: PhotoUpscalerConfig):
        super().__init__()
        self.config = config
        widths = config.widths

        def level(width: int) -> nn.Sequential:
            return nn.Sequential(*(ResidualBlock(width) for _ in range(config.blocks)))

        self.entry = nn.Conv2d(3, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(level(width) for width in widths)
        self.down = nn.ModuleList(nn.Conv2d(one, after, 4, 2, 1) for one, after in itertools.pairwise(widths))
        self.up = nn.ModuleList(
            nn.Conv2d(after, one, 3, padding=1) for one, after in itertools.pairwise(widths)
        )
        self.up_blocks = nn.ModuleList(level(width) for width in widths[:-1])
        self.doubled = nn.Conv2d(widths[0], FACTOR**2 * config.last, 3, padding=1)
        self.exit = nn.Conv2d(config.last, 3, 3, padding=1)
        for parameter in self.exit.parameters():
            nn.init.zeros_(parameter)

    @property
    def step(self) -> int:
        """The number that sides have to be multiples of."""
        return 2 ** len(self.down)

    def forward(self, pictures: Tensor) -> Tensor:
        x, kept = self.entry(pictures - 0.5), []
        for index, blocks in enumerate(self.down_blocks):
            x = blocks(x)
            if index < len(self.down):
                kept.append(x)
                x = self.down[index](functional.leaky_relu(x, 0.2))
        for index in reversed(range(len(self.up))):
            x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = self.up_blocks[index](self.up[index](x) + kept[index])
        x = functional.pixel_shuffle(self.doubled(functional.leaky_relu(x, 0.2)), FACTOR)
        return enlarged(pictures) + self.exit(functional.leaky_relu(x, 0.2))

    @torch.inference_mode()
    def clear(self, pixels: np.ndarray) -> np.ndarray:
        """Makes one picture larger.

        Args:
            pixels: (H, W, 3) uint8 sRGB.

        Returns:
            (2 H, 2 W, 3) uint8 sRGB.
        """
        height, width = pixels.shape[:2]
        below, right = -(height + 2 * _MARGIN) % self.step, -(width + 2 * _MARGIN) % self.step
        padded = np.pad(pixels, ((_MARGIN, _MARGIN + below), (_MARGIN, _MARGIN + right), (0, 0)), mode="edge")
        found = self(torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255)[0]
        start = FACTOR * _MARGIN
        inside = found[:, start : start + FACTOR * height, start : start + FACTOR * width].clamp(0, 1)
        return (inside.permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)


def enlarged(pictures: Tensor) -> Tensor:
    """Bicubic interpolation to twice the size: what the network corrects."""
    return functional.interpolate(pictures, scale_factor=FACTOR, mode="bicubic", align_corners=False)


@lru_cache(maxsize=1)
def default_upscaler(path: Path = ASSETS / UPSCALER_FILE) -> PhotoUpscaler:
    """The network of the default set.

    Raises:
        UserError: the file is missing or broken.
    """
    return read_network_file(path, lambda table: PhotoUpscaler(upscaler_config(table)), "photo upscaler")
