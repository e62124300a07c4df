"""A recording to ARKit curves: networks for the mouth, procedural layers for the rest of the face."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..animation.curve_editing import CurveEdit, edit_layers, keep_lips_closed
from ..animation.emotion import check_emotions
from ..animation.procedural import LAYERS, Layer, Motion, Prosody, check_layers, procedural_layers
from ..animation.voice_emotion import check_voice_emotion, keys_of_voice
from ..audio.log_mel import SAMPLE_RATE
from ..audio.read_audio import AudioFile
from ..audio.sound_level import SoundSurvey
from ..audio.voice_arousal import Arousal, guess_arousal, voice_frames
from ..errors import UserError
from ..expression_names import EXPRESSION_NAMES
from ..files.curve_file import HEAD_NAMES, Animation
from ..models.speech.speech_networks import (
    DEFAULT_FILE,
    SpeechNetworks,
    load_autoregressive_decoder,
    load_speech_networks,
)
from ..models.speech.whisper_recogniser import load_recogniser
from ..phonetics.align_transcript import align_transcript, check_alignment
from ..phonetics.phones import PHONES
from ..phonetics.spelling.languages import ENGLISH
from .speech_windows import (
    BLEND_SECONDS,
    CONTEXT_SECONDS,
    AutoregressiveStream,
    decode,
    extract_features,
    joined,
    recognised_phones,
    windows,
)

Progress = Callable[[float, str], None]

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
        transcript: the words that are spoken; forced alignment then replaces the network's recogniser. Needs
            pocketsphinx.
        weights: another weight file than the shipped one.
        start: seconds of the recording at which to begin.
        length: seconds of it to animate; 0 for all that is left.
        seeds: of single layers, by name.
        speech_encoder: a network that listens instead of our own encoder, the folder of a phoneme-CTC wav2vec
            2.0 checkpoint, or beside it: Whisper base in CTranslate2's layout, folder or file.
        emotions: what the emotion layer shows: (seconds after `start`, emotion, intensity 0 to 1.5), see
            `animation.emotion`.
        decoder: "parallel", all frames of a window at once, or "autoregressive", each frame from the frames
            before it.
        channel: the only channel to listen to, from 1 on; 0 chooses those with speech.
        voice_emotion: without `emotions`, what the emotion layer shows as the voice is lively: a name of
            `animation.voice_emotion`, a guess; "" for nothing.
        language: of the transcript: en, de, fr, es, it or pt.
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
    voice_emotion: str = ""
    language: str = ENGLISH

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
    voice_emotion = "" if emotions else check_voice_emotion(request.voice_emotion)
    file = AudioFile(request.path)
    seconds = file.range_seconds(request.start, request.length)
    networks = load_speech_networks(Path(request.weights) if request.weights else DEFAULT_FILE)
    recogniser = load_recogniser(Path(request.speech_encoder)) if request.speech_encoder else None
    progress(0.0, "Measuring the sound")
    survey = file.survey(request.start, request.length, request.channel)
    alignment = _align(request, file, survey, networks) if request.transcript.strip() else None
    stream = (
        AutoregressiveStream(load_autoregressive_decoder()) if request.decoder == "autoregressive" else None
    )
    mouths: list[tuple[float, np.ndarray]] = []
    prosodies: list[np.ndarray] = []
    voices: list[np.ndarray] = []
    samples_read = 0
    for begin, samples, first, last in windows(file, request.start, request.length, survey):
        progress(min(0.95, begin / max(seconds, 1e-3)), "Listening")
        features = extract_features(networks, samples, begin, alignment, recogniser)
        low = begin + (0 if first else CONTEXT_SECONDS - BLEND_SECONDS)
        high = begin + len(samples) / SAMPLE_RATE - (0 if last else CONTEXT_SECONDS - BLEND_SECONDS)
        frames = np.arange(math.ceil(low * request.fps - 1e-6), math.ceil(high * request.fps - 1e-6))
        mouth = decode(stream or networks, features, frames / request.fps, request.fps)
        mouths.append((float(frames[0]) if len(frames) else 0.0, mouth))
        kept = (features.times >= low + (0 if first else BLEND_SECONDS)) & (
            features.times < high - (0 if last else BLEND_SECONDS)
        )
        prosodies.append(np.concatenate([features.prosody, features.posteriors[:, :1]], 1)[kept])
        if voice_emotion:
            voices.append(np.concatenate([voice_frames(samples), features.posteriors], 1)[kept])
        samples_read = round(begin * SAMPLE_RATE) + len(samples)
    count = max(1, round(samples_read / SAMPLE_RATE * request.fps))
    mouth = joined(mouths, count, request.fps)
    mouths.clear()
    progress(0.97, "Blinks, brows, head")
    track = np.concatenate(prosodies)
    prosody = Prosody(track[:, 0], track[:, 1], track[:, 2], track[:, 3])
    notes = survey.notes
    if voice_emotion:
        voice = np.concatenate(voices)
        arousal = guess_arousal(voice[:, : -len(PHONES)], voice[:, -len(PHONES) :])
        emotions = keys_of_voice(arousal, voice_emotion)
        notes += (_voice_note(arousal),)
    procedural = procedural_layers(prosody, np.arange(count) / request.fps, layers, mouth, emotions)
    progress(1.0, "Done")
    speech = Animation(
        float(request.fps), EXPRESSION_NAMES, mouth, np.zeros((count, len(HEAD_NAMES)), np.float32)
    )
    unknown = recogniser.unknown if recogniser is not None else ()
    if unknown:
        notes += (f"the speech encoder's symbols {' '.join(unknown)} stand for no phone and are passed over",)
    return LayeredAnimation(speech, _within_range(mouth, procedural), notes)


def _voice_note(arousal: Arousal) -> str:
    """Returns a sentence on the guess, for the user."""
    if not len(arousal.values):
        return "the emotion of the voice could not be guessed: too little is said"
    low, middle, high = np.quantile(arousal.values, (0.1, 0.5, 0.9))
    return (
        f"the emotion is a guess from level, pitch and speed of the voice: liveliness {middle:+.1f} "
        f"({low:+.1f} to {high:+.1f}; -1 calm, 1 excited); glad or angry cannot be told"
    )


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


def _align(
    request: AnimateFromAudioRequest, file: AudioFile, survey: SoundSurvey, networks: SpeechNetworks
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the phones of the transcript and the seconds at which each ends.

    Raises:
        UserError: transcript and recording do not fit.
    """
    samples = np.concatenate(list(file.blocks(start=request.start, length=request.length, survey=survey)))
    alignment = align_transcript(samples, request.transcript, str(file.path), request.language)
    if not survey.silent:
        check_alignment(*recognised_phones(networks, samples), *alignment, str(file.path))
    return alignment
