"""The Skin panel: tone with the Monk swatches, colour, marks, lips, make-up, blood, the person's own."""

import bpy
import bpy.utils.previews

from ..detailed3dmm_addon.appearance.skin_colour import is_painted
from ..detailed3dmm_addon.characters.skin import MONK_TONES, SKIN_PRESETS
from ..detailed3dmm_addon.model.registry import active_face
from ..detailed3dmm_addon.nodes.strain_modifier import blood_slider
from ..detailed3dmm_addon.translations import OUR_CONTEXT
from .sidebar import FacePanel

_SWATCH = 16
_SLIDER_SHARE = 0.8
"""Width of a slider beside its colour."""
_swatches: dict[str, bpy.utils.previews.ImagePreviewCollection] = {}
"""The pictures of the swatches, made when they are first drawn; `forget_swatches` frees them."""


def swatch_icon(code: str) -> int:
    """Returns the icon of a colour, six hexadecimal digits of sRGB."""
    if not _swatches:
        _swatches["monk"] = bpy.utils.previews.new()
    pictures = _swatches["monk"]
    if code not in pictures:
        picture = pictures.new(code)
        picture.icon_size = (_SWATCH, _SWATCH)
        colour = [int(code[start : start + 2], 16) / 255 for start in (0, 2, 4)]
        picture.icon_pixels_float = [*colour, 1.0] * (_SWATCH * _SWATCH)
    return pictures[code].icon_id


def forget_swatches() -> None:
    """Frees the pictures of the swatches."""
    for pictures in _swatches.values():
        bpy.utils.previews.remove(pictures)
    _swatches.clear()


class D3DMM_MT_skin_presets(bpy.types.Menu):
    """Menu of the presets."""

    bl_label = "Presets"
    bl_idname = "D3DMM_MT_skin_presets"
    bl_translation_context = OUR_CONTEXT

    def draw(self, context):
        """Lists them."""
        for key, label in SKIN_PRESETS.items():
            self.layout.operator("d3dmm.skin_preset", text=label).preset = key


class D3DMM_PT_skin(FacePanel, bpy.types.Panel):
    """The colour of the skin."""

    bl_idname = "D3DMM_PT_skin"
    bl_label = "Skin"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """Draws tone, undertone, redness, marks and blood; or the button that adds them."""
        layout = self.layout
        face = active_face(context)
        settings = face.d3dmm.skin
        if not is_painted(face):
            layout.operator("d3dmm.add_skin_colour", icon="COLOR")
            return
        row = layout.row(align=True)
        row.operator("d3dmm.random_skin", text="Random", icon="FILE_REFRESH")
        row.menu(D3DMM_MT_skin_presets.bl_idname, text="Presets")
        row.prop(settings, "use", text="", icon="HIDE_OFF")
        row = layout.row(align=True)
        for code, tone in MONK_TONES:
            row.operator("d3dmm.skin_tone", text="", icon_value=swatch_icon(code)).tone = tone
        column = _column(layout)
        for name in ("tone", "undertone", "redness", "freckles", "moles", "age_spots", "stubble"):
            column.prop(settings, name, slider=True)
        blood = blood_slider(face)
        if blood is not None:
            column.prop(*blood, text="Blood", text_ctxt=OUR_CONTEXT, slider=True)
        row = column.row(align=True)
        row.prop(settings, "seed")
        row.operator("d3dmm.new_skin_seed", text="", icon="FILE_REFRESH")
        row.prop(settings, "lock_seed", text="", icon="LOCKED" if settings.lock_seed else "UNLOCKED")


class _SkinPart(FacePanel):
    """Mixed into the parts of the panel, which show for painted skin."""

    bl_parent_id = "D3DMM_PT_skin"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        """Tells whether the active face's skin is painted."""
        face = active_face(context)
        return face is not None and is_painted(face)


class D3DMM_PT_skin_make_up(_SkinPart, bpy.types.Panel):
    """Lips and make-up."""

    bl_idname = "D3DMM_PT_skin_make_up"
    bl_label = "Lips and Make-up"

    def draw(self, context):
        """Draws an amount and, beside it, a colour for each."""
        settings = active_face(context).d3dmm.skin
        column = _column(self.layout)
        for name, colour in (
            ("lips", "lip_tint"),
            ("lipstick", "lipstick_colour"),
            ("blush", "blush_colour"),
            ("eyeliner", "eyeliner_colour"),
            ("foundation", "foundation_colour"),
        ):
            row = column.split(factor=_SLIDER_SHARE, align=True)
            row.prop(settings, name, slider=True)
            row.prop(settings, colour, text="")


class D3DMM_PT_skin_more(_SkinPart, bpy.types.Panel):
    """Age, sun, vessels, and how the image is made and rendered."""

    bl_idname = "D3DMM_PT_skin_more"
    bl_label = "Age and Image"

    def draw(self, context):
        """Draws the sliders, the image's size and the true displacement."""
        settings = active_face(context).d3dmm.skin
        column = _column(self.layout)
        for name in ("age", "tan", "capillaries", "under_eye"):
            column.prop(settings, name, slider=True)
        column.row().prop(settings, "size", expand=True)
        column.prop(settings, "true_displacement")


class D3DMM_PT_skin_coefficients(_SkinPart, bpy.types.Panel):
    """Coefficients of a person's own skin."""

    bl_idname = "D3DMM_PT_skin_coefficients"
    bl_label = "Coefficients"

    def draw(self, context):
        """Draws a slider for each."""
        settings = active_face(context).d3dmm.skin
        flow = self.layout.grid_flow(columns=2, align=True, row_major=True)
        for index in range(len(settings.own)):
            flow.prop(settings, "own", index=index, text=f"C{index + 1}", slider=True)


def _column(layout):
    return layout.column(align=True)  # the names inside: beside the sliders, some would be cut short


CLASSES = (
    D3DMM_MT_skin_presets,
    D3DMM_PT_skin,
    D3DMM_PT_skin_make_up,
    D3DMM_PT_skin_more,
    D3DMM_PT_skin_coefficients,
)
