"""Finds ARKit's expressions among the shape keys of any mesh, however they are spelt."""

import re
from collections.abc import Iterable, Iterator

import bpy
import numpy as np

from ...ml_backend.expression_names import EXPRESSION_NAMES

FEWEST = 8
"""Expressions that a mesh must have to count as a face."""
_SIDES = {"l": "left", "r": "right", "left": "left", "right": "right"}
_DIRECTIONS = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")
"""Names that end in a direction, not in a side of the face."""
_NARROWING = {"upper", "lower", "inner", "outer", "corner", "lip", "lips"}
"""Words that make another expression of the name behind them: `upper_mouth_left` is not `mouthLeft`."""


def expression_keys(mesh: bpy.types.Mesh) -> dict[str, list[str]]:
    """Returns the shape keys that show each expression, by ARKit's name: see `arkit_keys`."""
    if mesh.shape_keys is None:
        return {}
    return arkit_keys(key.name for key in mesh.shape_keys.key_blocks[1:])


def arkit_keys(names: Iterable[str]) -> dict[str, list[str]]:
    """Finds ARKit's expressions among the names of shape keys.

    Read are camelCase, PascalCase and snake_case; sides as Left, L, `_L`, `-L`, `.L` or in front; and names
    behind a prefix: `A06_Eye_Blink_Left`, `blendShape1.jawOpen`, `Head:jawOpen`, `face.browDownLeft`. Of
    two keys for one expression the one with the shorter prefix counts, then the first.

    Args:
        names: of shape keys, without the basis.

    Returns:
        Names of keys by ARKit's name, in ARKit's order: one key, or those of both sides where an expression
        without sides has two; a key without sides stands for both expressions of a pair.
    """
    nearest: dict[str, tuple[int, str]] = {}
    for name in names:
        for length, plain in _readings(name):
            if plain not in nearest or length < nearest[plain][0]:
                nearest[plain] = (length, name)
    found = {}
    for name in EXPRESSION_NAMES:
        group = next((group for group in _spellings(name) if all(part in nearest for part in group)), ())
        if group:
            found[name] = [nearest[part][1] for part in group]
    return found


def _spellings(name: str) -> list[tuple[str, ...]]:
    """Returns the groups of plain names that show an expression, the best first."""
    plain = name.lower()
    side = next((side for side in ("left", "right") if plain.endswith(side)), "")
    if name in _DIRECTIONS:
        return [(plain,)]
    if side:
        return [(plain,), (plain.removesuffix(side),)]
    return [(plain,), (f"{plain}left", f"{plain}right")]


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


def moved_places(positions: np.ndarray, deltas: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Returns the place (E, 3) where each expression acts: the mean of its vertices by squared way and area.

    Args:
        positions: (N, 3).
        deltas: (E, N, 3), the movement of each vertex.
        areas: (N,) of the surface around each vertex.

    Returns:
        (E, 3), in the units of the positions.
    """
    weight = (deltas**2).sum(2) * areas
    return (weight @ positions) / np.maximum(weight.sum(1, keepdims=True), 1e-30)
