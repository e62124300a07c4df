"""Which shape keys of any mesh are ARKit's expressions, however they are spelt."""

import re

import bpy
import numpy as np

from ...ml_backend.expression_names import EXPRESSION_NAMES

FEWEST = 8
"""Expressions by which a mesh is known as a face."""
_SIDES = ("Left", "Right")
_WITHOUT_SIDE = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")  # directions, not sides


def expression_keys(mesh: bpy.types.Mesh) -> dict[str, list[str]]:
    """By ARKit's name the shape keys that show it: one, or both sides' of an expression without sides.

    Read are `browInnerUp`, `BrowInnerUp`, `brow_inner_up`, `browDown_L`, `browDownL` and `face.browDownLeft`.
    """
    if mesh.shape_keys is None:
        return {}
    spelt = {_plain(key.name): key.name for key in mesh.shape_keys.key_blocks[1:]}
    found = {}
    for name in EXPRESSION_NAMES:
        wanted = [[name]]
        side = next((side for side in _SIDES if name.endswith(side) and name not in _WITHOUT_SIDE), None)
        if side is not None:
            stem = name.removesuffix(side)
            wanted += [[f"{stem}_{side[0]}"], [stem]]
        else:
            wanted += [[f"{name}Left", f"{name}Right"], [f"{name}_L", f"{name}_R"]]
        for group in wanted:
            here = [spelt[_plain(one)] for one in group if _plain(one) in spelt]
            if len(here) == len(group):
                found[name] = here
                break
    return found


def _plain(name: str) -> str:
    """Lower case without what separates words; a prefix before a dot or colon goes, a side in one letter is written out."""
    name = re.split(r"[.:|]", name)[-1] if not re.search(r"[._][LR]$", name) else name.replace(".", "_")
    name = re.sub(r"_?(?<=[a-z_])L$", "left", name)
    name = re.sub(r"_?(?<=[a-z_])R$", "right", name)
    return re.sub(r"[^a-z0-9]", "", name.lower())


def moved_places(positions: np.ndarray, deltas: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Where each expression acts: (E, 3) the mean place of what it moves, weighted by the square of the way and by area.

    Args:
        positions: (N, 3).
        deltas: (E, N, 3).
        areas: (N,) of the surface around each vertex.
    """
    weight = (deltas**2).sum(2) * areas
    return (weight @ positions) / np.maximum(weight.sum(1, keepdims=True), 1e-30)
