"""Cuts turned squares out of pictures, and takes points of a square back to the picture."""

from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class PictureSquare:
    """A square part of a picture, turned by any angle; it may reach beyond the picture's edge.

    Attributes:
        centre: (2,) pixels from the picture's top left corner.
        right: (2,) unit vector, the direction of the square's rows.
        side: pixels.
    """

    centre: np.ndarray
    right: np.ndarray
    side: float

    @property
    def axes(self) -> np.ndarray:
        """(2, 2): the directions of the square's rows and columns, one a row."""
        return np.array([self.right, [-self.right[1], self.right[0]]])

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 2) in 0..1 of the square, to pixels of the picture (N, 2)."""
        return self.centre + (points - 0.5) * self.side @ self.axes

    def moved(self, scale: float, shift: tuple[float, float], turn: float) -> "PictureSquare":
        """A square that is larger, shifted by shares of the side, and turned by radians."""
        right, down = self.axes
        centre = self.centre + self.side * (shift[0] * right + shift[1] * down)
        return PictureSquare(centre, np.cos(turn) * right + np.sin(turn) * down, self.side * scale)

    def enlarged(self, low: np.ndarray, scale: np.ndarray) -> "PictureSquare":
        """The same square in an enlarged part of the picture, which begins at `low` (2,); scale (2,)."""
        return PictureSquare((self.centre - low) * scale, self.right, self.side * float(scale.mean()))

    def cut(self, pixels: np.ndarray, size: int) -> np.ndarray:
        """Cuts the square out.

        Args:
            pixels: (H, W, 3) uint8.
            size: pixels of a side of the result.

        Returns:
            (size, size, 3) float32 in 0..1; beyond the picture's edge its edge goes on.
        """
        half = 0.5 * self.side * np.abs(self.axes).sum(0) + 2
        low = np.floor(self.centre - half).astype(int)
        high = np.ceil(self.centre + half).astype(int)
        step = max(1, int(self.side / size))
        high += (low - high) % step
        part = Image.fromarray(_part(pixels, low, high))
        if step > 1:
            part = part.reduce(step)
        corner = (self.to_picture(np.zeros((1, 2)))[0] - low) / step
        right, down = self.axes * (self.side / size / step)
        matrix = (right[0], down[0], corner[0], right[1], down[1], corner[1])
        square = part.transform(
            (size, size), Image.Transform.AFFINE, tuple(map(float, matrix)), Image.Resampling.BILINEAR
        )
        return np.asarray(square, np.float32) / 255


def _part(pixels: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Columns and rows from `low` to `high` of a picture, whose edge goes on outside."""
    height, width = pixels.shape[:2]
    inside = pixels[
        max(min(low[1], height - 1), 0) : min(max(high[1], 1), height),
        max(min(low[0], width - 1), 0) : min(max(high[0], 1), width),
    ]
    before = np.maximum(np.minimum(-low, high - low - 1), 0)
    after = high - low - before - inside.shape[1::-1]
    return np.pad(inside, ((before[1], after[1]), (before[0], after[0]), (0, 0)), "edge")


def level_square(points: np.ndarray, start: int, end: int, scale: float) -> PictureSquare:
    """The square about points, level with the line from one of them to another.

    Args:
        points: (N, 2) pixels.
        start, end: of the line, indices.
        scale: the side, over the longer side of the box about the points.
    """
    line = points[end] - points[start]
    length = float(np.linalg.norm(line))
    right = line / length if length > 1e-9 else np.array([1.0, 0.0])
    axes = np.array([right, [-right[1], right[0]]])
    inside = points @ axes.T
    low, high = inside.min(0), inside.max(0)
    return PictureSquare((low + high) / 2 @ axes, right, scale * float(max((high - low).max(), 1e-6)))
