"""Eyebrows and hairline on the mean face: one table of each, for materials and for simulated portraits.

Positions are metres in the model's axes: Z up, the face looks along -Y, its left side at positive X.
"""

import numpy as np

HAIRLINE = (
    (-0.100, 0.076), (-0.085, 0.075), (-0.070, 0.064), (-0.052, 0.036), (-0.036, 0.020), (-0.026, -0.012),
    (-0.019, -0.010), (-0.016, 0.014), (0.008, 0.014), (0.014, -0.030), (0.030, -0.065), (0.080, -0.085),
)  # fmt: skip
"""Stations (distance behind the ear, height above it), metres. The forehead ends 68 mm above the ear."""
COARSE_HAIRLINE = (*HAIRLINE[::2], HAIRLINE[-1])
"""The hairline of simulated portraits: every other station, without sideburns."""
_FOREHEAD_HEIGHT = 0.068
_HAIRLINE_FADE = 0.012
BROW = ((-1.15, 1.10, 0.17), (-0.6, 1.15, 0.23), (0.4, 1.27, 0.20), (1.05, 1.29, 0.16), (1.85, 1.06, 0.11))
"""Place, height, half thickness from the inner to the outer end, in half widths of an eye from its centre."""
_BARE_FROM, _BARE_UP_TO = 0.011, 0.014
"""Metres from the ears within which no hair is painted, and from which all of it is."""


def scalp_cover(positions: np.ndarray, ear: np.ndarray, forehead_top: np.ndarray, hairline) -> np.ndarray:
    """Returns (N,): how far inside the hairline each position lies, 0 outside, 1 from six millimetres on.

    Args:
        positions: (N, 3).
        ear, forehead_top: (3,) landmarks of the same face.
        hairline: `HAIRLINE` or `COARSE_HAIRLINE`.
    """
    scale = (forehead_top[2] - ear[2]) / _FOREHEAD_HEIGHT
    behind = (positions[:, 1] - ear[1]) / scale
    up = (positions[:, 2] - ear[2]) / scale
    height = np.interp(behind, *np.array(hairline).T)
    return np.clip((up - height) / _HAIRLINE_FADE + 0.5, 0, 1)


def away_from_ears(positions: np.ndarray, ears: np.ndarray) -> np.ndarray:
    """Returns (N,): 0 on ears and where they grow out of the head, where no hair is, 1 further away.

    Args:
        positions: (N, 3), metres.
        ears: (M, 3) places on the ears of the same face; without any, all is 1.
    """
    away = np.ones(len(positions))
    if not len(ears):
        return away
    low, high = ears.min(0) - _BARE_UP_TO, ears.max(0) + _BARE_UP_TO
    near = np.flatnonzero(((positions > low) & (positions < high)).all(1))
    for start in range(0, len(near), 1024):
        rows = near[start : start + 1024]
        distance = np.sqrt(((positions[rows][:, None] - ears) ** 2).sum(2).min(1))
        away[rows] = np.clip((distance - _BARE_FROM) / (_BARE_UP_TO - _BARE_FROM), 0, 1)
    return away


def brow_cover(positions: np.ndarray, upper_lid: np.ndarray) -> np.ndarray:
    """Returns (N,): how much of an eyebrow lies at each position, 0 to 1.

    Args:
        positions: (N, 3).
        upper_lid: (L, 3) landmarks of the lid below the brow, from the inner to the outer corner.
    """
    inner, outer = upper_lid[0], upper_lid[-1]
    centre = (inner + outer) / 2
    half = np.linalg.norm(outer - inner) / 2
    along = (positions[:, 0] - centre[0]) / (outer[0] - centre[0])  # -1 inner corner, 1 outer corner
    up = (positions[:, 2] - centre[2]) / half
    stations, heights, thicknesses = np.array(BROW).T
    middle = np.interp(along, stations, heights)
    thickness = np.interp(along, stations, thicknesses)
    taper = np.clip((along + 1.25) / 0.55, 0, 1) * np.clip((1.85 - along) / 0.45, 0, 1)
    cover = np.clip(1.25 - np.abs(up - middle) / thickness, 0, 1) * taper
    return np.where(positions[:, 1] < centre[1] + 2.5 * half, cover, 0)
