"""The trained pair, speech encoder and decoder, read from their weight file."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ...asset_files import ASSETS
from ...errors import UserError
from ...files.tensor_file import read_tensors
from ...phonetics.phones import PHONES
from .autoregressive_decoder import AutoregressiveDecoder, AutoregressiveDecoderConfig
from .speech_decoder import SpeechDecoder, SpeechDecoderConfig
from .speech_encoder import SpeechEncoder, SpeechEncoderConfig

DEFAULT_FILE = ASSETS / "speech.safetensors"
AUTOREGRESSIVE_FILE = DEFAULT_FILE.with_name("speech_autoregressive.safetensors")

Networks = TypeVar("Networks")


@dataclass(frozen=True)
class SpeechNetworks:
    """Both networks, ready to run."""

    encoder: SpeechEncoder
    decoder: SpeechDecoder


@cache
def load_speech_networks(path: Path = DEFAULT_FILE) -> SpeechNetworks:
    """Reads what `train speech` wrote.

    Raises:
        UserError: the file is missing or broken, or is of another version.
    """

    def build(state: dict[str, Tensor], metadata: dict[str, str]) -> SpeechNetworks:
        encoder = SpeechEncoder(SpeechEncoderConfig(**json.loads(metadata["encoder"])))
        decoder = SpeechDecoder(SpeechDecoderConfig(**json.loads(metadata["decoder"])))
        for prefix, module in (("encoder.", encoder), ("decoder.", decoder)):
            module.load_state_dict(
                {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
            )
        return SpeechNetworks(encoder.eval().requires_grad_(False), decoder.eval().requires_grad_(False))

    return _read(path, "speech networks", build)


@cache
def load_autoregressive_decoder(path: Path = AUTOREGRESSIVE_FILE) -> AutoregressiveDecoder:
    """Reads what `train speech-autoregressive` wrote.

    Raises:
        UserError: the file is missing or broken, or is of another version.
    """

    def build(state: dict[str, Tensor], metadata: dict[str, str]) -> AutoregressiveDecoder:
        decoder = AutoregressiveDecoder(
            AutoregressiveDecoderConfig(**json.loads(metadata["autoregressive_decoder"]))
        )
        decoder.load_state_dict(state)
        return decoder.eval().requires_grad_(False)

    return _read(path, "autoregressive decoder", build)


def _read(path: Path, what: str, build: Callable[[dict[str, Tensor], dict[str, str]], Networks]) -> Networks:
    """Returns what `build` makes of a file's tensors and metadata."""
    arrays, metadata = read_tensors(path)
    broken = UserError(
        f"{path}: not weights of this version's {what}.", "Reinstall the extension, or train them again."
    )
    if metadata.get("phones") != " ".join(PHONES):
        raise broken
    try:
        return build(
            {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}, metadata
        )
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise broken from error
