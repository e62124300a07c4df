"""The base of every panel of the tab."""

import textwrap

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


def readable(name: str) -> str:
    """Returns a label for an identifier: "Jaw Width" for "jaw_width", "Brow Inner Up" for "browInnerUp"."""
    spaced = "".join(f" {letter}" if letter.isupper() else letter for letter in name.replace("_", " "))
    return " ".join(word[:1].upper() + word[1:] for word in spaced.split())


def characters_across(context) -> int:
    """Returns about the number of characters that fit across the sidebar."""
    scale = context.preferences.system.ui_scale
    return max(24, int(context.region.width / (7.0 * scale)) - 6)
