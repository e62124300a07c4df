"""The lids' range: an eye that the detector sees less open than the model closes by as much less."""

import numpy as np

from .mesh_layout import LEFT_LID_PAIRS, LEFT_RIM, RIGHT_LID_PAIRS, RIGHT_RIM

_LEAST, _MOST = 0.4, 1.6


def lid_factors(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Returns the factors on what expressions do to each landmark, where the eyes' opening at rest changes.

    A blink then ends where it did, with the lids together; other points keep what they do.

    Args:
        before: (L, 3) landmarks of the face at rest, for which the expressions were made.
        after: (L, 3) the same as they are seen.

    Returns:
        (L,), 1 but for the rims of the lids.
    """
    factors = np.ones(len(before))
    for rim, pairs in ((RIGHT_RIM, RIGHT_LID_PAIRS), (LEFT_RIM, LEFT_LID_PAIRS)):
        upper, lower = np.array(pairs).T
        was, is_now = ((places[upper, 2] - places[lower, 2]).mean() for places in (before, after))
        factors[list(rim)] = np.clip(is_now / max(float(was), 1e-6), _LEAST, _MOST)
    return factors
