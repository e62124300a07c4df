"""The properties of a face object; all of them survive undo, save, copy and append."""

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from .appearance.skin_properties import D3DMM_PG_skin
from .nodes import eye_groups
from .nodes.detail_groups import LARGEST_STRENGTH, REGIONS
from .translations import OUR_CONTEXT


def _identity_changed(item, _context):
    from .detail import follow as live_update

    live_update.identity_changed(item.id_data)


def _skin_changed(settings, _context):
    from .detail import follow as live_update

    live_update.skin_changed(settings.id_data)


def _detail_shown_changed(settings, _context):
    from .detail import follow as live_update
    from .nodes import detail_modifier as detail_modifiers

    detail_modifiers.apply_detail_settings(settings.id_data)
    live_update.skin_changed(settings.id_data)


def _get_strength(settings):
    from .nodes import detail_modifier as detail_modifiers

    return detail_modifiers.get_scale(settings.id_data, detail_modifiers.STRENGTH_INPUT)


def _set_strength(settings, value):
    from .nodes import detail_modifier as detail_modifiers

    detail_modifiers.set_scale(settings.id_data, detail_modifiers.STRENGTH_INPUT, value)


def _get_pores(settings):
    from .nodes import detail_modifier as detail_modifiers

    return detail_modifiers.get_scale(settings.id_data, detail_modifiers.PORES_INPUT)


def _set_pores(settings, value):
    from .nodes import detail_modifier as detail_modifiers

    detail_modifiers.set_scale(settings.id_data, detail_modifiers.PORES_INPUT, value)


def _get_regions(settings):
    from .nodes import detail_modifier as detail_modifiers

    return detail_modifiers.get_region_scales(settings.id_data)


def _set_regions(settings, values):
    from .nodes import detail_modifier as detail_modifiers

    detail_modifiers.set_region_scales(settings.id_data, values)


def _eye_input(name: str):
    """Returns the functions that read and write an input of the eyes' modifier."""

    def get(settings):
        from .appearance import eyes

        value = eyes.get_eye(settings.id_data, name)
        return tuple(value)[:3] if hasattr(value, "__len__") else value

    def put(settings, value):
        from .appearance import eyes

        eyes.set_eye(settings.id_data, name, (*value, 1.0) if hasattr(value, "__len__") else value)

    return {"get": get, "set": put, "options": set()}


def _look_changed(settings, _context):
    from .appearance.skin_material import apply_look

    apply_look(settings.id_data)


def _tone_changed(settings, context):
    from ..ml_backend.models.skin.seeded_tone import tone_angle

    _look_changed(settings, context)
    settings.skin.tone = tone_angle(settings.skin_tone)


def _photo_colour_changed(settings, _context):
    from .characters import photo as photo_face

    photo_face.colour_changed(settings.id_data)


def _photo_wrinkles_changed(settings, _context):
    from .characters import photo as photo_face

    photo_face.wrinkles_changed(settings.id_data)


class D3DMM_PG_direction(bpy.types.PropertyGroup):
    """One named identity direction; `name` is the model's name for it."""

    value: FloatProperty(
        name="Amount",
        description="Change relative to this person; 0 leaves the face as drawn",
        soft_min=-1.0,
        soft_max=1.0,
        min=-3.0,
        max=3.0,
        step=1,
        precision=2,
        update=_identity_changed,
    )


class D3DMM_PG_coefficient(bpy.types.PropertyGroup):
    """One principal coefficient of the identity."""

    value: FloatProperty(
        name="Coefficient",
        description="Principal coefficient, in standard deviations of the population",
        soft_min=-3.0,
        soft_max=3.0,
        min=-8.0,
        max=8.0,
        step=5,
        precision=2,
        update=_identity_changed,
    )


