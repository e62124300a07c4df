"""A chain of frames that are solved together: its exact minimum, and the windows of a long shot."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

WINDOW, OVERLAP = 600, 60
"""Frames of a long shot that are solved together, and those that two windows share."""


def windows_of(first: int, last: int) -> list[tuple[int, int, int, int]]:
    """Returns (first, last, keep from, keep to) of windows over a shot, each longer than its kept part."""
    windows = []
    start = first
    while start < last:
        stop = min(start + WINDOW, last)
        if last - stop < WINDOW // 4:
            stop = last
        windows.append((max(first, start - OVERLAP), min(last, stop + OVERLAP), start, stop))
        start = stop
    return windows


def chain_step(curves: np.ndarray, slopes: np.ndarray, change: np.ndarray, stiff: np.ndarray) -> np.ndarray:
    """Solves a chain of frames: the minimum of their quadratics and of the walk between neighbours.

    Args:
        curves, slopes: (T, N, N) and (T, N) of the frames.
        change: (T - 1, N) present steps from frame to frame.
        stiff: (T - 1, N) their precisions.

    Returns:
        (T, N) the step of each frame, exact (block elimination of a tridiagonal system).
    """
    length, size = slopes.shape
    diagonal = np.arange(size)
    curves, slopes = curves.copy(), slopes.copy()
    pull = stiff * change
    curves[:-1, diagonal, diagonal] += stiff
    curves[1:, diagonal, diagonal] += stiff
    slopes[:-1] -= pull
    slopes[1:] += pull
    curves[:, diagonal, diagonal] *= 1 + 1e-9
    curves[:, diagonal, diagonal] += 1e-6
    factors = [cho_factor(curves[0])]
    values = [slopes[0]]
    for index in range(1, length):
        link = stiff[index - 1]
        back = cho_solve(factors[-1], np.column_stack([np.diag(link), values[-1]]))
        values.append(slopes[index] + link * back[:, -1])
        factors.append(cho_factor(curves[index] - link[:, None] * back[:, :-1]))
    steps = np.zeros_like(slopes)
    steps[-1] = -cho_solve(factors[-1], values[-1])
    for index in range(length - 2, -1, -1):
        steps[index] = -cho_solve(factors[index], values[index] - stiff[index] * steps[index + 1])
    return steps
