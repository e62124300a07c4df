"""Vertex attributes by which lids follow a gaze target: how ARKit's look keys move this person's lids."""

import bpy
import numpy as np

from ..nodes.eye_groups import LID_ATTRIBUTE, LOOK_ATTRIBUTES
from ..nodes.vertex_attributes import read_attribute, read_shape, write_attribute

_KEYS = {
    "up": ("eyeLookUpLeft", "eyeLookUpRight"),
    "down": ("eyeLookDownLeft", "eyeLookDownRight"),
    "left": ("eyeLookOutLeft", "eyeLookInRight"),
    "right": ("eyeLookInLeft", "eyeLookOutRight"),
}


def write_look_attributes(face: bpy.types.Object) -> None:
    """Stores how the lids move when both eyes look up, down, left and right.

    Args:
        face: with eyes, which bring the mask of the lids.
    """
    mask = read_attribute(face.data, LID_ATTRIBUTE)
    if mask is None:
        return
    keys = face.data.shape_keys.key_blocks
    rest = read_shape(keys[0])
    for name, halves in _KEYS.items():
        moved = sum((read_shape(keys[half]) - rest for half in halves if half in keys), np.zeros_like(rest))
        write_attribute(face.data, LOOK_ATTRIBUTES[name], np.where(mask[:, None] > 0, moved, 0))


def refresh_look_attributes(face: bpy.types.Object, names: tuple[str, ...]) -> None:
    """Stores it anew if some of the rewritten shape keys move the lids so, and a gaze target asked for it."""
    changed = any(name in halves for halves in _KEYS.values() for name in names)
    if changed and LOOK_ATTRIBUTES["up"] in face.data.attributes:
        write_look_attributes(face)
