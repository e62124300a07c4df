# ruff: noqa: RUF001 - phonetic symbols look like Latin letters
"""The phone inventory, ARPAbet's 39 phones and the pause, and the synthesisers' names for them."""

PAUSE = "PAU"
PHONES: tuple[str, ...] = (
    PAUSE,
    *"AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L".split(),
    *"M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split(),
)
PHONE_INDEX = {name: index for index, name in enumerate(PHONES)}
UNKNOWN = 255  # a label that no loss counts

BILABIAL = ("P", "B", "M")
LABIODENTAL = ("F", "V")
OPEN_VOWELS = ("AA", "AE", "AO", "AW", "AY")  # not AH: in running English it is mostly the schwa
ROUNDED = ("UW", "UH", "OW", "OY", "W")
LIP_CLASSES: tuple[tuple[str, ...], ...] = (
    BILABIAL, LABIODENTAL, ROUNDED, ("AA", "AE", "AO", "AW", "AY"), ("R", "ER"), ("SH", "ZH", "CH", "JH"),
    (PAUSE,),
)  # fmt: skip
"""Groups of phones that look alike on the lips; every other phone is one more class."""

_FLITE = {
    "ax": "AH",
    "pau": PAUSE,
    "h#": PAUSE,
    "brth": PAUSE,
    "ssil": PAUSE,
    "dx": "T",
    "axr": "ER",
    "el": "L",
    "em": "M",
    "en": "N",
    "nx": "N",
}

# One table for the Italian, Czech, Finnish and Catalan voices of Festival; each foreign phone goes to the
# English one with the same lips.
_FESTIVAL_FOREIGN = {
    "#": PAUSE, "##": PAUSE, "_": PAUSE, "pau": PAUSE, "sil": PAUSE, "p": "P", "b": "B", "m": "M", "M": "M",
    "f": "F", "v": "V", "F": "F",
    "t": "T", "d": "D", "n": "N", "N": "NG", "ng": "NG", "nf": "NG", "k": "K", "g": "G", "s": "S", "z": "Z",
    "S": "SH", "Z": "ZH",
    "sh": "SH", "zh": "ZH",
    "ts": "T", "dz": "D", "tS": "CH", "dZ": "JH", "c": "T", "ch": "CH", "C": "CH", "x": "HH", "h": "HH",
    "H": "HH", "G": "HH",
    "l": "L", "L": "L", "r": "R", "R": "R", "rr": "R", "j": "Y", "y": "Y", "w": "W", "J": "N", "ny": "N",
    "LL": "L",
    "a": "AA", "a1": "AA", "aa": "AA", "a:": "AA", "A": "AA", "e": "EY", "e1": "EY", "E": "EH", "E1": "EH",
    "ee": "EY", "e:": "EY",
    "i": "IY", "i1": "IY", "ii": "IY", "i:": "IY", "o": "OW", "o1": "OW", "O": "AO", "O1": "AO", "oo": "OW",
    "o:": "OW",
    "u": "UW", "u1": "UW", "uu": "UW", "u:": "UW", "ax": "AH", "@": "AH", "ae": "AE", "{": "AE", "aw": "AW",
    "au": "AW", "ou": "OW",
    "t~": "T", "d~": "D", "n~": "N", "r~": "R", "rx": "R", "SS": "S", "ZZ": "Z", "uh": "AH", "uu1": "UW",
}  # fmt: skip

# espeak-ng's mnemonics for English (longest first when matching), and the IPA that Piper's voices use.
_ESPEAK = {
    "_": PAUSE, "_:": PAUSE, "_|": None, "p": "P", "b": "B", "m": "M", "f": "F", "v": "V", "t": "T",
    "t#": "T", "d": "D", "n": "N",
    "N": "NG", "k": "K", "g": "G",
    "s": "S", "z": "Z", "S": "SH", "Z": "ZH", "tS": "CH", "dZ": "JH", "T": "TH", "D": "DH", "h": "HH",
    "l": "L", "@L": "L", "r": "R",
    "r-": "R", "j": "Y", "w": "W",
    "a": "AE", "aa": "AE", "A:": "AA", "A@": "AA", "0": "AA", "V": "AH", "@": "AH", "a#": "AH", "@2": "AH",
    "@5": "UH", "I2": "IH",
    "I#": "IH", "I": "IH", "i": "IY",
    "i:": "IY", "i@": "IY", "E": "EH", "e@": "EH", "E#": "EH", "3": "ER", "3:": "ER", "@-": "AH", "O": "AO",
    "O:": "AO", "O@": "AO",
    "o@": "AO", "0#": "AA",
    "O2": "AO", "u:": "UW", "U": "UH", "U@": "UH", "eI": "EY", "aI": "AY", "aI@": "AY", "aI3": "AY",
    "aU": "AW", "aU@": "AW", "oU": "OW",
    "OI": "OY", "x": "HH", "n-": "N", "?": "T",
    "l^": "L", "m-": "M", "o": "OW",
}  # fmt: skip
_IPA = {
    "p": "P", "b": "B", "m": "M", "f": "F", "v": "V", "t": "T", "ɾ": "T", "d": "D", "n": "N", "ŋ": "NG",
    "k": "K", "ɡ": "G", "g": "G",
    "s": "S", "z": "Z", "ʃ": "SH",
    "ʒ": "ZH", "θ": "TH", "ð": "DH", "h": "HH", "l": "L", "ɫ": "L", "ɹ": "R", "r": "R", "j": "Y", "w": "W",
    "æ": "AE", "a": "AE",
    "ɑ": "AA", "ɒ": "AA", "ʌ": "AH",
    "ə": "AH", "ɐ": "AH", "ɪ": "IH", "ᵻ": "IH", "i": "IY", "ɛ": "EH", "e": "EH", "ɜ": "ER", "ɝ": "ER",
    "ɚ": "ER", "ɔ": "AO", "o": "OW",
    "u": "UW", "ʊ": "UH",
    "ʔ": "T", "_": PAUSE, "^": PAUSE, "$": PAUSE, " ": PAUSE, ".": PAUSE, ",": PAUSE, "!": PAUSE, "?": PAUSE,
    ";": PAUSE, ":": PAUSE,
    "eɪ": "EY", "aɪ": "AY", "aʊ": "AW", "oʊ": "OW", "ɔɪ": "OY", "tʃ": "CH", "dʒ": "JH", "əɹ": "ER",
    "ɜɹ": "ER",
}  # fmt: skip
IPA_PAIRS = frozenset(symbol for symbol in _IPA if len(symbol) == 2)


def phone_index(name: str, inventory: str) -> int:
    """Maps a synthesiser's phone name onto PHONES.

    Args:
        name: the phone as the synthesiser writes it.
        inventory: "arpabet" (CMU dictionary, stress digits allowed, also Flite's lower case), "festival" (its
            non-English voices),
            "espeak" (mnemonics), "ipa" (single symbols) or "kokoro" (IPA beside ARPAbet).

    Returns:
        An index into PHONES, or UNKNOWN when the table does not know the name.
    """
    if inventory == "arpabet":
        plain = _FLITE.get(name, name.upper().rstrip("0123456789"))
        return 0 if plain in {"SIL", "<SIL>", "(NULL)"} else PHONE_INDEX.get(plain, UNKNOWN)
    if inventory == "kokoro":
        return PHONE_INDEX[name] if name in PHONE_INDEX else phone_index(name, "ipa")
    table = {"festival": _FESTIVAL_FOREIGN, "espeak": _ESPEAK, "ipa": _IPA}[inventory]
    plain = table.get(name)
    return UNKNOWN if plain is None else PHONE_INDEX[plain]
