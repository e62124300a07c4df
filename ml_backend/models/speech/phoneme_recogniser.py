"""A phoneme recogniser of the user's: a wav2vec 2.0 checkpoint in transformers' folder layout.

Written from the papers and the layout's public description, and tested on small random checkpoints; no
released checkpoint was ever run.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ...audio.log_mel import SAMPLE_RATE
from ...errors import UserError
from ...phonetics.recogniser_phones import PhoneMap, fill_blanks, map_vocabulary
from .wav2vec2 import Wav2Vec2, Wav2Vec2Config

_REMEDY = (
    "Give the folder of a phoneme-CTC wav2vec 2.0 checkpoint with config.json, model.safetensors, vocab.json "
    "and preprocessor_config.json."
)
_LARGEST = 8 * 2**30  # bytes of a tensor file


@dataclass(frozen=True)
class PhonemeRecogniser:
    """A checkpoint, ready to listen.

    Attributes:
        network: waveform to logits.
        phones: how its vocabulary shares in ours.
        normalises: whether it wants the waveform with mean 0 and variance 1.
    """

    network: Wav2Vec2
    phones: PhoneMap
    normalises: bool

    @property
    def weights(self) -> tuple[float, float]:
        """Weights of what it hears, and of what our own encoder hears: it listens alone."""
        return 1.0, 0.0

    @property
    def unknown(self) -> tuple[str, ...]:
        """Symbols of the vocabulary that stand for no phone and are passed over."""
        return self.phones.unknown

    def listen(self, samples: np.ndarray, times: np.ndarray, loudness: np.ndarray) -> np.ndarray:
        """Returns phone posteriors of a window.

        Args:
            samples: (N,) float32 at 16 kHz.
            times: (S,) seconds after the first sample at which they are wanted, rising.
            loudness: (S,) there, as `audio.log_mel.normalise` gives it.

        Returns:
            (S, 40) float32 over `speech.phones.PHONES`, rows sum to 1.
        """
        config = self.network.config
        padded = np.pad(samples, (0, max(0, config.reach - len(samples)))).astype(np.float32)
        if self.normalises:
            padded = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
        with torch.inference_mode():
            chances = self.network(torch.from_numpy(padded)[None])[0].softmax(1).numpy()
        chances[:, config.pad_token_id] = 0
        places = (np.arange(len(chances)) * config.stride + config.reach / 2) / SAMPLE_RATE
        filled = fill_blanks(chances @ self.phones.matrix, np.interp(places, times, loudness))
        nearest = np.clip(
            np.round(np.interp(times, places, np.arange(len(places)))), 0, len(places) - 1
        ).astype(int)
        return filled[nearest]


@lru_cache(maxsize=1)
def load_phoneme_recogniser(folder: Path) -> PhonemeRecogniser:
    """Reads a checkpoint's folder.

    A file phone_map.json in it, {symbol: ARPAbet phone, list of phones or null}, is asked before the built-in
    tables.

    Raises:
        UserError: a file is missing or broken, or the network or its vocabulary is of another kind.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder.", _REMEDY)
    sound = _document(folder / "preprocessor_config.json")
    if sound.get("sampling_rate", SAMPLE_RATE) != SAMPLE_RATE:
        raise UserError(
            f"{folder}: listens to {sound['sampling_rate']} Hz.",
            f"Only checkpoints for {SAMPLE_RATE} Hz can be used.",
        )
    vocabulary = _document(folder / "vocab.json")
    if not vocabulary or not all(isinstance(row, int) and row >= 0 for row in vocabulary.values()):
        raise UserError(
            f"{folder / 'vocab.json'}: not a vocabulary of one language.",
            "Expected {symbol: row of the head}.",
        )
    own = _document(folder / "phone_map.json") if (folder / "phone_map.json").exists() else None
    try:
        config = Wav2Vec2Config.from_document(_document(folder / "config.json"))
        if max(vocabulary.values()) >= config.vocab_size:
            raise ValueError(f"its vocabulary has more symbols than the head's {config.vocab_size} rows")
        phones = map_vocabulary(vocabulary, config.vocab_size, own)
        network = Wav2Vec2(config)
        network.load(_tensors(folder))
    except (ValueError, TypeError) as error:
        raise UserError(f"{folder}: cannot be used: {error}.", _REMEDY) from error
    return PhonemeRecogniser(
        network.eval().requires_grad_(False), phones, bool(sound.get("do_normalize", True))
    )


def _document(path: Path) -> dict:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).", _REMEDY) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON.", _REMEDY) from error
    if not isinstance(document, dict):
        raise UserError(f"{path}: not a JSON object.", _REMEDY)
    return document


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Returns the checkpoint's tensors, from one file or from the parts that an index names."""
    index = folder / "model.safetensors.index.json"
    names = ["model.safetensors"]
    if not (folder / names[0]).exists():
        if not index.exists():
            old = (
                "; it has a pickled pytorch_model.bin, which is not opened"
                if (folder / "pytorch_model.bin").exists()
                else ""
            )
            raise UserError(
                f"{folder / names[0]}: no such file{old}.",
                "Save the checkpoint as safetensors." if old else _REMEDY,
            )
        names = sorted({str(part) for part in _document(index).get("weight_map", {}).values()})
    found: dict[str, torch.Tensor] = {}
    for name in names:
        path = folder / name
        try:
            if Path(name).name != name or path.stat().st_size > _LARGEST:
                raise UserError(f"{path}: not a part of this checkpoint.", _REMEDY)
            found |= load_file(path)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}).", _REMEDY) from error
        except SafetensorError as error:
            raise UserError(f"{path}: not a safetensors file, or broken.", "Copy it again.") from error
    return found
