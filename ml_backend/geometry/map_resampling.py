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
    return matrix @ np.ascontiguousarray(maps) @ matrix.T  # of a view numpy would multiply without BLAS


def enlarged(maps: np.ndarray, factor: int) -> np.ndarray:
    """Enlarges maps (..., R, R) by a whole factor, as `resample` does; faster, by four shifted sums a phase.

    Args:
        maps: float32.
        factor: at least 1.

    Returns:
        (..., R factor, R factor) float32.
    """
    if factor == 1:
        return maps
    for axis in (-1, -2):
        maps = _enlarged_along(maps, factor, axis)
    return maps


def _enlarged_along(maps: np.ndarray, factor: int, axis: int) -> np.ndarray:
    size = maps.shape[axis]
    pad = [(0, 0)] * maps.ndim
    pad[axis] = (2, 2)
    padded = np.pad(maps, pad, mode="edge")
    shape = list(maps.shape)
    shape[axis] = size * factor
    out = np.empty(shape, np.float32)

    def cut(array: np.ndarray, part: slice) -> np.ndarray:
        return array[..., part] if axis == -1 else array[..., part, :]

    for phase in range(factor):
        centre = (phase + 0.5) / factor - 0.5
        first = int(np.floor(centre)) - 1
        weights = [_kernel(abs(tap - centre)) for tap in range(first, first + 4)]
        total = np.zeros(maps.shape, np.float32)
        for number, weight in enumerate(weights):
            start = 2 + first + number
            total += np.float32(weight) * cut(padded, slice(start, start + size))
        cut(out, slice(phase, None, factor))[...] = total
    return out


def _kernel(away: float) -> float:
    slope = _ENLARGING
    if away <= 1:
        return (slope + 2) * away**3 - (slope + 3) * away**2 + 1
    return slope * (away**3 - 5 * away**2 + 8 * away - 4) if away < 2 else 0.0
