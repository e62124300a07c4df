"""The log-mel spectrum that Whisper listens to: 80 bands, 100 frames a second, of 16 kHz sound."""

import functools

import numpy as np
from scipy.fft import rfft

from .log_mel import HOP, SAMPLE_RATE, mel_filters

WHISPER_BANDS = 80
_WINDOW = 400  # samples: 25 ms
_HIGH_HZ = SAMPLE_RATE / 2
_FLOOR = 1e-10
_RANGE = 8.0  # decades below the loudest band that are kept


def whisper_mel(samples: np.ndarray) -> np.ndarray:
    """Returns the spectrum of a stretch of sound, at most 30 s.

    Args:
        samples: (N,) float32 in -1..1 at 16 kHz; a whole number of frames of 160 is kept.

    Returns:
        (80, N // 160) float32, about -1 to 1.5, the loudest band of the stretch 8 decades / 4 above the
        quietest value that is kept; frame i is centred on sample 160 i, the sound mirrored beyond its ends.

    Source: Radford et al. 2022, "Robust speech recognition via large-scale weak supervision", section 2.2.
    """
    samples = np.asarray(samples, np.float32)
    count = len(samples) // HOP
    mirrored = np.pad(samples, _WINDOW // 2, mode="reflect" if len(samples) > _WINDOW else "constant")
    frames = np.lib.stride_tricks.sliding_window_view(mirrored, _WINDOW)[: count * HOP : HOP]
    power = np.abs(np.asarray(rfft(frames * _window(), axis=1))).astype(np.float32) ** 2
    level = np.log10(np.maximum(power @ _filters().T, _FLOOR))
    level = np.maximum(level, level.max(initial=np.log10(_FLOOR)) - _RANGE)
    return np.ascontiguousarray(((level + 4) / 4).T, np.float32)


@functools.cache
def _window() -> np.ndarray:
    """Returns Hann's window of the periodic kind."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)).astype(np.float32)


@functools.cache
def _filters() -> np.ndarray:
    return mel_filters(WHISPER_BANDS, _WINDOW, 0.0, _HIGH_HZ)
