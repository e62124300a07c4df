"""Corrections of an artist that a second solve holds, and how they go over into each other between."""

from dataclasses import dataclass

import numpy as np

from ..expression_names import EXPRESSION_NAMES

_FADE = 0.3
"""Seconds over which the first and the last correction of a channel fade in and out."""
_FIRM, _BETWEEN = 0.005, 0.04
"""Standard deviations of a held channel at the frame that was corrected, and between two such frames."""


@dataclass(frozen=True)
class HeldChannels:
    """Values that an artist gave single channels at single moments.

    Attributes:
        seconds: (K,) from the clip's first frame.
        channels: (K,) places in EXPRESSION_NAMES.
        values: (K,) coefficients.
    """

    seconds: np.ndarray
    channels: np.ndarray
    values: np.ndarray

    def targets(self, seconds: np.ndarray, solved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns values that channels are pulled to, and the precision of the pull, both (T, 52).

        What two corrections add goes over in a straight line between them: the error of a landmark detector
        changes slowly. The precision is 0 where nothing is held.

        Args:
            seconds: (T,) time stamps.
            solved: (T, 52) without corrections.
        """
        target = solved.copy()
        precision = np.zeros((len(seconds), len(EXPRESSION_NAMES)))
        for channel in np.unique(self.channels):
            chosen = self.channels == channel
            rows = np.array([int(np.argmin(np.abs(seconds - moment))) for moment in self.seconds[chosen]])
            rows, first = np.unique(rows, return_index=True)
            added = self.values[chosen][first] - solved[rows, channel]
            moments = seconds[rows]
            places = np.concatenate([[moments[0] - _FADE], moments, [moments[-1] + _FADE]])
            target[:, channel] += np.interp(seconds, places, np.concatenate([[0], added, [0]]))
            precision[rows[0] : rows[-1] + 1, channel] = 1 / _BETWEEN**2
            precision[rows, channel] = 1 / _FIRM**2
        return np.clip(target, 0, 1), precision
