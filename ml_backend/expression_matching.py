"""Finds ARKit's expressions among names in the spellings of different programs: the one reader of such names.

The standard library only: shape keys in Blender, columns of curve files and names in JSON are read here.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from .expression_names import EXPRESSION_NAMES

_SIDES = {"l": "left", "r": "right", "left": "left", "right": "right"}
_DIRECTIONS = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")
"""Names that end in a direction, not in a side of the face."""
_NARROWING = {"upper", "lower", "inner", "outer", "corner", "lip", "lips"}
"""Words that make another expression of the name behind them: `upper_mouth_left` is not `mouthLeft`."""
_BY_PLAIN_NAME = {name.lower(): name for name in EXPRESSION_NAMES}


@dataclass(frozen=True)
class MatchedColumns:
    """The columns of a table by the expressions that they show.

    Attributes:
        columns: by ARKit's name, in ARKit's order, the indices of its columns: one, or those of both sides
            where an expression without sides has two; a column without sides stands for both of a pair.
        beside: indices of columns that name an expression which another column names more plainly.
        halves: indices of columns of one side of an expression whose other side is missing.
        twice: names of the expressions that two columns name equally plainly.
    """

    columns: dict[str, tuple[int, ...]]
    beside: tuple[int, ...]
    halves: tuple[int, ...]
    twice: tuple[str, ...]

    @property
    def read(self) -> frozenset[int]:
        """Indices of the columns in `columns`."""
        return frozenset(index for group in self.columns.values() for index in group)

    @property
    def known(self) -> frozenset[int]:
        """Indices of all columns that name an expression or a side of one."""
        return self.read | set(self.beside) | set(self.halves)


def match_columns(titles: Sequence[str]) -> MatchedColumns:
    """Finds ARKit's expressions among the titles of columns; the spellings are those of `match_expressions`.

    Args:
        titles: of the columns; others than expressions may be among them.

    Returns:
        The columns by expression.
    """
    nearest: dict[str, list[tuple[int, int]]] = {}
    for index, title in enumerate(titles):
        for length, plain in _readings(title):
            if plain in _PARTS:
                nearest.setdefault(plain, []).append((length, index))
    found: dict[str, tuple[int, ...]] = {}
    twice = []
    for name in EXPRESSION_NAMES:
        group = next((group for group in _spellings(name) if all(part in nearest for part in group)), ())
        if not group:
            continue
        found[name] = tuple(min(nearest[part])[1] for part in group)
        for part in group:
            length, index = min(nearest[part])
            if any(other == length and column != index for other, column in nearest[part]):
                twice.append(name)
    used = {index for group in found.values() for index in group}
    beside, halves = set(), set()
    for plain, readings in nearest.items():
        known = any(name in found for name in _PARTS[plain])
        (beside if known else halves).update(index for _, index in readings)
    return MatchedColumns(
        found, tuple(sorted(beside - used)), tuple(sorted(halves - used)), tuple(dict.fromkeys(twice))
    )


def match_expressions(names: Iterable[str]) -> dict[str, list[str]]:
    """Finds ARKit's expressions among names of shape keys or columns.

    Read are camelCase, PascalCase and snake_case; sides as Left, L, `_L`, `-L`, `.L` or in front; and names
    behind a prefix: `A06_Eye_Blink_Left`, `blendShape1.jawOpen`, `Head:jawOpen`, `face.browDownLeft`. Of
    two keys for one expression the one with the shorter prefix counts, then the first.

    Args:
        names: of shape keys, without the basis.

    Returns:
        Names of keys by ARKit's name, in ARKit's order: one key, or those of both sides where an expression
        without sides has two; a key without sides stands for both expressions of a pair.
    """
    names = list(names)
    return {name: [names[index] for index in group] for name, group in match_columns(names).columns.items()}


@lru_cache(maxsize=4096)
def named_expression(name: str) -> str | None:
    """Returns ARKit's name of the one expression that a name means, or None.

    The spellings are those of `match_expressions`; a name without its side means none.
    """
    readings = [
        (length, _BY_PLAIN_NAME[plain]) for length, plain in _readings(name) if plain in _BY_PLAIN_NAME
    ]
    return min(readings)[1] if readings else None


def _spellings(name: str) -> list[tuple[str, ...]]:
    """Returns the groups of plain names that show an expression, the best first."""
    plain = name.lower()
    side = next((side for side in ("left", "right") if plain.endswith(side)), "")
    if name in _DIRECTIONS:
        return [(plain,)]
    if side:
        return [(plain,), (plain.removesuffix(side),)]
    return [(plain,), (f"{plain}left", f"{plain}right")]


def _parts() -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    for name in EXPRESSION_NAMES:
        for group in _spellings(name):
            for part in group:
                parts.setdefault(part, []).append(name)
    return parts


_PARTS = _parts()
"""Expressions that a plain name shows, wholly or as one of its sides."""


def _readings(name: str) -> Iterator[tuple[int, str]]:
    """Yields (letters of the prefix, plain name) for every way to read a key's name."""
    segments = [part for part in re.split(r"[^A-Za-z0-9]+", re.sub(r"\.\d{3}$", "", name)) if part]
    words = [[word.lower() for word in _words(segment)] for segment in segments]
    for start in range(len(words)):
        prefix = [word for segment in words[:start] for word in segment]
        rest = [word for segment in words[start:] for word in segment]
        if not rest or _NARROWING & set(prefix) or (prefix and prefix[-1] in _SIDES):
            continue
        length = len("".join(prefix))
        yield length, "".join((*rest[:-1], _SIDES.get(rest[-1], rest[-1])))
        if rest[0] in _SIDES and len(rest) > 1:
            yield length, "".join((*rest[1:], _SIDES[rest[0]]))


def _words(segment: str) -> list[str]:
    """Splits at changes of case and at digits: "browDownL" becomes brow, Down, L."""
    return re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", segment)
