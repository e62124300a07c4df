"""The trained pair, speech encoder and decoder, read from their weight file."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from ...asset_files import ASSETS
from ...files.network_file import read_network_file
from ...phonetics.phones import PHONES
from .autoregressive_decoder import AutoregressiveDecoder, AutoregressiveDecoderConfig
from .speech_decoder import SpeechDecoder, SpeechDecoderConfig
from .speech_encoder import SpeechEncoder, SpeechEncoderConfig

DEFAULT_FILE = ASSETS / "speech.safetensors"
AUTOREGRESSIVE_FILE = DEFAULT_FILE.with_name("speech_autoregressive.safetensors")
PHONES_FACT = {"phones": " ".join(PHONES)}
"""Metadata of a speech file: the phones in their order."""


@dataclass(frozen=True)
class SpeechNetworks:
    """Both networks, ready to run."""

    encoder: SpeechEncoder
    decoder: SpeechDecoder


def build_speech_networks(config: dict[str, Any]) -> nn.ModuleDict:
    """Returns the untrained pair by name.

    Args:
        config: "encoder" and "decoder", the settings of their configurations.
    """
    encoder = SpeechEncoder(SpeechEncoderConfig(**config["encoder"]))
    decoder = SpeechDecoder(SpeechDecoderConfig(**config["decoder"]))
    return nn.ModuleDict({"encoder": encoder, "decoder": decoder})


@cache
def load_speech_networks(path: Path = DEFAULT_FILE) -> SpeechNetworks:
    """Reads the file that `train speech` writes.

    Raises:
        UserError: the file is missing or broken, or is of another version.
    """

    def older_config(metadata: dict[str, str]) -> dict[str, Any]:
        return {name: json.loads(metadata[name]) for name in ("encoder", "decoder")}

    pair = read_network_file(
        path,
        build_speech_networks,
        "pair of speech networks of this version",
        older_config=older_config,
        required=PHONES_FACT,
    )
    encoder = pair["encoder"]
    decoder = pair["decoder"]
    assert isinstance(encoder, SpeechEncoder)
    assert isinstance(decoder, SpeechDecoder)
    return SpeechNetworks(encoder, decoder)


@cache
def load_autoregressive_decoder(path: Path = AUTOREGRESSIVE_FILE) -> AutoregressiveDecoder:
    """Reads the file that `train speech-autoregressive` writes.

    Raises:
        UserError: the file is missing or broken, or is of another version.
    """

    def build(config: dict[str, Any]) -> AutoregressiveDecoder:
        return AutoregressiveDecoder(AutoregressiveDecoderConfig(**config))

    return read_network_file(
        path,
        build,
        "autoregressive decoder of this version",
        older_config=lambda metadata: json.loads(metadata["autoregressive_decoder"]),
        required=PHONES_FACT,
    )
