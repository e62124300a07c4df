"""Forced alignment: finds the time of each phone of a text. Needs pocketsphinx and its acoustic model."""

import functools
import importlib
import re
import unicodedata

import numpy as np

from ..errors import UserError
from .phones import PHONES, phone_index
from .spelling.languages import ENGLISH, spelling_of

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve "
    "thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
_LEAST_FIT = 0.4
"""Fit below which a transcript has other words."""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SPELLING = [
    (letters, sounds.replace("+", " "))
    for letters, _, sounds in (
        pair.partition("=")
        for pair in (
            "tch=CH sch=S+K igh=AY eau=OW que=K kn=N wr=R oa=OW ew=UW ue=UW ie=IY ey=IY "
            "sh=SH ch=CH th=TH ph=F wh=W ck=K ng=NG qu=K+W ee=IY ea=IY oo=UW ou=AW ow=OW oi=OY oy=OY ai=EY "
            "ay=EY au=AO aw=AO er=ER ir=ER ur=ER ar=AA+R or=AO+R "
            "a=AE b=B c=K d=D e=EH f=F g=G h=HH i=IH j=JH k=K l=L m=M n=N o=AA "
            "p=P q=K r=R s=S t=T u=AH v=V w=W x=K+S y=IY z=Z"
        ).split()
    )
]


def words_of(text: str) -> list[str]:
    """Returns lower-case words; numbers below a million are spelled out, accents and symbols dropped."""
    text = "".join(
        letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter)
    )
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(
        r"\d+",
        lambda digits: f" {_spell_number(digits[0])} ",
        text.lower().replace("&", " and ").replace("\u2019", "'"),
    )
    return re.findall(r"[a-z]+(?:'[a-z]+)?", text)


def _spell_number(digits: str) -> str:
    number = int(digits)
    if len(digits) > 6 or (digits[0] == "0" and len(digits) > 1):
        return " ".join(_ONES[int(d)] for d in digits)
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10 - 2] + (f" {_ONES[number % 10]}" if number % 10 else "")
    if number < 1000:
        return f"{_ONES[number // 100]} hundred" + (
            f" {_spell_number(str(number % 100))}" if number % 100 else ""
        )
    return f"{_spell_number(str(number // 1000))} thousand" + (
        f" {_spell_number(str(number % 1000))}" if number % 1000 else ""
    )


def guess_pronunciation(word: str) -> str:
    """Returns ARPAbet guessed from spelling, for words that no dictionary has.

    Each group of letters gets its commonest sound.
    """
    word, phones = re.sub("[^a-z]", "", word.lower()), []
    if len(word) > 3 and word.endswith("e") and word[-2] not in "aeiou":
        word = word[:-1]
    while word:
        letters, sounds = next((pair for pair in _SPELLING if word.startswith(pair[0])), (word[0], ""))
        phones += sounds.split()
        word = word[len(letters) :]
    return " ".join(phones) or "AH"


