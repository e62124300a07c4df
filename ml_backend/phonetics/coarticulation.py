"""ARKit curves of phones with times: dominance blending with guaranteed lip closures. Numpy only."""

from functools import cache

import numpy as np

from ..expression_names import EXPRESSION_NAMES
from .phones import BILABIAL, LABIODENTAL, PAUSE, PHONES, UNKNOWN
from .visemes import BILABIAL_POSE, DIPHTHONGS, LABIODENTAL_POSE, VISEMES, Viseme

_JAW = ("jawOpen", "jawForward")
_SHARPNESS = (
    2.0  # exponent of |distance| in the dominance; 1 is Cohen and Massaro's, 2 has no cusp at the centre
)


def pose(shape: dict[str, float]) -> np.ndarray:
    """Spells out a shape of `visemes`: (52,) float32; a name without a side fills Left and Right."""
    values = np.zeros(len(EXPRESSION_NAMES), np.float32)
    for name, value in shape.items():
        for side in ("",) if name in EXPRESSION_NAMES else ("Left", "Right"):
            values[EXPRESSION_NAMES.index(name + side)] = value
    return values


@cache
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    jaw = np.array([name in _JAW for name in EXPRESSION_NAMES])
    return jaw, pose(BILABIAL_POSE), pose(LABIODENTAL_POSE)


@cache
def speech_channels() -> np.ndarray:
    """Returns the channels that speech moves, (52,) bool."""
    shapes = [v.shape for v in VISEMES.values()] + [v.shape for pair in DIPHTHONGS.values() for v in pair[:2]]
    moved = np.max([pose(shape) for shape in shapes], 0) > 0
    moved[EXPRESSION_NAMES.index("mouthClose")] = True
    return moved


def curves_from_phones(
    phones: np.ndarray, ends: np.ndarray, times: np.ndarray, start: float = 0.0, openness: float = 1.0
) -> np.ndarray:
    """Blends the phones' lip shapes over time.

    Every phone pulls each channel group (jaw, lips) towards its shape with dominance a * exp(-|t / width|^2),
    flat over the middle of the phone; the curve is the dominance-weighted mean. Then p b m close the lips and
    f v lay the lower lip on the teeth over most of the phone, whatever surrounds them; in pauses everything
    comes to rest.

    Args:
        phones: (P,) indices into PHONES; UNKNOWN is skipped.
        ends: (P,) seconds at which each phone ends, rising.
        times: (T,) seconds at which the curves are wanted.
        start: seconds at which the first phone begins.
        openness: factor on the jaw, 1 as tabulated (how widely a speaker articulates).

    Returns:
        (T, 52) float32 in 0..1.

    Source: Cohen and Massaro 1993; the closures as in Edwards et al. 2016, "JALI", section 4.
    """
    begins = np.concatenate([[start], ends[:-1]])
    jaw_channels, bilabial, labiodental = _tables()
    weighted = np.zeros((len(times), len(EXPRESSION_NAMES)), np.float64)
    jaw_sum, lips_sum = np.full(len(times), 1e-4), np.full(len(times), 1e-4)
    for viseme, begin, end in _targets(phones, begins, ends):
        low, high = np.searchsorted(times, (begin - 4 * viseme.anticipation, end + 4 * viseme.carry))
        if low == high:
            continue
        distance = _distance(times[low:high], begin, end, viseme.anticipation, viseme.carry)
        fall = np.exp(-(distance**_SHARPNESS))
        jaw = viseme.jaw * fall
        lips = viseme.lips * fall
        weighted[low:high] += np.where(jaw_channels, jaw[:, None], lips[:, None]) * pose_of(viseme)
        jaw_sum[low:high] += jaw
        lips_sum[low:high] += lips
    curves = weighted / np.where(jaw_channels, jaw_sum[:, None], lips_sum[:, None])
    curves[:, jaw_channels] *= openness
    names = [PHONES[p] if p != UNKNOWN else "" for p in phones]
    for group, target, share in ((LABIODENTAL, labiodental, 0.7), (BILABIAL, bilabial, 0.7)):
        grip = np.zeros(len(times))
        for name, begin, end in zip(names, begins, ends, strict=True):
            if name in group:
                low, high = np.searchsorted(times, (begin - 0.08, end + 0.08))
                grip[low:high] = np.maximum(
                    grip[low:high], _grip(times[low:high], begin, begin + share * (end - begin))
                )
        curves += grip[:, None] * (target - curves)
    for name, begin, end in zip(names, begins, ends, strict=True):
        if name == PAUSE and end - begin > 0.12:
            low, high = np.searchsorted(times, (begin, end))
            reach = min(0.09, (end - begin) / 3)
            rest = np.minimum(
                _ramp((times[low:high] - begin) / reach), _ramp((end - times[low:high]) / reach)
            )
            curves[low:high] *= 1 - rest[:, None]
    return curves.astype(np.float32)


_POSES: dict[int, np.ndarray] = {}


def pose_of(viseme: Viseme) -> np.ndarray:
    """Returns the viseme's shape as a vector, cached."""
    key = id(viseme)
    if key not in _POSES:
        _POSES[key] = pose(viseme.shape)
    return _POSES[key]


def _targets(phones, begins, ends):
    for phone, begin, end in zip(phones, begins, ends, strict=True):
        if phone == UNKNOWN:
            continue
        name = PHONES[phone]
        if name in DIPHTHONGS:
            first, second, share = DIPHTHONGS[name]
            middle = begin + share * (end - begin)
            yield first, begin, middle
            yield second, middle, end
        else:
            yield VISEMES[name], begin, end


def _distance(times, begin, end, before, after):
    """Returns 0 in the middle third of the phone, then a rise by 1 per `before` or `after` seconds."""
    inset = (end - begin) / 3
    return np.maximum(0, np.maximum((begin + inset - times) / before, (times - end + inset) / after))


def _grip(times, begin, end, attack=0.055, release=0.055):
    return _ramp(np.minimum((times - begin + attack) / attack, (end + release - times) / release))


def _ramp(x):
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)
