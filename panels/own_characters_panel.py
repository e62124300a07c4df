"""The Own Characters panel: wrinkles for the artist's own heads."""

import bpy

from ..detailed3dmm_addon.model.registry import is_face
from ..detailed3dmm_addon.nodes import detail_modifier as detail_modifiers
from ..detailed3dmm_addon.nodes.detail_groups import REGION_INPUTS, STRENGTH_INPUT
from ..detailed3dmm_addon.nodes.modifier_inputs import input_slider
from ..detailed3dmm_addon.other_heads.detail import has_mesh_detail
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
        modifier = detail_modifiers.detail_modifier(item)
        column = layout.column()
        column.use_property_split = True
        for name in (STRENGTH_INPUT, *REGION_INPUTS.values()) if modifier is not None else ():
            column.prop(*input_slider(modifier, name), text=name, slider=True)
        layout.operator("d3dmm.remove_mesh_detail", icon="X")


CLASSES = (D3DMM_PT_own_characters,)
