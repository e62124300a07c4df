"""Measures the guess of a voice's liveliness on recordings that are made livelier or calmer.

--set DIR holds recordings of speech. Each is changed, as a whole and in its second half alone:

  pitch      3 semitones up or down
  rate       1.2 times as fast or as slow
  level      6 dB louder or softer
  all        all three together

  whole      share of the recordings whose guess is higher when livelier than when calmer. The level of a
             whole recording is the microphone's: the guess leaves it out, and stands at chance there
  half       share of the recordings whose second half, changed, is guessed livelier (calmer) than it was
             against the first half
  order      correlation of rank between the guess and the steps calmer, as it was, livelier, all together

Rows beside ours: the level of the sound alone, and chance, which guesses at random. A changed recording is no
lively speaker: this tells whether the guess follows what it should, not whether people feel as it says.

examples:
  python -m ml_backend evaluate voice --set recordings/ --json
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from ..audio.formats import AUDIO_SUFFIXES
from ..audio.log_mel import SAMPLE_RATE
from ..audio.read_audio import read_audio
from ..audio.sound_level import LEVEL_DB, frame_powers, level_db
from ..audio.voice_arousal import FRAME_RATE, guess_arousal, voice_frames
from ..errors import UserError
from ..models.speech.speech_networks import SpeechNetworks, load_speech_networks
from ..pipelines.speech_windows import extract_features

_SEMITONES = 3.0
_RATE = 1.2
_DECIBELS = 6.0
_LEAST_SECONDS = 2.0
_CHANGES = {
    "pitch": (1, 0, 0),
    "rate": (0, 1, 0),
    "level": (0, 0, 1),
    "all": (1, 1, 1),
}
_SEED = 0
_SAME = 1e-4
"""Difference of two guesses that counts as none."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--set", type=Path, required=True, metavar="DIR", help="recordings of speech")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Evaluates and prints."""
    figures = evaluate_voice(read_voices(args.set))
    if args.json:
        print(json.dumps(figures))
        return 0
    rows = {"ours": figures, **figures["baselines"]}
    keys = [key for key in figures if key != "baselines"]
    print(f"{'':14s}" + "".join(f"{name:>14s}" for name in rows))
    for key in keys:
        print(f"{key:14s}" + "".join(f"{row.get(key, ''):>14}" for row in rows.values()))
    return 0


def read_voices(folder: Path) -> list[np.ndarray]:
    """Reads the recordings of a folder that are long enough; one that cannot be read is named on stderr.

    Returns:
        (N,) float32 at 16 kHz each.

    Raises:
        UserError: there is none.
    """
    voices = []
    paths = sorted(folder.glob("*")) if folder.is_dir() else []
    for path in (path for path in paths if path.suffix.lower() in AUDIO_SUFFIXES):
        try:
            samples = read_audio(path)
        except UserError as error:
            print(f"note: {error.message}", file=sys.stderr)
            continue
        if len(samples) >= _LEAST_SECONDS * SAMPLE_RATE:
            voices.append(samples)
    if not voices:
        raise UserError(
            f"{folder}: holds no recording of {_LEAST_SECONDS:g} seconds or more.", "Put some into it."
        )
    return voices


def changed(samples: np.ndarray, pitch: float, rate: float, level: float) -> np.ndarray:
    """Returns a recording livelier (1) or calmer (-1) in pitch, speed and level; (N,) at 16 kHz."""
    import librosa

    made = samples
    if pitch:
        made = librosa.effects.pitch_shift(made, sr=SAMPLE_RATE, n_steps=_SEMITONES * pitch)
    if rate:
        made = librosa.effects.time_stretch(made, rate=_RATE**rate)
    return (made * 10 ** (_DECIBELS * level / 20)).astype(np.float32)


def evaluate_voice(voices: list[np.ndarray]) -> dict:
    """Returns the figures that this module's docstring lists, ours at the top and the others by name."""
    networks = load_speech_networks()
    draw = np.random.default_rng(_SEED)
    guesses: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
        "ours": lambda samples: _ours(networks, samples),
        "level alone": _level_alone,
        "chance": lambda samples: (_ours_seconds(samples), draw.normal(size=len(_ours_seconds(samples)))),
    }
    wholes = {name: {change: [] for change in _CHANGES} for name in guesses}
    halves = {name: {change: [] for change in _CHANGES} for name in guesses}
    ranks = {name: ([], []) for name in guesses}
    for samples in voices:
        base = {name: _mean(guess(samples)) for name, guess in guesses.items()}
        middle = len(samples) // 2
        plain = {name: _step(guess(samples), middle / SAMPLE_RATE) for name, guess in guesses.items()}
        for change, steps in _CHANGES.items():
            sounds = {way: changed(samples, *(way * step for step in steps)) for way in (-1, 1)}
            mixed = {
                way: np.concatenate(
                    [samples[:middle], changed(samples[middle:], *(way * step for step in steps))]
                )
                for way in (-1, 1)
            }
            for name, guess in guesses.items():
                found = {way: _mean(guess(sound)) for way, sound in sounds.items()}
                wholes[name][change].append(_share(found[1] - found[-1]))
                for way, sound in mixed.items():
                    moved = _step(guess(sound), middle / SAMPLE_RATE) - plain[name]
                    halves[name][change].append(_share(way * moved))
                for way, value in ((-1, found[-1]), (0, base[name]), (1, found[1])):
                    ranks[name][0].append(way)
                    ranks[name][1].append(value - np.mean([found[-1], base[name], found[1]]))
    figures = {
        name: {
            **{f"whole_{change}": round(float(np.mean(wholes[name][change])), 3) for change in _CHANGES},
            **{f"half_{change}": round(float(np.mean(halves[name][change])), 3) for change in _CHANGES},
            "order": round(float(np.corrcoef(*map(rankdata, ranks[name]))[0, 1]), 3),
            "n_clips": len(voices),
        }
        for name in guesses
    }
    return figures.pop("ours") | {"baselines": figures}


