# ruff: noqa: RUF001 - phonetic symbols look like Latin letters
"""Reads words aloud by a table of spelling rules.

A rule is a line `letters = sounds`. Letters are a regular expression that is tried at each place of the word;
`{V}` and `{C}` stand for any vowel and consonant letter of the language, and what stands in `(?=...)` or
`(?<=...)` is context. The first rule that matches is taken. Sounds are symbols of the International Phonetic
Alphabet with blanks between them, without length and stress.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

from ..phones import PHONES

IPA_PHONES = {
    "p": "P", "b": "B", "β": "B", "m": "M", "f": "F", "v": "V", "t": "T", "d": "D", "ð": "DH", "n": "N",
    "ɲ": "N", "ŋ": "NG", "k": "K", "ɡ": "G", "ɣ": "G", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "θ": "TH",
    "ç": "HH", "x": "HH", "h": "HH", "ʁ": "HH", "r": "R", "ɾ": "D", "l": "L", "ʎ": "L", "j": "Y", "ʝ": "Y",
    "w": "W", "ɥ": "W", "tʃ": "CH", "dʒ": "JH", "ts": "T S", "dz": "D Z", "pf": "P F",
    "i": "IY", "ɪ": "IH", "e": "EY", "ɛ": "EH", "a": "AA", "ɐ": "AH", "ə": "AH", "ɔ": "AO", "o": "OW",
    "u": "UW", "ʊ": "UH", "y": "UW", "ʏ": "UH", "ø": "UH", "œ": "UH",
    "aɪ": "AY", "aʊ": "AW", "ɔʏ": "OY",
    "ɑ̃": "AA", "ɔ̃": "AO", "ɛ̃": "AE", "œ̃": "AH", "ɐ̃": "AH", "ẽ": "EY", "ĩ": "IY", "õ": "OW", "ũ": "UW",
    "j̃": "Y", "w̃": "W",
}  # fmt: skip
"""The phone of `PHONES` that is nearest for lips and aligner: front rounded vowels go to rounded ones, and an
r of the throat to h, since the lips round for an English r alone.

Vowels keep their height on the chart of the International Phonetic Association (1999, "Handbook"): close-mid
e and o go to the vowels of "day" and "go", open-mid ɛ and ɔ to those of "dress" and "thought"."""


@dataclass(frozen=True)
class Spelling:
    """The spelling of a language.

    Attributes:
        language: its name in English.
        vowels: the letters that are vowels.
        table: lines of rules, see the module.
        words: by word, the sounds of those that the rules get wrong.
        clitics: the short words before an apostrophe; they lose their vowel and are read with what follows.
    """

    language: str
    vowels: str
    table: str
    words: dict[str, str]
    clitics: tuple[str, ...] = ()

    @cached_property
    def _rules(self) -> list[tuple[re.Pattern, list[str]]]:
        consonants = "".join(sorted(set("bcdfghjklmnpqrstvwxzçñß") - set(self.vowels)))
        rules = []
        for line in filter(None, map(str.strip, self.table.splitlines())):
            letters, _, sounds = line.partition(" =")
            letters = letters.replace("{V}", f"[{self.vowels}]").replace("{C}", f"[{consonants}]")
            rules.append((re.compile(letters), sounds.split()))
        return rules

    def sounds(self, word: str) -> list[str]:
        """Returns a word's sounds, as symbols of the International Phonetic Alphabet."""
        word = unicodedata.normalize("NFC", word.lower()).replace("\u2019", "'")
        if word in self.words:
            return self.words[word].split()
        found = []
        for part in filter(None, re.split("['-]", word)):
            found += self._clitic(part) if f"{part}'" in word else self._part(part)
        return found

    def _clitic(self, part: str) -> list[str]:
        return self._by_rules(part + "e" if part in self.clitics else part)

    def _part(self, word: str) -> list[str]:
        return self.words[word].split() if word in self.words else self._by_rules(word)

    def _by_rules(self, word: str) -> list[str]:
        found = []
        place = 0
        while place < len(word):
            for letters, sounds in self._rules:
                match = letters.match(word, place)
                if match and match.end() > place:
                    found += sounds
                    place = match.end()
                    break
            else:
                place += 1
        return found

    def pronunciation(self, word: str) -> str:
        """Returns a word's phones as names of `PHONES` with blanks between; the schwa if it has none."""
        phones = [IPA_PHONES[sound] for sound in self.sounds(word)]
        return " ".join(phones) or "AH"

    def unknown_sounds(self) -> set[str]:
        """Returns the sounds of the tables that stand for no phone."""
        used = {sound for _, sounds in self._rules for sound in sounds}
        used |= {sound for sounds in self.words.values() for sound in sounds.split()}
        return {sound for sound in used if not set(IPA_PHONES.get(sound, "?").split()) <= set(PHONES)}
