"""Jaw and lips from the voice where the picture is unsure of them."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..expression_names import EXPRESSION_NAMES
from ..files.take_file import Take
from .curve_filters import channel_group

_SURE, _UNSURE = 0.75, 0.4
"""Mean confidence of jaw and lips from which the picture counts alone, and up to which the voice does."""
_BLEND_SECONDS = 0.08


def lips_from_voice(take: Take, spoken: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns raw curves (T, 52) whose jaw and lips follow the voice where the picture is unsure.

    Args:
        take: as it was solved.
        spoken: (S, 52) curves of the voice, from the take's first frame on.
        fps: of these curves.

    Returns:
        The curves float32, and how much the voice counts, (T,) in 0..1.
    """
    lips = [index for index, name in enumerate(EXPRESSION_NAMES) if channel_group(name) == "lips"]
    seen = [index for index in lips if EXPRESSION_NAMES[index] not in take.not_seen]
    sure = take.confidence[:, seen].mean(1)
    share = np.clip((_SURE - sure) / (_SURE - _UNSURE), 0, 1)
    step = float(np.median(np.diff(take.seconds))) if len(take.seconds) > 1 else _BLEND_SECONDS
    share = gaussian_filter1d(share, max(_BLEND_SECONDS / max(step, 1e-3), 0.1), mode="nearest")
    raw = take.raw.copy()
    times = np.arange(len(spoken)) / fps
    since = take.seconds - take.seconds[0]
    for channel in lips:
        voice = np.interp(since, times, spoken[:, channel])
        raw[:, channel] = (1 - share) * raw[:, channel] + share * voice
    return raw.astype(np.float32), share
