"""Smooths curves as they come, without looking ahead; numpy alone.

Source: Casiez, Roussel and Vogel 2012, "1 euro filter: a simple speed-based low-pass filter for noisy input
in interactive systems".
"""

import numpy as np

from .curve_filters import channel_group

_CUT_OFF = {"lids": 4.0, "gaze": 2.0, "lips": 2.5, "brows": 1.5, "cheeks": 1.5, "head": 1.5}
"""Hertz below which a resting curve passes."""
_FASTER = {"lids": 3.0, "gaze": 2.0, "lips": 3.0, "brows": 2.0, "cheeks": 2.0, "head": 3.0}
"""Hertz more for each unit a second at which the curve moves."""
_SPEED_CUT_OFF = 1.5


class CausalFilter:
    """A 1 euro filter for each channel.

    Args:
        names: of the channels.
    """

    def __init__(self, names: tuple[str, ...]):
        groups = [channel_group(name) for name in names]
        self._cut_off = np.array([_CUT_OFF[group] for group in groups])
        self._faster = np.array([_FASTER[group] for group in groups])
        self._seconds: float | None = None
        self._value = np.zeros(len(names))
        self._speed = np.zeros(len(names))

    def __call__(self, seconds: float, values: np.ndarray) -> np.ndarray:
        """Returns the smoothed values (C,) at a moment that is later than the last one."""
        values = np.asarray(values, np.float64)
        if self._seconds is None:
            self._seconds, self._value = seconds, values.copy()
            return values.copy()
        step = max(seconds - self._seconds, 1e-3)
        self._seconds = seconds
        speed = (values - self._value) / step
        self._speed = self._speed + _share(step, np.full(len(values), _SPEED_CUT_OFF)) * (speed - self._speed)
        share = _share(step, self._cut_off + self._faster * np.abs(self._speed))
        self._value = self._value + share * (values - self._value)
        return self._value.copy()


def _share(step: float, cut_off: np.ndarray) -> np.ndarray:
    """Returns how much of a new value counts after `step` seconds at a cut-off in hertz."""
    return 1 / (1 + 1 / (2 * np.pi * cut_off * step))
