"""Whisper's encoder and the head on it as a recogniser of phones, in place of our own encoder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ...audio.log_mel import HOP, SAMPLE_RATE
from ...audio.whisper_mel import whisper_mel
from ...errors import UserError
from ...files.ctranslate2_file import model_parts
from .phoneme_recogniser import PhonemeRecogniser, load_phoneme_recogniser
from .speech_encoder import FRAME_RATE
from .whisper_encoder import WhisperEncoder
from .whisper_phones import (
    DEFAULT_HEAD,
    WhisperPhones,
    chosen_layers,
    load_whisper_encoder,
    load_whisper_phones,
)

LEAST_SECONDS = 4.0
"""Shorter sound is padded with silence, as the head has learned it."""
_CORE_SECONDS = 26.0
_CONTEXT_SECONDS = 2.0
_WEIGHTS = (0.6, 0.2)
"""Of the logarithms of what the head and our own encoder hear: about the least cross-entropy of the phones on
voices that the head has not learned. Both are surer than they are right, hence less than 1 together."""


@dataclass(frozen=True)
class WhisperRecogniser:
    """The encoder of Whisper and its head, ready to listen."""

    encoder: WhisperEncoder
    head: WhisperPhones

    def listen(self, samples: np.ndarray, times: np.ndarray, loudness: np.ndarray) -> np.ndarray:
        """Returns phone posteriors of a window.

        Args:
            samples: (N,) float32 at 16 kHz, of any length; longer ones than 30 s are heard in overlapping
                stretches.
            times: (S,) seconds after the first sample at which they are wanted, rising.
            loudness: (S,) there; not needed.

        Returns:
            (S, 40) float32 over `phonetics.phones.PHONES`, rows sum to 1.
        """
        core, context = round(_CORE_SECONDS * SAMPLE_RATE), round(_CONTEXT_SECONDS * SAMPLE_RATE)
        found = []
        for begin in range(0, max(len(samples), 1), core):
            first = max(0, begin - context)
            rows = self._posteriors(samples[first : begin + core + context])
            skipped = round((begin - first) / SAMPLE_RATE * FRAME_RATE)
            found.append(rows[skipped : skipped + round(_CORE_SECONDS * FRAME_RATE)])
        posteriors = np.concatenate(found)
        places = np.arange(len(posteriors)) / FRAME_RATE + 0.005
        nearest = np.round(np.interp(times, places, np.arange(len(places)))).astype(int)
        return posteriors[nearest]

    def _posteriors(self, samples: np.ndarray) -> np.ndarray:
        """Returns the posteriors (S, 40) of at most 30 s, 50 a second."""
        rows = -(-len(samples) // (2 * HOP))
        wanted = max(rows * 2 * HOP, round(LEAST_SECONDS * SAMPLE_RATE))
        mel = whisper_mel(np.pad(samples, (0, wanted - len(samples))))
        with torch.inference_mode():
            layers = self.encoder(torch.from_numpy(mel)[None])
            logits = self.head(chosen_layers(layers, self.head.config.layers))
        return logits[0, :rows].softmax(1).numpy()

    @property
    def weights(self) -> tuple[float, float]:
        """Weights of what it hears, and of what our own encoder hears, which errs on other sounds."""
        return _WEIGHTS

    @property
    def unknown(self) -> tuple[str, ...]:
        """Symbols that stand for no phone: none."""
        return ()


Recogniser = PhonemeRecogniser | WhisperRecogniser
"""Networks of the user's that listen in place of our own encoder."""


def load_recogniser(path: Path) -> Recogniser:
    """Reads the network that a path names: a model of CTranslate2 is Whisper, any other folder wav2vec 2.0.

    Raises:
        UserError: it is missing or broken, or of another kind.
    """
    if not path.exists():
        raise UserError(
            f"{path}: no such file or folder to listen with.",
            "Give the folder of Whisper base, in CTranslate2's layout, or of a phoneme-CTC wav2vec 2.0 "
            "checkpoint.",
        )
    if path.is_file() or (model_parts(path) and not (path / "vocab.json").exists()):
        return load_whisper_recogniser(path)
    return load_phoneme_recogniser(path)


def load_whisper_recogniser(path: Path, head: Path = DEFAULT_HEAD) -> WhisperRecogniser:
    """Reads Whisper's encoder and the head on it.

    Args:
        path: model.bin of CTranslate2, one of its parts, or a folder with either.
        head: what `train whisper-phones` wrote.

    Raises:
        UserError: either is missing or broken, or they do not fit each other.
    """
    encoder = load_whisper_encoder(path)
    return WhisperRecogniser(encoder, load_whisper_phones(encoder, head))