def _share(livelier: float) -> float:
    """Returns 1 where a guess rises, 0 where it falls, a half where it stays."""
    return 0.5 if abs(livelier) < _SAME else float(livelier > 0)


def _ours(networks: SpeechNetworks, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the guess on a recording at the level at which the pipeline listens."""
    level = level_db(frame_powers([samples[:, None]], SAMPLE_RATE)[:, 0])
    samples = samples * np.float32(10 ** ((LEVEL_DB - (LEVEL_DB if level is None else level)) / 20))
    features = extract_features(networks, samples, 0.0)
    found = guess_arousal(voice_frames(samples), features.posteriors)
    return found.seconds, found.values


def _ours_seconds(samples: np.ndarray) -> np.ndarray:
    """Returns the seconds at which chance guesses: one each second."""
    return np.arange(0.5, max(1.0, len(samples) / SAMPLE_RATE), 1.0)


def _level_alone(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the level of the sounding frames of each second."""
    level = voice_frames(samples)[:, 0]
    loud = level > np.quantile(level, 0.5)
    rows = [
        (at + 0.5, level[part][loud[part]].mean())
        for at in range(int(len(level) / FRAME_RATE))
        if loud[part := slice(int(at * FRAME_RATE), int((at + 1) * FRAME_RATE))].any()
    ]
    seconds, values = zip(*rows, strict=True)
    return np.array(seconds), np.array(values)


def _mean(guess: tuple[np.ndarray, np.ndarray]) -> float:
    return float(guess[1].mean()) if len(guess[1]) else 0.0


def _step(guess: tuple[np.ndarray, np.ndarray], border: float) -> float:
    """Returns how much livelier a recording is after a second than before."""
    seconds, values = guess
    before, after = values[seconds < border], values[seconds >= border]
    return float(after.mean() - before.mean()) if len(before) and len(after) else 0.0
