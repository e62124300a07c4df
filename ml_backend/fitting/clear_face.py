"""A clearer picture of a face that is small in a photograph, or large and blurred."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..models.photo_upscaler import default_upscaler

SMALL, LEAST, HELD = 36.0, 14.0, 20.0
"""Pixels between the eyes: below the first a face is made clear; below the second, which is the least that clearness was learned at, it is
enlarged to it first; a larger face whose picture holds no more than the third shows is made smaller to it
first."""
BLURRED = 0.02
"""Share of a picture's contrast that is lost when it holds no more. Of clear portraits it is 0.09 and more, of such of 256 pixels blurred
by two pixels 0.013 to 0.019."""
_AROUND = 2.4
_BLOCK = 8
"""Pixels: JPEG's blocks begin at multiples of it, in the pictures that clearness was learned from too."""


@dataclass(frozen=True)
class ClearFace:
    """The part of a picture around a face, made clear.

    Attributes:
        pixels: (h, w, 3) uint8 sRGB.
        low: (2,) int, the picture's pixel that the part begins at, right and down.
        scale: (2,) the part's pixels for one of the picture's.
    """

    pixels: np.ndarray
    low: np.ndarray
    scale: np.ndarray

    def laid_over(self, picture: np.ndarray) -> np.ndarray:
        """The whole picture (H, W, 3) uint8 at the part's scale, (round(H s), round(W s), 3), with the part in it."""
        size = np.round(np.array(picture.shape[1::-1]) * self.scale).astype(int)
        whole = np.array(
            Image.fromarray(picture).resize((int(size[0]), int(size[1])), Image.Resampling.BICUBIC)
        )
        left, top = np.round(self.low * self.scale).astype(int)
        window = whole[top : top + self.pixels.shape[0], left : left + self.pixels.shape[1]]
        window[:] = self.pixels[: window.shape[0], : window.shape[1]]
        return whole


def clear_face(picture: np.ndarray, points: np.ndarray, distance: float) -> ClearFace | None:
    """Makes a face clear.

    Args:
        picture: (H, W, 3) uint8 sRGB.
        points: (478, 2) its landmarks, pixels, roughly.
        distance: between its eyes, pixels.

    Returns:
        The clear part, or None where the picture is clear enough.
    """
    half = 0.5 * _AROUND * float(np.ptp(points, axis=0).max())
    middle = (points.min(0) + points.max(0)) / 2
    low = np.floor(middle - half).astype(int).clip(0) // _BLOCK * _BLOCK
    high = np.minimum(np.ceil(middle + half).astype(int), picture.shape[1::-1])
    if (high <= low).any():
        return None
    part = Image.fromarray(picture[low[1] : high[1], low[0] : high[0]])
    wanted = max(distance, LEAST)
    if distance >= SMALL:
        if _lost(part, HELD / distance) > BLURRED:
            return None
        wanted = HELD
    clear = default_upscaler().clear(
        np.asarray(part if wanted == distance else _resized(part, wanted / distance))
    )
    return ClearFace(clear, low, np.array(clear.shape[1::-1]) / (high - low))


def _lost(part: Image.Image, scale: float) -> float:
    """How much of the contrast of a picture is gone when it is made smaller and large again."""
    grey = part.convert("L")
    again = _resized(grey, scale).resize(grey.size, Image.Resampling.BICUBIC)
    whole = np.asarray(grey, np.float32)
    return float(
        np.sqrt(np.mean((whole - np.asarray(again, np.float32)) ** 2)) / max(float(whole.std()), 1e-6)
    )


def _resized(part: Image.Image, scale: float) -> Image.Image:
    width, height = (max(1, round(side * scale)) for side in part.size)
    return part.resize((width, height), Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)
