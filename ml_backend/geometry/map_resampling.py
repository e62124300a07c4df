"""Cubic resampling of square maps by matrices, the same filters as torch's. numpy only.

Source: Keys 1981, "Cubic convolution interpolation for digital image processing".
"""

import functools

import numpy as np

_ENLARGING, _SHRINKING = -0.75, -0.5  # slope of the cubic kernel at 1, as torch has it


@functools.cache
def resampling_matrix(source: int, target: int) -> np.ndarray:
    """Returns the filter along one axis, its rows summing to 1.

    Towards fewer samples the kernel is widened against aliasing. Borders are repeated outwards; where the
    map shrinks they are cut off, and what is left of the kernel counts more.

    Args:
        source, target: samples before and after.

    Returns:
        (target, source) float32, read-only.
    """
    scale = source / target
    width = max(scale, 1.0)
    slope = _SHRINKING if scale > 1 else _ENLARGING
    centre = (np.arange(target) + 0.5) * scale - 0.5
    reach = int(np.ceil(2 * width)) + 1
    taps = np.floor(centre)[:, None] + np.arange(-reach, reach + 1)
    away = np.abs(taps - centre[:, None]) / width
    near = (slope + 2) * away**3 - (slope + 3) * away**2 + 1
    far = slope * (away**3 - 5 * away**2 + 8 * away - 4)
    weights = np.where(away <= 1, near, np.where(away < 2, far, 0))
    if scale > 1:
        weights = np.where((taps >= 0) & (taps < source), weights, 0)
        weights /= weights.sum(1, keepdims=True)
    matrix = np.zeros((target, source))
    rows = np.broadcast_to(np.arange(target)[:, None], taps.shape)
    np.add.at(matrix, (rows, np.clip(taps, 0, source - 1).astype(int)), weights)
    matrix = matrix.astype(np.float32)
    matrix.setflags(write=False)
    return matrix


def resample(maps: np.ndarray, resolution: int) -> np.ndarray:
    """Resamples maps (..., R, R) to (..., resolution, resolution); the maps themselves where R is that."""
    if maps.shape[-1] == resolution:
        return maps
    matrix = resampling_matrix(maps.shape[-1], resolution)
    return matrix @ maps @ matrix.T
