"""Sheets of displacement maps as shaded relief, truth beside generated, to be looked at."""

from pathlib import Path

import numpy as np
from PIL import Image


def shaded_relief(map_mm: np.ndarray, texel_mm: float | None = None, exaggeration: float = 1.5) -> np.ndarray:
    """Shades a displacement map under a light from the top left.

    Args:
        map_mm: (R, R) millimetres, row 0 at the bottom.
        texel_mm: width of a texel, default a face of 230 mm over the map.
        exaggeration: factor on the heights.

    Returns:
        (R, R) uint8, row 0 at the top.
    """
    texel_mm = texel_mm or 230 / map_mm.shape[0]
    heights = np.asarray(map_mm, np.float32) * exaggeration / texel_mm
    slope_v, slope_u = np.gradient(heights)
    normal = np.stack([-slope_u, -slope_v, np.ones_like(heights)])
    light = np.array([-0.45, 0.6, 0.66], np.float32)
    shade = np.einsum("chw,c->hw", normal, light / np.linalg.norm(light)) / np.linalg.norm(normal, axis=0)
    return (np.clip(shade * 1.1, 0, 1) * 255).astype(np.uint8)[::-1]


def write_sample_sheet(path: Path, rows: list[np.ndarray], tile: int = 384) -> None:
    """Writes rows of maps as one PNG.

    Args:
        path: the file.
        rows: each (N, R, R) millimetres, all rows with the same N; for instance truths, then what was
            generated.
        tile: pixels along a side of one picture.
    """
    shaded = [[_fit(shaded_relief(relief), tile) for relief in row] for row in rows]
    Image.fromarray(np.concatenate([np.concatenate(row, 1) for row in shaded], 0)).save(path)


def _fit(picture: np.ndarray, tile: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((tile, tile), Image.Resampling.LANCZOS))
