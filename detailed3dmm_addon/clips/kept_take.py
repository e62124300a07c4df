"""Keeps the take of a video with its mesh, so that a clip can be adjusted without solving it again."""

import json

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.expression_names import EXPRESSION_NAMES
from ...ml_backend.files.take_file import Take, take_of_parts, take_parts
from .corrections import Corrections

TAKE = "d3dmm_take"
"""Custom property of the object; undo, copies and other files take it along."""


def keep_take(
    target: bpy.types.Object, take: Take, written: np.ndarray, fps: float, corrections: Corrections
) -> None:
    """Stores a take with a mesh, in place of an earlier one: about 0.8 kB a frame.

    Args:
        target: the mesh.
        take: the performance.
        written: (T, 52) float32, the curves that were keyed, one row a frame of the scene.
        fps: of the scene when they were keyed.
        corrections: of the artist.
    """
    values, arrays = take_parts(take)
    arrays |= {
        "written": written.astype(np.float32),
        "written_fps": np.array([fps]),
        "corrected_seconds": corrections.seconds.astype(np.float64),
        "corrected_channels": corrections.channels.astype(np.int32),
        "corrected_values": corrections.values.astype(np.float32),
    }
    target[TAKE] = {"values": json.dumps(values)}
    for name, array in arrays.items():
        if array.size:  # Blender keeps no empty array
            target[TAKE][name] = np.ascontiguousarray(array).ravel()


def has_take(target: bpy.types.Object) -> bool:
    """Tells whether a take is kept with a mesh."""
    return TAKE in target


def kept_take(target: bpy.types.Object) -> Take:
    """Returns the take that is kept with a mesh.

    Raises:
        UserError: there is none, or it is broken.
    """
    if not has_take(target):
        raise UserError(f"{target.name}: no video was solved for this mesh.", "Press Import Video.")
    stored = target[TAKE]
    try:
        return take_of_parts(json.loads(stored["values"]), _arrays_of(target))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{target.name}: the take that is kept with this mesh is broken.",
            "Press Update: the video is solved again.",
        ) from error


def written_curves(target: bpy.types.Object) -> tuple[np.ndarray, float]:
    """Returns the curves (T, 52) that were keyed last from the take of a mesh, and their frames a second.

    Raises:
        UserError: there is no take.
    """
    kept_take(target)
    arrays = _arrays_of(target)
    return arrays["written"].reshape(-1, len(EXPRESSION_NAMES)), float(arrays["written_fps"][0])


def kept_corrections(target: bpy.types.Object) -> Corrections:
    """Returns the artist's corrections that are kept with a mesh."""
    arrays = _arrays_of(target)
    names = ("corrected_seconds", "corrected_channels", "corrected_values")
    found = [arrays[name] for name in names if name in arrays]
    return Corrections(*found) if len(found) == len(names) else Corrections.none()


def forget_take(target: bpy.types.Object) -> None:
    """Removes the take from a mesh."""
    target.pop(TAKE, None)


def _arrays_of(target: bpy.types.Object) -> dict[str, np.ndarray]:
    stored = target.get(TAKE)
    names = () if stored is None else stored.keys()
    return {name: np.array(stored[name]) for name in names if name != "values"}
