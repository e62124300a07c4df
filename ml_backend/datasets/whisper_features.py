"""Features of Whisper's encoder on synthesised speech with phone labels, kept on disk for training a head."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from scipy.fft import irfft, rfft, rfftfreq
from scipy.signal import fftconvolve, resample
from torch import Tensor

from ..audio.log_mel import HOP, SAMPLE_RATE
from ..audio.sound_level import LEVEL_DB, frame_powers, level_db
from ..audio.whisper_mel import whisper_mel
from ..errors import UserError
from ..files.tensor_file import read_tensors, write_tensors
from ..models.speech.speech_encoder import FRAME_RATE
from ..models.speech.whisper_encoder import WhisperEncoder
from ..models.speech.whisper_phones import chosen_layers, encoder_fingerprint
from ..phonetics.phones import PHONES, UNKNOWN

_CHUNKS = 25
"""Stretches of sound in a file of features."""
_LEAST_RATIO_DB, _MOST_RATIO_DB = 5.0, 40.0


@dataclass(frozen=True)
class VoiceSound:
    """All that a voice says, end to end.

    Attributes:
        name: of its file, without ending.
        sound: (N,) int16 at 16 kHz.
        phones: (P,) uint8 indices into PHONES.
        ends: (P,) seconds at which they end, rising.
    """

    name: str
    sound: np.ndarray
    phones: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class FeatureStretch:
    """Features (T, L, width) float16 of a stretch of sound, labels (T,) int64 into PHONES, -100 unknown."""

    features: np.ndarray
    labels: np.ndarray


def read_voice_sound(path: Path) -> VoiceSound:
    """Reads a voice with its sound.

    Raises:
        UserError: the file is not one of `build-speech-data --keep-sound` of this version.
    """
    arrays, metadata = read_tensors(path)
    needed = {"sound", "phones", "ends", "frame_start", "phone_start"}
    if metadata.get("phones") != " ".join(PHONES) or not needed <= arrays.keys():
        raise UserError(
            f"{path}: holds no sound with phones of this version.",
            "Make it again: python -m ml_backend build-speech-data --keep-sound.",
        )
    frame, phone = arrays["frame_start"], arrays["phone_start"]
    ends = arrays["ends"].astype(np.float64)
    for index in range(len(frame) - 1):
        ends[phone[index] : phone[index + 1]] += frame[index] * HOP / SAMPLE_RATE
        ends[phone[index + 1] - 1] = frame[index + 1] * HOP / SAMPLE_RATE
    return VoiceSound(path.stem, arrays["sound"], arrays["phones"], np.maximum.accumulate(ends))


def voice_paths(folder: Path) -> list[Path]:
    """Returns the voices' files of a training set.

    Raises:
        UserError: the folder holds none.
    """
    paths = sorted(folder.glob("*.safetensors"))
    if not [path for path in paths if path.stem != "negatives"]:
        raise UserError(
            f"{folder}: holds no voices with sound.",
            "Make them: python -m ml_backend build-speech-data --out DIR --keep-sound.",
        )
    return paths


@dataclass(frozen=True)
class FeatureSettings:
    """The features to make.

    Attributes:
        minutes: of sound.
        shortest, longest: stretches, seconds.
        seed: decides the stretches and how they are changed.
        changed: whether sounds get other speeds, rooms, microphones and noises.
        shares: how often a stretch comes from an engine, by the first word of its files' names.
    """

    minutes: float
    shortest: float = 4.0
    longest: float = 16.0
    seed: int = 0
    changed: bool = True
    shares: Mapping[str, float] | None = None


def make_features(
    folder: Path,
    voices: Sequence[VoiceSound],
    encoder: WhisperEncoder,
    layers: Sequence[int],
    settings: FeatureSettings,
    report: Callable[[float], None],
) -> list[FeatureStretch]:
    """Listens to stretches of voices, or reads the features that an earlier run kept.

    Args:
        folder: of the features, one safetensors file for 25 stretches; files of the same voices, encoder and
            settings are kept, also where more minutes are asked for.
        voices: to draw from.
        encoder: of Whisper.
        layers: whose features are kept.
        settings: how much, and how the sound is changed.
        report: gets the minutes done after each file.

    Returns:
        The stretches.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about = json.dumps(
        [
            encoder_fingerprint(encoder), [*layers], settings.shortest, settings.longest,
            settings.seed, settings.changed, sorted((settings.shares or {}).items()),
            [[voice.name, len(voice.sound)] for voice in voices],
        ]
    )  # fmt: skip
    key = hashlib.sha256(about.encode()).hexdigest()[:12]
    stretches: list[FeatureStretch] = []
    part = 0
    while sum(len(item.labels) for item in stretches) < settings.minutes * 60 * FRAME_RATE:
        path = folder / f"{key}-{part:04d}.safetensors"
        if not path.exists():
            rng = np.random.default_rng([settings.seed, part])
            made = [_stretch(voices, encoder, layers, settings, rng) for _ in range(_CHUNKS)]
            starts = np.cumsum([0, *(len(item.labels) for item in made)]).astype(np.int32)
            write_tensors(
                path,
                {
                    "features": np.concatenate([item.features for item in made]),
                    "labels": np.concatenate([item.labels for item in made]).astype(np.int16),
                    "starts": starts,
                },
            )
        arrays, _ = read_tensors(path)
        starts = arrays["starts"]
        stretches += [
            FeatureStretch(arrays["features"][first:last], arrays["labels"][first:last].astype(np.int64))
            for first, last in pairwise(starts)
        ]
        part += 1
        report(sum(len(item.labels) for item in stretches) / FRAME_RATE / 60)
    return stretches


