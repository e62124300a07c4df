"""The encoder of Whisper, written from the paper: log-mel to features at 50 a second, all layers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...audio.whisper_mel import WHISPER_BANDS

MOST_SECONDS = 30.0
"""Longest stretch of sound that it takes at once."""
_HEAD_WIDTH = 64
_PERIOD = 10000.0


@dataclass(frozen=True)
class WhisperEncoderConfig:
    """Sizes of the encoder; those of Whisper base by default.

    Attributes:
        width: of the features, a multiple of 64.
        blocks: of the transformer.
    """

    width: int = 512
    blocks: int = 6


class EncoderBlock(nn.Module):
    """Self-attention and a two-layer perceptron, each after a normalisation and added to its input."""

    def __init__(self, width: int):
        super().__init__()
        self.heads = width // _HEAD_WIDTH
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C) -> (B, T, C)
        batch, count, width = x.shape
        parts = self.query_key_value(self.attention_norm(x)).view(batch, count, 3, self.heads, _HEAD_WIDTH)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # (B, heads, T, 64) each
        mixed = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.attended(mixed.transpose(1, 2).reshape(batch, count, width))
        return x + self.contract(functional.gelu(self.expand(self.norm(x))))


class WhisperEncoder(nn.Module):
    """Features of a log-mel spectrum after every block.

    Source: Radford et al. 2022, "Robust speech recognition via large-scale weak supervision", section 2.2;
    Vaswani et al. 2017 for the positions.
    """

    def __init__(self, config: WhisperEncoderConfig | None = None):
        super().__init__()
        self.config = config or WhisperEncoderConfig()
        width = self.config.width
        self.lift = nn.Conv1d(WHISPER_BANDS, width, 3, padding=1)
        self.halve = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(EncoderBlock(width) for _ in range(self.config.blocks))
        self.norm = nn.LayerNorm(width)

    def forward(self, mel: Tensor) -> list[Tensor]:
        """Returns the features before the blocks, and after each; the last are normalised.

        Args:
            mel: (B, 80, T) of `audio.whisper_mel`, T even, at most 3,000.

        Returns:
            blocks + 1 of (B, T / 2, width); row i is at 0.02 i s.

        Raises:
            ValueError: the spectrum has another shape.
        """
        if mel.ndim != 3 or mel.shape[1] != WHISPER_BANDS or mel.shape[2] % 2:
            raise ValueError(f"log-mel of shape {tuple(mel.shape)}: expected (B, {WHISPER_BANDS}, even T).")
        x = functional.gelu(self.lift(mel))
        x = functional.gelu(self.halve(x)).transpose(1, 2)
        x = x + positions(x.shape[1], x.shape[2]).to(x)
        layers = [x]
        for block in self.blocks:
            x = block(x)
            layers.append(x)
        layers[-1] = self.norm(x)
        return layers

    @classmethod
    def from_ctranslate2(cls, arrays: Mapping[str, np.ndarray]) -> "WhisperEncoder":
        """Builds the encoder from the variables under `encoder/` of a model of CTranslate2.

        Args:
            arrays: float16 or float32 by name.

        Raises:
            ValueError: a variable is missing, has an unfitting shape, is no float, or is not finite.
        """
        plain = {name.removeprefix("encoder/"): array for name, array in arrays.items()}
        bands = plain["conv1/weight"].shape[1:2] if "conv1/weight" in plain else ()
        if bands != (WHISPER_BANDS,):
            raise ValueError(f"its first convolution does not read {WHISPER_BANDS} bands")
        numbers = [name.split("/")[0].removeprefix("layer_") for name in plain if name.startswith("layer_")]
        blocks = len({number for number in numbers if number.isdigit()})
        network = cls(WhisperEncoderConfig(len(plain["conv1/weight"]), blocks))
        state = network.state_dict()
        for ours, theirs in _names(blocks).items():
            array = plain.get(theirs)
            if array is None:
                raise ValueError(f"it lacks encoder/{theirs}")
            if array.dtype.kind != "f":
                raise ValueError(f"encoder/{theirs} is stored as {array.dtype}, not as float16 or float32")
            if array.shape != tuple(state[ours].shape) or not np.isfinite(array).all():
                raise ValueError(f"encoder/{theirs} has an unfitting shape, or values that are not finite")
            state[ours] = torch.from_numpy(array.astype(np.float32))
        network.load_state_dict(state)
        return network.eval().requires_grad_(False)


def _names(blocks: int) -> dict[str, str]:
    """Returns the variables' names by ours."""
    pairs = {
        "lift.": "conv1/",
        "halve.": "conv2/",
    }
    norms = {"norm.": "layer_norm/"}
    for index in range(blocks):
        ours, theirs = f"blocks.{index}.", f"layer_{index}/"
        pairs[f"{ours}query_key_value."] = f"{theirs}self_attention/linear_0/"
        pairs[f"{ours}attended."] = f"{theirs}self_attention/linear_1/"
        pairs[f"{ours}expand."] = f"{theirs}ffn/linear_0/"
        pairs[f"{ours}contract."] = f"{theirs}ffn/linear_1/"
        norms[f"{ours}attention_norm."] = f"{theirs}self_attention/layer_norm/"
        norms[f"{ours}norm."] = f"{theirs}ffn/layer_norm/"
    named = {
        f"{ours}{part}": f"{theirs}{part}" for ours, theirs in pairs.items() for part in ("weight", "bias")
    }
    named |= {f"{ours}weight": f"{theirs}gamma" for ours, theirs in norms.items()}
    return named | {f"{ours}bias": f"{theirs}beta" for ours, theirs in norms.items()}


def positions(count: int, width: int) -> Tensor:
    """Returns sines, then cosines, of the rows' numbers at falling frequencies: (count, width)."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half) * (-math.log(_PERIOD) / (half - 1)))
    angles = torch.arange(count)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)
