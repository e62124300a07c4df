"""The Hair panel: buttons, looks, and the sliders of each part."""

import bpy

from ..detailed3dmm_addon.hair.groom import hair_objects, hair_part
from ..detailed3dmm_addon.hair.parts import COLOUR_SLIDERS, PARTS
from ..detailed3dmm_addon.model.face_model import fixed_reason
from ..detailed3dmm_addon.model.registry import active_face
from .sidebar import FacePanel


class D3DMM_PT_hair(FacePanel, bpy.types.Panel):
    """Hair curves of the face."""

    bl_idname = "D3DMM_PT_hair"
    bl_label = "Hair"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """Draws the buttons for all hair."""
        column = self.layout.column(align=True)
        column.operator_menu_enum("d3dmm.set_hair_look", "look", icon="STRANDS")
        row = column.row(align=True)
        row.operator("d3dmm.random_hair", text="Random", icon="FILE_REFRESH")
        row.operator("d3dmm.remove_hair", text="Remove", icon="X")


class _PartPanel(FacePanel):
    """Mixed into the panels of the parts."""

    bl_parent_id = "D3DMM_PT_hair"
    bl_options = {"DEFAULT_CLOSED"}
    part = ""

    def draw_header(self, context):
        """Shows whether the part has been added."""
        shown = self.part in hair_objects(active_face(context))
        self.layout.label(text="", icon="CHECKMARK" if shown else "BLANK1")

    def draw(self, context):
        """Draws the part's buttons and sliders."""
        face = active_face(context)
        layout = self.layout
        row = layout.row(align=True)
        shown = self.part in hair_objects(face)
        if not shown:
            row.operator("d3dmm.add_hair", icon="ADD").parts = {self.part}
        else:
            row.operator("d3dmm.remove_hair", text="Remove", icon="X").parts = {self.part}
        column = layout.column(align=True)
        column.enabled = not fixed_reason(face)
        sliders = hair_part(face, self.part)
        column.prop(sliders, "style", text="")
        for name in ("length", "density", "thickness", "clump", "frizz", "curl", *COLOUR_SLIDERS):
            column.prop(sliders, name, slider=True)
        column.prop(sliders, "seed")
        column.prop(sliders, "viewport", slider=True)


def _part_class(part: str) -> type:
    """Returns the panel of one part."""
    return type(
        f"D3DMM_PT_hair_{part}",
        (_PartPanel, bpy.types.Panel),
        {
            "__doc__": f"The sliders of the {part}.",
            "__module__": __name__,
            "bl_idname": f"D3DMM_PT_hair_{part}",
            "bl_label": part.title(),
            "part": part,
        },
    )


CLASSES = (D3DMM_PT_hair, *(_part_class(part) for part in PARTS))
