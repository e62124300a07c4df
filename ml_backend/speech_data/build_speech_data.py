"""Makes the training set of the speech networks: installed synthesisers speak generated sentences.

Features and phone times are kept.
"""

import contextlib
import hashlib
import importlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audio.log_mel import FRAME_RATE, HOP, SAMPLE_RATE, log_mel, pitch
from ..errors import UserError
from ..files.tensor_file import write_tensors
from ..phonetics.align_transcript import align_phones
from ..phonetics.phones import PHONES, UNKNOWN
from .foreign_sentences import FOREIGN_LANGUAGES, foreign_sentence
from .sentences import english_sentence, syllables
from .synthesisers import Line, Utterance, Voice, available_voices, speak

_BATCH = 40  # lines handed to an engine at once

# Minutes of speech per voice and engine, relative to --minutes: few-speaker engines that sound human count
# for more, slow ones for less.
_SHARE = {"flite": 1.0, "festival": 0.25, "espeak": 0.12, "piper": 0.3, "kokoro": 0.02}
_ALIGNED = {"piper", "kokoro"}


@dataclass(frozen=True)
class BuildSpeechDataRequest:
    """The training set to make.

    The folder to write to, the minutes of a voice of weight one, the seed, the engines (empty: all that
    are installed), and a folder of further Kokoro voices.

    Attributes:
        languages: codes of ISO 639-1 whose voices speak; empty: all.
        voices: names that a voice's file must contain one of; empty: all.
        keep_sound: whether the files hold the sound itself as well, for networks with another spectrum.
    """

    folder: Path
    minutes: float = 30.0
    seed: int = 0
    engines: tuple[str, ...] = ()
    kokoro_voices: Path | None = None
    languages: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    keep_sound: bool = False


def build_speech_data(request: BuildSpeechDataRequest, report: Callable[[str], None]) -> dict[str, float]:
    """Writes one safetensors file a voice.

    A voice whose file exists is left alone, so that an interrupted run goes on.

    Each file holds, all utterances joined: `mel` (frames, 64) float16 log-mel at 100 a second; `pitch`
    (frames / 2, 2) float16; `frame_start`, `pitch_start` and `phone_start` (U + 1,) int32 offsets;
    `phones` (P,) uint8; `ends` (P,) float32 seconds from the utterance's start; with `keep_sound` also
    `sound` (160 frames,) int16 at 16 kHz, each utterance padded to whole frames.

    Returns:
        Minutes by voice.

    Raises:
        UserError: no synthesiser is installed, or a named engine is not.
    """
    voices = available_voices(request.kokoro_voices)
    installed = {voice.engine for voice in voices}
    for engine in sorted(set(_SHARE) - installed):
        report(f"{engine}: not installed, left out")
    unknown = set(request.engines) - installed
    if not voices or unknown:
        missing = ", ".join(sorted(unknown)) or "any speech synthesiser"
        raise UserError(
            f"{missing}: not installed.", "On Debian: apt install flite festival festvox-kdlpc16k espeak-ng."
        )
    request.folder.mkdir(parents=True, exist_ok=True)
    words = dictionary_words()
    minutes = {}
    negatives = request.folder / "negatives.safetensors"
    if not negatives.exists():
        minutes["negatives"] = write_voice(
            negatives,
            list(_negatives(request.seed, request.minutes / 4)),
            "generated noise, breaths and music",
            request.keep_sound,
        )
        report(f"negatives: {minutes['negatives']:.1f} minutes")
    for voice in voices:
        if request.engines and voice.engine not in request.engines:
            continue
        if request.languages and voice.language not in request.languages:
            continue
        path = (
            request.folder
            / f"{voice.engine}-{voice.name.removesuffix('.onnx').replace('+', '-')}.safetensors"
        )
        if request.voices and not any(name in path.stem for name in request.voices):
            continue
        if path.exists():
            report(f"{path.name}: exists, kept")
            continue
        wanted = request.minutes * _SHARE[voice.engine]
        minutes[path.stem] = _record(voice, wanted, request.seed, words, path, request.keep_sound)
        report(f"{path.name}: {minutes[path.stem]:.1f} minutes")
    return minutes


