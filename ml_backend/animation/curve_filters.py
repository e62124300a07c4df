"""Smooths solved curves after the solve: without lag, strong at rest and weak in motion, by group.

numpy alone: Blender smooths a stored take without its worker.

Source: Casiez, Roussel and Vogel 2012, "1 euro filter" (less smoothing at speed), here in both directions of
time: a penalised least-squares smoother (Whittaker 1923) whose penalty falls where the curve moves.
"""

from collections.abc import Mapping

import numpy as np

from ..expression_names import EXPRESSION_NAMES

GROUPS = ("lids", "gaze", "lips", "brows", "cheeks", "head")
_REACH = 0.25
"""Seconds over which a dial at 1 smooths a curve at rest."""
_PACE = {"lids": 0.4, "gaze": 0.6, "lips": 0.5, "brows": 1.2, "cheeks": 1.2, "head": 1.2}
"""Change a second, in coefficients or radians, above which a group is held less: fast for lids and lips."""
_ROUNDS = 3


def channel_group(name: str) -> str:
    """Returns the group of GROUPS that an expression moves with; head for other names."""
    if name not in EXPRESSION_NAMES:
        return "head"
    if name.startswith("eyeLook"):
        return "gaze"
    starts = {"eye": "lids", "jaw": "lips", "mouth": "lips", "tongue": "lips", "brow": "brows"}
    return next((group for start, group in starts.items() if name.startswith(start)), "cheeks")


def smooth_curves(
    seconds: np.ndarray, values: np.ndarray, names: tuple[str, ...], dial: float | Mapping[str, float]
) -> np.ndarray:
    """Smooths curves.

    Args:
        seconds: (T,) rising time stamps.
        values: (T, C) raw curves.
        names: of the C columns.
        dial: 0 leaves the curves as they are, 1 smooths most; by group of GROUPS, or one number for all.

    Returns:
        (T, C) float64; channels of a group whose dial is 0 are the raw ones, bit by bit.

    Raises:
        ValueError: a dial is outside 0..1, or a group is unknown.
    """
    dials = dict(dial) if isinstance(dial, Mapping) else dict.fromkeys(GROUPS, float(dial))
    if not set(dials) <= set(GROUPS) or not all(0 <= value <= 1 for value in dials.values()):
        raise ValueError(f"dials are 0 to 1 for {', '.join(GROUPS)}")
    raw = np.asarray(values, np.float64)
    result = raw.copy()
    if len(raw) < 3:
        return result
    steps = np.maximum(np.diff(np.asarray(seconds, np.float64)), 1e-3)
    groups = [channel_group(name) for name in names]
    for group, amount in dials.items():
        chosen = [index for index, other in enumerate(groups) if other == group]
        if amount and chosen:
            result[:, chosen] = _smoothed(steps, raw[:, chosen], amount * _REACH, _PACE[group])
    return result


def _smoothed(steps: np.ndarray, values: np.ndarray, reach: float, pace: float) -> np.ndarray:
    """Returns (T, C) smoothed over `reach` seconds at rest, and less above a pace."""
    usual = float(np.median(steps))
    most = (reach / usual) ** 2
    smooth = values
    for _ in range(_ROUNDS):
        speed = np.abs(np.diff(smooth, axis=0)) / steps[:, None]
        # a group moves as one, and looks a frame ahead and back: the begin of a motion is motion
        fast = speed.max(1)
        padded = np.concatenate([fast[:1], fast, fast[-1:]])
        fast = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
        weight = most * (usual / steps) / (1 + (fast / pace) ** 2) ** 2
        smooth = _walk(values, weight)
    return smooth


def _walk(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns the curves x that minimise |x - values|^2 + weight (x[t + 1] - x[t])^2.

    Args:
        values: (T, C).
        weight: (T - 1,).
    """
    count = len(values)
    diagonal = np.ones(count)
    diagonal[:-1] += weight
    diagonal[1:] += weight
    right = values.copy()
    for index in range(1, count):
        share = weight[index - 1] / diagonal[index - 1]
        diagonal[index] -= share * weight[index - 1]
        right[index] += share * right[index - 1]
    right[-1] /= diagonal[-1]
    for index in range(count - 2, -1, -1):
        right[index] = (right[index] + weight[index] * right[index + 1]) / diagonal[index]
    return right
