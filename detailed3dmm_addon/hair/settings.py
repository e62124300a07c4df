"""The properties of a face's hair, one group for each part; they survive undo, save, copy and append."""

from collections.abc import Iterator
from contextlib import contextmanager

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty, PointerProperty

from ...ml_backend.hair.face_hair import BEARD_STYLES, BROW_STYLES, LASH_STYLES, VELLUS_STYLES
from ...ml_backend.hair.scalp_styles import SCALP_STYLES
from ..translations import OUR_CONTEXT

PARTS = ("brows", "lashes", "scalp", "beard", "vellus")
STYLE_NAMES = {
    "brows": tuple(BROW_STYLES),
    "lashes": tuple(LASH_STYLES),
    "scalp": tuple(SCALP_STYLES),
    "beard": tuple(BEARD_STYLES),
    "vellus": tuple(VELLUS_STYLES),
}
SHAPE_SLIDERS = ("length", "density", "clump", "frizz", "curl")
COLOUR_SLIDERS = ("melanin", "redness", "grey")
NUMBERS = (*SHAPE_SLIDERS, "thickness", *COLOUR_SLIDERS, "viewport")
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


def _scale(name: str, description: str, update, high: float = 2.0, default: float = 1.0):
    return FloatProperty(
        name=name,
        description=description,
        default=default,
        min=0.05,
        max=4.0,
        soft_max=high,
        update=update,
        translation_context=OUR_CONTEXT,
    )


def _share(name: str, description: str, update, default: float):
    return FloatProperty(
        name=name,
        description=description,
        default=default,
        min=0.0,
        max=1.0,
        update=update,
        translation_context=OUR_CONTEXT,
    )


def _hair_object(_part, candidate) -> bool:
    return candidate.type == "CURVES"


class HairPart:
    """Mixed into the groups of the parts: the sliders that all have."""

    part_name = ""
    object: PointerProperty(type=bpy.types.Object, poll=_hair_object, options={"HIDDEN"})
    length: _scale("Length", "Length of the strands; 1 is the style's own", _shape_changed)
    density: _scale("Density", "Number of strands; 1 is the style's own", _shape_changed)
    thickness: _scale("Thickness", "Width of a strand; 1 is life-like", _look_changed)
    clump: _share("Clump", "How far strands meet in locks", _shape_changed, 0.5)
    frizz: _share("Frizz", "How far single strands stray", _shape_changed, 0.5)
    curl: _share("Curl", "Width of the style's curls or bend; 0.5 is its own", _shape_changed, 0.5)
    melanin: _share("Melanin", "Pigment: 0 white, 0.4 blond, 0.8 brown, 1 black", _look_changed, 0.9)
    redness: _share("Redness", "Share of red pigment", _look_changed, 0.2)
    grey: _share("Grey", "Share of strands that have lost their pigment", _look_changed, 0.0)
    seed: IntProperty(
        name="Seed",
        description="Chooses among grooms of the same style",
        min=0,
        update=_shape_changed,
        translation_context=OUR_CONTEXT,
    )
    viewport: _share(
        "Viewport", "Share of the strands that the viewport shows; renders show all", _look_changed, 0.2
    )


def _style_items(part: str):
    return tuple((name, name.replace("_", " ").title(), "") for name in STYLE_NAMES[part])


def _style(part: str, default: str):
    return EnumProperty(
        name="Style",
        description="Cut or form of this hair",
        items=_style_items(part),
        default=default,
        update=_shape_changed,
        translation_context=OUR_CONTEXT,
    )


class D3DMM_PG_hair_brows(HairPart, bpy.types.PropertyGroup):
    """The eyebrows."""

    part_name = "brows"
    style: _style("brows", "NATURAL")


class D3DMM_PG_hair_lashes(HairPart, bpy.types.PropertyGroup):
    """The lashes."""

    part_name = "lashes"
    style: _style("lashes", "NATURAL")


class D3DMM_PG_hair_scalp(HairPart, bpy.types.PropertyGroup):
    """The hair of the head."""

    part_name = "scalp"
    style: _style("scalp", "CROPPED")


class D3DMM_PG_hair_beard(HairPart, bpy.types.PropertyGroup):
    """The beard."""

    part_name = "beard"
    style: _style("beard", "STUBBLE")


class D3DMM_PG_hair_vellus(HairPart, bpy.types.PropertyGroup):
    """The fine hair of the face."""

    part_name = "vellus"
    style: _style("vellus", "FINE")


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