def dictionary_words() -> tuple[str, ...]:
    """Returns the CMU dictionary's plain words where pocketsphinx is installed; else none."""
    try:
        package = importlib.import_module("pocketsphinx")
    except ImportError:
        return ()
    lines = Path(package.get_model_path("en-us/cmudict-en-us.dict")).read_text().splitlines()
    return tuple(
        word
        for word, _, _ in (line.partition(" ") for line in lines)
        if word.isalpha() and word.isascii() and 2 < len(word) < 12
    )


def _sentence(rng: np.random.Generator, language: str, words: tuple[str, ...]) -> str:
    """Returns a sentence in the language of a voice, or nonsense in its spelling."""
    if language == "en":
        return english_sentence(rng, words)
    return foreign_sentence(rng, language) if language in FOREIGN_LANGUAGES else syllables(rng, language)


def _record(
    voice: Voice, minutes: float, seed: int, words: tuple[str, ...], path: Path, keep_sound: bool
) -> float:
    digest = hashlib.sha256(f"{voice.engine} {voice.name} {seed}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    utterances: list[Utterance] = []
    seconds, empty = 0.0, 0
    while seconds < 60 * minutes and empty < 3:
        lines = [
            Line(
                _sentence(rng, voice.language, words),
                stretch=float(np.exp(rng.normal(0, 0.16))),
                pitch=float(np.exp(rng.normal(0, 0.18))),
            )
            for _ in range(min(_BATCH, math.ceil((60 * minutes - seconds) / 3)))
        ]
        said = [item for item in _timed(voice, speak(voice, lines)) if _is_sound(item)]
        empty = 0 if said else empty + 1
        utterances += said
        seconds += sum(len(item.samples) for item in said) / SAMPLE_RATE
    if not utterances:
        raise UserError(
            f"{voice.engine} voice {voice.name}: said nothing that could be used.",
            "Try the engine in a shell, or leave it out.",
        )
    return write_voice(path, utterances, f"{voice.engine} {voice.name}", keep_sound)


def _timed(voice: Voice, said: Iterator[Utterance]) -> Iterator[Utterance]:
    """Aligns the phones of networks that know their times only roughly (Piper 30 ms late, Kokoro 70).

    An utterance that the aligner refuses is left out.
    """
    for item in said:
        if voice.engine not in _ALIGNED:
            yield item
        elif not np.any(item.phones == UNKNOWN):
            with contextlib.suppress(UserError):
                phones, ends = align_phones(item.samples, item.phones, voice.name)
                yield Utterance(item.samples, phones, ends.astype(np.float32))


def _is_sound(item: Utterance) -> bool:
    duration = len(item.samples) / SAMPLE_RATE
    known = np.mean(item.phones != UNKNOWN) if len(item.phones) else 0
    return (
        0.3 < duration < 40
        and bool(known > 0.9)
        and bool(np.all(np.diff(item.ends) > -0.005))
        and abs(item.ends[-1] - duration) < 0.35
    )


def _negatives(seed: int, minutes: float):
    """Returns sound that is not speech, 6 s each, all labelled as pause.

    Coloured noise, breaths, hum, chords, clicks, silence.
    """
    rng = np.random.default_rng(seed)
    count = 6 * SAMPLE_RATE
    time = np.arange(count) / SAMPLE_RATE
    for index in range(int(np.ceil(minutes * 10))):
        spectrum = np.fft.rfft(rng.normal(size=count))
        frequency = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
        noise = np.fft.irfft(spectrum / (1 + frequency / rng.uniform(50, 4000)) ** rng.uniform(0, 2), count)
        noise /= noise.std()
        kind = index % 5
        if kind == 0:
            sound = noise
        elif kind == 1:  # breaths
            centres = rng.uniform(0.3, 5.7, 4)
            sound = (
                noise * np.exp(-(((time[:, None] - centres) / rng.uniform(0.1, 0.4, 4)) ** 2)).sum(1)
                + 0.01 * noise
            )
        elif kind == 2:  # hum
            base = rng.choice([50, 60, 100, 120]) * np.arange(1, 8)
            sound = (np.sin(2 * np.pi * base * time[:, None]) * rng.uniform(0, 1, 7) / np.arange(1, 8)).sum(
                1
            ) + 0.05 * noise
        elif kind == 3:  # plucked chords
            sound = 0.003 * noise
            for begin in np.arange(0, 6, rng.uniform(0.2, 0.7)):
                tones = 110 * 2 ** (rng.integers(0, 36, 3) / 12)
                age = np.maximum(time - begin, 0)
                envelope = (time >= begin) * np.exp(-age * rng.uniform(2, 8))
                for harmonic in range(1, 7):
                    sound = sound + envelope * np.sin(2 * np.pi * harmonic * tones * time[:, None]).sum(
                        1
                    ) / harmonic ** rng.uniform(1, 2)
        else:  # clicks on a quiet floor
            sound = 0.002 * noise + noise * (np.sin(2 * np.pi * time * rng.uniform(0.5, 2)) > 0.998) * 2
        sound = np.asarray(sound / np.abs(sound).max() * 10 ** rng.uniform(-2.5, -0.1), np.float32)
        yield Utterance(sound, np.zeros(1, np.uint8), np.array([6], np.float32))


def write_voice(path: Path, utterances: list[Utterance], source: str, keep_sound: bool = False) -> float:
    """Writes one voice's file as `build_speech_data` describes it; returns its minutes."""
    mels = [log_mel(item.samples) for item in utterances]
    pitches = [pitch(item.samples) for item in utterances]

    def offsets(parts) -> np.ndarray:
        return np.cumsum([0] + [len(part) for part in parts]).astype(np.int32)

    sound = {}
    if keep_sound:
        padded = [np.pad(item.samples, (0, -len(item.samples) % HOP)) for item in utterances]
        sound["sound"] = (np.clip(np.concatenate(padded), -1, 1) * 32767).astype(np.int16)
    write_tensors(
        path,
        {
            **sound,
            "mel": np.concatenate(mels).astype(np.float16),
            "pitch": np.concatenate(pitches).astype(np.float16),
            "phones": np.concatenate([item.phones for item in utterances]),
            "ends": np.concatenate([item.ends for item in utterances]),
            "frame_start": offsets(mels),
            "pitch_start": offsets(pitches),
            "phone_start": offsets([item.phones for item in utterances]),
        },
        {"source": source, "phones": " ".join(PHONES)},
    )
    return sum(map(len, mels)) / FRAME_RATE / 60


DEMO_TEXT = (
    "Hello! Maybe you have a moment? Far above the sea, five big purple boats move by. "
    "Wow, what a beautiful morning!"
)


def record_demo(path: Path) -> float:
    """Has Flite's voice slt say DEMO_TEXT into a FLAC or WAV file; returns its seconds.

    Raises:
        UserError: Flite is not installed.
    """
    if not any(voice.engine == "flite" for voice in available_voices()):
        raise UserError("flite: not installed.", "On Debian: apt install flite.")
    (utterance,) = speak(Voice("flite", "slt"), [Line(DEMO_TEXT, stretch=1.05, pitch=1.06)])
    soundfile = importlib.import_module("soundfile")
    soundfile.write(
        path, utterance.samples / np.abs(utterance.samples).max() * 0.8, SAMPLE_RATE, subtype="PCM_16"
    )
    return len(utterance.samples) / SAMPLE_RATE
