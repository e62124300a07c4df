"""Crops of synthesised speech with phone labels, curves and prosody, for training."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..audio.log_mel import FRAME_RATE, QUIET, relative_pitch
from ..errors import UserError
from ..files.tensor_file import read_tensors
from ..phonetics.coarticulation import curves_from_phones
from ..phonetics.phones import PHONES, UNKNOWN
from .speech_augmentation import augment, normalise

# How often a batch's sequence comes from an engine: people's recorded voices often, formant synthesis seldom.
ENGINE_SHARE = {
    "flite": 0.22,
    "festival": 0.16,
    "piper": 0.12,
    "kokoro": 0.4,
    "espeak": 0.06,
    "negatives": 0.04,
}


@dataclass(frozen=True)
class VoiceStream:
    """All utterances of a voice end to end.

    Attributes:
        name: of the voice.
        mel: log-mel (T, 64) float16.
        pitch: (T, 2) float16, Hz and voicing.
        phones: (P,).
        ends: of the phones, (P,) seconds.
    """

    name: str
    mel: np.ndarray
    pitch: np.ndarray
    phones: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class SpeechBatch:
    """A batch; B sequences of S label frames (50 a second) and T curve frames.

    Attributes:
        mel: (B, 2 S, 64) normalised.
        prosody: (B, S, 3), as the decoder reads it.
        labels: (B, S) int64 into PHONES; -100 where unknown.
        times: (T,) seconds.
        curves: (B, T, 52).
        phones_at: (B, T) int64, the phone at each curve frame; -100 where unknown.
    """

    mel: Tensor
    prosody: Tensor
    labels: Tensor
    times: Tensor
    curves: Tensor
    phones_at: Tensor


def read_stream(path: Path) -> VoiceStream:
    """Reads one voice's file.

    Raises:
        UserError: the file is not one of `build-speech-data`, or was made with another phone set.
    """
    arrays, metadata = read_tensors(path)
    if (
        metadata.get("phones") != " ".join(PHONES)
        or not {"mel", "pitch", "phones", "ends", "phone_start", "frame_start", "pitch_start"}
        <= arrays.keys()
    ):
        raise UserError(
            f"{path}: not a speech training file of this version.", "Make it again with build-speech-data."
        )
    frame, pitch_start, phone = arrays["frame_start"], arrays["pitch_start"], arrays["phone_start"]
    pitch = np.zeros((len(arrays["mel"]), 2), np.float16)
    ends = arrays["ends"].astype(np.float64)
    for index in range(len(frame) - 1):
        rows = np.arange(frame[index + 1] - frame[index]) // 2 + pitch_start[index]
        pitch[frame[index] : frame[index + 1]] = arrays["pitch"][rows]
        mine = slice(phone[index], phone[index + 1])
        ends[mine] += frame[index] / FRAME_RATE
        ends[phone[index + 1] - 1] = frame[index + 1] / FRAME_RATE
    return VoiceStream(path.stem, arrays["mel"], pitch, arrays["phones"], np.maximum.accumulate(ends))


def read_streams(
    folder: Path, leave_out: tuple[str, ...] = ()
) -> tuple[list[VoiceStream], list[VoiceStream]]:
    """Reads a training set.

    Args:
        folder: what `build-speech-data --out` wrote.
        leave_out: voices (file stems) that are kept for validation.

    Returns:
        The voices to learn from and the voices left out.

    Raises:
        UserError: the folder holds no voice.
    """
    streams = [read_stream(path) for path in sorted(folder.glob("*.safetensors"))]
    if not [s for s in streams if s.name != "negatives"]:
        raise UserError(
            f"{folder}: holds no speech training files.",
            "Make them: python -m ml_backend build-speech-data --out DIR.",
        )
    return [s for s in streams if s.name not in leave_out], [s for s in streams if s.name in leave_out]


class SpeechSampler:
    """Draws batches.

    Args:
        streams: the voices.
        seconds: length of a sequence.
        seed: decides the batches.
        augmented: whether to put the sequences into other rooms, throats and noises.
    """

    def __init__(self, streams: list[VoiceStream], seconds: float, seed: int, augmented: bool = True):
        self.streams, self.augmented = streams, augmented
        self.frames = 2 * int(seconds * FRAME_RATE / 2)
        engines = [s.name.split("-")[0] for s in streams]
        weights = np.array([ENGINE_SHARE.get(e, 0.1) / engines.count(e) for e in engines])
        self.weights = weights / weights.sum()
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)

    def batch(self, size: int, fps: float) -> SpeechBatch:
        """Draws `size` sequences, curves at `fps` frames a second."""
        times = np.arange(0, self.frames / FRAME_RATE, 1 / fps)
        at = np.arange(0, self.frames, 2) / FRAME_RATE + 0.5 / FRAME_RATE
        mels, pitches, labels, curves, phones_at = [], [], [], [], []
        for stream in self.rng.choice(len(self.streams), size, p=self.weights):
            mel, pitch, phones, begins, ends = self._crop(self.streams[stream])
            mels.append(mel)
            pitches.append(relative_pitch(pitch[::2]))
            labels.append(_phones_at(phones, ends, at))
            phones_at.append(_phones_at(phones, ends, times))
            curves.append(curves_from_phones(phones, ends, times, float(begins), 1.0))
        mel = torch.from_numpy(np.stack(mels))
        if self.augmented:
            mel = augment(mel, self.generator)
        flat, loudness = normalise(mel)
        prosody = torch.cat([loudness[:, ::2, None], torch.from_numpy(np.stack(pitches))], 2)
        return SpeechBatch(
            flat, prosody, torch.from_numpy(np.stack(labels)), torch.from_numpy(times).float(),
            torch.from_numpy(np.stack(curves)), torch.from_numpy(np.stack(phones_at)),
        )  # fmt: skip

    def _crop(self, stream: VoiceStream):
        """A stretch of the stream, its time scaled so that speech is 0.8 to 1.25 as fast."""
        speed = float(np.exp(self.rng.uniform(np.log(0.8), np.log(1.25)))) if self.augmented else 1.0
        span = int(self.frames * speed) + 2
        begin = int(self.rng.integers(max(1, len(stream.mel) - span)))
        source = np.clip(np.arange(self.frames) * speed, 0, min(span, len(stream.mel) - begin) - 1.001)
        low = source.astype(int)
        share = (source - low).astype(np.float32)[:, None]
        rows = stream.mel[begin : begin + span].astype(np.float32)
        mel = (
            rows[low] * (1 - share) + rows[low + 1] * share
            if len(rows) > 1
            else np.full((self.frames, rows.shape[1]), QUIET, np.float32)
        )
        first, last = np.searchsorted(
            stream.ends, (begin / FRAME_RATE, (begin + span) / FRAME_RATE), side="right"
        )
        last = min(last + 1, len(stream.phones))
        ends = (stream.ends[first:last] - begin / FRAME_RATE) / speed
        start = (stream.ends[first - 1] if first else 0.0) - begin / FRAME_RATE
        return (
            mel,
            stream.pitch[begin : begin + span].astype(np.float32)[low],
            stream.phones[first:last],
            start / speed,
            ends,
        )


def _phones_at(phones: np.ndarray, ends: np.ndarray, times: np.ndarray) -> np.ndarray:
    labels = phones[np.minimum(np.searchsorted(ends, times, side="right"), len(phones) - 1)].astype(np.int64)
    return np.where(labels == UNKNOWN, -100, labels)
