"""Reads any recording as 16 kHz mono, block by block, so that length costs no memory."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
from av.error import FFmpegError

from ..errors import UserError
from .container_sound import ContainerSound
from .log_mel import SAMPLE_RATE
from .sample_bytes import sample_bytes
from .sound_level import LEVEL_DB, SoundSurvey, choose_channels, frame_powers, level_db

FORMATS = "wav, flac, mp3, ogg, m4a"
_LOWEST_RATE, _HIGHEST_RATE = 4000, 384000
_BLOCK = 10.0
_UNREADABLE = (1, 4)
"""libsndfile's errors for formats and encodings that it does not read."""
_MOST_MISSING = 0.02
"""Seconds by which a header may promise more than the file holds, such as one sample."""


class AudioFile:
    """A recording that has been opened and looks sound.

    Attributes:
        path: the file.
        rate: samples a second.
        frames: samples of a channel, as the header says.
        channels: their number.
        seconds: its length as its header says.

    Raises:
        UserError: the file is missing, empty, truncated, no recording, or has no samples.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.exists():
            raise UserError(f"{path}: no such file.", "Check the path.")
        if not self.path.is_file():
            raise UserError(f"{path}: not a file.", f"Choose a recording ({FORMATS}).")
        if self.path.stat().st_size == 0:
            raise UserError(f"{path}: the file is empty.", "Export the recording again.")
        samples = sample_bytes(self.path)
        if samples is not None and samples.missing_seconds() > _MOST_MISSING:
            raise UserError(f"{path}: the recording is truncated.", "Copy or export it again.")
        left_open = samples is not None and samples.promised is None and samples.available > 0
        self._container: ContainerSound | None = None
        try:
            sound = soundfile.info(str(self.path))
            if sound.frames <= 0 and left_open:
                sound = self._container = self._open_container("its header has no length")
        except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
            if getattr(error, "code", 1) not in _UNREADABLE:
                raise self._not_readable(_reason(error)) from error
            sound = self._container = self._open_container(_reason(error))
        if sound.frames <= 0:
            raise UserError(
                f"{path}: the recording has no samples.", "Export it again; the file may be truncated."
            )
        if not _LOWEST_RATE <= sound.samplerate <= _HIGHEST_RATE:
            raise UserError(f"{path}: a sample rate of {sound.samplerate} Hz.", "Convert it to 8 to 96 kHz.")
        self.rate, self.frames, self.channels = sound.samplerate, sound.frames, sound.channels
        self.seconds = sound.frames / sound.samplerate

    def _open_container(self, reason: str) -> ContainerSound:
        try:
            return ContainerSound(self.path)
        except ValueError as error:
            raise self._not_readable(str(error)) from error
        except (FFmpegError, OSError) as error:
            raise self._not_readable(reason) from error

    def _not_readable(self, reason: str) -> UserError:
        return UserError(
            f"{self.path}: not a recording that can be read ({reason}).", f"Convert it to {FORMATS}."
        )

    def range_seconds(self, start: float = 0.0, length: float = 0.0) -> float:
        """Returns the seconds that there are from `start` on, at most `length`; 0 means all that is left.

        Raises:
            UserError: nothing is there.
        """
        if not (0 <= start < self.seconds and length >= 0):
            raise UserError(
                f"{self.path}: {self.seconds:.2f} s long; {length} s of it from {start} s on cannot be read.",
                "Choose a range inside the recording.",
            )
        left = self.seconds - start
        return min(length, left) if length else left

    def survey(self, start: float = 0.0, length: float = 0.0, channel: int = 0) -> SoundSurvey:
        """Measures the level of a part of the recording, and chooses the channels that carry speech.

        Args:
            start: seconds at which to begin.
            length: seconds to measure; 0 for all that is left.
            channel: the only channel to use, from 1 on; 0 to choose.

        Returns:
            The survey, to be given to `blocks`.

        Raises:
            UserError: as `blocks`, or the channel is not there.
        """
        if not 0 <= channel <= self.channels:
            raise UserError(
                f"{self.path}: has no channel {channel}.", f"Choose 1 to {self.channels}, or 0 for the best."
            )
        covariance, notes = np.zeros((self.channels, self.channels)), ()
        weights = np.ones(1, np.float32)

        def measured() -> Iterator[np.ndarray]:
            for block in self._raw_blocks(_BLOCK, start, length):
                part = block.astype(np.float64)
                covariance[...] += part.T @ part
                yield block

        powers = frame_powers(measured(), self.rate)
        if self.channels > 1:
            weights, notes = choose_channels(powers, covariance)
            if channel:
                weights, notes = np.eye(self.channels, dtype=np.float32)[channel - 1], ()
            chosen = np.flatnonzero(weights)
            if len(chosen) == 1:
                powers = powers[:, chosen]
            else:
                powers = frame_powers(
                    ((block @ weights)[:, None] for block in self._raw_blocks(_BLOCK, start, length)),
                    self.rate,
                )
        level = level_db(powers[:, 0])
        if level is None:
            notes = (*notes, "the recording is silent: the mouth stays closed")
        gain = 1.0 if level is None else 10 ** ((LEVEL_DB - level) / 20)
        return SoundSurvey(weights, gain, level is None, notes)

    def blocks(
        self,
        seconds: float = _BLOCK,
        start: float = 0.0,
        length: float = 0.0,
        survey: SoundSurvey | None = None,
    ) -> Iterator[np.ndarray]:
        """Reads a part of the recording.

        Args:
            seconds: length of a block of the file.
            start: seconds at which to begin.
            length: seconds to read; 0 for all that is left.
            survey: channels and gain; None keeps the recording's level and chooses among several channels.

        Yields:
            (N,) float32 mono samples at 16 kHz; pieces of about the block's length.

        Raises:
            UserError: the file breaks off or holds values that are not numbers, or the range is not inside
                it.
        """
        if survey is None:
            survey = (
                SoundSurvey(np.ones(1, np.float32), 1.0, False, ())
                if self.channels == 1
                else replace(self.survey(start, length), gain=1.0)
            )
        resampler = (
            soxr.ResampleStream(self.rate, SAMPLE_RATE, 1, dtype="float32")
            if self.rate != SAMPLE_RATE
            else None
        )
        weights = (survey.weights * survey.gain).astype(np.float32)
        for block in self._raw_blocks(seconds, start, length):
            mono = np.clip(block @ weights, -4, 4).astype(np.float32)
            if resampler:
                mono = resampler.resample_chunk(mono)
            if len(mono):
                yield mono
        if resampler:
            rest = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
            if len(rest):
                yield rest

    def _raw_blocks(self, seconds: float, start: float, length: float) -> Iterator[np.ndarray]:
        """Yields (N, C) float32 samples at the file's rate; raises UserError as `blocks`."""
        count = min(
            round(self.range_seconds(start, length) * self.rate), self.frames - round(start * self.rate)
        )
        done = 0
        try:
            with self._container or soundfile.SoundFile(str(self.path)) as file:
                if start:
                    file.seek(round(start * self.rate))
                while True:
                    block = file.read(
                        min(int(seconds * self.rate), count - done), dtype="float32", always_2d=True
                    )
                    done += len(block)
                    if not np.isfinite(block).all():
                        raise UserError(
                            f"{self.path}: holds samples that are not numbers (NaN or infinite).",
                            "Export the recording again.",
                        )
                    if not len(block):
                        break
                    yield block
        except (soundfile.LibsndfileError, FFmpegError, RuntimeError) as error:
            raise UserError(
                f"{self.path}: breaks off at {done / self.rate:.1f} s ({_reason(error)}).",
                "Copy or export it again.",
            ) from error
        if done == 0:
            raise UserError(f"{self.path}: none of its samples can be read.", "Copy or export it again.")
        if done < 0.98 * count - self.rate / 2:
            raise UserError(
                f"{self.path}: truncated: {done / self.rate:.1f} of {count / self.rate:.1f} s could be read.",
                "Copy or export it again.",
            )


def read_audio(path: str | Path) -> np.ndarray:
    """Returns a whole recording: (N,) float32 mono at 16 kHz.

    Raises:
        UserError: as `AudioFile` and its blocks.
    """
    return np.concatenate(list(AudioFile(path).blocks()))


def _reason(error: Exception) -> str:
    return str(error).split(": ")[-1].strip().rstrip(".") or type(error).__name__
