"""Words of a transcript: plain text, subtitles (SRT, WebVTT), or a TextGrid of Praat and of aligners."""

import html
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from .text_file import read_text

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_CUE = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}")
_TIER = re.compile(r"word|transcript|utterance|sentence|ortho|text", re.IGNORECASE)
_SILENCES = {"", "sil", "sp", "spn", "<sil>", "<sp>", "<p:>", "<eps>", "#", "pau", "nsn"}
_MOST_DIGITS = 9
"""Of hours, minutes, seconds and their fraction: a damaged file may hold thousands."""
_TOKEN = re.compile(r'"((?:[^"]|"")*)"|(?<![^\s=])(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?![^\s\]])|(<exists>)')


@dataclass(frozen=True)
class Stretch:
    """Words with their times, in seconds."""

    begin: float
    end: float
    words: str


def read_transcript(path: str | Path, start: float = 0.0, length: float = 0.0) -> str:
    """Returns the words of a transcript.

    Args:
        path: plain text, .srt, .vtt or .TextGrid, in UTF-8, UTF-16 or code page 1252; the content tells.
        start, length: seconds of the recording that are used, 0 for all that is left; stretches with times
            count where at least half of them lies inside.

    Raises:
        UserError: the file cannot be read, or holds no words for that part.
    """
    text = read_text(path)
    if _is_textgrid(text):
        stretches = _textgrid(path, text)
    elif any(_CUE.match(line) for line in text.splitlines()):
        stretches = _subtitles(path, text)
    else:
        if not text.strip():
            raise UserError(f"{path}: the transcript is empty.", "Write what is said, or leave it out.")
        return text
    end = start + length if length else float("inf")
    used = [
        stretch.words
        for stretch in stretches
        if min(end, stretch.end) - max(start, stretch.begin) >= 0.5 * (stretch.end - stretch.begin)
    ]
    words = " ".join(" ".join(used).split())
    if not words:
        raise UserError(f"{path}: the transcript is empty.", "Write what is said, or leave it out.")
    return words


def _subtitles(path: str | Path, text: str) -> list[Stretch]:
    """Returns the cues of SRT or WebVTT without tags, positions, speakers' voices and notes on sounds.

    Raises:
        UserError: a cue begins or ends at a time of too many digits.
    """
    stretches: list[Stretch] = []
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.split("\n")
        cue = next((index for index, line in enumerate(lines) if _CUE.match(line)), None)
        if cue is None:
            continue
        times = _CUE.match(lines[cue])
        assert times is not None
        if any(len(number or "") > _MOST_DIGITS for number in times.groups()):
            raise UserError(f"{path}: a subtitle's times cannot be read.", "Export the subtitles again.")
        words = " ".join(lines[cue + 1 :])
        words = re.sub(r"<[^>]*>|\{[^}]*\}", "", words)
        words = html.unescape(re.sub(r"\[[^\]]*\]|\([^)]*\)|[\u266a\u266b]", " ", words))
        words = re.sub(r"^\s*-\s+|\s-\s+(?=[A-Z])", " ", words)
        stretches.append(Stretch(_seconds(times, 1), _seconds(times, 5), words))
    return stretches


def _seconds(times: re.Match[str], first: int) -> float:
    hours, minutes, seconds, part = (times[first + index] or "0" for index in range(4))
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{part}")


def _is_textgrid(text: str) -> bool:
    return "ooTextFile" in text[:200] and "TextGrid" in text[:400]


def _textgrid(path: str | Path, text: str) -> list[Stretch]:
    """Returns the intervals of the tier of words, from the long or the short form.

    A tier counts as words by its name; else the first one of intervals does.

    Source: the file formats of Praat's manual, "TextGrid file formats".
    """
    broken = UserError(f"{path}: not a TextGrid that can be read.", "Save it as a text file in Praat.")
    text = re.sub(r"^\s*(?:File type|Object class)?\s*=?\s*\"[^\"]*\"", "", text, count=1)
    text = re.sub(r"(?m)\b(?:intervals|points|item)\s*\[\d*\]\s*:?", " ", text)
    tokens = [match.groups() for match in _TOKEN.finditer(text)]
    if not tokens:
        raise broken
    values = [word if word is not None else number for word, number, _ in tokens]
    is_word = [word is not None for word, _, _ in tokens]
    tiers: list[tuple[str, list[Stretch]]] = []
    at = 0
    try:
        while at < len(values):
            if not (is_word[at] and values[at] in ("IntervalTier", "TextTier")):
                at += 1
                continue
            kind, name, count = values[at], str(values[at + 1]), int(float(values[at + 4]))
            at += 5
            if count > len(values):
                raise broken
            width = 3 if kind == "IntervalTier" else 2
            rows = [values[at + width * row : at + width * (row + 1)] for row in range(count)]
            at += width * count
            if kind == "IntervalTier":
                stretches = [Stretch(float(begin), float(end), _label(label)) for begin, end, label in rows]
                tiers.append((name, stretches))
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise broken from error
    if not tiers:
        raise broken
    named = [stretches for name, stretches in tiers if _TIER.search(name)]
    return (named or [stretches for _, stretches in tiers])[0]


def _label(label: str) -> str:
    plain = label.replace('""', '"').strip()
    return "" if plain.lower() in _SILENCES else plain
