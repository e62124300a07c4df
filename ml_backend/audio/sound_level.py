"""The level of a recording and its channels with speech, measured before features are extracted."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

LEVEL_DB = -16.0
"""Decibels of full scale to which the loud frames of every recording are brought."""
_SILENCE_DB = -90.0
"""Level of a frame below which there is no sound: the noise of 16 bits."""
_FEWEST = 3
"""Frames with sound below which a recording counts as silent."""
_FRAME = 0.02
_STEADY_DB, _LIVELY_DB = 2.0, 3.0
"""Standard deviation of the level over active frames: a tone is below the first, speech above both."""
_LOST = 0.1
"""Share of a channel's power below which the mean of the channels has cancelled it."""


@dataclass(frozen=True)
class SoundSurvey:
    """A recording as a whole.

    Attributes:
        weights: (C,) float32 of the channels in the mono sound.
        gain: factor that brings the mono sound to LEVEL_DB.
        silent: whether there is no sound at all.
        notes: sentences for the user.
    """

    weights: np.ndarray
    gain: float
    silent: bool
    notes: tuple[str, ...]


def frame_powers(blocks: Iterable[np.ndarray], rate: int) -> np.ndarray:
    """Returns the power of frames of 20 ms, each without its mean: (F, C) float64 from (N, C) blocks."""
    hop = max(1, round(rate * _FRAME))
    powers = []
    rest = None
    for block in blocks:
        joined = block if rest is None else np.concatenate([rest, block])
        whole = len(joined) // hop * hop
        frames = joined[:whole].reshape(-1, hop, joined.shape[1]).astype(np.float64)
        powers.append(frames.var(1))
        rest = joined[whole:]
    if rest is not None and len(rest) and not sum(map(len, powers)):
        powers.append(rest.astype(np.float64).var(0)[None])
    return np.concatenate(powers) if powers else np.zeros((0, 1))


def level_db(powers: np.ndarray) -> float | None:
    """Returns the level of the loud frames, decibels of full scale.

    Frames within 10 dB of the mean count (the gate of ITU-R BS.1770), single bangs among them only as much as
    the loudest fiftieth.

    Args:
        powers: (F,) power of frames.

    Returns:
        None where nothing is louder than the noise of 16 bits.
    """
    sounding = powers[powers > 10 ** (_SILENCE_DB / 10)]
    if len(sounding) < min(_FEWEST, len(powers)) or not len(sounding):
        return None
    loud = sounding[sounding > 0.1 * sounding.mean()]
    return float(10 * np.log10(np.minimum(loud, np.quantile(loud, 0.98)).mean()))


def choose_channels(powers: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the weights of the channels in the mono sound, and notes.

    A channel whose level hardly varies (the tone of a time code, hum) is left out where another varies as
    speech does. The others are averaged; where they cancel each other or most are silent, the loudest counts.

    Args:
        powers: (F, C) power of frames.
        covariance: (C, C) of the samples.
    """
    count = powers.shape[1]
    spread = np.array([_spread_db(column) for column in powers.T])
    lively = spread > _LIVELY_DB
    steady = (spread >= 0) & (spread < _STEADY_DB) & lively.any()
    notes = tuple(
        f"channel {index + 1} is a steady tone, such as a time code, and is left out"
        for index in np.flatnonzero(steady)
    )
    weights = np.where(steady, 0, 1 / max(1, count - int(steady.sum()))).astype(np.float32)
    power = np.where(steady, 0, np.diag(covariance))
    if float(weights @ covariance @ weights) < _LOST * power.max():
        weights = np.eye(count, dtype=np.float32)[int(power.argmax())]
    return weights, notes


def _spread_db(powers: np.ndarray) -> float:
    """Returns the standard deviation of the level of frames within 30 dB of the loud ones; -1 for silence."""
    sounding = powers[powers > 10 ** (_SILENCE_DB / 10)]
    if len(sounding) < 10:
        return -1.0
    active = sounding[sounding > 1e-3 * np.quantile(sounding, 0.95)]
    return float(np.std(10 * np.log10(active)))
