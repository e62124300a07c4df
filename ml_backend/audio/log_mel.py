"""Log-mel spectra, loudness and pitch of 16 kHz speech, in numpy and scipy alone."""

import numpy as np
from scipy.fft import irfft, rfft

SAMPLE_RATE = 16000
HOP = 160  # samples: 100 frames a second
FRAME_RATE = SAMPLE_RATE / HOP
BANDS = 64
_WINDOW = 400
_FFT = 512
_LOW_HZ, _HIGH_HZ = 60.0, 7600.0
_POWER_FLOOR = 1e-9
QUIET = float(
    np.log(1e-6)
)  # a mean band power below which nobody speaks: about -75 dB of full scale in the frame


def mel_filters(
    bands: int = BANDS, samples: int = _FFT, low_hz: float = _LOW_HZ, high_hz: float = _HIGH_HZ
) -> np.ndarray:
    """Returns triangular filters of equal area on Slaney's mel scale.

    Args:
        bands: how many.
        samples: of the frames whose power spectrum they sum.
        low_hz, high_hz: where the first begins and the last ends, in Hz.

    Returns:
        (bands, samples / 2 + 1) float32; row b sums the power spectrum into band b. Equal to
        `librosa.filters.mel`.

    Source: Slaney 1998, "Auditory Toolbox".
    """
    edges = _band_edges(bands, low_hz, high_hz)
    frequencies = np.arange(samples // 2 + 1) * SAMPLE_RATE / samples
    rising = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    return (np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(
        np.float32
    )


def band_frequencies() -> np.ndarray:
    """Returns the centres of the mel bands: (BANDS,) Hz."""
    return _band_edges()[1:-1]


def _band_edges(bands: int = BANDS, low_hz: float = _LOW_HZ, high_hz: float = _HIGH_HZ) -> np.ndarray:
    """Returns where the triangles begin, peak and end: (bands + 2,) Hz."""
    return _mel_to_hz(np.linspace(_hz_to_mel(low_hz), _hz_to_mel(high_hz), bands + 2))


def _hz_to_mel(hz: np.ndarray | float) -> np.ndarray:
    hz = np.asarray(hz, float)
    return np.where(hz < 1000, hz * 3 / 200, 15 + np.log(np.maximum(hz, 1) / 1000) * 27 / np.log(6.4))


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Returns the natural logarithm of the mel-band powers.

    Args:
        samples: (N,) float32 in -1..1 at 16 kHz.

    Returns:
        (ceil(N / 160), 64) float32; frame i is centred on sample 160 i (zeros beyond the ends).
    """
    count = -(-len(samples) // HOP)
    frames = _frames(samples, count, _WINDOW) * np.hanning(_WINDOW).astype(np.float32)
    power = np.abs(np.asarray(rfft(frames, _FFT, axis=1))).astype(np.float32) ** 2
    return np.log(power @ mel_filters().T + _POWER_FLOOR).astype(np.float32)


def _frames(samples: np.ndarray, count: int, width: int, hop: int = HOP) -> np.ndarray:
    padded = np.pad(np.asarray(samples, np.float32), (width // 2, width + hop))
    return np.lib.stride_tricks.sliding_window_view(padded, width)[: count * hop : hop]


def loudness(mel: np.ndarray) -> np.ndarray:
    """Returns the logarithm of the mean band power: (..., T, 64) log-mel -> (..., T)."""
    peak = mel.max(-1)
    return peak + np.log(np.exp(mel - peak[..., None]).mean(-1))


def normalise(mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Takes level, microphone and room colour out of a stretch of log-mel.

    The mean over the frames that are within 30 dB of the loud ones goes out of every band, so that the share
    of silence does not matter.

    Args:
        mel: (T, 64) float32 log-mel, some seconds of one recording.

    Returns:
        (T, 64) float32, about -3..2; and the loudness relative to the loud frames, (T,) float32 in nepers of
        power / 4, -3..0.5.
    """
    energy = loudness(mel)
    level = max(float(np.quantile(energy, 0.95)), QUIET)
    loud = energy > level - 6.9
    mean = mel[loud].mean(0) if loud.any() else np.full(mel.shape[-1], level, np.float32)
    flat = np.clip((mel - mean) / 2, -3, 3)
    return flat.astype(np.float32), np.clip((energy - level) / 4, -3, 0.5).astype(np.float32)


def pitch(samples: np.ndarray) -> np.ndarray:
    """Returns the fundamental frequency, by the normalised autocorrelation of 40 ms frames.

    Args:
        samples: (N,) float32 at 16 kHz.

    Returns:
        (ceil(N / 320), 2) float32 at 50 frames a second: frequency in Hz (70 to 400), and voicing in 0..1.
    """
    hop = 2 * HOP
    width = 640
    count = -(-len(samples) // hop)
    frames = _frames(samples, count, width, hop)
    frames = (frames - frames.mean(1, keepdims=True)) * np.hanning(width).astype(np.float32)
    correlation = _autocorrelation(frames)
    window = np.hanning(width)
    window_correlation = _autocorrelation(window)
    ratio = correlation / (correlation[:, :1] + 1e-4) / (window_correlation / window_correlation[0])
    lags = slice(40, 229)
    octaves_down = np.log2(np.arange(40, 229) / 40)
    best = (ratio[:, lags] - 0.03 * octaves_down).argmax(
        1
    ) + 40  # every octave lower must fit better (Boersma 1993)
    voicing = np.clip(ratio[np.arange(count), best], 0, 1)
    return np.stack([SAMPLE_RATE / best, voicing], 1).astype(np.float32)


def relative_pitch(pitch: np.ndarray) -> np.ndarray:
    """Returns voicing, and octaves around the median of the voiced frames.

    Args and result: (S, 2) Hz and voicing -> (S, 2) float32 voicing and octaves, 0 where nothing is
    voiced.
    """
    voiced = pitch[:, 1] > 0.6
    middle = np.median(pitch[voiced, 0]) if voiced.any() else 1.0
    octaves = np.where(voiced, np.log2(np.maximum(pitch[:, 0], 1) / middle), 0)
    return np.stack([pitch[:, 1], np.clip(octaves, -1, 1)], 1).astype(np.float32)


def _autocorrelation(frames: np.ndarray) -> np.ndarray:
    """Returns the first 232 lags along the last axis."""
    return np.asarray(irfft(np.abs(np.asarray(rfft(frames, 2048))) ** 2))[..., :232]
