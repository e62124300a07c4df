"""Reads any recording as 16 kHz mono, block by block, so that length costs no memory."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ..errors import UserError
from .log_mel import SAMPLE_RATE

_LOWEST_RATE, _HIGHEST_RATE = 4000, 384000
FORMATS = "wav, flac, mp3, ogg"


class AudioFile:
    """A recording that has been opened and looks sound.

    Attributes:
        path: the file.
        seconds: its length as its header says.

    Raises:
        UserError: the file is missing, empty, no recording, or has no samples; the message names it.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.exists():
            raise UserError(f"{path}: no such file.", "Check the path.")
        if not self.path.is_file():
            raise UserError(f"{path}: not a file.", f"Choose a recording ({FORMATS}).")
        if self.path.stat().st_size == 0:
            raise UserError(f"{path}: the file is empty.", "Export the recording again.")
        try:
            info = soundfile.info(str(self.path))
        except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
            raise UserError(
                f"{path}: not a recording that can be read ({_reason(error)}).", f"Convert it to {FORMATS}."
            ) from error
        if info.frames <= 0:
            raise UserError(
                f"{path}: the recording has no samples.", "Export it again; the file may be truncated."
            )
        if not _LOWEST_RATE <= info.samplerate <= _HIGHEST_RATE:
            raise UserError(f"{path}: a sample rate of {info.samplerate} Hz.", "Convert it to 8 to 96 kHz.")
        self._check_length(info)
        self.rate, self.frames, self.channels = info.samplerate, info.frames, info.channels
        self.seconds = info.frames / info.samplerate

    def _check_length(self, info) -> None:
        """A WAV header may promise more than the file holds; libsndfile then silently reads less."""
        if info.format not in {"WAV", "WAVEX"}:
            return
        data = self.path.open("rb").read(4096)
        at = data.find(b"data")
        promised = int.from_bytes(data[at + 4 : at + 8], "little") if at >= 0 else 0
        if 0 < promised < 0xFFFFFF00 and at + 8 + promised > self.path.stat().st_size + 1:
            raise UserError(f"{self.path}: the recording is truncated.", "Copy or export it again.")

    def range_seconds(self, start: float = 0.0, length: float = 0.0) -> float:
        """How many seconds there are from `start` on, at most `length`; 0 means all that is left.

        Raises:
            UserError: nothing is there.
        """
        if not (0 <= start < self.seconds and length >= 0):
            raise UserError(
                f"{self.path}: {self.seconds:.2f} s long; from {start} s on, {length} s of it cannot be read.",
                "Choose a range inside the recording.",
            )
        left = self.seconds - start
        return min(length, left) if length else left

    def blocks(self, seconds: float = 10.0, start: float = 0.0, length: float = 0.0) -> Iterator[np.ndarray]:
        """Reads the recording once.

        Args:
            seconds: length of a block of the file.
            start: seconds at which to begin.
            length: seconds to read; 0 for all that is left.

        Yields:
            float32 mono samples at 16 kHz; pieces of about the block's length. Channels are averaged, unless
            they cancel each other or
            most of them are silent: then the loudest is taken.

        Raises:
            UserError: the file breaks off or holds values that are not numbers, or the range is not inside
                it.
        """
        wanted = min(
            round(self.range_seconds(start, length) * self.rate), self.frames - round(start * self.rate)
        )
        resampler = (
            soxr.ResampleStream(self.rate, SAMPLE_RATE, 1, dtype="float32")
            if self.rate != SAMPLE_RATE
            else None
        )
        done = 0
        try:
            with soundfile.SoundFile(str(self.path)) as file:
                if start:
                    file.seek(round(start * self.rate))
                while True:
                    block = file.read(
                        min(int(seconds * self.rate), wanted - done), dtype="float32", always_2d=True
                    )
                    done += len(block)
                    last = len(block) == 0
                    if not np.isfinite(block).all():
                        raise UserError(
                            f"{self.path}: holds samples that are not numbers (NaN or infinite).",
                            "Export the recording again.",
                        )
                    mono = np.clip(_one_channel(block), -4, 4).astype(np.float32)
                    if resampler:
                        mono = resampler.resample_chunk(mono, last=last)
                    if len(mono):
                        yield mono
                    if last:
                        break
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise UserError(
                f"{self.path}: breaks off at {done / self.rate:.1f} s ({_reason(error)}).",
                "Copy or export it again.",
            ) from error
        if done == 0:
            raise UserError(f"{self.path}: none of its samples can be read.", "Copy or export it again.")
        if done < 0.98 * wanted - self.rate / 2:
            raise UserError(
                f"{self.path}: truncated: {done / self.rate:.1f} of {wanted / self.rate:.1f} s could be read.",
                "Copy or export it again.",
            )


def _one_channel(block: np.ndarray) -> np.ndarray:
    """(N, C) -> (N,): the mean, or the loudest channel where the mean would lose more than 10 dB against it."""
    mean = block.mean(1) if block.shape[1] > 1 else block[:, 0]
    if block.shape[1] == 1 or not len(block):
        return mean
    power = (block.astype(float) ** 2).mean(0)
    return mean if (mean.astype(float) ** 2).mean() >= 0.1 * power.max() else block[:, int(power.argmax())]


def read_audio(path: str | Path) -> np.ndarray:
    """Reads a whole recording: (N,) float32 mono at 16 kHz.

    Raises:
        UserError: as `AudioFile` and its blocks.
    """
    return np.concatenate(list(AudioFile(path).blocks()))


def _reason(error: Exception) -> str:
    return str(error).split(": ")[-1].strip().rstrip(".") or type(error).__name__
