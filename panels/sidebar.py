"""The base of every panel of the tab."""

import textwrap

import bpy
from bpy.app.translations import pgettext_iface

from ..detailed3dmm_addon.model.face_model import fixed_reason, is_of_earlier
from ..detailed3dmm_addon.model.registry import active_face
from ..detailed3dmm_addon.translations import OUR_CONTEXT


class SidebarPanel:
    """Mixed into panels: their place in the sidebar."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Detailed3DMM"
    bl_translation_context = OUR_CONTEXT


class FacePanel(SidebarPanel):
    """Mixed into panels that show only for a face."""

    @classmethod
    def poll(cls, context):
        """Tells whether a face is active."""
        return active_face(context) is not None


def draw_paragraph(layout, text: str, width: int, icon: str = "NONE") -> None:
    """Draws text over as many lines as it needs.

    Args:
        layout: receives a column.
        text: lines and words.
        width: characters in a line.
        icon: beside the first line.
    """
    column = layout.column(align=True)
    column.scale_y = 0.8
    lines = [piece for line in text.splitlines() for piece in textwrap.wrap(line, width) or [""]]
    for index, line in enumerate(lines):
        column.label(text=line, icon=icon if index == 0 else ("BLANK1" if icon != "NONE" else "NONE"))


def draw_model_note(layout, context, face: bpy.types.Object) -> None:
    """Draws why person and wrinkles of a face cannot change, and the button that lets them; else nothing."""
    reason = fixed_reason(face)
    if reason:
        box = layout.box()
        draw_paragraph(box, pgettext_iface(reason), characters_across(context), "INFO")
        if is_of_earlier(face):
            box.operator("d3dmm.carry_over_face", icon="FILE_REFRESH")


def readable(name: str) -> str:
    """Returns a label for an identifier: "Jaw Width" for "jaw_width", "Brow Inner Up" for "browInnerUp"."""
    spaced = "".join(f" {letter}" if letter.isupper() else letter for letter in name.replace("_", " "))
    return " ".join(word[:1].upper() + word[1:] for word in spaced.split())


def characters_across(context) -> int:
    """Returns about the number of characters that fit across the sidebar."""
    scale = context.preferences.system.ui_scale
    return max(24, int(context.region.width / (7.0 * scale)) - 6)
