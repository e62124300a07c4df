"""The skin colour of a person: that of a new face, of a seed, of a preset; skin for a face that has none."""

from collections.abc import Mapping

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.models.skin.live_skin import MAKE_UP, TRAITS
from ...ml_backend.models.skin.seeded_tone import tone_angle
from ...ml_backend.simulation.pigment.pigment_traits import PigmentTraits, sample_traits
from ..appearance import face_materials, skin_colour, skin_displacement, skin_follow
from ..appearance.photo_colour import carry_photo
from ..appearance.skin_material import HAIR_NODE, IMAGE_NODE, ROOTS_NODE
from ..face.attributes import SURFACE_ATTRIBUTE, add_skin_attributes
from ..face.mesh import has_our_topology
from ..model.face_model import face_model
from ..nodes.detail_modifier import FINE_NODE, OTHER_FINE
from ..nodes.materials import first_material, named_node
from ..nodes.strain_modifier import add_strain_modifier

_MIDDLE_YEARS = 46.0
_REDDER = 0.6
"""Of people whom a seed draws: faces are redder (a* of 13 for 11.4 in light skin) than the model's mean."""
_NO_MAKE_UP = dict.fromkeys(MAKE_UP, 0.0)
SKIN_PRESETS = {
    "porcelain": "Porcelain",
    "freckled": "Freckled",
    "ruddy": "Ruddy",
    "olive": "Olive",
    "golden": "Golden",
    "brown": "Brown",
    "deep": "Deep",
    "weathered": "Weathered",
    "evening": "Evening Make-up",
}
_PRESET_VALUES: dict[str, dict[str, float]] = {
    "porcelain": {"tone": 62, "undertone": -0.3, "redness": -0.3, "age": 25, "tan": 0.0},
    "freckled": {"tone": 56, "redness": 0.3, "freckles": 0.85, "moles": 0.3, "age": 26},
    "ruddy": {"tone": 48, "redness": 0.9, "capillaries": 0.7, "age": 55, "tan": 0.6},
    "olive": {"tone": 30, "undertone": 0.7, "redness": -0.2, "age": 32, "tan": 0.4},
    "golden": {"tone": 16, "undertone": 0.6, "age": 30, "tan": 0.5, "moles": 0.2},
    "brown": {"tone": -14, "undertone": 0.2, "age": 34, "moles": 0.2},
    "deep": {"tone": -46, "redness": 0.1, "age": 34, "moles": 0.15},
    "weathered": {
        "tone": 40, "redness": 0.5, "age": 74, "age_spots": 0.75, "capillaries": 0.6, "moles": 0.4,
        "tan": 0.7,
    },
    "evening": {"foundation": 0.7, "blush": 0.45, "lipstick": 0.85, "eyeliner": 0.8},
}  # fmt: skip
"""The sliders that a preset sets. One that sets a tone sets all others to their usual values."""
MONK_TONES = (
    ("F6EDE4", 69.0), ("F3E7DB", 63.0), ("F7EAD0", 58.0), ("EADABA", 52.0), ("D7BD96", 41.0),
    ("A07E56", 12.0), ("825C43", -18.0), ("604134", -42.0), ("3A312A", -53.0), ("292420", -60.0),
)  # fmt: skip
"""The ten Monk skin tones (Monk 2019, CC BY 4.0) and the nearest tone of the model, degrees.

The lightest and the darkest lie beyond what typology angles of skin reach; there the scale is compressed."""


def begin_skin(face: bpy.types.Object) -> None:
    """Gives a new face painted skin, where the model of skin colour is there; `changed` paints it."""
    add_strain_modifier(face)
    if not skin_colour.missing_reason():
        face.d3dmm.skin.use = True


def add_skin_colour(face: bpy.types.Object) -> None:
    """Gives a face of an earlier version the present skin; its tone stays as light as it was.

    Hair colour, wrinkles and baked detail stay. The former material stays in the file while others use it.

    Args:
        face: a face of this file.

    Raises:
        UserError: the model of skin colour is missing, or the mesh was edited.
    """
    missing = skin_colour.missing_reason()
    if missing:
        raise UserError("There is no model of skin colour.", "Reinstall the extension.")
    if not has_our_topology(face) and face.data.attributes.get(SURFACE_ATTRIBUTE) is None:
        raise UserError(
            f"{face.name}'s vertices were edited: the skin's places cannot be found on them.",
            "Add Skin Colour before editing, or choose another face.",
        )
    with skin_follow.suspended():
        if face.data.attributes.get(SURFACE_ATTRIBUTE) is None:
            add_skin_attributes(face.data)
        if named_node(first_material(face), IMAGE_NODE) is None:
            _renew_material(face)
            face.d3dmm.skin.tone = tone_angle(face.d3dmm.skin_tone)
        add_strain_modifier(face)
        face.d3dmm.skin.use = True
        skin_displacement.apply(face)
    skin_follow.changed(face)


