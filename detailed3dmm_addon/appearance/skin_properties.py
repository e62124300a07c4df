"""The properties of a face's skin colour, `face.d3dmm.skin`; all are keyed, saved and copied as any other."""

from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, FloatVectorProperty, IntProperty

from ...ml_backend.models.skin.live_skin import OWN_AXES
from ...ml_backend.models.skin.skin_sliders import DARKEST, LIGHTEST
from ..nodes import strain_modifier
from ..nodes.strain_modifier import LARGEST_BLOOD


def _changed(settings, _context):
    from . import skin_follow

    skin_follow.changed(settings.id_data)


def _displacement_changed(settings, _context):
    from . import skin_displacement

    skin_displacement.apply(settings.id_data)


def _get_blood(settings):
    return strain_modifier.get_blood(settings.id_data)


def _set_blood(settings, value):
    strain_modifier.set_blood(settings.id_data, value)


_SHARE: dict[str, Any] = {"min": 0.0, "max": 1.0, "step": 1, "precision": 2, "update": _changed}
_SIGNED: dict[str, Any] = _SHARE | {"min": -2.0, "max": 2.0, "soft_min": -1.0, "soft_max": 1.0}
_COLOUR: dict[str, Any] = {
    "subtype": "COLOR",
    "size": 3,
    "min": 0.0,
    "soft_max": 1.0,
    "max": 4.0,
    "update": _changed,
}


class D3DMM_PG_skin(bpy.types.PropertyGroup):
    """The colour of a face's skin."""

    use: BoolProperty(
        name="Skin Colour",
        description="Paint the skin by its sliders; off: the plain skin of the Skin Tone slider",
        update=_changed,
    )
    tone: FloatProperty(
        name="Tone",
        description="Individual typology angle of cheeks and forehead, degrees: 70 very light, -60 dark",
        min=DARKEST,
        max=LIGHTEST,
        default=40.0,
        step=50,
        precision=1,
        update=_changed,
    )
    undertone: FloatProperty(name="Undertone", description="Pink (-) to yellow (+)", **_SIGNED)
    redness: FloatProperty(
        name="Redness",
        description="Blood in cheeks, nose and ears: pale (-) to flushed (+)",
        **_SIGNED,
    )
    freckles: FloatProperty(name="Freckles", description="0 none, 1 many", **_SHARE)
    moles: FloatProperty(name="Moles", description="0 none, 1 many", default=0.12, **_SHARE)
    age_spots: FloatProperty(name="Age Spots", description="0 none, 1 many", **_SHARE)
    stubble: FloatProperty(
        name="Stubble",
        description="Roots of a beard: 0 none, 1 a day's growth under the skin",
        **_SHARE,
    )
    lips: FloatProperty(
        name="Lips",
        description="Fullness of their colour: pale (-) to red (+)",
        **_SIGNED,
    )
    lip_tint: FloatVectorProperty(
        name="Lip Tint",
        description="Multiplies the colour of the lips; white leaves it",
        default=(1.0, 1.0, 1.0),
        **_COLOUR,
    )
    age: FloatProperty(
        name="Years",
        description="Age of the skin's colour, its roughness and its pores",
        min=18.0,
        max=85.0,
        default=35.0,
        step=100,
        precision=0,
        update=_changed,
    )
    tan: FloatProperty(
        name="Tan",
        description="Browned by the sun: forehead, nose and cheekbones first",
        default=0.25,
        **_SHARE,
    )
    capillaries: FloatProperty(
        name="Capillaries",
        description="Small red vessels of nose and cheeks",
        default=0.15,
        **_SHARE,
    )
    under_eye: FloatProperty(
        name="Under Eyes",
        description="The shadow under the eyes",
        default=0.3,
        **_SHARE,
    )
    lipstick: FloatProperty(name="Lipstick", description="How much of it", **_SHARE)
    lipstick_colour: FloatVectorProperty(
        name="Lipstick Colour",
        description="Linear colour",
        default=(0.42, 0.03, 0.05),
        **_COLOUR,
    )
    blush: FloatProperty(name="Blush", description="How much of it", **_SHARE)
    blush_colour: FloatVectorProperty(
        name="Blush Colour",
        description="Linear colour",
        default=(0.72, 0.18, 0.19),
        **_COLOUR,
    )
    eyeliner: FloatProperty(name="Eyeliner", description="How much of it", **_SHARE)
    eyeliner_colour: FloatVectorProperty(
        name="Eyeliner Colour",
        description="Linear colour",
        default=(0.008, 0.007, 0.009),
        **_COLOUR,
    )
    foundation: FloatProperty(
        name="Foundation",
        description="How much of it: it evens the skin out and dulls its shine",
        **_SHARE,
    )
    foundation_colour: FloatVectorProperty(
        name="Foundation Tint",
        description="Multiplies the skin's mean colour",
        default=(1.0, 1.0, 1.0),
        **_COLOUR,
    )
    seed: IntProperty(
        name="Seed",
        description="Where blotches and spots lie, and what else is this person's own",
        min=0,
        update=_changed,
    )
    lock_seed: BoolProperty(
        name="Lock Seed", description="Keep the seed, and all colours, when the face becomes another person"
    )
    own: FloatVectorProperty(
        name="Coefficients",
        description="What is this person's own, in standard deviations beside those of the seed",
        size=OWN_AXES,
        min=-6.0,
        max=6.0,
        soft_min=-3.0,
        soft_max=3.0,
        step=5,
        precision=2,
        update=_changed,
    )
    size: EnumProperty(
        name="Image",
        description="Size of the skin's image when the sliders rest",
        items=(
            ("512", "512", "Fast"),
            ("1024", "1024", "Good for most pictures"),
            ("2048", "2048", "Close-ups"),
        ),
        default="1024",
        update=_changed,
    )
    blood: FloatProperty(
        name="Blood",
        description=(
            "How much the skin reddens where it is squeezed and pales where it is stretched, an input of the "
            "strain's modifier; 1 is life-like"
        ),
        min=0.0,
        max=LARGEST_BLOOD,
        get=_get_blood,
        set=_set_blood,
        options=set(),
    )
    true_displacement: BoolProperty(
        name="True Displacement",
        description=(
            "Cycles moves the surface by pores and fine lines, on a mesh subdivided for the render; "
            "off: bump, which is faster"
        ),
        update=_displacement_changed,
    )
