"""The properties of a face's skin colour, `face.d3dmm.skin`; all are keyed, saved and copied as any other."""

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, FloatVectorProperty, IntProperty

from ...ml_backend.models.live_skin import OWN_AXES
from ...ml_backend.models.skin_sliders import DARKEST, LIGHTEST
from ..nodes import strain_modifier
from ..nodes.strain_modifier import LARGEST_BLOOD
from ..translations import OUR_CONTEXT


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


def _share(name: str, description: str, default: float = 0.0) -> FloatProperty:
    return FloatProperty(
        name=name,
        description=description,
        translation_context=OUR_CONTEXT,
        min=0.0,
        max=1.0,
        default=default,
        step=1,
        precision=2,
        update=_changed,
    )


def _signed(name: str, description: str) -> FloatProperty:
    return FloatProperty(
        name=name,
        description=description,
        translation_context=OUR_CONTEXT,
        min=-2.0,
        max=2.0,
        soft_min=-1.0,
        soft_max=1.0,
        step=1,
        precision=2,
        update=_changed,
    )


def _colour(name: str, description: str, default: tuple[float, float, float]) -> FloatVectorProperty:
    return FloatVectorProperty(
        name=name,
        description=description,
        translation_context=OUR_CONTEXT,
        subtype="COLOR",
        size=3,
        min=0.0,
        soft_max=1.0,
        max=4.0,
        default=default,
        update=_changed,
    )


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
        translation_context=OUR_CONTEXT,
        min=DARKEST,
        max=LIGHTEST,
        default=40.0,
        step=50,
        precision=1,
        update=_changed,
    )
    undertone: _signed("Undertone", "Pink (-) to yellow (+)")
    redness: _signed("Redness", "Blood in cheeks, nose and ears: pale (-) to flushed (+)")
    freckles: _share("Freckles", "0 none, 1 many")
    moles: _share("Moles", "0 none, 1 many", 0.12)
    age_spots: _share("Age Spots", "0 none, 1 many")
    stubble: _share("Stubble", "Roots of a beard: 0 none, 1 a day's growth under the skin")
    lips: _signed("Lips", "Fullness of their colour: pale (-) to red (+)")
    lip_tint: _colour("Lip Tint", "Multiplies the colour of the lips; white leaves it", (1.0, 1.0, 1.0))
    age: FloatProperty(
        name="Years",
        description="Age of the skin's colour, its roughness and its pores",
        translation_context=OUR_CONTEXT,
        min=18.0,
        max=85.0,
        default=35.0,
        step=100,
        precision=0,
        update=_changed,
    )
    tan: _share("Tan", "Browned by the sun: forehead, nose and cheekbones first", 0.25)
    capillaries: _share("Capillaries", "Small red vessels of nose and cheeks", 0.15)
    under_eye: _share("Under Eyes", "The shadow under the eyes", 0.3)
    lipstick: _share("Lipstick", "How much of it")
    lipstick_colour: _colour("Lipstick Colour", "Linear colour", (0.42, 0.03, 0.05))
    blush: _share("Blush", "How much of it")
    blush_colour: _colour("Blush Colour", "Linear colour", (0.72, 0.18, 0.19))
    eyeliner: _share("Eyeliner", "How much of it")
    eyeliner_colour: _colour("Eyeliner Colour", "Linear colour", (0.008, 0.007, 0.009))
    foundation: _share("Foundation", "How much of it: it evens the skin out and dulls its shine")
    foundation_colour: _colour("Foundation Tint", "Multiplies the skin's mean colour", (1.0, 1.0, 1.0))
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
        translation_context=OUR_CONTEXT,
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