class D3DMM_PG_face(bpy.types.PropertyGroup):
    """The state of one face."""

    is_face: BoolProperty(options={"HIDDEN"})
    uid: StringProperty(options={"HIDDEN"}, description="Identifier by which running jobs find their face")
    face_model: StringProperty(
        options={"HIDDEN"}, description="Fingerprint of the face model that made this face"
    )
    keys_identity: StringProperty(
        options={"HIDDEN"}, description="Digest of the identity that all shape keys were made for"
    )
    identity_seed: IntProperty(name="Seed", description="The random person this face started from", min=0)
    directions: CollectionProperty(type=D3DMM_PG_direction)
    coefficients: CollectionProperty(type=D3DMM_PG_coefficient)
    skin_tone: FloatProperty(
        name="Skin Tone",
        description="Melanin of the skin, 0 lightest, 1 darkest",
        min=0.0,
        max=1.0,
        default=0.3,
        update=_tone_changed,
    )
    skin: PointerProperty(type=D3DMM_PG_skin, name="Skin")
    hair: FloatProperty(
        name="Painted Hair",
        description="Closely cropped hair, painted on the skin: 0 none, 1 full",
        translation_context=OUR_CONTEXT,
        min=0.0,
        max=1.0,
        default=1.0,
        update=_look_changed,
    )
    iris_colour: FloatVectorProperty(
        name="Iris",
        description="Colour of the outer part of the iris",
        subtype="COLOR",
        size=3,
        min=0.0,
        max=1.0,
        **_eye_input(eye_groups.IRIS_INPUT),
    )
    iris_second_colour: FloatVectorProperty(
        name="Second Colour",
        description="Colour of the iris around the pupil",
        subtype="COLOR",
        size=3,
        min=0.0,
        max=1.0,
        **_eye_input(eye_groups.SECOND_INPUT),
    )
    iris_seed: IntProperty(
        name="Iris Seed",
        description="Pattern of the fibres of the iris",
        min=0,
        **_eye_input(eye_groups.SEED_INPUT),
    )
    pupil: FloatProperty(
        name="Pupil",
        description="Radius of the pupil as a share of the iris",
        subtype="FACTOR",
        min=0.0,
        max=1.0,
        **_eye_input(eye_groups.PUPIL_INPUT),
    )
    eye_veins: FloatProperty(
        name="Veins",
        description="Veins and redness of the white of the eyes",
        subtype="FACTOR",
        min=0.0,
        max=1.0,
        **_eye_input(eye_groups.VEINS_INPUT),
    )
    eye_yellowing: FloatProperty(
        name="Yellowing",
        description="Yellow of the white of the eyes, which comes with age",
        subtype="FACTOR",
        min=0.0,
        max=1.0,
        **_eye_input(eye_groups.YELLOWING_INPUT),
    )
    eye_wetness: FloatProperty(
        name="Wetness",
        description="Gloss of the tears on the eyes",
        subtype="FACTOR",
        min=0.0,
        max=1.0,
        **_eye_input(eye_groups.WETNESS_INPUT),
    )
    wrinkle_seed: IntProperty(
        name="Wrinkle Seed",
        description="Chooses the pattern of lines and pores that the geometry does not determine",
        min=0,
        update=_skin_changed,
    )
    age_offset: FloatProperty(
        name="Skin Age",
        description="Older (+) or younger (-) skin than the face's shape suggests, in standard deviations",
        soft_min=-2.0,
        soft_max=2.0,
        min=-4.0,
        max=4.0,
        step=5,
        precision=2,
        update=_skin_changed,
    )
    skin_tendency: FloatProperty(
        name="Tendency",
        description="How readily the skin wrinkles beyond what its age suggests, in standard deviations",
        soft_min=-2.0,
        soft_max=2.0,
        min=-4.0,
        max=4.0,
        step=5,
        precision=2,
        update=_skin_changed,
    )
    skin_thickness: FloatProperty(
        name="Thickness",
        description=(
            "Thicker skin (+) folds in fewer and wider lines, thinner skin (-) in more and finer ones, "
            "in standard deviations"
        ),
        translation_context=OUR_CONTEXT,
        soft_min=-2.0,
        soft_max=2.0,
        min=-4.0,
        max=4.0,
        step=5,
        precision=2,
        update=_skin_changed,
    )
    lock_wrinkle_seed: BoolProperty(
        name="Lock Wrinkle Seed",
        description="Keep the pattern of lines when the face becomes another random person",
    )
    show_detail: BoolProperty(
        name="Detail",
        description="Displace the skin by its wrinkles",
        default=True,
        update=_detail_shown_changed,
    )
    detail_strength: FloatProperty(
        name="Strength",
        description="Scale of the displacement, an input of the detail's modifier; 1 is life-like",
        min=0.0,
        max=LARGEST_STRENGTH,
        get=_get_strength,
        set=_set_strength,
        options=set(),
    )
    pores: FloatProperty(
        name="Pores and Fine Lines",
        description=(
            "Scale of what is finer than the vertices, an input of the detail's modifier; 1 is life-like"
        ),
        min=0.0,
        max=LARGEST_STRENGTH,
        get=_get_pores,
        set=_set_pores,
        options=set(),
    )
    region_strengths: FloatVectorProperty(
        name="Regions",
        description="Scales of the displacement by region, inputs of the detail's modifier: "
        + ", ".join(REGIONS),
        size=len(REGIONS),
        min=0.0,
        max=LARGEST_STRENGTH,
        get=_get_regions,
        set=_set_regions,
        options=set(),
    )
    resolution: EnumProperty(
        name="Resolution",
        description="Size of the full displacement map, made when the sliders rest",
        items=(
            ("256", "256", "Fast"),
            ("512", "512", "Good for previews"),
            ("1024", "1024", "Pores and fine lines"),
        ),
        default="1024",
        update=_skin_changed,
    )
    live: BoolProperty(
        name="Live", description="Update the detail while sliders move", default=True, update=_skin_changed
    )
    detail_source: EnumProperty(
        name="Source",
        description="Which detail is shown",
        items=(
            ("LIVE", "Live", "The detail follows the sliders"),
            (
                "BAKED",
                "Baked",
                "The animation's own detail, stored in the file; plays and renders without the extension",
            ),
        ),
        update=_detail_shown_changed,
    )
    has_baked_detail: BoolProperty(options={"HIDDEN"})
    baked_components: IntProperty(options={"HIDDEN"}, description="K: fields of the baked detail")
    baked_psnr: FloatProperty(
        options={"HIDDEN"}, description="Closeness of the baked detail to the maps it was made from, dB"
    )
    baked_megabytes: FloatProperty(options={"HIDDEN"}, description="Size of the baked detail")
    photo: StringProperty(options={"HIDDEN"}, description="The photo that this face was fitted to")
    photo_sureness: StringProperty(
        options={"HIDDEN"}, description="How far the fit to the photo is to be trusted"
    )
    photo_sure: FloatProperty(options={"HIDDEN"}, description="The same as a number, 0 to 1")
    photo_wrinkles: FloatProperty(
        name="Photo Wrinkles",
        description="0: the wrinkles that identity and expression suggest; 1: those read off the photo",
        min=0.0,
        max=1.0,
        default=1.0,
        update=_photo_wrinkles_changed,
    )
    photo_colour: FloatProperty(
        name="Photo Colour",
        description="0: the painted skin; 1: the colour of the photo, its light removed",
        min=0.0,
        max=1.0,
        default=1.0,
        update=_photo_colour_changed,
    )
    photo_light: FloatProperty(
        name="As Photographed",
        description="0: skin without the photo's light; 1: as photographed, the photo's light on the skin",
        min=0.0,
        max=1.0,
        default=0.0,
        update=_photo_colour_changed,
    )
    imported_map: StringProperty(
        options={"HIDDEN"}, description="The imported displacement map that the detail starts from"
    )


CLASSES = (D3DMM_PG_direction, D3DMM_PG_coefficient, D3DMM_PG_skin, D3DMM_PG_face)


def register():
    """Adds `Object.d3dmm`."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Object.d3dmm = PointerProperty(type=D3DMM_PG_face, name="Detailed3DMM")


def unregister():
    """Removes `Object.d3dmm`."""
    del bpy.types.Object.d3dmm
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
