"""The Own Characters panel: wrinkles for the artist's own heads."""

import bpy
from bpy.app.translations import pgettext_iface

from ..detailed3dmm_addon.model.registry import is_face
from ..detailed3dmm_addon.nodes import detail_modifier as detail_modifiers
from ..detailed3dmm_addon.nodes.detail_groups import REGION_INPUTS, STRENGTH_INPUT
from ..detailed3dmm_addon.nodes.modifier_inputs import input_slider
from ..detailed3dmm_addon.other_heads.detail import has_mesh_detail
from ..detailed3dmm_addon.other_heads.match_preview import is_shown
from ..detailed3dmm_addon.other_heads.quality import kept_quality
from .sidebar import SidebarPanel


class D3DMM_PT_own_characters(SidebarPanel, bpy.types.Panel):
    """Wrinkles of a mesh that is not a face of this extension."""

    bl_idname = "D3DMM_PT_own_characters"
    bl_label = "Own Characters"

    @classmethod
    def poll(cls, context):
        """Tells whether a mesh that is not a face is active."""
        item = context.active_object
        return item is not None and item.type == "MESH" and not is_face(item)

    def draw(self, context):
        """Draws the button, or the scales of the detail that is there."""
        item = context.active_object
        layout = self.layout
        if not has_mesh_detail(item):
            layout.operator("d3dmm.add_detail_to_mesh", icon="MOD_DISPLACE")
            return
        self._draw_match(layout, item)
        modifier = detail_modifiers.detail_modifier(item)
        column = layout.column()
        column.use_property_split = True
        for name in (STRENGTH_INPUT, *REGION_INPUTS.values()) if modifier is not None else ():
            column.prop(*input_slider(modifier, name), text=name, slider=True)
        layout.operator("d3dmm.colour_own_head", icon="COLOR")
        layout.operator("d3dmm.grow_hair_on_mesh", icon="CURVES_DATA")
        layout.operator("d3dmm.remove_mesh_detail", icon="X")

    def _draw_match(self, layout, item):
        """Draws how well our skin lies on the mesh, and the button that shows it."""
        quality = kept_quality(item)
        if quality is not None:
            box = layout.box().column(align=True)
            row = box.row()
            row.label(text="Match")
            row.label(text=f"{quality['figure']:.0%}")
            row = box.row()
            row.label(text="Names Found")
            row.label(text=f"{quality['keys']:.0%}")
            for region, distance in quality["residual_mm"].items():
                row = box.row()
                row.label(text=pgettext_iface(REGION_INPUTS[region]))
                row.label(text=f"{distance:.1f} mm")
        layout.operator("d3dmm.show_match", icon="HIDE_OFF", depress=is_shown(item))


CLASSES = (D3DMM_PT_own_characters,)
