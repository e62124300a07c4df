"""Guesses how lively a voice is, from its level, pitch, speed and brightness: a guess, never a measurement.

Level, height and range of the pitch, speech rate and high-frequency energy rise with arousal in every study;
whether a lively speaker is glad or angry is not among what they tell.

Sources: Scherer 2003, "Vocal communication of emotion", table 2; Eyben et al. 2016, "The Geneva Minimalistic
Acoustic Parameter Set"; Juslin and Laukka 2003, table 7.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..phonetics.phones import PHONES
from .log_mel import BANDS, HOP, band_frequencies, log_mel, loudness, pitch

FRAME_RATE = 50.0
WINDOW_SECONDS = 2.0
STEP_SECONDS = 0.5
FEATURES = ("level", "pitch", "range", "rate", "brightness")
_SPLIT_HZ = 1000.0
_SPEECH_BELOW = 6.0
"""Nats of power under the clip's loud frames within which somebody speaks."""
_LEAST_SPEECH = 0.6
"""Seconds of speech that a window needs."""
_VOICED = 0.6
_VOWELS = np.array([phone[0] in "AEIOU" for phone in PHONES])
_REFERENCE = {"pitch": (7.3, 0.45), "range": (0.7, 0.15), "rate": (4.2, 0.5), "brightness": (-5.0, 1.2)}
"""Mean and spread of 35 recordings of three speakers who read calmly, the pitch set between men and women,
the rate in vowels a second. The level is not among them: a microphone sets it."""
_OWN_SPREAD = {"level": 0.5, "pitch": 0.12, "range": 0.2, "rate": 0.7, "brightness": 0.4}
"""Changes within one recording that are heard as livelier or calmer."""
_OWN_WEIGHT = {"level": 1.0, "pitch": 1.0, "range": 0.4, "rate": 0.5, "brightness": 0.4}
_REFERENCE_WEIGHT = {"pitch": 0.5, "range": 0.3, "rate": 0.6, "brightness": 0.2}
_GAIN = 0.5


class Arousal(NamedTuple):
    """Liveliness over time: `values` (K,) from -1 calm to 1 excited at `seconds` (K,)."""

    seconds: np.ndarray
    values: np.ndarray


def voice_frames(samples: np.ndarray) -> np.ndarray:
    """Measures a stretch of a voice.

    Args:
        samples: (N,) float32 at 16 kHz.

    Returns:
        (S, 4) float32 at 50 frames a second: level in nats of power, brightness (power above 1 kHz over that
        below, nats), log2 of the pitch in Hz, voicing 0 to 1.
    """
    mel = log_mel(np.pad(samples, (0, -len(samples) % (2 * HOP))))[::2]
    high = int(np.searchsorted(band_frequencies(), _SPLIT_HZ))
    powers = np.exp(mel)
    brightness = np.log(powers[:, high:].sum(1)) - np.log(powers[:, :high].sum(1))
    brightness -= np.log((BANDS - high) / high)
    voice = pitch(samples)
    voice = np.pad(voice, ((0, max(0, len(mel) - len(voice))), (0, 0)), mode="edge")[: len(mel)]
    return np.stack([loudness(mel), brightness, np.log2(np.maximum(voice[:, 0], 1)), voice[:, 1]], 1).astype(
        np.float32
    )


def window_features(frames: np.ndarray, posteriors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measures the windows of a recording in which somebody speaks.

    Args:
        frames: (S, 4) of `voice_frames`, the whole recording.
        posteriors: (S, 40) probabilities of `PHONES` in each frame.

    Returns:
        (K,) seconds of the windows' middles and (K, 5) `FEATURES`; NaN where a window has no voiced sound.
    """
    level, brightness, octaves, voicing = frames.T
    loud = np.quantile(level, 0.95) if len(level) else 0.0
    speech = (level > loud - _SPEECH_BELOW) & (posteriors[:, 0] < 0.5)
    vowels = speech & (gaussian_filter1d(posteriors[:, _VOWELS].sum(1), 1.0) > 0.5)
    onsets = np.flatnonzero(vowels[1:] & ~vowels[:-1]) + 1
    voiced = speech & (voicing > _VOICED)
    width, step = round(WINDOW_SECONDS * FRAME_RATE), round(STEP_SECONDS * FRAME_RATE)
    seconds, rows = [], []
    for first in range(0, max(1, len(frames) - width + step), step):
        part = slice(first, first + width)
        spoken = speech[part]
        if spoken.sum() < _LEAST_SPEECH * FRAME_RATE:
            continue
        tones = octaves[part][voiced[part]]
        height, spread = np.nan, np.nan
        if len(tones) >= 10:
            height = float(np.median(tones))
            near = tones[np.abs(tones - height) < 0.75]  # farther ones are mistakes of an octave
            spread = float(np.ptp(np.quantile(near, (0.1, 0.9))))
        rate = ((onsets >= first) & (onsets < first + width)).sum() / spoken.sum() * FRAME_RATE
        rows.append([level[part][spoken].mean(), height, spread, rate, brightness[part][spoken].mean()])
        seconds.append((first + min(width, len(frames) - first) / 2) / FRAME_RATE)
    return np.array(seconds), np.array(rows, float).reshape(-1, len(FEATURES))


def guess_arousal(frames: np.ndarray, posteriors: np.ndarray) -> Arousal:
    """Guesses how lively a voice is over time, against the recording's own mean and against calm reading.

    Args:
        frames: (S, 4) of `voice_frames`.
        posteriors: (S, 40) probabilities of `PHONES` in each frame.

    Returns:
        A value each half second in which somebody speaks; none without speech.
    """
    seconds, rows = window_features(frames, posteriors)
    if not len(rows):
        return Arousal(seconds, np.zeros(0))
    known = np.isfinite(rows)
    mean = np.where(known, rows, 0).sum(0) / np.maximum(known.sum(0), 1)
    values = np.zeros(len(rows))
    for index, name in enumerate(FEATURES):
        own = np.where(known[:, index], rows[:, index] - mean[index], 0) / _OWN_SPREAD[name]
        values += _OWN_WEIGHT[name] * np.clip(own, -2.5, 2.5)
        if name in _REFERENCE and known[:, index].any():
            middle, spread = _REFERENCE[name]
            values += _REFERENCE_WEIGHT[name] * np.clip((mean[index] - middle) / spread, -2.5, 2.5)
    return Arousal(seconds, np.tanh(_GAIN * values))
