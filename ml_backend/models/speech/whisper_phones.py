"""The head on Whisper's encoder: features of some of its layers to phone posteriors at 50 a second."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...asset_files import ASSETS
from ...errors import UserError
from ...files.ctranslate2_file import read_ctranslate2
from ...files.network_file import read_network_file
from ...phonetics.phones import PHONES
from .speech_encoder import TemporalBlock
from .speech_networks import PHONES_FACT
from .whisper_encoder import WhisperEncoder

DEFAULT_HEAD = ASSETS / "whisper_phones.safetensors"
FINGERPRINT = "whisper_fingerprint"
"""Metadata of a head's file: the fingerprint of the encoder that it learned from."""
_KIND = "WhisperSpec"
_REMEDY = (
    "Give the folder, or model.bin, of Whisper base in CTranslate2's layout, as float16 or float32; "
    "docs/audio.md tells where it is had from."
)


@dataclass(frozen=True)
class WhisperPhonesConfig:
    """Sizes of the head.

    Attributes:
        width: of the encoder's features.
        layers: of the encoder that it reads, 0 for what lies before the blocks.
        inner: width of its own features.
        blocks, taps: of its filters along time; taps are odd.
        dropout: share of its features that training hides.
    """

    width: int = 512
    layers: tuple[int, ...] = (3, 4, 5, 6)
    inner: int = 160
    blocks: int = 3
    taps: int = 5
    dropout: float = 0.1


class WhisperPhones(nn.Module):
    """Phone logits from a learned mean of the encoder's layers, each normalised, and filters along time."""

    def __init__(self, config: WhisperPhonesConfig | None = None):
        super().__init__()
        self.config = config or WhisperPhonesConfig()
        self.shares = nn.Parameter(torch.zeros(len(self.config.layers)))
        self.lower = nn.Linear(self.config.width, self.config.inner)
        self.blocks = nn.ModuleList(
            TemporalBlock(self.config.inner, self.config.taps, self.config.dropout)
            for _ in range(self.config.blocks)
        )
        self.norm = nn.LayerNorm(self.config.inner)
        self.dropout = nn.Dropout(self.config.dropout)
        self.classify = nn.Linear(self.config.inner, len(PHONES))

    def forward(self, features: Tensor) -> Tensor:
        """Returns the logits over PHONES.

        Args:
            features: (B, T, L, width), the layers of the configuration in their order.

        Returns:
            (B, T, 40); row i is at 0.02 i + 0.005 s.

        Raises:
            ValueError: the features have another shape.
        """
        expected = (len(self.config.layers), self.config.width)
        if features.ndim != 4 or tuple(features.shape[2:]) != expected:
            raise ValueError(f"features of shape {tuple(features.shape)}: expected (B, T, {expected}).")
        flat = nn.functional.layer_norm(features.float(), expected[1:])
        x = torch.einsum("btlc,l->btc", flat, self.shares.softmax(0))
        x = self.lower(self.dropout(x))
        for block in self.blocks:
            x = block(x)
        return self.classify(self.norm(x))


def build_whisper_phones(config: dict[str, Any]) -> WhisperPhones:
    """Returns the untrained head of a configuration's settings."""
    return WhisperPhones(WhisperPhonesConfig(**{**config, "layers": tuple(config["layers"])}))


def load_whisper_phones(encoder: WhisperEncoder, path: Path = DEFAULT_HEAD) -> WhisperPhones:
    """Reads the file that `train whisper-phones` writes.

    Raises:
        UserError: the file is missing or broken, or learned from another encoder.
    """
    known = {FINGERPRINT: encoder_fingerprint(encoder)}
    try:
        return read_network_file(
            path, build_whisper_phones, "head for Whisper of this version", required=PHONES_FACT | known
        )
    except UserError as error:
        if not path.exists() or "holds no head" not in error.message:
            raise
        raise UserError(
            f"{path}: learned from another Whisper than the one given.",
            "Give the multilingual Whisper base that docs/audio.md names, or train a head for yours: "
            "python -m ml_backend train whisper-phones.",
        ) from error


@cache
def load_whisper_encoder(path: Path) -> WhisperEncoder:
    """Reads the encoder out of a model of CTranslate2.

    Args:
        path: model.bin, one of its parts, or a folder with either.

    Raises:
        UserError: there is none, or it is broken, stored as whole numbers, or another kind of network.
    """
    arrays = read_ctranslate2(path, _KIND, lambda name: name.startswith("encoder/"), _REMEDY)
    try:
        return WhisperEncoder.from_ctranslate2(arrays)
    except ValueError as error:
        raise UserError(f"{path}: cannot be used: {error}.", _REMEDY) from error


def encoder_fingerprint(encoder: WhisperEncoder) -> str:
    """Returns 16 hexadecimal digits that tell one encoder's weights from another's."""
    weights = encoder.lift.weight.detach().cpu().numpy().astype(np.float16)
    return hashlib.sha256(weights.tobytes()).hexdigest()[:16]


def chosen_layers(layers: Sequence[Tensor], numbers: Sequence[int]) -> Tensor:
    """Returns some of the encoder's layers, (B, T, width) each, side by side: (B, T, L, width)."""
    return torch.stack([layers[number] for number in numbers], 2)
