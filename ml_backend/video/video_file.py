"""Reads videos frame by frame in constant memory: files that PyAV reads, and sequences of pictures.

Frames come upright (rotation flags), as 8-bit sRGB whatever their depth, with their own time stamps.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import av.error
import av.stream
import numpy as np
from PIL import Image

from ..errors import UserError
from ..fitting.photo_file import read_photo
from .formats import is_sequence, sequence_of

LARGEST_SIDE = 1920
"""Pixels; larger frames are made smaller while they are decoded: a face needs no more."""
SEQUENCE_RATE = 30.0
_SHORTEST = 24
_REMEDY = "Give a video that a media player shows, for example an MP4, or a folder of pictures."
_AUDIO_REMEDY = "Animate it by its sound: Import Audio, or python -m ml_backend animate."
_STILL_REMEDY = (
    "Fit a still picture with Face From Photo, or python -m ml_backend fit. A folder of pictures is a "
    "sequence."
)


@dataclass(frozen=True)
class VideoFrame:
    """A frame.

    Attributes:
        index: from 0 on, in the order of the video.
        seconds: from the video's first frame.
        pixels: (H, W, 3) uint8 sRGB, upright.
    """

    index: int
    seconds: float
    pixels: np.ndarray


@dataclass
class Video:
    """A video, and what became known while it was read.

    Attributes:
        path: of the file, or of the folder of a sequence.
        pictures: of a sequence, in order; empty for a file.
        rate: of a sequence, frames a second.
        expected: frames as the container states, or 0.
        size: (width, height) in pixels of the upright frames as they are handed on.
        full_size: (width, height) in the file, upright.
        notes: sentences for the user.
    """

    path: Path
    pictures: tuple[Path, ...] = ()
    rate: float = SEQUENCE_RATE
    expected: int = 0
    size: tuple[int, int] = (0, 0)
    full_size: tuple[int, int] = (0, 0)
    notes: list[str] = field(default_factory=list)

    def frames(self, start: float = 0.0, end: float | None = None) -> Iterator[VideoFrame]:
        """Yields the frames between two times.

        Args:
            start: seconds of the first frame.
            end: seconds that no frame lies behind; None for the video's end.

        Raises:
            UserError: there are no frames, or not one can be decoded.
        """
        source = self._pictures() if self.pictures else self._decoded()
        count = 0
        for frame in source:
            if end is not None and frame.seconds > end + 1e-6:
                break
            count += 1
            if frame.seconds >= start - 1e-6:
                self._note_size(frame.pixels)
                yield frame
        if not count:
            raise UserError(f"{self.path}: the video holds no frames.", _REMEDY)

    def _note_size(self, pixels: np.ndarray) -> None:
        if self.size == (0, 0):
            self.size = pixels.shape[1], pixels.shape[0]

    def _pictures(self) -> Iterator[VideoFrame]:
        first = None
        for index, path in enumerate(self.pictures):
            photo = read_photo(path)
            self.full_size = photo.full_size
            pixels = _smaller(photo.pixels)
            first = first or pixels.shape
            if pixels.shape != first:
                raise UserError(
                    f"{path}: the picture has another size than the first of the sequence.",
                    "Put pictures of one size into the folder.",
                )
            yield VideoFrame(index, index / self.rate, pixels)

    def _decoded(self) -> Iterator[VideoFrame]:
        index, last, begin = 0, -1.0, None
        interlaced = False
        with av.open(str(self.path), metadata_errors="replace") as container:
            stream = picture_stream(container)
            if stream is None:
                raise UserError(f"{self.path}: holds no picture, only sound.", _AUDIO_REMEDY)
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = 2
            step = 1 / float(stream.average_rate or stream.guessed_rate or SEQUENCE_RATE)
            decoder = container.decode(stream)
            while True:
                try:
                    frame = next(decoder)
                except StopIteration:
                    break
                except (av.error.FFmpegError, ValueError) as error:
                    if not index:
                        raise UserError(
                            f"{self.path}: not one frame can be decoded ({error}).", _REMEDY
                        ) from error
                    self.notes.append(f"the video breaks off after {last:.2f} s ({error})")
                    break
                seconds = None if frame.time is None else float(frame.time)
                begin = seconds if begin is None else begin
                now = last + step if seconds is None or begin is None else seconds - begin
                if now <= last + 1e-6:  # a stamp that repeats: the frame is shown for no time
                    now = last + step
                interlaced |= bool(frame.interlaced_frame)
                yield VideoFrame(index, max(now, 0.0), self._upright(frame))
                last = max(now, 0.0)
                index += 1
        if interlaced:
            self.notes.append(
                "the video is interlaced: fast motion shows combs; deinterlace it for the best lips"
            )
        if index and self.expected > 1.2 * index + 5:
            self.notes.append(f"the container states {self.expected} frames, but holds {index}")

    def _upright(self, frame: Any) -> np.ndarray:
        """Returns the pixels of a decoded frame, made smaller and turned as its flag says."""
        quarters = round(int(frame.rotation) / 90) % 4
        turned = quarters % 2 == 1
        self.full_size = (frame.height, frame.width) if turned else (frame.width, frame.height)
        pixels = smaller_frame(frame)
        return np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels


def smaller_frame(frame: Any) -> np.ndarray:
    """Returns the pixels (H, W, 3) of a decoded frame, of at most `LARGEST_SIDE` a side."""
    shrink = min(1.0, LARGEST_SIDE / max(frame.width, frame.height))
    size = {}
    if shrink < 1:
        size = {
            "width": max(round(frame.width * shrink) // 2 * 2, 2),
            "height": max(round(frame.height * shrink) // 2 * 2, 2),
        }
    return frame.to_ndarray(format="rgb24", **size)


def open_video(path: str | Path, rate: float = SEQUENCE_RATE) -> Video:
    """Opens a video file, a folder of pictures, or a pattern of pictures such as shot_####.png.

    Args:
        path: the file, the folder, or the pattern (`#` or `%04d` for the number).
        rate: of a sequence, frames a second.

    Returns:
        The video; nothing is decoded yet.

    Raises:
        UserError: there is no such file, it is empty, no video, a still picture, or holds only sound.
    """
    path = Path(path)
    if is_sequence(path):
        pictures = sequence_of(path)
        if not pictures:
            raise UserError(
                f"{path}: no pictures of a sequence are there.", "Check the folder and the pattern."
            )
        return Video(path, tuple(pictures), rate, len(pictures))
    if not path.is_file():
        raise UserError(f"{path}: no such video.", "Check the path.")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty.", "Copy the video again.")
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            name = container.format.name
            stream = picture_stream(container)
            if stream is None and container.streams.audio:
                raise UserError(f"{path}: holds no picture, only sound.", _AUDIO_REMEDY)
            if stream is None or name == "tty":
                raise UserError(f"{path}: not a video that can be read.", _REMEDY)
            if name == "image2" or name.endswith("_pipe"):
                raise UserError(f"{path}: a still picture, not a video.", _STILL_REMEDY)
            if min(stream.width, stream.height) < _SHORTEST:
                raise UserError(f"{path}: {stream.width} x {stream.height} pixels hold no face.", _REMEDY)
            expected = int(stream.frames or 0)
            if not expected and container.duration and stream.average_rate:
                expected = round(container.duration / av.time_base * float(stream.average_rate))
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise UserError(
            f"{path}: not a video that can be read ({str(error)[:120]}).",
            "If it was copied or recorded, perhaps its end is missing: copy it again. " + _REMEDY,
        ) from error
    return Video(path, expected=expected)


def picture_stream(container: Any) -> Any | None:
    """Returns a container's first stream of moving pictures, no cover of a song; None without one."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic and stream.codec_context is not None:
            return stream
    return None


def _smaller(pixels: np.ndarray) -> np.ndarray:
    """Returns a picture (H, W, 3) of at most `LARGEST_SIDE` pixels a side."""
    shrink = LARGEST_SIDE / max(pixels.shape[:2])
    if shrink >= 1:
        return pixels
    size = round(pixels.shape[1] * shrink), round(pixels.shape[0] * shrink)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
