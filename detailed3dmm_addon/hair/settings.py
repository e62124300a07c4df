"""The properties of a face's hair, one group for each part; they survive undo, save, copy and append."""

from collections.abc import Iterator
from contextlib import contextmanager

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty, PointerProperty

_held: list[bool] = []
"""Not empty while several sliders are written: hair is then grown once, by the caller."""


@contextmanager
def changes_held() -> Iterator[None]:
    """While inside, sliders grow nothing; the caller grows once afterwards."""
    _held.append(True)
    try:
        yield
    finally:
        _held.pop()


def _shape_changed(part, _context):
    from . import groom

    if not _held:
        groom.regrow(part.id_data, part.part_name)


def _look_changed(part, _context):
    from . import groom

    if not _held:
        groom.apply_look(part.id_data, part.part_name)


def _hair_object(_part, candidate) -> bool:
    return candidate.type == "CURVES"


class HairPart:
    """Mixed into the groups of the parts: the sliders that all have."""

    part_name = ""
    object: PointerProperty(type=bpy.types.Object, poll=_hair_object, options={"HIDDEN"})
    length: FloatProperty(
        name="Length",
        description="Length of the strands; 1 is the style's own",
        default=1.0,
        min=0.05,
        max=4.0,
        soft_max=2.0,
        update=_shape_changed,
    )
    density: FloatProperty(
        name="Density",
        description="Number of strands; 1 is the style's own",
        default=1.0,
        min=0.02,
        max=4.0,
        soft_max=2.0,
        update=_shape_changed,
    )
    thickness: FloatProperty(
        name="Thickness",
        description="Width of a strand; 1 is life-like",
        default=1.0,
        min=0.1,
        max=4.0,
        soft_max=2.0,
        update=_look_changed,
    )
    clump: FloatProperty(
        name="Clump",
        description="How far strands meet in locks; 0.5 is the style's own",
        default=0.5,
        min=0.0,
        max=1.0,
        update=_shape_changed,
    )
    frizz: FloatProperty(
        name="Frizz",
        description="How far single strands stray; 0.5 is the style's own",
        default=0.5,
        min=0.0,
        max=1.0,
        update=_shape_changed,
    )
    curl: FloatProperty(
        name="Curl",
        description="Width of curls, bend of lashes; 0.5 is the style's own",
        default=0.5,
        min=0.0,
        max=1.0,
        update=_shape_changed,
    )
    melanin: FloatProperty(
        name="Melanin",
        description="Pigment: 0 white, 0.5 blond, 0.8 brown, 1 black",
        default=0.9,
        min=0.0,
        max=1.0,
        update=_look_changed,
    )
    redness: FloatProperty(
        name="Redness",
        description="Share of red pigment",
        default=0.2,
        min=0.0,
        max=1.0,
        update=_look_changed,
    )
    grey: FloatProperty(
        name="Grey",
        description="Share of strands that have lost their pigment",
        default=0.0,
        min=0.0,
        max=1.0,
        update=_look_changed,
    )
    seed: IntProperty(
        name="Seed",
        description="Chooses among grooms of the same style",
        min=0,
        update=_shape_changed,
    )
    viewport: FloatProperty(
        name="In the Viewport",
        description="Share of the strands that the viewport shows; renders show all",
        default=0.1,
        min=0.0,
        max=1.0,
        update=_look_changed,
    )


class D3DMM_PG_hair_brows(HairPart, bpy.types.PropertyGroup):
    """The eyebrows."""

    part_name = "brows"
    viewport: FloatProperty(
        name="In the Viewport",
        description="Share of the strands that the viewport shows; renders show all",
        default=1.0,
        min=0.0,
        max=1.0,
        update=_look_changed,
    )
    style: EnumProperty(
        name="Style",
        description="Cut or form of this hair",
        items=(
            ("NATURAL", "Natural", ""),
            ("STRAIGHT", "Straight", ""),
            ("ARCHED", "Arched", ""),
            ("THICK", "Thick", ""),
            ("THIN", "Thin", ""),
        ),
        update=_shape_changed,
    )


class D3DMM_PG_hair_lashes(HairPart, bpy.types.PropertyGroup):
    """The lashes."""

    part_name = "lashes"
    viewport: FloatProperty(
        name="In the Viewport",
        description="Share of the strands that the viewport shows; renders show all",
        default=1.0,
        min=0.0,
        max=1.0,
        update=_look_changed,
    )
    style: EnumProperty(
        name="Style",
        description="Cut or form of this hair",
        items=(("NATURAL", "Natural", ""), ("LONG", "Long", ""), ("SPARSE", "Sparse", "")),
        update=_shape_changed,
    )


class D3DMM_PG_hair_scalp(HairPart, bpy.types.PropertyGroup):
    """The hair of the head."""

    part_name = "scalp"
    style: EnumProperty(
        name="Style",
        description="Cut or form of this hair",
        items=(
            ("SHAVED", "Shaved", ""),
            ("CROPPED", "Cropped", ""),
            ("FADE", "Short Fade", ""),
            ("SIDE_PART", "Side Part", ""),
            ("SLICKED", "Combed Back", ""),
            ("TIED", "Tied Back", ""),
            ("CURLY", "Curly", ""),
            ("COILY", "Coily", ""),
            ("BOB", "Bob", ""),
            ("LONG", "Long and Straight", ""),
            ("WAVY", "Shoulder-Long Waves", ""),
            ("RECEDING", "Receding", ""),
            ("BALD_CROWN", "Bald Crown", ""),
        ),
        default="CROPPED",
        update=_shape_changed,
    )


class D3DMM_PG_hair_beard(HairPart, bpy.types.PropertyGroup):
    """The beard."""

    part_name = "beard"
    style: EnumProperty(
        name="Style",
        description="Cut or form of this hair",
        items=(
            ("STUBBLE", "Stubble", ""),
            ("MOUSTACHE", "Moustache", ""),
            ("GOATEE", "Goatee", ""),
            ("FULL", "Full Beard", ""),
            ("SIDEBURNS", "Sideburns", ""),
        ),
        update=_shape_changed,
    )


class D3DMM_PG_hair_vellus(HairPart, bpy.types.PropertyGroup):
    """The fine hair of the face."""

    part_name = "vellus"
    style: EnumProperty(
        name="Style",
        description="Cut or form of this hair",
        items=(("FINE", "Fine", ""), ("DOWNY", "Downy", "")),
        update=_shape_changed,
    )


class D3DMM_PG_hair(bpy.types.PropertyGroup):
    """All hair of one face."""

    brows: PointerProperty(type=D3DMM_PG_hair_brows)
    lashes: PointerProperty(type=D3DMM_PG_hair_lashes)
    scalp: PointerProperty(type=D3DMM_PG_hair_scalp)
    beard: PointerProperty(type=D3DMM_PG_hair_beard)
    vellus: PointerProperty(type=D3DMM_PG_hair_vellus)


CLASSES = (
    D3DMM_PG_hair_brows,
    D3DMM_PG_hair_lashes,
    D3DMM_PG_hair_scalp,
    D3DMM_PG_hair_beard,
    D3DMM_PG_hair_vellus,
    D3DMM_PG_hair,
)


def register():
    """Adds `Object.d3dmm_hair`."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Object.d3dmm_hair = PointerProperty(type=D3DMM_PG_hair, name="Detailed3DMM Hair")


def unregister():
    """Removes `Object.d3dmm_hair`."""
    del bpy.types.Object.d3dmm_hair
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
