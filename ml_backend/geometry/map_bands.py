"""Cuts displacement maps into a coarse band for vertices and a fine one for shading. numpy only."""

import numpy as np

COARSE_RESOLUTION = 256
"""Texels along a side of the coarse band: about one a vertex of the dense face."""


def split_map(full: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a map into the two bands.

    Args:
        full: (R, R) float32, millimetres, R a multiple of 256.

    Returns:
        The coarse band (256, 256), the mean of the texels below each of its own, and the fine one (R, R),
        what is left.
    """
    step = len(full) // COARSE_RESOLUTION
    coarse = full.reshape(COARSE_RESOLUTION, step, COARSE_RESOLUTION, step).mean((1, 3))
    return coarse, full - enlarge(coarse, len(full))


def enlarge(values: np.ndarray, resolution: int) -> np.ndarray:
    """Interpolates a square map bilinearly to (resolution, resolution), its border repeated outwards."""
    size = len(values)
    position = np.clip((np.arange(resolution) + 0.5) * size / resolution - 0.5, 0, size - 1)
    low = np.minimum(position.astype(np.int64), size - 2)
    weight = (position - low).astype(np.float32)
    rows = values[low] * (1 - weight)[:, None] + values[low + 1] * weight[:, None]
    return np.ascontiguousarray(rows[:, low] * (1 - weight) + rows[:, low + 1] * weight)
