"""The sliders of a face's hair as plain values, for face files."""

import math

import bpy

from .groom import add_hair, hair_objects, hair_part, remove_hair
from .parts import NUMBERS, PARTS
from .settings import D3DMM_PG_hair, changes_held

HairValues = dict[str, dict[str, float | str]]


def hair_values(face: bpy.types.Object) -> HairValues:
    """Returns style, seed and sliders of each part that grows on a face."""
    values: HairValues = {}
    for part in hair_objects(face):
        sliders = hair_part(face, part)
        values[part] = {"style": sliders.style, "seed": sliders.seed}
        values[part] |= {name: round(float(getattr(sliders, name)), 6) for name in NUMBERS}
    return values


def hair_fault(values: object) -> str:
    """Returns the reason why values read from a file are no hair; empty if they are."""
    if not isinstance(values, dict) or not set(values) <= set(PARTS):
        return f"'strands' holds other parts than {', '.join(PARTS)}"
    for part, sliders in values.items():
        if not isinstance(sliders, dict) or not set(sliders) <= {"style", "seed", *NUMBERS}:
            return f"'strands' of {part} is not a set of its sliders"
        sliders_rna = D3DMM_PG_hair.bl_rna.properties[part].fixed_type
        styles = [item.identifier for item in sliders_rna.properties["style"].enum_items]
        if sliders.get("style", styles[0]) not in styles:
            return f"{sliders['style']!r} is no style of {part}"
        numbers = [value for name, value in sliders.items() if name != "style"]
        if not all(_is_number(value) for value in numbers):
            return f"'strands' of {part} holds something that is not a number"
    return ""


def apply_hair_values(face: bpy.types.Object, values: HairValues) -> None:
    """Grows the parts that a file holds with its sliders, and removes the others."""
    with changes_held():
        for part, sliders in values.items():
            for name, value in sliders.items():
                setattr(hair_part(face, part), name, max(0, int(value)) if name == "seed" else value)
    remove_hair(face, [part for part in hair_objects(face) if part not in values])
    add_hair(face, [part for part in PARTS if part in values])


def _is_number(value: object) -> bool:
    is_plain = isinstance(value, int | float) and not isinstance(value, bool)
    return is_plain and math.isfinite(value) and abs(value) < 2**31
