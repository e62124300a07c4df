"""The materials of a face: one for each of its parts."""

import bpy

from ..model.face_model import face_model
from .eye_material import make_eyes, make_lashes
from .mouth_material import make_teeth, make_tongue
from .skin_material import apply_look, make_skin

_HAIR_COLOURS = (
    (0.018, 0.012, 0.009),
    (0.045, 0.024, 0.013),
    (0.010, 0.008, 0.008),
    (0.11, 0.065, 0.032),
    (0.028, 0.016, 0.010),
    (0.16, 0.15, 0.14),
)
_IRIS_COLOURS = (
    (0.085, 0.038, 0.015),
    (0.07, 0.028, 0.012),
    (0.09, 0.055, 0.02),
    (0.06, 0.095, 0.135),
    (0.075, 0.10, 0.098),
    (0.055, 0.072, 0.035),
)
_LENGTHS = {
    "ShaderNodeBump": "Distance",
    "ShaderNodeBsdfPrincipled": "Subsurface Scale",
    "ShaderNodeAmbientOcclusion": "Distance",
    "ShaderNodeDisplacement": "Scale",
}


def assign_materials(face: bpy.types.Object, seed: int) -> None:
    """Gives a new face one material slot for each part, the skin first.

    Args:
        face: its polygons' material indices are part indices.
        seed: chooses the colours of irises and hair.
    """
    by_part = _make_materials(face, seed)
    for part in face_model().part_names:
        face.data.materials.append(by_part[part])
    apply_look(face)


def rearrange_materials(face: bpy.types.Object, parts: tuple[str, ...], seed: int) -> None:
    """Brings the material slots of a face of an earlier model into the order of the present model's parts.

    Args:
        face: its slots are in the order of `parts`; further ones stay behind the others.
        parts: of the earlier model.
        seed: chooses the colours of parts that are new.
    """
    names = face_model().part_names
    if names == parts:
        return
    slots = list(face.data.materials)
    kept = {part: slot for part, slot in zip(parts, slots, strict=False) if slot is not None}
    made = {} if set(names) <= set(kept) else _make_materials(face, seed)
    face.data.materials.clear()
    for part in names:
        face.data.materials.append(kept.get(part, made.get(part)))
    for slot in slots[len(parts) :]:
        face.data.materials.append(slot)
    for material in {item.name: item for item in made.values()}.values():
        if material.users == 0:
            bpy.data.materials.remove(material)


def _make_materials(face: bpy.types.Object, seed: int) -> dict[str, bpy.types.Material]:
    """Returns new materials by part."""
    eyes = make_eyes(f"{face.name} Eyes", _IRIS_COLOURS[seed % len(_IRIS_COLOURS)])
    teeth = make_teeth(f"{face.name} Teeth")
    return {
        "skin": new_skin(face, seed),
        "eye_left": eyes,
        "eye_right": eyes,
        "teeth_upper": teeth,
        "teeth_lower": teeth,
        "tongue": make_tongue(f"{face.name} Tongue"),
        "lashes": make_lashes(f"{face.name} Lashes"),
    }


def new_skin(face: bpy.types.Object, seed: int) -> bpy.types.Material:
    """Returns a new skin for a face; the seed chooses the colour of its hair."""
    return make_skin(f"{face.name} Skin", _HAIR_COLOURS[seed // 5 % len(_HAIR_COLOURS)])


def scale_lengths(face: bpy.types.Object, metre: float) -> None:
    """Converts the lengths in a new face's materials, which shaders measure in the scene's units.

    Args:
        face: with materials whose lengths are metres.
        metre: its length in the scene's units.
    """
    if metre == 1.0:
        return
    for material in {material.name: material for material in face.data.materials}.values():
        for node in material.node_tree.nodes:
            name = _LENGTHS.get(node.bl_idname)
            if name is not None:
                node.inputs[name].default_value *= metre
