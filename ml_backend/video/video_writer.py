"""Writes videos without sound."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np


def write_video(path: Path, frames: Iterable[np.ndarray], fps: int, codec: str = "mpeg4") -> None:
    """Writes a video of pictures.

    Args:
        path: of the file; the ending chooses the container.
        frames: (H, W, 3) uint8 sRGB each, sides even.
        fps: frames a second.
        codec: of the pictures.
    """
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(
            codec, rate=Fraction(fps), options={"qscale": "2", "flags": "+qscale"}
        )
        for index, pixels in enumerate(frames):
            if not index:
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.bit_rate = 8_000_000
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
