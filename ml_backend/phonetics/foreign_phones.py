# ruff: noqa: RUF001 - phonetic symbols look like Latin letters
"""Maps the sounds of other languages, as synthesisers name them in IPA, to our phones with the same lips."""

from .phones import PHONE_INDEX, UNKNOWN
from .recogniser_phones import ipa_phones
from .spelling.rules import IPA_PHONES

_DIPHTHONGS = {
    "aɪ": "AY", "aʊ": "AW", "eɪ": "EY", "oɪ": "OY", "ɔɪ": "OY", "ɔø": "OY", "ɔʏ": "OY", "oʊ": "OW",
    "eʊ": "EY W", "ɛʊ": "EH W", "iʊ": "IY W", "uɪ": "UW Y", "ɐ̃ʊ̃": "AH W", "ɐ̃ɪ̃": "AH Y", "õɪ̃": "OY",
    "ss": "S",
}  # fmt: skip
_OF_LANGUAGE = {
    "de": {"ɜ": "AH", "r": "HH", "ɾ": "HH", "ɑ": "AA"},
    "fr": {"r": "HH", "ɑ": "AA"},
    "pt": {"æ": "AH", "x": "HH"},
}
"""A throaty r moves no lip, unlike the English one; the ends of German and Portuguese words are schwas."""


def foreign_phones(symbol: str, language: str) -> list[int]:
    """Returns the phones of a sound in their order.

    Args:
        symbol: in IPA; length and stress do not count.
        language: of the speaker, by its code of ISO 639-1.

    Returns:
        Indices into PHONES: one, two for affricates and diphthongs that English lacks, or UNKNOWN alone.
    """
    plain = symbol.translate(dict.fromkeys(map(ord, "ːˑˈˌ.-")))
    names = _OF_LANGUAGE.get(language, {}).get(plain) or _DIPHTHONGS.get(plain) or IPA_PHONES.get(plain)
    if names:
        return [PHONE_INDEX[name] for name in names.split()]
    return ipa_phones(plain) or [UNKNOWN]
