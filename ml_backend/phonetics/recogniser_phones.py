# ruff: noqa: RUF001 - phonetic symbols look like Latin letters
"""Maps a phoneme recogniser's symbols (IPA or ARPAbet) to our phones, and fills the blanks of CTC."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .phones import PAUSE, PHONE_INDEX, PHONES, UNKNOWN, phone_index

SPECIAL = ("<pad>", "[PAD]", "<s>", "</s>", "<unk>", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "|", " ", "")
_PAUSES = ("sil", "SIL", "<sil>", "[SIL]", "sp", "spn", "<pau>", "h#", "pau", "epi", "#h", "#")
_LEAST_PHONES = 20  # distinct ones that a vocabulary must name to tell lips apart

# TIMIT's names that ARPAbet as we know it lacks; the closures before stops count as the stop, as the lips do.
_TIMIT = {
    "bcl": "B", "pcl": "P", "dcl": "D", "tcl": "T", "gcl": "G", "kcl": "K", "ix": "IH", "ux": "UW",
    "ax-h": "AH", "eng": "NG", "hv": "HH",
    "q": "T", "wh": "W",
}  # fmt: skip
# IPA beyond English, each to the English phone with the nearest lips.
_MORE_IPA = {
    "y": "UW", "ʏ": "UH", "ø": "UH", "œ": "UH", "ɶ": "AO", "ɯ": "IH", "ɨ": "IH", "ʉ": "UW", "ɤ": "AH",
    "ɵ": "UH", "ɘ": "AH", "ɞ": "ER",
    "β": "B", "ɸ": "F", "ʋ": "V", "ɱ": "M", "ʙ": "B", "ɲ": "N", "ɳ": "N", "ɴ": "NG", "ʎ": "L", "ɭ": "L",
    "ɬ": "L", "ɮ": "L", "ʟ": "L",
    "ʁ": "R", "ʀ": "R", "ɻ": "R", "ɽ": "R", "ɺ": "L", "ʂ": "SH", "ɕ": "SH", "ʐ": "ZH", "ʑ": "ZH", "x": "HH",
    "χ": "HH", "ħ": "HH",
    "ʕ": "AH", "ç": "HH", "ʝ": "Y", "ɦ": "HH", "ɣ": "G", "q": "K", "ɢ": "G", "c": "K", "ɟ": "G", "ʈ": "T",
    "ɖ": "D", "ʍ": "W", "ɥ": "W",
    "ɰ": "W", "ʔ": "T", "ᵊ": "AH", "ᵻ": "IH", "ɧ": "SH", "ʃ": "SH",
}  # fmt: skip
_HOLD, _FADE = (
    6.0,
    4.0,
)  # frames of 0.02 s that a phone is held into quiet blanks, and over which it then gives way to a pause


@dataclass(frozen=True)
class PhoneMap:
    """The shares of a vocabulary's symbols in our phones.

    Attributes:
        matrix: (V, 40) float32; a symbol's row sums to 1, or to 0 where it says nothing of the mouth (blank,
            special, unknown).
        inventory: "arpabet", "ipa" or "own".
        unknown: symbols that no table knows; they are passed over.
    """

    matrix: np.ndarray
    inventory: str
    unknown: tuple[str, ...]


def map_vocabulary(vocabulary: Mapping[str, int], size: int, own: Mapping | None = None) -> PhoneMap:
    """Maps a vocabulary to our phones.

    Args:
        vocabulary: row of the head by symbol.
        size: V, rows of the head.
        own: where given, phones by symbol (an ARPAbet name, a list of them, or None for nothing), before any
            table.

    Raises:
        ValueError: the vocabulary spells letters, or names too few phones; the message says so.
    """
    own = own or {}
    symbols = [
        symbol
        for symbol in vocabulary
        if symbol not in SPECIAL and not symbol.startswith(("<extra", "<lang"))
    ]
    if (
        not own
        and symbols
        and all(len(symbol) == 1 and (symbol.isascii() or symbol.isalpha()) for symbol in symbols)
    ):
        plain = {symbol.lower() for symbol in symbols if symbol.isascii() and symbol.isalpha()}
        if len(plain) >= 20 and not any(symbol in "ʃʒθðŋəɪʊɛɔæɑʌ" for symbol in symbols):
            raise ValueError("its vocabulary spells letters, not phones")
    tables = {"arpabet": {s: _arpabet(s) for s in symbols}, "ipa": {s: ipa_phones(s) for s in symbols}}
    inventory = max(tables, key=lambda name: sum(bool(phones) for phones in tables[name].values()))
    matrix, unknown = np.zeros((size, len(PHONES)), np.float32), []
    for symbol in symbols:
        row = vocabulary[symbol]
        if symbol in own:
            phones = _own(symbol, own[symbol])
        else:
            phones = [PHONE_INDEX[PAUSE]] if symbol in _PAUSES else tables[inventory][symbol]
            if not phones:
                unknown.append(symbol)
        for phone in phones:
            matrix[row, phone] += 1 / len(phones)
    named = int((matrix[:, 1:] > 0).any(0).sum())
    if named < _LEAST_PHONES:
        raise ValueError(
            f"its vocabulary names only {named} phones "
            f"that are known (unknown: {' '.join(unknown[:12]) or 'none'})"
        )
    return PhoneMap(matrix, "own" if own else inventory, tuple(unknown))


def _own(symbol: str, given) -> list[int]:
    names = [] if given is None else [given] if isinstance(given, str) else list(given)
    for name in names:
        if name not in PHONE_INDEX:
            raise ValueError(f"its phone map sends {symbol} to {name}, which is none of {' '.join(PHONES)}")
    return [PHONE_INDEX[name] for name in names]


def _arpabet(symbol: str) -> list[int]:
    plain = symbol.split("_")[0].rstrip("0123456789")  # Kaldi writes AH0_B for a word's first phone
    index = PHONE_INDEX[_TIMIT[plain.lower()]] if plain.lower() in _TIMIT else phone_index(plain, "arpabet")
    if index == UNKNOWN and len(plain) > 1:
        index = phone_index(plain.lower(), "arpabet")
    return [] if index == UNKNOWN else [index]


def ipa_phones(symbol: str) -> list[int]:
    """Returns the phones of an IPA symbol: whole, else by its parts.

    Length, stress, tone and marks above or below do not count.
    """
    letters = "".join(
        letter
        for letter in unicodedata.normalize("NFD", symbol)
        if not unicodedata.combining(letter)
        and not (unicodedata.category(letter) in ("Lm", "Sk", "Nd", "No") and letter not in _MORE_IPA)
    )
    letters = letters.replace("ˈ", "").replace("ˌ", "").replace("ː", "").replace("-", "").replace(".", "")
    found: list[int] = []
    while letters:
        for length in (2, 1):
            part = letters[:length]
            index = PHONE_INDEX[_MORE_IPA[part]] if part in _MORE_IPA else phone_index(part, "ipa")
            if len(part) == length and index != UNKNOWN:
                found.append(index)
                letters = letters[length:]
                break
        else:
            return []
    return [index for index in found if index != PHONE_INDEX[PAUSE]]


def fill_blanks(phones: np.ndarray, loudness: np.ndarray) -> np.ndarray:
    """Turns CTC's short spikes into phones that last.

    CTC names a phone in a frame or two and says blank in between (Graves et al. 2006), so a blank frame takes
    after the nearest spike; one that is far from any and quiet is a pause.

    Args:
        phones: (T, 40) probabilities of our phones; what is missing to 1 is blank.
        loudness: (T,) of the frames, 0 for the loud ones of the recording, -1 and less for quiet ones.

    Returns:
        (T, 40) float32, rows sum to 1.
    """
    spoken = phones.sum(1)
    spikes = np.flatnonzero(spoken > 0.5)
    pause = np.zeros(len(PHONES), np.float32)
    pause[PHONE_INDEX[PAUSE]] = 1
    if not len(spikes):
        return np.tile(pause, (len(phones), 1))
    frames = np.arange(len(phones))
    after = np.searchsorted(spikes, frames)
    left, right = spikes[np.maximum(after - 1, 0)], spikes[np.minimum(after, len(spikes) - 1)]
    left, right = np.minimum(left, right), right
    toward = np.clip((frames - left) - (right - frames) + 0.5, 0, 1)[
        :, None
    ]  # which of its neighbours a frame takes after
    toward = np.where((frames >= right)[:, None], 1.0, toward)
    toward = np.where((frames <= left)[:, None] & (left != right)[:, None], 0.0, toward)
    known = phones / np.maximum(spoken, 1e-6)[:, None]
    filled = known[left] * (1 - toward) + known[right] * toward
    distance = np.minimum(np.abs(frames - left), np.abs(frames - right))
    quiet = np.clip((-0.6 - loudness) / 0.6, 0, 1)
    share = (np.clip((distance - _HOLD) / _FADE, 0, 1) * quiet)[:, None]
    return (filled * (1 - share) + pause * share).astype(np.float32)
