"""The skin's colour in face files: named numbers and colours of `face.d3dmm.skin`."""

from collections.abc import Mapping
from pathlib import Path

import bpy

from ...ml_backend.errors import UserError
from ...ml_backend.models.skin.live_skin import MAKE_UP, OWN_AXES, TRAITS

NUMBERS = ("tone", *TRAITS, *MAKE_UP)
COLOURS = ("lip_tint", *(f"{name}_colour" for name in MAKE_UP))
_LARGEST = 1e6
_REMEDY = "Save the face again: Face > Save."
SkinValues = Mapping[str, float | list[float]]


def skin_values(face: bpy.types.Object) -> dict[str, float | list[float]]:
    """Returns the values of a face's skin; empty where its skin is not painted."""
    skin = face.d3dmm.skin
    if not skin.use:
        return {}
    values: dict[str, float | list[float]] = {
        name: round(float(getattr(skin, name)), 6) for name in (*NUMBERS, "blood")
    }
    values |= {name: [round(part, 6) for part in getattr(skin, name)] for name in (*COLOURS, "own")}
    return values | {"seed": int(skin.seed)}


def read_skin_values(path: Path, values: object) -> SkinValues:
    """Checks the values of a face file.

    Args:
        path: of the file.
        values: what it holds under "skin".

    Raises:
        UserError: a name is not known, or a value is not a number that a slider takes.
    """
    if not isinstance(values, dict):
        raise UserError(f"{path}: 'skin' is not a set of named numbers.", _REMEDY)
    lengths = dict.fromkeys((*NUMBERS, "blood", "seed"), 0)
    lengths |= dict.fromkeys(COLOURS, 3) | {"own": OWN_AXES}
    for name, value in values.items():
        if name not in lengths:
            raise UserError(f"{path}: {name!r} is not one of this product's skin.", _REMEDY)
        parts = value if lengths[name] and isinstance(value, list) else [value]
        if len(parts) != max(lengths[name], 1) or not all(map(_is_number, parts)):
            raise UserError(f"{path}: the skin's {name} is not what its slider takes.", _REMEDY)
    return values


def apply_skin_values(face: bpy.types.Object, values: SkinValues) -> None:
    """Writes values into a face's sliders; the caller suspends following and calls `changed` afterwards."""
    skin = face.d3dmm.skin
    for name, value in values.items():
        setattr(skin, name, int(value) if name == "seed" and not isinstance(value, list) else value)


def _is_number(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) <= _LARGEST
