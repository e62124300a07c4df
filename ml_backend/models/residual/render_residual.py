"""The residual on the exact decoder's drawing: hair, eyes, mouth and the head's outline, by a small U-Net.

The network works on blocks of 2 x 2 pixels. Hair, light and rotation scale and shift its features. It says
for each pixel how much of it the head covers, how much of the hair's own lit colour it shows, and a
difference of colour; the drawing stays where these are nothing.

Source: Ronneberger et al. 2015, "U-Net"; Perez et al. 2018, "FiLM: visual reasoning with a general
conditioning layer"; the task: Zhang et al., "Zero-shot Real Facial Attribute Separation and Transfer at Novel
Views", section 3.1, whose decoder draws hair, eyes and mouth by a network alone.
"""

import dataclasses
import itertools
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...asset_files import ASSETS
from ...files.network_file import read_network_file
from .channels import CHANNELS, CONDITION, SeenDrawing

RESIDUAL_FILE = "render_residual.safetensors"
_BLOCK = 2
_COVERED = 4.0
"""Logit of the drawing's own mask."""
_NO_HAIR = -3.0
"""Logit of the hair's colour in a network that has learned nothing."""


@dataclasses.dataclass(frozen=True)
class ResidualConfig:
    """Sizes of the network.

    Attributes:
        widths: channels at half of the picture's resolution, a quarter, ...
        blocks: residual blocks on each level, on the way down and again on the way up.
        condition: width of the layer that reads hair, light and rotation.
    """

    widths: tuple[int, ...] = (32, 48, 72, 96, 128)
    blocks: int = 1
    condition: int = 64


def residual_config(table: dict[str, Any]) -> ResidualConfig:
    """Returns a configuration from JSON or TOML, where tuples are lists."""
    return ResidualConfig(**{**table, "widths": tuple(table.get("widths", ResidualConfig.widths))})


class ConditionedBlock(nn.Module):
    """Two convolutions that begin as nothing; a condition scales and shifts between them."""

    def __init__(self, width: int, condition: int):
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.turn = nn.Linear(condition, 2 * width)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.turn(condition)[:, :, None, None].chunk(2, 1)
        inner = self.first(functional.leaky_relu(x, 0.2)) * (1 + scale) + shift
        return x + self.second(functional.leaky_relu(inner, 0.2))


@dataclasses.dataclass(frozen=True)
class FinishedDrawing:
    """A drawing with its residual.

    Attributes:
        colour: (B, 3, H, W) sRGB of the head where it is; not multiplied by the cover, nor cut to 0..1.
        cover: (B, H, W) 0..1, how much of a pixel the head covers.
        logits: (B, H, W) of the cover.
    """

    colour: Tensor
    cover: Tensor
    logits: Tensor


class RenderResidual(nn.Module):
    """(B, 24, H, W) channels and (B, 65) conditions to a finished drawing; sides are multiples of `step`."""

    def __init__(self, config: ResidualConfig):
        super().__init__()
        self.config = config
        widths = config.widths

        def level(width: int) -> nn.ModuleList:
            return nn.ModuleList(ConditionedBlock(width, config.condition) for _ in range(config.blocks))

        self.read = nn.Sequential(
            nn.Linear(CONDITION, config.condition), nn.LeakyReLU(0.2),
            nn.Linear(config.condition, config.condition), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.entry = nn.Conv2d(len(CHANNELS) * _BLOCK**2, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(level(width) for width in widths)
        self.down = nn.ModuleList(nn.Conv2d(one, after, 4, 2, 1) for one, after in itertools.pairwise(widths))
        self.up = nn.ModuleList(
            nn.Conv2d(after, one, 3, padding=1) for one, after in itertools.pairwise(widths)
        )
        self.up_blocks = nn.ModuleList(level(width) for width in widths[:-1])
        self.exit = nn.Conv2d(widths[0], 5 * _BLOCK**2, 3, padding=1)
        for parameter in self.exit.parameters():
            nn.init.zeros_(parameter)

    @property
    def step(self) -> int:
        """The number that sides have to be multiples of."""
        return _BLOCK * 2 ** len(self.down)

    def forward(self, channels: Tensor, condition: Tensor) -> FinishedDrawing:
        read = self.read(condition)
        x, kept = self.entry(functional.pixel_unshuffle(channels, _BLOCK)), []
        for index, blocks in enumerate(self.down_blocks):
            for block in blocks:  # pyright: ignore[reportGeneralTypeIssues]
                x = block(x, read)
            if index < len(self.down):
                kept.append(x)
                x = self.down[index](functional.leaky_relu(x, 0.2))
        for index in reversed(range(len(self.up))):
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = self.up[index](x) + kept[index]
            for block in self.up_blocks[index]:  # pyright: ignore[reportGeneralTypeIssues]
                x = block(x, read)
        found = functional.pixel_shuffle(self.exit(functional.leaky_relu(x, 0.2)), _BLOCK)
        mask, drawn, hair = channels[:, 3:4], channels[:, :3], channels[:, 21:24]
        logits = _COVERED * (2 * mask - 1) + found[:, :1]
        share = torch.sigmoid(
            _NO_HAIR * (2 * mask - 1) + found[:, 1:2]
        )  # beside the head there is hair alone
        colour = drawn + share * (hair - drawn) + found[:, 2:]
        return FinishedDrawing(colour, torch.sigmoid(logits)[:, 0], logits[:, 0])

    @torch.inference_mode()
    def finish(self, drawing: SeenDrawing) -> FinishedDrawing:
        """Returns the finished drawing of one picture, a batch of 1."""
        return self(drawing.channels[None], drawing.condition[None])


@lru_cache(maxsize=1)
def default_residual(path: Path = ASSETS / RESIDUAL_FILE) -> RenderResidual:
    """Returns the network of the default set.

    Raises:
        UserError: the file is missing or broken.
    """
    return read_network_file(path, lambda table: RenderResidual(residual_config(table)), "render residual")