def _renew_material(face: bpy.types.Object) -> None:
    """Replaces the skin's material; fine detail and hair colour are carried over."""
    former = first_material(face)
    made = face_materials.new_skin(face, face.d3dmm.identity_seed)
    for name in (HAIR_NODE, ROOTS_NODE):
        before, now = named_node(former, name), named_node(made, name)
        if before is not None and now is not None:
            now.outputs[0].default_value = before.outputs[0].default_value
    before, now = named_node(former, FINE_NODE), named_node(made, FINE_NODE)
    if former is not None and before is not None and now is not None:
        unused = now.node_tree
        now.node_tree = before.node_tree
        bpy.data.node_groups.remove(unused)
        if former.get(OTHER_FINE) is not None:
            made[OTHER_FINE] = former[OTHER_FINE]
    carry_photo(former, made)
    if face.data.materials:
        face.data.materials[0] = made
    else:
        face.data.materials.append(made)
    face_materials.apply_look(face)


def store_seeded_skin(face: bpy.types.Object, seed: int, identity: np.ndarray) -> None:
    """Writes the skin of a seed into the sliders; the tone stays, age and sex are those of the shape.

    Args:
        face: the face; the caller suspends following.
        seed: of the person.
        identity: (K,) float32, standard deviations.
    """
    age, sex = _age_and_sex(identity)
    traits = sample_traits(seed, float(face.d3dmm.skin.tone), age, sex)
    values = _slider_values(traits)
    write_skin(face, values | {"redness": round(values["redness"] + _REDDER, 3)} | _NO_MAKE_UP)
    face.d3dmm.skin.seed = seed
    face.d3dmm.skin.own = (0.0,) * len(face.d3dmm.skin.own)


def _slider_values(traits: PigmentTraits) -> dict[str, float]:
    """Returns drawn traits by the names of their sliders, to three decimals: a slider shows no more."""
    return {name: round(float(getattr(traits, name)), 3) for name in TRAITS}


def random_skin(face: bpy.types.Object, seed: int) -> None:
    """Writes all sliders of a random skin, tone included; make-up stays."""
    traits = sample_traits(seed)
    with skin_follow.suspended():
        write_skin(face, {"tone": traits.tone} | _slider_values(traits))
        face.d3dmm.skin.seed = seed
        face.d3dmm.skin.own = (0.0,) * len(face.d3dmm.skin.own)
    skin_follow.changed(face)


def apply_skin_preset(face: bpy.types.Object, name: str) -> None:
    """Writes a preset into the sliders; the seed stays."""
    values = _PRESET_VALUES[name]
    with skin_follow.suspended():
        if "tone" in values:
            usual = {trait: face.d3dmm.skin.bl_rna.properties[trait].default for trait in TRAITS}
            write_skin(face, usual | _NO_MAKE_UP)
        write_skin(face, values)
    skin_follow.changed(face)


def write_skin(face: bpy.types.Object, values: Mapping[str, float]) -> None:
    """Writes sliders by name; the caller suspends following and calls `changed`."""
    for name, value in values.items():
        setattr(face.d3dmm.skin, name, value)


def _age_and_sex(identity: np.ndarray) -> tuple[float, float]:
    """Returns the years, 18 to 85, and the sex, 0 female to 1 male, that a shape shows."""
    model = face_model()
    shares = {}
    for name in ("age", "gender"):
        if name not in model.direction_names:
            shares[name] = 0.0
            continue
        index = model.direction_names.index(name)
        direction = model.directions[index]
        low, high = model.direction_ranges[index]
        amount = float(identity @ direction) / float(direction @ direction)
        shares[name] = amount / float(max(abs(low), abs(high)))
    years = _MIDDLE_YEARS + 30.0 * shares["age"]
    return float(np.clip(years, 18, 85)), float(shares["gender"] > 0)
