"""The course of hair that is combed over the head to a knot behind it and hangs from there."""

import numpy as np

from .head import AXIS_Y, HairHead, axis_point
from .scalp_styles import ScalpStyle
from .shaping import trim
from .strands import Roots

_KNOT = (0.0, 0.097, 0.048)
"""The place where the hair is tied, on the back of the head; metres."""
_KNOT_RADIUS, _TAIL_RADIUS = 0.008, 0.021
_BEHIND, _FALL = 0.030, 0.026
"""By how much the tail stands out from the knot, and along how much of it; metres."""
_OVER_EARS = 0.020
"""Metres by which hair of the temples rises on its way over the ears."""
_LIE = 0.0012
_ON_HEAD = 24


def tied_course(
    head: HairHead, roots: Roots, style: ScalpStyle, length: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Returns (N, points, 3): the course of strands from their roots over the head to the knot and down.

    Args:
        head: the mean face.
        roots: of N strands.
        style: gives volume and number of points.
        length: (N,) metres, of what hangs from the knot.
        random: its state moves on.
    """
    count = len(roots.place)
    spread = random.standard_normal((count, 2)).clip(-2, 2) / 2
    rise = style.volume * random.random(count) ** 0.8
    ends = np.array(_KNOT) + _KNOT_RADIUS * np.stack([spread[:, 0], 0 * rise, spread[:, 1]], 1)
    low = (1 - (roots.place[:, 2] - 0.05) / 0.03).clip(0, 1) * (roots.place[:, 1] < 0.03)
    path = [roots.place - roots.normal * 0.0004]
    for index in range(1, _ON_HEAD + 1):
        share = index / _ON_HEAD
        here = roots.place * (1 - share) + ends * share
        here[:, 2] += _OVER_EARS * low * np.sin(np.pi * share)
        lifted = _LIE + rise * np.minimum(share / 0.25, 1.0)
        path.append(_laid(head, here, lifted))
    tail = np.linspace(0, 1, _ON_HEAD)[1:, None, None] * length[None, :, None]
    out = _BEHIND * (1 - np.exp(-tail / _FALL))
    wide = _KNOT_RADIUS + (_TAIL_RADIUS - _KNOT_RADIUS) * np.sin(np.pi * (tail / length.max()) ** 0.8 * 0.95)
    across, along = spread[None, :, :1] * wide, spread[None, :, 1:] * wide
    hanging = np.concatenate([across, out + along, out * 0.35 - tail], 2) + path[-1].mean(0)
    whole = np.concatenate([np.stack(path, 1), hanging.transpose(1, 0, 2)], 1)
    return trim(whole, np.full(count, np.inf), style.points)


def _laid(head: HairHead, points: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Returns points (N, 3) moved along their radius to a height above the head without its ears."""
    centre = axis_point(points)
    outward = points - centre
    outward[:, 1] += np.where(np.linalg.norm(outward, axis=1) < 1e-4, AXIS_Y, 0.0)
    radius = np.linalg.norm(outward, axis=1)
    wanted = head.outer_radius(points) - head.ear_reach(points) + above
    return centre + outward * (wanted / radius)[:, None]
