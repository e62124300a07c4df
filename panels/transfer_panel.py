"""The Transfer panel: a source, the attributes that are taken, before and after."""

import bpy

from ..detailed3dmm_addon.model.registry import active_face
from .sidebar import FacePanel

_ATTRIBUTES = ("shape", "expression", "skin", "light", "pose")
_REGIONS = ("brows", "eyes", "cheeks", "mouth")


class D3DMM_PT_transfer(FacePanel, bpy.types.Panel):
    """Attributes of another face."""

    bl_idname = "D3DMM_PT_transfer"
    bl_label = "Transfer"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """Draws the source, the attributes with their amounts, and the buttons."""
        layout = self.layout
        settings = active_face(context).d3dmm_transfer
        layout.row().prop(settings, "source_kind", expand=True)
        if settings.source_kind == "FACE":
            layout.prop(settings, "source_face", text="")
        else:
            layout.prop(settings, "source_path", text="")
            layout.prop(settings, "fit_photo")
        column = layout.column(align=True)
        for name in _ATTRIBUTES:
            row = column.row(align=True)
            row.prop(settings, f"use_{name}")
            amount = row.row(align=True)
            amount.active = getattr(settings, f"use_{name}")
            amount.prop(settings, f"{name}_amount", text="", slider=True)
        column.prop(settings, "use_hair")
        regions = layout.grid_flow(row_major=True, columns=2, even_columns=True, align=True)
        regions.active = settings.use_expression
        for name in _REGIONS:
            regions.prop(settings, f"region_{name}", toggle=True)
        buttons = layout.column(align=True)
        buttons.operator("d3dmm.transfer_attributes", icon="PASTEDOWN")
        buttons.operator("d3dmm.swap_transfer", icon="ARROW_LEFTRIGHT")
        layout.operator("d3dmm.light_from_photo", icon="LIGHT_AREA")


CLASSES = (D3DMM_PT_transfer,)
