"""Frames as they come: from a camera, or from a file that is played in real time. The newest frame counts.

A thread reads and keeps one frame; a reader that is slow gets the newest one and misses those before it, so
nothing lags behind.
"""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.error

from ..errors import UserError
from .video_file import Video, VideoFrame, open_video, smaller_frame

_FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
_RATE, _SIZE = "30", "640x480"


def camera_name(device: str, platform: str = sys.platform) -> tuple[str, str]:
    """Returns the name of a camera and the input format, as FFmpeg calls them.

    Args:
        device: a number, counted from 0, or the system's own name; Windows knows names alone.
        platform: as `sys.platform`.

    Raises:
        UserError: this system has no input for cameras, or a number is no name.
    """
    kind = _FORMATS.get(platform)
    if kind is None:
        raise UserError(f"Cameras cannot be read on {platform}.", "Record a video and import it.")
    if kind == "v4l2" and device.isdecimal():
        return f"/dev/video{device}", kind
    if kind == "dshow":
        if device.isdecimal():
            raise UserError(
                f"The camera {device} has no name.",
                "On Windows give the camera's name, as the system shows it.",
            )
        return device if device.startswith("video=") else f"video={device}", kind
    return device, kind


class LiveFrames:
    """A running camera or film.

    Args:
        source: path of a video, or a camera as `camera_name` takes it.

    Attributes:
        video: notes and sizes.
        missed: frames that were not looked at.

    Raises:
        UserError: neither a video nor a camera is there.
    """

    def __init__(self, source: str):
        self.is_file = Path(source).exists() and not Path(source).is_char_device()
        self.missed = 0
        self._source = source
        self._ready = threading.Condition()
        self._newest: VideoFrame | None = None
        self._ended = False
        self._error: Exception | None = None
        self._container: Any = None
        if self.is_file:
            self.video = open_video(source)
        else:
            self.video = Video(Path(source))
            self._container = _open_camera(source)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the film or closes the camera; `frames` ends too."""
        with self._ready:
            self._ended = True
            self._ready.notify_all()
        self._thread.join(timeout=5)

    def frames(self) -> Iterator[VideoFrame]:
        """Yields the newest frame each time, until the film ends or `stop` is called.

        Raises:
            UserError: the camera or the file broke off.
        """
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._newest is not None or self._ended)
                frame, self._newest = self._newest, None
            if frame is None:
                if self._error is not None:
                    raise self._error
                return
            yield frame

    def _read(self) -> None:
        try:
            for frame in self._paced() if self.is_file else self._grabbed():
                with self._ready:
                    if self._ended:
                        break
                    self.missed += self._newest is not None
                    self._newest = frame
                    self._ready.notify_all()
        except UserError as error:
            self._error = error
        except (av.error.FFmpegError, ValueError, OSError) as error:
            self._error = UserError(f"{self._source}: the camera broke off ({error}).", "Connect it again.")
        finally:
            if self._container is not None:
                self._container.close()
            with self._ready:
                self._ended = True
                self._ready.notify_all()

    def _paced(self) -> Iterator[VideoFrame]:
        """Yields the frames of a film when their time has come."""
        begin = time.monotonic()
        for frame in self.video.frames():
            wait = frame.seconds - (time.monotonic() - begin)
            if wait > 0:
                with self._ready:
                    if self._ready.wait_for(lambda: self._ended, timeout=wait):
                        return
            yield frame

    def _grabbed(self) -> Iterator[VideoFrame]:
        """Yields the frames of a camera with the time at which they came."""
        begin = time.monotonic()
        for index, frame in enumerate(self._container.decode(video=0)):
            self.video.full_size = (frame.width, frame.height)
            pixels = smaller_frame(frame)
            self.video.size = (pixels.shape[1], pixels.shape[0])
            yield VideoFrame(index, time.monotonic() - begin, pixels)


def _open_camera(source: str) -> Any:
    name, kind = camera_name(source)
    for options in ({"framerate": _RATE, "video_size": _SIZE}, {}):
        try:
            return av.open(name, format=kind, options=options)
        except (av.error.FFmpegError, ValueError, OSError) as error:
            problem = error
    raise UserError(
        f"{source}: no such video, and no camera that can be opened ({problem}).",
        "Give the path of a video, or a camera: 0 is the first. Another program may hold it.",
    )
