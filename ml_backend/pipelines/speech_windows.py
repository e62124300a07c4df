"""Speech in windows: what the networks hear in each, the curves that they make of it, and their joining.

Windows of twenty seconds overlap, so that an hour takes no more memory than a minute.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import softmax

from ..animation.lip_contacts import secure_contacts
from ..audio.log_mel import HOP, QUIET, SAMPLE_RATE, log_mel, loudness, normalise, pitch, relative_pitch
from ..audio.read_audio import AudioFile
from ..audio.sound_level import SoundSurvey
from ..errors import UserError
from ..expression_names import EXPRESSION_NAMES
from ..models.speech.autoregressive_decoder import FRAME_RATE as PAST_RATE
from ..models.speech.autoregressive_decoder import AutoregressiveDecoder
from ..models.speech.speech_encoder import FRAME_RATE
from ..models.speech.speech_networks import SpeechNetworks
from ..models.speech.whisper_recogniser import Recogniser
from ..phonetics.phones import PHONES, UNKNOWN

CORE_SECONDS = 20.0
"""Of a window that are kept."""
CONTEXT_SECONDS = 2.0
"""On either side that are only listened to."""
BLEND_SECONDS = 0.25
"""Over which neighbouring windows are mixed, on either side of their border."""
_TRACE = (0.01, 0.04)
"""Mouth curves are 0 below the first and whole above the second: unseen movement of a key costs time too."""
_LEAST_CHANCE = 1e-5  # so that one network alone cannot rule a phone out


@dataclass(frozen=True)
class SpeechFeatures:
    """Features of a window of sound.

    Posteriors (S, 40) and prosody (S, 3) at `times` (S,), 0.02 s apart, seconds of the recording.
    """

    posteriors: np.ndarray
    prosody: np.ndarray
    times: np.ndarray


def extract_features(
    networks: SpeechNetworks,
    samples: np.ndarray,
    begin: float,
    alignment: tuple[np.ndarray, np.ndarray] | None = None,
    recogniser: Recogniser | None = None,
) -> SpeechFeatures:
    """Returns phone posteriors and prosody of a window.

    Args:
        networks: the trained pair.
        samples: (N,) float32 at 16 kHz.
        begin: seconds at which the window begins.
        alignment: phones and ends of the whole recording, where a transcript told them; else the encoder
            listens.
        recogniser: listens beside the encoder, or instead of it, where given.
    """
    samples = samples - samples.mean()  # a recorder's constant offset is no sound
    mel = log_mel(np.pad(samples, (0, -len(samples) % (2 * HOP))))
    flat, relative = normalise(mel)
    energy = loudness(mel)
    rows = len(flat) // 2
    times = np.arange(rows) / FRAME_RATE + 0.005
    with torch.inference_mode():
        posteriors = networks.encoder(torch.from_numpy(flat)[None])[0].softmax(1).numpy().copy()
    if recogniser is not None:
        heard = recogniser.listen(samples, times, relative[::2])
        posteriors = pool_posteriors(heard, posteriors, recogniser.weights)
    voice = pitch(samples)
    voice = relative_pitch(np.pad(voice, ((0, max(0, rows - len(voice))), (0, 0)), mode="edge")[:rows])
    times = begin + times
    if alignment is not None:
        phones, ends = alignment
        at = phones[np.minimum(np.searchsorted(ends, times, side="right"), len(phones) - 1)]
        known = at != UNKNOWN
        posteriors[known] = np.eye(len(PHONES), dtype=np.float32)[at[known]]
    silent = (
        energy[::2] < QUIET + 1.5
    )  # nobody speaks at 70 dB under full scale: a pause, whatever the network makes of it
    posteriors[silent] = np.eye(len(PHONES), dtype=np.float32)[0]
    prosody = np.concatenate([relative[::2, None], voice], 1).astype(np.float32)
    return SpeechFeatures(posteriors, prosody, times)


def pool_posteriors(first: np.ndarray, second: np.ndarray, weights: tuple[float, float]) -> np.ndarray:
    """Returns what two networks hear together, (S, 40), rows sum to 1.

    Args:
        first, second: (S, 40) posteriors of the same frames.
        weights: of the logarithm of each; (1, 0) leaves the first as it is.

    Source: the logarithmic opinion pool of Genest and Zidek 1986, "Combining probability distributions".
    """
    if weights == (1, 0):
        return first
    logits = weights[0] * np.log(first + _LEAST_CHANCE) + weights[1] * np.log(second + _LEAST_CHANCE)
    return softmax(logits, 1).astype(np.float32)


class AutoregressiveStream:
    """The autoregressive decoder along a recording.

    Windows may overlap the end of the one before by half a second, which is made again.
    """

    _SLACK = math.ceil(2 * BLEND_SECONDS * PAST_RATE) + 3  # frames

    def __init__(self, decoder: AutoregressiveDecoder):
        self.decoder = decoder
        self.past = decoder.start(0, self._SLACK)

    def curves(self, features: SpeechFeatures, times: np.ndarray) -> np.ndarray:
        """Curves (T, 52) at seconds (T,); straight lines between the decoder's frames."""
        places = times * PAST_RATE
        first = min(math.floor(places[0] + 1e-6), self.past.next)
        last = math.ceil(places[-1] - 1e-6)
        self.past.rewind(first)
        origin = first / PAST_RATE  # single precision holds seconds to a millisecond for three hours only
        with torch.inference_mode():
            made = self.decoder.step(
                self.past,
                torch.from_numpy(features.posteriors),
                torch.from_numpy(features.prosody),
                torch.from_numpy(features.times - origin).float(),
                last - first + 1,
                origin,
            ).numpy()
        at = np.clip(places - first, 0, len(made) - 1)
        low = np.minimum(at.astype(int), max(len(made) - 2, 0))
        part = (at - low)[:, None]
        return made[low] * (1 - part) + made[np.minimum(low + 1, len(made) - 1)] * part


