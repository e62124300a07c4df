"""Whole looks of hair: cuts, beards and colours with a name, and one that suits a face."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import bpy
import numpy as np

from ...ml_backend.hair.face_hair import BEARD_STYLES
from ...ml_backend.hair.scalp_styles import SCALP_STYLES
from ..appearance.skin_material import shown_tone
from ..model.face_model import face_model, identity_of, is_current
from .groom import add_hair, hair_objects, hair_part, remove_hair
from .parts import COLOUR_SLIDERS, DEFAULT_STYLES, NUMBERS, PARTS, SHAPE_SLIDERS
from .settings import changes_held

_VIEWPORT = {"vellus": 0.0, "brows": 1.0, "lashes": 1.0, "beard": 0.3}
"""Shares that the viewport shows of parts in a look."""
_LOOK_SEED = 0x4A12
_UNSURE = 0.15
"""Deviation of what a face's form tells of its hair: -1 a woman's, 1 a man's."""


@dataclass(frozen=True)
class HairLook:
    """A look of all hair of a face.

    Attributes:
        styles: by part; parts that are not named have no hair.
        colour: melanin, redness and share of grey.
        numbers: sliders by part that are not at their defaults.
    """

    styles: Mapping[str, str]
    colour: tuple[float, float, float]
    numbers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def _look(scalp: str, colour, beard: str = "", **numbers) -> HairLook:
    styles = {"brows": "NATURAL", "lashes": "NATURAL", "vellus": "FINE"}
    styles |= {"scalp": scalp} if scalp else {}
    styles |= {"beard": beard} if beard else {}
    return HairLook(styles, colour, numbers)


_FEMALE_BROWS = {"thickness": 0.95}
_DOWN = {"density": 0.6}
LOOKS = {
    "BOB": _look("BOB", (0.86, 0.25, 0.0), brows=_FEMALE_BROWS),
    "LONG": _look("LONG", (0.72, 0.35, 0.0), brows=_FEMALE_BROWS),
    "WAVY": _look("WAVY", (0.80, 0.55, 0.0), brows=_FEMALE_BROWS),
    "CROPPED": _look("CROPPED", (0.88, 0.2, 0.0), "STUBBLE"),
    "FADE": _look("FADE", (0.94, 0.1, 0.0), "STUBBLE"),
    "SIDE_PART": _look("SIDE_PART", (0.82, 0.3, 0.0)),
    "SLICKED": _look("SLICKED", (0.93, 0.15, 0.05), "FULL"),
    "TIED": _look("TIED", (0.80, 0.35, 0.0), brows=_FEMALE_BROWS),
    "CURLY": _look("CURLY", (0.90, 0.3, 0.0), brows=_FEMALE_BROWS),
    "COILY": _look("COILY", (0.97, 0.05, 0.0)),
    "GREY": _look("RECEDING", (0.80, 0.1, 0.72), "STUBBLE", vellus=_DOWN),
    "BALD": _look("BALD_CROWN", (0.85, 0.2, 0.45), "MOUSTACHE", vellus=_DOWN),
    "SHAVED": _look("SHAVED", (0.95, 0.1, 0.0), "GOATEE"),
}
"""Looks by name."""
_YOUNG_MEN = ("CROPPED", "FADE", "SIDE_PART", "SLICKED", "SHAVED")
_OLD_MEN = ("GREY", "BALD", "SIDE_PART", "SHAVED")
_WOMEN = ("BOB", "LONG", "WAVY", "TIED", "TIED")
_DARK_MEN = ("COILY", "SHAVED", "FADE")
_DARK_WOMEN = ("COILY", "COILY", "BOB", "TIED")
"""Names of looks that are drawn. Not of curls: until they fall in ringlets, they are a matter of taste."""
_LENGTHS = {
    "COILY": (0.35, 1.05),
    "BOB": (0.85, 1.1),
    "WAVY": (0.8, 1.05),
    "CROPPED": (0.7, 1.4),
    "FADE": (0.6, 1.25),
    "SIDE_PART": (0.8, 1.2),
    "RECEDING": (0.7, 1.4),
}
"""Least and greatest Length, by cut, of hair that suits somebody: people do not all go to one hairdresser."""
_MENS_BROWS, _WOMENS_BROWS = ("NATURAL", "NATURAL", "THICK", "STRAIGHT"), ("NATURAL", "ARCHED", "ARCHED")
_SAME = 0.005
_SHORTER = 0.7
"""Of men's coily hair."""


def apply_hair_look(face: bpy.types.Object, look: HairLook, seed: int | None = None) -> None:
    """Sets the sliders of a look, grows its parts and removes the others.

    Args:
        face: of the present model.
        look: to wear.
        seed: of its strands, or None to keep that of the sliders.
    """
    with changes_held():
        for part in PARTS:
            sliders = hair_part(face, part)
            for name in NUMBERS:
                sliders.property_unset(name)
            sliders.style = look.styles.get(part, DEFAULT_STYLES[part])
            sliders.melanin, sliders.redness, sliders.grey = _part_colour(part, look.colour)
            sliders.viewport = _VIEWPORT.get(part, sliders.viewport)
            for name, value in look.numbers.get(part, {}).items():
                setattr(sliders, name, value)
            if seed is not None:
                sliders.seed = seed
    remove_hair(face, [part for part in hair_objects(face) if part not in look.styles])
    add_hair(face, [part for part in PARTS if part in look.styles])