def _stretch(
    voices: Sequence[VoiceSound],
    encoder: WhisperEncoder,
    layers: Sequence[int],
    settings: FeatureSettings,
    rng: np.random.Generator,
) -> FeatureStretch:
    voice = voices[rng.choice(len(voices), p=_chances(voices, settings.shares or {}))]
    seconds = rng.uniform(settings.shortest, settings.longest)
    speed = float(np.exp(rng.uniform(np.log(0.85), np.log(1.18)))) if settings.changed else 1.0
    span = min(round(seconds * speed * SAMPLE_RATE), len(voice.sound))
    begin = int(rng.integers(len(voice.sound) - span + 1))
    sound = voice.sound[begin : begin + span].astype(np.float32) / 32768
    count = round(len(sound) / speed) // (2 * HOP) * 2 * HOP
    if settings.changed:
        sound = change_sound(np.asarray(resample(sound, count)), rng)
    sound = at_level(sound[:count], float(rng.uniform(-6, 6)) if settings.changed else 0.0)
    wanted = max(count, round(settings.shortest * SAMPLE_RATE) // (2 * HOP) * 2 * HOP)
    mel = whisper_mel(np.pad(sound, (0, wanted - count)))
    with torch.inference_mode():
        features = chosen_layers(encoder(torch.from_numpy(mel)[None]), layers)[0]
    rows = count // (2 * HOP)
    at = begin / SAMPLE_RATE + (np.arange(rows) / FRAME_RATE + 0.005) * speed
    index = np.minimum(np.searchsorted(voice.ends, at, side="right"), len(voice.phones) - 1)
    labels = voice.phones[index].astype(np.int64)
    return FeatureStretch(
        features[:rows].clamp(-6e4, 6e4).numpy().astype(np.float16),
        np.where(labels == UNKNOWN, -100, labels),
    )


def _chances(voices: Sequence[VoiceSound], shares: Mapping[str, float]) -> np.ndarray:
    """Returns the chance of each voice: its engine's share, split evenly among the engine's voices."""
    engines = [voice.name.split("-")[0] for voice in voices]
    chances = np.array([shares.get(engine, 0.1) / engines.count(engine) for engine in engines])
    return chances / chances.sum()


def at_level(sound: np.ndarray, decibels: float) -> np.ndarray:
    """Returns sound (N,) at the level at which recordings are heard, louder by some decibels."""
    level = level_db(frame_powers([sound[:, None]], SAMPLE_RATE)[:, 0])
    gain = 10 ** ((LEVEL_DB - (LEVEL_DB if level is None else level) + decibels) / 20)
    return (sound * gain).astype(np.float32)


def change_sound(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Puts sound into another room, microphone, line and noise, each by chance.

    Args:
        sound: (N,) float32 at 16 kHz.
        rng: decides everything.

    Returns:
        (N,) float32; nothing moves in time.
    """
    count = len(sound)
    power = float(np.mean(sound**2)) + 1e-9
    if rng.random() < 0.4:
        time = np.arange(round(0.4 * SAMPLE_RATE)) / SAMPLE_RATE
        tail = rng.normal(size=len(time)) * np.exp(-time * 6.9 / rng.uniform(0.08, 0.5))
        tail *= np.sqrt(rng.uniform(0.02, 0.3) / np.sum(tail**2))
        tail[0] = 1.0
        sound = fftconvolve(sound, tail)[:count]
    hz = rfftfreq(count, 1 / SAMPLE_RATE)
    octaves = np.log2(np.maximum(hz, 50) / 800)
    decibels = rng.normal(0, 1.5) * octaves
    if rng.random() < 0.3:
        decibels = decibels - 60 * np.maximum(np.log2(np.maximum(hz, 1) / rng.uniform(3000, 5500)), 0)
    if rng.random() < 0.3:
        decibels = decibels - 18 * np.maximum(np.log2(rng.uniform(100, 350) / np.maximum(hz, 20)), 0)
    sound = np.asarray(irfft(np.asarray(rfft(sound)) * 10 ** (np.clip(decibels, -60, 20) / 20), count))
    if rng.random() < 0.8:
        spectrum = np.asarray(rfft(rng.normal(size=count))) * np.maximum(hz, 50) ** -rng.uniform(0, 1)
        noise = np.asarray(irfft(spectrum, count))
        ratio = 10 ** (-rng.uniform(_LEAST_RATIO_DB, _MOST_RATIO_DB) / 10)
        sound = sound + noise * np.sqrt(power * ratio / (np.mean(noise**2) + 1e-12))
    return np.asarray(sound, np.float32)


class FeatureSampler:
    """Draws batches of short runs of rows.

    Args:
        stretches: to draw from.
        rows: of a run, 50 a second; shorter stretches are left out.
        seed: decides the batches.
    """

    def __init__(self, stretches: Sequence[FeatureStretch], rows: int, seed: int):
        self.stretches = [item for item in stretches if len(item.labels) >= rows]
        self.rows = rows
        self.rng = np.random.default_rng(seed)
        lengths = np.array([len(item.labels) for item in self.stretches], float)
        self.chances = lengths / lengths.sum()

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """Returns features (size, rows, L, width) float32 and labels (size, rows) int64."""
        features = []
        labels = []
        for number in self.rng.choice(len(self.stretches), size, p=self.chances):
            item = self.stretches[number]
            begin = int(self.rng.integers(len(item.labels) - self.rows + 1))
            features.append(item.features[begin : begin + self.rows])
            labels.append(item.labels[begin : begin + self.rows])
        return torch.from_numpy(np.stack(features)).float(), torch.from_numpy(np.stack(labels))
