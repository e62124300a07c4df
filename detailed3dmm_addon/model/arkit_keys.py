"""Finds the shape keys of any mesh that are ARKit's expressions, in the spellings of different programs."""

import re

import bpy
import numpy as np

from ...ml_backend.expression_names import EXPRESSION_NAMES

FEWEST = 8
"""Expressions that make a mesh a face."""
_SIDES = ("Left", "Right")
_WITHOUT_SIDE = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")  # directions, not sides


def matching_keys(mesh: bpy.types.Mesh) -> dict[str, str]:
    """Returns the shape key of each expression by ARKit's name; expressions that have no key are left out.

    The spellings `browDownLeft`, `BrowDownLeft`, `brow_down_left`, `browDown_L`, `browDown-L`, `browDownL`,
    `face.browDownLeft`, `Head:browDownLeft` and `A06_Brow_Down_Left` are all one name.
    """
    key_of = _keys_by_plain_name(mesh)
    return {name: key_of[_plain(name)] for name in EXPRESSION_NAMES if _plain(name) in key_of}


def expression_keys(mesh: bpy.types.Mesh) -> dict[str, list[str]]:
    """Returns the shape keys that show each expression, by ARKit's name.

    The spellings are those of `matching_keys`. Beyond them, a key without a side stands for both sides'
    expressions, and two keys with sides stand together for an expression without sides.
    """
    key_of = _keys_by_plain_name(mesh)
    keys = {}
    for name in EXPRESSION_NAMES:
        choices = [[name]]
        side = next((side for side in _SIDES if name.endswith(side) and name not in _WITHOUT_SIDE), None)
        if side is None:
            choices.append([f"{name}Left", f"{name}Right"])
        else:
            choices.append([name.removesuffix(side)])
        for names in choices:
            if all(_plain(item) in key_of for item in names):
                keys[name] = [key_of[_plain(item)] for item in names]
                break
    return keys


def _keys_by_plain_name(mesh: bpy.types.Mesh) -> dict[str, str]:
    """Returns the names of a mesh's shape keys by their plain form; the first of several wins."""
    if mesh.shape_keys is None:
        return {}
    return {_plain(key.name): key.name for key in reversed(mesh.shape_keys.key_blocks[1:])}


def _plain(name: str) -> str:
    """Returns a name in lower-case letters and digits, without number and prefix, its side written out."""
    name = re.sub(r"^[A-Z]\d+_", "", name)
    side = re.search(r"(?:[ _.-]|(?<=[a-z]))([LR])$", name)
    if side:
        name = name[: side.start()] + {"L": "left", "R": "right"}[side[1]]
    return re.sub(r"[^a-z0-9]", "", re.split(r"[.:|]", name)[-1].lower())


def moved_places(positions: np.ndarray, deltas: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Returns the mean place of what each expression moves, weighted by squared distance and by area.

    Args:
        positions: (N, 3).
        deltas: (E, N, 3), the movement of each vertex.
        areas: (N,) of the surface around each vertex.

    Returns:
        (E, 3), in the units of the positions.
    """
    weight = (deltas**2).sum(2) * areas
    return (weight @ positions) / np.maximum(weight.sum(1, keepdims=True), 1e-30)
