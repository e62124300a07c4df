"""Keeps the take of a video with its mesh, so that a clip can be adjusted without solving it again."""

import json

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.files.take_file import Take, take_of_parts, take_parts

TAKE = "d3dmm_take"
"""Custom property of the object; undo, copies and other files take it along."""


def keep_take(target: bpy.types.Object, take: Take) -> None:
    """Stores a take with a mesh, in place of an earlier one: about 0.6 kB a frame."""
    values, arrays = take_parts(take)
    target[TAKE] = {"values": json.dumps(values)}
    for name, array in arrays.items():
        target[TAKE][name] = np.ascontiguousarray(array).ravel()


def has_take(target: bpy.types.Object) -> bool:
    """Tells whether a take is kept with a mesh."""
    return TAKE in target


def kept_take(target: bpy.types.Object) -> Take:
    """Returns the take that is kept with a mesh.

    Raises:
        UserError: there is none, or it is broken.
    """
    stored = target.get(TAKE)
    if stored is None:
        raise UserError(f"{target.name}: no video was solved for this mesh.", "Press Import Video.")
    try:
        arrays = {name: np.array(stored[name]) for name in stored.keys() if name != "values"}  # noqa: SIM118
        return take_of_parts(json.loads(stored["values"]), arrays)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{target.name}: the take that is kept with this mesh is broken.",
            "Press Update: the video is solved again.",
        ) from error


def forget_take(target: bpy.types.Object) -> None:
    """Removes the take from a mesh."""
    target.pop(TAKE, None)