def decode(
    networks: SpeechNetworks | AutoregressiveStream, features: SpeechFeatures, times: np.ndarray, fps: float
) -> np.ndarray:
    """Returns mouth curves at the given seconds, (T,) -> (T, 52) float32 in 0..1.

    Lips meet where the phones say so; traces that nobody sees are 0.
    """
    if not len(times):
        return np.zeros((0, len(EXPRESSION_NAMES)), np.float32)
    if isinstance(networks, AutoregressiveStream):
        curves = networks.curves(features, times)
    else:
        origin = features.times[0] - 0.005
        with torch.inference_mode():
            curves = networks.decoder(
                torch.from_numpy(features.posteriors)[None],
                torch.from_numpy(features.prosody)[None],
                torch.from_numpy(features.times - origin).float(),
                torch.from_numpy(times - origin).float(),
            )[0].numpy()
    curves = secure_contacts(np.clip(curves, 0, 1), features.posteriors, features.times, times, fps)
    low, high = _TRACE
    seen = ((curves - low) / (high - low)).clip(0, 1)
    return curves * (seen * seen * (3 - 2 * seen))


def windows(
    file: AudioFile, start: float = 0.0, length: float = 0.0, survey: SoundSurvey | None = None
) -> Iterator[tuple[float, np.ndarray, bool, bool]]:
    """Yields windows of the sound: seconds at which they begin, samples, whether first, whether last.

    Raises:
        UserError: as `AudioFile.blocks`, or there are no samples.
    """
    span = int((CORE_SECONDS + 2 * CONTEXT_SECONDS) * SAMPLE_RATE)
    context = int(2 * CONTEXT_SECONDS * SAMPLE_RATE)
    held = np.zeros(0, np.float32)
    begin = 0
    first = True
    for block in file.blocks(start=start, length=length, survey=survey):
        held = np.concatenate([held, block])
        while (
            len(held) > span + context
        ):  # what remains is longer than a context: this is not the last window
            yield begin / SAMPLE_RATE, held[:span], first, False
            held = held[span - context :]
            begin += span - context
            first = False
    if not len(held):
        raise UserError(
            f"{file.path}: the recording has no samples.", "Export it again; the file may be truncated."
        )
    yield begin / SAMPLE_RATE, held, first, True


def joined(parts: list[tuple[float, np.ndarray]], count: int, fps: float) -> np.ndarray:
    """Mixes the windows' frames where they overlap."""
    total = np.zeros((count, len(EXPRESSION_NAMES)), np.float32)
    weight = np.zeros((count, 1), np.float32)
    for index, (first, frames) in enumerate(parts):
        if not len(frames):
            continue
        ramp = np.ones(len(frames), np.float32)
        width = max(1.0, 2 * BLEND_SECONDS * fps)
        rise, fall = (
            (np.arange(len(frames)) + 0.5) / width,
            (len(frames) - np.arange(len(frames)) - 0.5) / width,
        )
        if index > 0:
            ramp = np.minimum(ramp, rise)
        if index < len(parts) - 1:
            ramp = np.minimum(ramp, fall)
        begin = int(first)
        stop = min(begin + len(frames), count)
        total[begin:stop] += (frames * ramp[:, None])[: stop - begin]
        weight[begin:stop] += ramp[: stop - begin, None]
    return total / np.maximum(weight, 1e-3)


def recognised_phones(networks: SpeechNetworks, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the encoder's posteriors of a whole recording, (S, 40), and their (S,) seconds."""
    span = int(CORE_SECONDS * SAMPLE_RATE)
    parts = [
        extract_features(networks, samples[begin : begin + span], begin / SAMPLE_RATE)
        for begin in range(0, len(samples), span)
    ]
    return (
        np.concatenate([part.posteriors for part in parts]),
        np.concatenate([part.times for part in parts]),
    )
