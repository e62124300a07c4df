"""A recording to ARKit curves: networks for the mouth, procedural layers for the rest of the face."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ..animation.curve_editing import CurveEdit, edit_layers, keep_lips_closed
from ..animation.emotion import check_emotions
from ..animation.lip_contacts import secure_contacts
from ..animation.procedural import LAYERS, Layer, Motion, Prosody, check_layers, procedural_layers
from ..audio.log_mel import HOP, QUIET, SAMPLE_RATE, log_mel, loudness, normalise, pitch, relative_pitch
from ..audio.read_audio import AudioFile
from ..audio.sound_level import SoundSurvey
from ..errors import UserError
from ..expression_names import EXPRESSION_NAMES
from ..files.curve_file import HEAD_NAMES, Animation
from ..models.speech.autoregressive_decoder import FRAME_RATE as PAST_RATE
from ..models.speech.autoregressive_decoder import AutoregressiveDecoder
from ..models.speech.phoneme_recogniser import PhonemeRecogniser, load_phoneme_recogniser
from ..models.speech.speech_encoder import FRAME_RATE
from ..models.speech.speech_networks import (
    DEFAULT_FILE,
    SpeechNetworks,
    load_autoregressive_decoder,
    load_speech_networks,
)
from ..phonetics.align_transcript import align_transcript, check_alignment
from ..phonetics.phones import PHONES, UNKNOWN

Progress = Callable[[float, str], None]

_CORE = 20.0  # seconds of a window that are kept
_CONTEXT = 2.0  # seconds on either side that are only listened to
_BLEND = 0.25  # seconds over which neighbouring windows are mixed, on either side of their border
DECODERS = ("parallel", "autoregressive")


@dataclass(frozen=True)
class AnimateFromAudioRequest:
    """A recording to animate, and the settings.

    Attributes:
        path: the recording, or a film with sound; any channels, 4 to 384 kHz.
        fps: frames a second of the curves, 1 to 240.
        seed: of the procedural layers that `seeds` does not name.
        blinks, brows, head, gaze, breath, emotion: how much of each procedural layer: 0 or False none, 1 or
            True as tabulated, at most 3.
        transcript: the words that are spoken, in English; forced alignment then replaces the network's
            recogniser. Needs pocketsphinx.
        weights: another weight file than the shipped one.
        start: seconds of the recording at which to begin.
        length: seconds of it to animate; 0 for all that is left.
        seeds: of single layers, by name.
        speech_encoder: folder of a phoneme-CTC wav2vec 2.0 checkpoint that listens instead of our own
            encoder.
        emotions: what the emotion layer shows: (seconds after `start`, emotion, intensity 0 to 1.5), see
            `speech.emotion`.
        decoder: "parallel", all frames of a window at once, or "autoregressive", each frame from the frames
            before it.
        channel: the only channel to listen to, from 1 on; 0 chooses those with speech.
    """

    path: str
    fps: float = 30.0
    seed: int = 0
    blinks: float = 1.0
    brows: float = 1.0
    head: float = 1.0
    gaze: float = 1.0
    transcript: str = ""
    weights: str = ""
    breath: float = 1.0
    emotion: float = 1.0
    start: float = 0.0
    length: float = 0.0
    seeds: Mapping[str, int] = field(default_factory=dict)
    emotions: Sequence = ()
    speech_encoder: str = ""
    decoder: str = "parallel"
    channel: int = 0

    def layers(self) -> dict[str, Layer]:
        """Returns the procedural layers with their amounts and seeds.

        Raises:
            UserError: a name, an amount or a seed cannot be.
        """
        layers = {name: Layer(float(getattr(self, name)), self.seed) for name in LAYERS}
        unknown = set(self.seeds) - set(layers)
        check_layers(layers | {name: Layer() for name in unknown})
        layers = {
            name: layer._replace(seed=int(self.seeds.get(name, layer.seed))) for name, layer in layers.items()
        }
        check_layers(layers)
        return layers


@dataclass(frozen=True)
class LayeredAnimation:
    """Speech and what was added to it.

    Attributes:
        speech: the mouth alone, as the recording has it.
        layers: the procedural layers, by name, to be added.
        notes: sentences for the user on the recording.
    """

    speech: Animation
    layers: dict[str, Motion]
    notes: tuple[str, ...] = ()

    def mixed(self, edit: CurveEdit | None = None) -> Animation:
        """Returns the sum of speech and layers, its lips closed wherever those of the speech are.

        Args:
            edit: gains, smoothing, offset; None leaves all as it is.
        """
        if edit is None:
            frames, head = self.speech.frames.copy(), self.speech.head.copy()
            for motion in self.layers.values():
                frames += motion.curves
                head += motion.head
            frames = keep_lips_closed(frames, self.speech.frames)
        else:
            parts = {
                "speech": (self.speech.frames, self.speech.head),
                **{name: tuple(motion) for name, motion in self.layers.items()},
            }
            moved = edit_layers(self.speech.fps, parts, edit).values()
            frames, head = (np.sum([part[index] for part in moved], 0) for index in (0, 1))
        np.clip(frames, 0, 1, out=frames)
        return Animation(
            self.speech.fps,
            EXPRESSION_NAMES,
            frames.astype(np.float32, copy=False),
            head.astype(np.float32, copy=False),
        )


@dataclass(frozen=True)
class SpeechFeatures:
    """Features of a window of sound.

    Posteriors (S, 40) and prosody (S, 3) at `times` (S,), 0.02 s apart, seconds of the recording.
    """

    posteriors: np.ndarray
    prosody: np.ndarray
    times: np.ndarray


def animate_from_audio(request: AnimateFromAudioRequest, progress: Progress) -> Animation:
    """Animates a face from a recording; see `animate_in_layers`, whose layers are added up here."""
    return animate_in_layers(request, progress).mixed()


def animate_in_layers(request: AnimateFromAudioRequest, progress: Progress) -> LayeredAnimation:
    """Animates a face from a recording, speech and procedural motion apart.

    The recording is read in windows of 20 s with 2 s of context, so the memory does not grow with its
    length.

    Args:
        request: what to animate.
        progress: called with the share done, 0..1, and a short text before each window; may raise to cancel.

    Returns:
        round(seconds x fps) frames; frame i is at i / fps seconds after the request's start.

    Raises:
        UserError: the recording, its range, the frame rate, the weights, a layer or the transcript cannot be
            used.
    """
    if not (math.isfinite(request.fps) and 1 <= request.fps <= 240):
        raise UserError(f"{request.fps} frames a second.", "Choose 1 to 240.")
    if request.decoder not in DECODERS:
        raise UserError(f"{request.decoder}: no such decoder.", f"Choose of {', '.join(DECODERS)}.")
    layers, emotions = request.layers(), check_emotions(request.emotions)
    file = AudioFile(request.path)
    seconds = file.range_seconds(request.start, request.length)
    networks = load_speech_networks(Path(request.weights) if request.weights else DEFAULT_FILE)
    recogniser = load_phoneme_recogniser(Path(request.speech_encoder)) if request.speech_encoder else None
    progress(0.0, "Measuring the sound")
    survey = file.survey(request.start, request.length, request.channel)
    alignment = _align(request, file, survey, networks) if request.transcript.strip() else None
    stream = (
        AutoregressiveStream(load_autoregressive_decoder()) if request.decoder == "autoregressive" else None
    )
    mouths: list[tuple[float, np.ndarray]] = []
    prosodies: list[np.ndarray] = []
    samples_read = 0
    for begin, samples, first, last in windows(file, request, survey):
        progress(min(0.95, begin / max(seconds, 1e-3)), "Listening")
        features = extract_features(networks, samples, begin, alignment, recogniser)
        low = begin + (0 if first else _CONTEXT - _BLEND)
        high = begin + len(samples) / SAMPLE_RATE - (0 if last else _CONTEXT - _BLEND)
        frames = np.arange(math.ceil(low * request.fps - 1e-6), math.ceil(high * request.fps - 1e-6))
        mouth = decode(stream or networks, features, frames / request.fps, request.fps)
        mouths.append((float(frames[0]) if len(frames) else 0.0, mouth))
        kept = (features.times >= low + (0 if first else _BLEND)) & (
            features.times < high - (0 if last else _BLEND)
        )
        prosodies.append(np.concatenate([features.prosody, features.posteriors[:, :1]], 1)[kept])
        samples_read = round(begin * SAMPLE_RATE) + len(samples)
    count = max(1, round(samples_read / SAMPLE_RATE * request.fps))
    mouth = _joined(mouths, count, request.fps)
    mouths.clear()
    progress(0.97, "Blinks, brows, head")
    track = np.concatenate(prosodies)
    prosody = Prosody(track[:, 0], track[:, 1], track[:, 2], track[:, 3])
    procedural = procedural_layers(prosody, np.arange(count) / request.fps, layers, mouth, emotions)
    progress(1.0, "Done")
    speech = Animation(
        float(request.fps), EXPRESSION_NAMES, mouth, np.zeros((count, len(HEAD_NAMES)), np.float32)
    )
    unknown = recogniser.phones.unknown if recogniser is not None else ()
    notes = survey.notes
    if unknown:
        notes += (f"the speech encoder's symbols {' '.join(unknown)} stand for no phone and are passed over",)
    return LayeredAnimation(speech, _within_range(mouth, procedural), notes)


def _within_range(mouth: np.ndarray, layers: dict[str, Motion]) -> dict[str, Motion]:
    """Trims each layer to what is left of 0..1, so that all add up without clipping."""
    total, trimmed = mouth.copy(), {}
    for name, motion in layers.items():
        curves = motion.curves
        curves += total
        np.clip(curves, 0, 1, out=curves)
        curves -= total
        trimmed[name] = motion
        total += curves
    return trimmed


def extract_features(
    networks: SpeechNetworks,
    samples: np.ndarray,
    begin: float,
    alignment: tuple[np.ndarray, np.ndarray] | None = None,
    recogniser: PhonemeRecogniser | None = None,
) -> SpeechFeatures:
    """Returns phone posteriors and prosody of a window.

    Args:
        networks: the trained pair.
        samples: (N,) float32 at 16 kHz.
        begin: seconds at which the window begins.
        alignment: phones and ends of the whole recording, where a transcript told them; else the encoder
            listens.
        recogniser: listens instead of the encoder, where given.
    """
    mel = log_mel(np.pad(samples, (0, -len(samples) % (2 * HOP))))
    flat, relative = normalise(mel)
    energy = loudness(mel)
    rows = len(flat) // 2
    times = np.arange(rows) / FRAME_RATE + 0.005
    if recogniser is not None:
        posteriors = recogniser.listen(samples, times, relative[::2])
    else:
        with torch.inference_mode():
            posteriors = networks.encoder(torch.from_numpy(flat)[None])[0].softmax(1).numpy().copy()
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


class AutoregressiveStream:
    """The autoregressive decoder along a recording.

    Windows may overlap the end of the one before by half a second, which is made again.
    """

    _SLACK = math.ceil(2 * _BLEND * PAST_RATE) + 3  # frames

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

    Lips meet where the phones say so.
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
    return secure_contacts(np.clip(curves, 0, 1), features.posteriors, features.times, times, fps)


def windows(
    file: AudioFile, request: AnimateFromAudioRequest, survey: SoundSurvey | None = None
) -> Iterator[tuple[float, np.ndarray, bool, bool]]:
    """Yields windows of the sound: their first second, their samples, whether first, whether last."""
    span = int((_CORE + 2 * _CONTEXT) * SAMPLE_RATE)
    context = int(2 * _CONTEXT * SAMPLE_RATE)
    held = np.zeros(0, np.float32)
    start = 0
    first = True
    for block in file.blocks(start=request.start, length=request.length, survey=survey):
        held = np.concatenate([held, block])
        while (
            len(held) > span + context
        ):  # what remains is longer than a context: this is not the last window
            yield start / SAMPLE_RATE, held[:span], first, False
            held = held[span - context :]
            start += span - context
            first = False
    if not len(held):
        raise UserError(
            f"{file.path}: the recording has no samples.", "Export it again; the file may be truncated."
        )
    yield start / SAMPLE_RATE, held, first, True


def _joined(parts: list[tuple[float, np.ndarray]], count: int, fps: float) -> np.ndarray:
    """Mixes the windows' frames where they overlap."""
    total = np.zeros((count, len(EXPRESSION_NAMES)), np.float32)
    weight = np.zeros((count, 1), np.float32)
    for index, (first, frames) in enumerate(parts):
        if not len(frames):
            continue
        ramp = np.ones(len(frames), np.float32)
        width = max(1.0, 2 * _BLEND * fps)
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


def _align(
    request: AnimateFromAudioRequest, file: AudioFile, survey: SoundSurvey, networks: SpeechNetworks
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the phones of the transcript and the seconds at which each ends.

    Raises:
        UserError: transcript and recording do not fit.
    """
    samples = np.concatenate(list(file.blocks(start=request.start, length=request.length, survey=survey)))
    alignment = align_transcript(samples, request.transcript, str(file.path))
    if not survey.silent:
        check_alignment(*recognised_phones(networks, samples), *alignment, str(file.path))
    return alignment


def recognised_phones(networks: SpeechNetworks, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the encoder's posteriors of a whole recording, (S, 40), and their (S,) seconds."""
    span = int(_CORE * SAMPLE_RATE)
    parts = [
        extract_features(networks, samples[begin : begin + span], begin / SAMPLE_RATE)
        for begin in range(0, len(samples), span)
    ]
    return (
        np.concatenate([part.posteriors for part in parts]),
        np.concatenate([part.times for part in parts]),
    )
