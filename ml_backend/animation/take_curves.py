"""Curves of a tracked performance for the dials of its smoothing; numpy alone, Blender adjusts with it."""

import numpy as np

from ..expression_names import EXPRESSION_NAMES
from ..files.curve_file import HEAD_NAMES, Animation
from ..files.take_file import Take
from .curve_editing import eyes_from_look
from .curve_filters import smooth_curves


def smoothed(take: Take, dials: dict[str, float]) -> Animation:
    """Returns a take's curves at a constant rate, smoothed; without dials the raw solve.

    Args:
        take: the performance.
        dials: 0..1 by group, see `smooth_curves`.
    """
    names = (*EXPRESSION_NAMES, *HEAD_NAMES)
    curves = (
        smooth_curves(take.seconds, take.raw, EXPRESSION_NAMES, dials) if any(dials.values()) else take.raw
    )
    head = take.head.astype(np.float64)
    if dials.get("head"):
        head[:, :3] = smooth_curves(take.seconds, head[:, :3], names[52:55], dials)
    head[:, 3:] = eyes_from_look(np.asarray(curves))
    return take.animation(np.asarray(curves), head)
