"""The trained pair, speech encoder and decoder, read from their weight file."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from ..errors import UserError
from ..speech.phones import PHONES
from ..tensor_file import read_tensors
from .autoregressive_decoder import AutoregressiveDecoder, AutoregressiveDecoderConfig
from .speech_decoder import SpeechDecoder, SpeechDecoderConfig
from .speech_encoder import SpeechEncoder, SpeechEncoderConfig

DEFAULT_FILE = Path(__file__).resolve().parent.parent / "assets" / "speech.safetensors"
AUTOREGRESSIVE_FILE = DEFAULT_FILE.with_name("speech_autoregressive.safetensors")


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
    arrays, metadata = read_tensors(path)
    broken = UserError(f"{path}: not weights of this version's speech networks.", "Reinstall the extension, or train them again.")
    try:
        encoder = SpeechEncoder(SpeechEncoderConfig(**json.loads(metadata["encoder"])))
        decoder = SpeechDecoder(SpeechDecoderConfig(**json.loads(metadata["decoder"])))
        state = {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}
        for prefix, module in (("encoder.", encoder), ("decoder.", decoder)):
            module.load_state_dict({name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)})
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise broken from error
    if metadata.get("phones") != " ".join(PHONES):
        raise broken
    return SpeechNetworks(encoder.eval().requires_grad_(False), decoder.eval().requires_grad_(False))


@cache
def load_autoregressive_decoder(path: Path = AUTOREGRESSIVE_FILE) -> AutoregressiveDecoder:
    """Reads what `train speech-autoregressive` wrote.

    Raises:
        UserError: the file is missing or broken, or is of another version.
    """
    arrays, metadata = read_tensors(path)
    broken = UserError(f"{path}: not weights of this version's autoregressive decoder.", "Reinstall the extension, or train them again.")
    if metadata.get("phones") != " ".join(PHONES):
        raise broken
    try:
        decoder = AutoregressiveDecoder(AutoregressiveDecoderConfig(**json.loads(metadata["autoregressive_decoder"])))
        decoder.load_state_dict({name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()})
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise broken from error
    return decoder.eval().requires_grad_(False)
