"""The sound of films and of containers that libsndfile does not read (AAC, m4a, mp4, mov ...), by PyAV."""

from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_UNKNOWN = "its sound cannot be decoded"
_LATEST_START = 0.02
"""Seconds; a sound that begins later than its film is preceded by silence."""


class ContainerSound:
    """The first sound stream of a container, read like a `soundfile.SoundFile`.

    Attributes:
        samplerate: in Hz.
        channels: their number.
        frames: samples of a channel, as the container says; counted where it does not.

    Raises:
        av.FFmpegError: the container cannot be opened.
        ValueError: it has no sound.
    """

    def __init__(self, path: Path):
        self._path = path
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise ValueError("it has no sound")
            stream = container.streams.audio[0]
            if not stream.codec_context:  # of a codec that FFmpeg does not know
                raise ValueError(_UNKNOWN)
            self.samplerate = int(stream.rate or 0)
            self.channels = int(stream.channels or 0)
            self._lead = self._silence(container, stream)
            seconds = self._seconds(container, stream)
        if not self.samplerate or not self.channels:
            raise ValueError(_UNKNOWN)
        self._samples = self._decoded()
        self._left = np.zeros((0, self.channels), np.float32)
        if seconds is None:
            self.frames = sum(len(block) for block in self._decoded())
        else:
            self.frames = self._lead + round(seconds * self.samplerate)

    def __enter__(self) -> "ContainerSound":
        self._samples = self._decoded()
        self._left = np.zeros((0, self.channels), np.float32)
        return self

    def __exit__(self, *_) -> None:
        self._samples.close()

    def seek(self, frame: int) -> None:
        """Passes over the samples before a frame; to be called before the first `read`."""
        while frame > 0:
            passed = len(self.read(min(frame, 1 << 16)))
            if not passed:
                return
            frame -= passed

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> np.ndarray:
        """Returns the next samples, (N, C) float32; fewer than asked for at the end.

        Args:
            frames: samples of a channel to read.
            dtype: only "float32".
            always_2d: only True.
        """
        parts = [self._left]
        count = len(self._left)
        while count < frames:
            block = next(self._samples, None)
            if block is None:
                break
            parts.append(block)
            count += len(block)
        joined = np.concatenate(parts) if len(parts) > 1 else self._left
        self._left = joined[frames:]
        return joined[:frames]

    def _silence(self, container, stream) -> int:
        """Returns the samples of silence before a sound that begins after its film."""
        if stream.start_time is None or container.start_time is None:
            return 0
        late = float(stream.start_time * stream.time_base) - container.start_time / av.time_base
        return round(late * self.samplerate) if late > _LATEST_START else 0

    @staticmethod
    def _seconds(container, stream) -> float | None:
        """Returns the length that the stream or its container states; None where neither does."""
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * Fraction(stream.time_base))
        return None if container.duration is None else container.duration / av.time_base

    def _decoded(self) -> Generator[np.ndarray, None, None]:
        """Yields (N, C) float32 blocks, the silence first."""
        if self._lead:
            yield np.zeros((self._lead, self.channels), np.float32)
        with av.open(str(self._path)) as container:
            stream = container.streams.audio[0]
            stream.codec_context.thread_type = "NONE"
            resampler = av.AudioResampler(format="flt", layout=stream.layout, rate=self.samplerate)
            for frame in container.decode(stream):
                for part in resampler.resample(frame):
                    yield part.to_ndarray().reshape(-1, self.channels)
            for part in resampler.resample(None):
                yield part.to_ndarray().reshape(-1, self.channels)