def spelled_words(text: str, name: str) -> list[str]:
    """Returns the words of a text in another language than English, as they are written.

    Raises:
        UserError: a number is written in digits, which only English reads.
    """
    digits = re.search(r"\d+", text)
    if digits:
        raise UserError(
            f"{name}: the transcript has a number in digits, {digits[0]}.", "Write numbers as words."
        )
    return re.findall(
        r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*['\u2019]?", unicodedata.normalize("NFC", text).lower()
    )


def align_transcript(
    samples: np.ndarray, text: str, name: str = "recording", language: str = ENGLISH
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the time of each phone of the text.

    English is read by the aligner's dictionary, other languages by their spelling.

    Args:
        samples: (N,) float32 at 16 kHz.
        text: what is said.
        name: of the recording, for messages.
        language: of the text, one of `TRANSCRIPT_LANGUAGES`.

    Returns:
        (P,) uint8 indices into PHONES and (P,) float64 seconds at which each ends; pauses included; the first
        begins at 0.

    Raises:
        UserError: pocketsphinx is not installed, the text has no words or numbers in digits, the language is
            unknown, or recording and text do not fit.
    """
    if language != ENGLISH:
        return _align_spelled(samples, text, name, language)
    words = words_of(text)
    if not words:
        raise UserError(f"{name}: the transcript has no words.", "Write what is said, in English.")
    decoder = _decoder()
    guessed = {word: guess_pronunciation(word) for word in set(words) if decoder.lookup_word(word) is None}
    return _aligned_with(decoder, samples, words, guessed, name)


def _aligned_with(
    decoder, samples: np.ndarray, words: list[str], pronunciations: dict[str, str], name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Aligns words of which some have pronunciations that the decoder's dictionary lacks."""
    for word, phones in pronunciations.items():
        decoder.add_word(word, phones, False)
    try:
        return _aligned(decoder, samples, words, name)
    except UserError:
        if not pronunciations:
            raise
    decoder = _decoder(
        fsgusefiller=False
    )  # a wrong guess can lose its way among the optional pauses: once more without them
    for word, phones in pronunciations.items():
        decoder.add_word(word, phones, False)
    return _aligned(decoder, samples, words, name)


def _align_spelled(samples: np.ndarray, text: str, name: str, language: str) -> tuple[np.ndarray, np.ndarray]:
    """Aligns a text that is read by the spelling of its language; see `align_transcript`."""
    spelling = spelling_of(language)
    words = spelled_words(text, name)
    if not words:
        raise UserError(
            f"{name}: the transcript has no words.", f"Write what is said, in {spelling.language}."
        )
    spoken = [spelling.pronunciation(word) for word in words]
    tokens = {phones: "spelled-" + phones.lower().replace(" ", "-") for phones in spoken}
    pronunciations = {token: phones for phones, token in tokens.items()}
    return _aligned_with(_decoder(), samples, [tokens[phones] for phones in spoken], pronunciations, name)


def alignment_fit(posteriors: np.ndarray, times: np.ndarray, phones: np.ndarray, ends: np.ndarray) -> float:
    """Returns a fit of an alignment to a recogniser's output: 0 for chance, about 1 for the right words.

    The mean probability of the aligned phones, pauses left out, is set against that of the same phones at
    other places of the recording, and against the mean of the likeliest phones.

    Args:
        posteriors: (S, 40) of a recogniser.
        times: (S,) seconds.
        phones: (P,) indices into PHONES.
        ends: (P,) seconds.
    """
    at = phones[np.minimum(np.searchsorted(ends, times, side="right"), len(phones) - 1)]
    spoken = (at != 0) & (at < len(PHONES)) & (posteriors[:, 0] < 0.5)
    if not spoken.any():
        return 0.0
    rows = posteriors[spoken]
    labels = at[spoken]
    fit = float(rows[np.arange(len(rows)), labels].mean())
    chance = float(rows.mean(0)[labels].mean())
    best = float(rows.max(1).mean())
    return (fit - chance) / max(best - chance, 1e-6)


def check_alignment(
    posteriors: np.ndarray, times: np.ndarray, phones: np.ndarray, ends: np.ndarray, name: str
) -> None:
    """Raises UserError where an alignment fits what a recogniser hears no better than other words would.

    Args:
        posteriors, times, phones, ends: as for `alignment_fit`.
        name: of the recording, for the message.
    """
    if alignment_fit(posteriors, times, phones, ends) < _LEAST_FIT:
        raise UserError(
            f"{name}: the transcript does not fit what is said.", "Correct the transcript, or leave it out."
        )


def align_phones(
    samples: np.ndarray, phones: np.ndarray, name: str = "recording"
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the time of each of the given phones; the aligner decides which pauses there are.

    Args:
        samples: (N,) float32 at 16 kHz.
        phones: (P,) indices into PHONES, the pauses among them being only where some may be; no UNKNOWN.
        name: of the recording, for messages.

    Returns:
        As `align_transcript`.

    Raises:
        UserError: pocketsphinx is not installed, or recording and phones do not fit.
    """
    decoder = _shared_decoder()
    words = []
    for stretch in filter(None, "".join(chr(phone) for phone in phones).split(chr(0))):
        sounds = [PHONES[ord(phone)] for phone in stretch]
        words.append("stretch-" + "-".join(sounds).lower())
        if decoder.lookup_word(words[-1]) is None:
            decoder.add_word(words[-1], " ".join(sounds), False)
    if not words:
        raise UserError(f"{name}: nothing is said.", "Leave it out.")
    return _aligned(decoder, samples, words, name)


def _decoder(**settings: bool):
    try:
        pocketsphinx = importlib.import_module("pocketsphinx")
    except ImportError as error:
        raise UserError(
            "Transcripts need pocketsphinx, which is not installed.", "pip install pocketsphinx==5.1.1"
        ) from error
    return pocketsphinx.Decoder(loglevel="FATAL", **settings)


@functools.cache
def _shared_decoder():
    """Returns one decoder for the many short stretches of a training set: starting one takes a second."""
    return _decoder()


def _aligned(decoder, samples: np.ndarray, words: list[str], name: str) -> tuple[np.ndarray, np.ndarray]:
    data = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    failed = UserError(
        f"{name}: the transcript does not fit what is said.", "Correct the transcript, or leave it out."
    )
    try:
        decoder.set_align_text(" ".join(words))
        for final in (False, True):
            if final:
                decoder.set_alignment()
            decoder.start_utt()
            decoder.process_raw(data, full_utt=True)
            decoder.end_utt()
        alignment = decoder.get_alignment()
    except RuntimeError as error:
        raise failed from error
    if alignment is None:
        raise failed
    phones = []
    ends = []
    for word in alignment:
        for phone in word:
            phones.append(
                phone_index(phone.name.strip("+"), "arpabet") if not phone.name.startswith("+") else 0
            )
            ends.append((phone.start + phone.duration) / 100)
    if not phones:
        raise failed
    return np.array(phones, np.uint8), np.array(ends, np.float64)
