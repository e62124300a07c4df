"""Makes a face clear that is small in a photograph, or large and blurred."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..models.photo_upscaler import default_upscaler

SMALL, LEAST, HELD = 36.0, 14.0, 20.0
"""Pixels between the eyes. A face with fewer than SMALL is made clear. One with fewer than LEAST, the
smallest that the network learned from, is enlarged to LEAST first. A larger, blurred face that shows no more
than one of HELD pixels is made smaller to HELD first."""
BLURRED = 0.02
"""A picture is blurred if it loses a smaller share of its contrast than this when it is made smaller to HELD.
Clear portraits lose 0.09 and more; portraits of 256 pixels, blurred by two pixels, lose 0.013 to 0.019."""
_AROUND = 2.4
_BLOCK = 8
"""Pixels. JPEG's blocks begin at multiples of it, also in the pictures that the network learned from."""


@dataclass(frozen=True)
class ClearFace:
    """A part of a picture around a face, made clear.

    Attributes:
        pixels: (h, w, 3) uint8 sRGB.
        low: (2,) int, where the part begins in the picture, pixels right and down.
        scale: (2,) the part's pixels for one of the picture's.
    """

    pixels: np.ndarray
    low: np.ndarray
    scale: np.ndarray

    def laid_over(self, picture: np.ndarray) -> np.ndarray:
        """Returns the whole picture, enlarged to the part's scale, with the part in its place.

        Args:
            picture: (H, W, 3) uint8.

        Returns:
            (round(H s), round(W s), 3) uint8, s the scale.
        """
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
        points: (N, 2) points around the face, pixels: its landmarks, or the corners of its box.
        distance: between the eyes, pixels.

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
    target = max(distance, LEAST)
    if distance >= SMALL:
        if _lost(part, HELD / distance) > BLURRED:
            return None
        target = HELD
    clear = default_upscaler().clear(
        np.asarray(part if target == distance else _resized(part, target / distance))
    )
    return ClearFace(clear, low, np.array(clear.shape[1::-1]) / (high - low))


def _lost(part: Image.Image, scale: float) -> float:
    """The share of a picture's contrast that is lost when it is made smaller and enlarged again."""
    grey = part.convert("L")
    again = _resized(grey, scale).resize(grey.size, Image.Resampling.BICUBIC)
    whole = np.asarray(grey, np.float32)
    return float(
        np.sqrt(np.mean((whole - np.asarray(again, np.float32)) ** 2)) / max(float(whole.std()), 1e-6)
    )


def _resized(part: Image.Image, scale: float) -> Image.Image:
    width, height = (max(1, round(side * scale)) for side in part.size)
    return part.resize((width, height), Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)
