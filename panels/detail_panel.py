"""The Detail panel: on or off, strength, resolution, live, wrinkle seed, live or baked."""

import bpy

from ..detailed3dmm_addon import active_face
from .sidebar import FacePanel


class D3DMM_PT_detail(FacePanel, bpy.types.Panel):
    """The wrinkles."""

    bl_idname = "D3DMM_PT_detail"
    bl_label = "Detail"

    def draw_header(self, context):
        """Draws the switch."""
        self.layout.prop(active_face(context).d3dmm, "show_detail", text="")

    def draw(self, context):
        """Draws strength, source, resolution and seed."""
        settings = active_face(context).d3dmm
        column = self.layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        column.active = settings.show_detail
        column.prop(settings, "detail_strength", slider=True)
        if settings.has_baked_detail:
            column.row().prop(settings, "detail_source", expand=True)
            column.operator("d3dmm.clear_baked_detail", icon="X")
        live = column.column()
        live.active = settings.detail_source == "LIVE"
        live.prop(settings, "live")
        live.row().prop(settings, "resolution", expand=True)
        live.prop(settings, "age_offset", slider=True)
        row = live.row(align=True)
        row.prop(settings, "wrinkle_seed")
        row.operator("d3dmm.new_wrinkle_seed", text="", icon="FILE_REFRESH")
        live.operator("d3dmm.update_detail", icon="MOD_DISPLACE")


CLASSES = (D3DMM_PT_detail,)