def _part_colour(part: str, colour: tuple[float, float, float]) -> tuple[float, float, float]:
    """Returns the colour of one part: lashes are darker, vellus is nearly white, brows grey late."""
    melanin, redness, grey = colour
    if part == "lashes":
        return max(melanin, 0.93), redness * 0.5, 0.0
    if part == "vellus":
        return 0.14 + 0.25 * melanin**4, 0.3, 0.0
    if part == "brows":
        return min(melanin + 0.03, 1.0), redness, grey * 0.6
    return melanin, redness, grey


def suiting_hair(face: bpy.types.Object, seed: int) -> HairLook:
    """Returns a look drawn by a seed that suits a face's skin tone, its age and its form.

    Args:
        face: of the present model.
        seed: the same gives the same look.
    """
    random = np.random.default_rng([seed, _LOOK_SEED])
    tone = shown_tone(face)
    model = face_model()
    age, gender = 35.0, 0.0
    if len(model.attributes) > 1:
        age, gender = (
            float(row @ np.concatenate([[1.0], identity_of(face)])) for row in model.attributes[:2]
        )
    age += 9 * face.d3dmm.age_offset
    is_man = gender + _UNSURE * random.standard_normal() > 0
    names = _WOMEN if not is_man else _OLD_MEN if age > 52 else _YOUNG_MEN
    name = str(random.choice(names))
    if tone > 0.7 and random.random() < 0.7:
        name = str(random.choice(_DARK_MEN if is_man else _DARK_WOMEN))
    look = LOOKS[name]
    dark = float(np.clip(random.normal(0.82 + 0.2 * tone, 0.09), 0.35, 0.99))
    if tone > 0.5:
        dark = max(dark, 0.93)
    grey = float(np.clip((age - 45) / 50 + 0.1 * random.standard_normal(), 0, 0.95))
    red = float(random.beta(1.2, 4) * (1 - 0.8 * tone))
    styles = {**look.styles, "brows": str(random.choice(_MENS_BROWS if is_man else _WOMENS_BROWS))}
    if not is_man:
        styles.pop("beard", None)
    low, high = _LENGTHS.get(styles.get("scalp", ""), (1.0, 1.0))
    length = float(random.uniform(low, high)) * (_SHORTER if name == "COILY" and is_man else 1.0)
    numbers = dict(look.numbers) if is_man else {**look.numbers, "brows": _FEMALE_BROWS}
    if "scalp" in styles:
        numbers["scalp"] = {**numbers.get("scalp", {}), "length": round(length, 2)}
    return HairLook(styles, (dark, red, grey), numbers)


def wears_suiting_hair(face: bpy.types.Object, seed: int) -> bool:
    """Tells whether a face wears, unchanged, the hair that a seed drew for it, on the scalp too."""
    parts = set(hair_objects(face))
    if "scalp" not in parts or not is_current(face):
        return False
    look = suiting_hair(face, seed)
    return parts == set(look.styles) and all(_wears(hair_part(face, part), part, look) for part in parts)


def _wears(sliders, part: str, look: HairLook) -> bool:
    """Tells whether the sliders of a part stand as a look sets them."""
    wanted = {name: sliders.bl_rna.properties[name].default for name in (*SHAPE_SLIDERS, "thickness")}
    wanted |= dict(zip(COLOUR_SLIDERS, _part_colour(part, look.colour), strict=True))
    wanted |= look.numbers.get(part, {})
    return sliders.style == look.styles[part] and all(
        abs(getattr(sliders, name) - value) < _SAME for name, value in wanted.items()
    )


def photo_look(guess: Mapping) -> HairLook:
    """Returns the look that the backend guessed from a photo, as `PhotoHair.described` of the backend has it.

    Cuts that this version does not know are left out.
    """
    styles = {"brows": "NATURAL", "lashes": "NATURAL", "vellus": "FINE"}
    numbers: dict[str, dict[str, float]] = {
        "brows": {"density": float(guess["brow_density"])},
        "vellus": _DOWN,
    }
    for part, known in (("scalp", SCALP_STYLES), ("beard", BEARD_STYLES)):
        if guess[part] in known:
            styles[part] = str(guess[part])
    if "beard" in styles:
        strength = max(float(guess[name]) for name in ("moustache", "chin", "cheeks"))
        numbers["beard"] = {"density": 0.5 + strength}
    colour = float(guess["melanin"]), float(guess["redness"]), float(guess["grey"])
    return HairLook(styles, colour, numbers)
