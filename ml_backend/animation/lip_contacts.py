"""Contacts of the lips, rounding and open vowels: they are reached where the phones say so. No learning.

The decoder averages over all that it learned; sounds that are short or merely likely come out too weak.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.signal import find_peaks

from ..expression_names import EXPRESSION_NAMES
from ..phonetics.coarticulation import pose, speech_channels
from ..phonetics.phones import BILABIAL, LABIODENTAL, OPEN_VOWELS, PHONE_INDEX, PHONES, ROUNDED
from ..phonetics.visemes import BILABIAL_POSE, DIPHTHONGS, LABIODENTAL_POSE, VISEMES

# A posterior (its sum over a group) pulls from the first value on and holds fully from the second; the third
# is an exponent: below 1, a doubtful sound pulls more.
_BILABIAL_GRIP = (0.01, 0.52, 0.7)
_LABIODENTAL_GRIP = (0.06, 0.55, 1.0)
_PAUSE_GRIP = (0.5, 0.85, 1.0)
_CONTACT_EASE = 0.012  # seconds, standard deviation of the lips' way into a contact and out of it
_PAUSE_EASE = 0.03  # the same into and out of a pause
_ROUNDING_EASE = 0.018  # seconds, standard deviation: lips round slowly, and before their vowel
_ROUNDING_HEARD = 0.012  # the same over the posterior of the rounded phones together, before the next line
_ROUNDING = (0.01, 1.0, 0.3)  # posterior from which the lips pucker, how far at most, and the exponent
_OPEN_EASE = 0.04  # seconds, standard deviation of the jaw's rise and fall to either side of an open vowel
_OPEN_REACH = 0.04  # seconds to either side in which a vowel's own peak is sought
_OPEN_GRIP = 0.3  # posterior of the open vowels together from which the jaw opens fully
_OPEN_PASSES = 8  # in which the jaw makes up for what its smoothing takes off the peaks
_SMOOTHING = 0.016  # seconds, standard deviation of the Gaussian over all mouth curves
_JAW_SMOOTHING = 0.036  # the same over the jaw, which is heavy; mouthClose then closes lips over an open jaw
_TEETH_EASE = 0.03  # seconds, standard deviation of how the jaw closes for f v after its smoothing


def secure_contacts(
    curves: np.ndarray, posteriors: np.ndarray, speech_times: np.ndarray, times: np.ndarray, fps: float
) -> np.ndarray:
    """Closes the lips on p b m, lays the lower lip on the teeth on f v, and brings pauses to rest.

    The mouth is smoothed first.

    Args:
        curves: (T, 52) at `times` (T,) seconds.
        posteriors: (S, 40) over PHONES at `speech_times` (S,) seconds, 0.02 s apart.
        times: see above.
        fps: frames a second of `times`.

    Returns:
        (T, 52) float32.
    """
    moved = speech_channels()
    curves = np.where(
        moved, gaussian_filter1d(curves, max(0.3, _SMOOTHING * fps), axis=0, mode="nearest"), curves
    )

    def raised(names: tuple[str, ...], grip: tuple[float, float, float]) -> np.ndarray:
        likely = posteriors[:, [PHONE_INDEX[name] for name in names]].sum(1)
        first, full, exponent = grip
        return np.clip((likely - first) / (full - first), 0, 1) ** exponent

    def eased(grip: np.ndarray, deviation: float) -> np.ndarray:
        return np.interp(times, speech_times, gaussian_filter1d(grip, deviation * 50))[:, None]

    curves = _keep_round(curves, posteriors, speech_times, times)
    rest = eased(raised(("PAU",), _PAUSE_GRIP), _PAUSE_EASE)
    curves = curves * (1 - moved * rest)
    biting = raised(LABIODENTAL, _LABIODENTAL_GRIP)
    teeth = reach_contacts(biting, speech_times, times)[:, None]
    curves = curves + moved * teeth * (pose(LABIODENTAL_POSE) - curves)
    lips = reach_contacts(raised(BILABIAL, _BILABIAL_GRIP), speech_times, times)[:, None]
    pucker, funnel = EXPRESSION_NAMES.index("mouthPucker"), EXPRESSION_NAMES.index("mouthFunnel")
    shut = np.tile(pose(BILABIAL_POSE), (len(curves), 1))
    shut[:, pucker] = np.minimum(
        1, curves[:, pucker] + 0.4 * curves[:, funnel]
    )  # "boom": the lips close, and stay round
    curves = curves + moved * lips * (shut - curves)
    jaw = EXPRESSION_NAMES.index("jawOpen")
    free = 1 - np.max([rest, lips, teeth], 0)[:, 0]
    wanted = free * np.interp(times, speech_times, open_jaw(posteriors))
    smoothed = _smooth_jaw(curves[:, jaw], wanted, max(0.3, _JAW_SMOOTHING * fps))
    excess = np.maximum(smoothed - LABIODENTAL_POSE["jawOpen"], 0)
    slow = np.sqrt(eased(biting, _TEETH_EASE))[:, 0]  # whose peaks, in short sounds, stay near 1
    curves[:, jaw] = smoothed - slow * excess
    curves[:, EXPRESSION_NAMES.index("mouthClose")] = np.maximum(lips, rest)[:, 0] * curves[:, jaw]
    return np.clip(curves, 0, 1).astype(np.float32)


def reach_contacts(grip: np.ndarray, speech_times: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Samples how firmly lips or teeth are gripped so that every contact is reached, and none is longer.

    Easing takes more off a short contact than off a long one, and frames may fall beside it. So the peaks get
    back what easing took, and the frame next to a peak shows it whole.

    Args:
        grip: (S,) in 0..1 at `speech_times`, before it is eased.
        speech_times: (S,) seconds, 0.02 apart.
        times: (T,) seconds of the frames, rising.

    Returns:
        (T,) in 0..1.
    """
    eased = gaussian_filter1d(grip, _CONTACT_EASE * 50)
    lost = maximum_filter1d(grip, 3) / np.maximum(maximum_filter1d(eased, 3), 1e-6)
    eased = np.clip(eased * np.maximum(lost, 1), 0, 1)
    frames = np.interp(times, speech_times, eased)
    peaks, plateaus = find_peaks(np.pad(eased, 1), plateau_size=1)
    middles = np.interp(
        (plateaus["left_edges"] + plateaus["right_edges"]) / 2 - 1, np.arange(len(eased)), speech_times
    )
    borders = (times[1:] + times[:-1]) / 2
    nearest = np.searchsorted(borders, middles)
    seen = (middles >= times[0] - 0.01) & (middles <= times[-1] + 0.01)
    np.maximum.at(frames, nearest[seen], eased[peaks - 1][seen])
    return frames


def _keep_round(
    curves: np.ndarray, posteriors: np.ndarray, speech_times: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Rounds the lips at least as far as the posteriors expect.

    Where a rounded phone is merely likely, the decoder prefers not to round; a mouth that never rounds
    looks worse than one that rounds once too often.
    """
    columns = [EXPRESSION_NAMES.index(name) for name in ("mouthPucker", "mouthFunnel")]
    shapes = np.stack(
        [
            pose((DIPHTHONGS[name][1] if name in DIPHTHONGS else VISEMES[name]).shape)[columns]
            for name in PHONES
        ]
    )
    expected = gaussian_filter1d(posteriors @ shapes, _ROUNDING_EASE * 50, axis=0)
    threshold, most, exponent = _ROUNDING
    likely = gaussian_filter1d(
        posteriors[:, [PHONE_INDEX[name] for name in ROUNDED]].sum(1), _ROUNDING_HEARD * 50
    )
    pucker = most * np.clip((likely - threshold) / (1 - threshold), 0, 1) ** exponent
    expected[:, 0] = np.maximum(expected[:, 0], gaussian_filter1d(pucker, _ROUNDING_EASE * 50))
    curves = curves.copy()
    for index, column in enumerate(columns):
        curves[:, column] = np.maximum(curves[:, column], np.interp(times, speech_times, expected[:, index]))
    spread = [
        EXPRESSION_NAMES.index(f"mouth{kind}{side}")
        for kind in ("Smile", "Stretch")
        for side in ("Left", "Right")
    ]
    curves[:, spread] *= np.clip(1 - 1.5 * curves[:, columns[:1]], 0, 1)
    return curves


def open_jaw(posteriors: np.ndarray) -> np.ndarray:
    """Returns how far the jaw opens at least, (S,) in 0..1, for posteriors (S, 40) that are 0.02 s apart.

    At its peak every open vowel that is heard reaches the opening of its own shape, however short it is; to
    either side the jaw rises and falls over some hundredths of a second.
    """
    columns = [PHONE_INDEX[name] for name in OPEN_VOWELS]
    shapes = [(DIPHTHONGS[name][0] if name in DIPHTHONGS else VISEMES[name]).shape for name in OPEN_VOWELS]
    chances = posteriors[:, columns]
    likely = chances.sum(1)
    eased = gaussian_filter1d(likely, _OPEN_EASE * 50)
    span = 2 * round(_OPEN_REACH * 50) + 1
    certain = maximum_filter1d(gaussian_filter1d(likely, 0.6), span) / _OPEN_GRIP
    rise = eased / np.maximum(maximum_filter1d(eased, span), 1e-6)
    opening = gaussian_filter1d(chances @ np.array([shape["jawOpen"] for shape in shapes]), 1)
    opening = opening / np.maximum(gaussian_filter1d(likely, 1), 1e-6)
    return rise * opening * np.clip(certain, 0, 1)


def _smooth_jaw(jaw: np.ndarray, wanted: np.ndarray, deviation: float) -> np.ndarray:
    """Smooths the jaw so that its peaks still reach what is wanted.

    Smoothing takes more off a short vowel than off a long one. What is missing, and no more, is added before
    smoothing, as in Van Cittert 1931, "Zum Einfluss der Spaltbreite auf die Intensitaetsverteilung in
    Spektrallinien".

    Args:
        jaw: (T,).
        wanted: (T,) opening to be reached; below the jaw it asks for nothing.
        deviation: of the Gaussian, frames.
    """
    smoothed = gaussian_filter1d(jaw, deviation, mode="nearest")
    for _ in range(_OPEN_PASSES):
        jaw = jaw + np.maximum(wanted - smoothed, 0)
        smoothed = gaussian_filter1d(jaw, deviation, mode="nearest")
    return smoothed
