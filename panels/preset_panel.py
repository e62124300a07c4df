"""The Presets and Assets panel: menus of presets, and faces and expressions as assets."""

import bpy

from ..detailed3dmm_addon.translations import OUR_CONTEXT
from .sidebar import FacePanel


class D3DMM_MT_character_presets(bpy.types.Menu):
    """Menu of the saved characters."""

    bl_label = "Characters"
    bl_idname = "D3DMM_MT_character_presets"
    preset_subdir = "detailed3dmm/characters"
    preset_operator = "d3dmm.load_face"
    preset_extensions = {".json"}

    def draw(self, context):
        """Lists the files, as Blender lists its own presets."""
        bpy.types.Menu.draw_preset(self, context)


class D3DMM_MT_expression_presets(bpy.types.Menu):
    """Menu of the saved expressions."""

    bl_label = "Expressions"
    bl_idname = "D3DMM_MT_expression_presets"
    preset_subdir = "detailed3dmm/expressions"
    preset_operator = "d3dmm.load_face"
    preset_extensions = {".json"}

    def draw(self, context):
        """Lists the files, as Blender lists its own presets."""
        bpy.types.Menu.draw_preset(self, context)


class D3DMM_PT_presets(FacePanel, bpy.types.Panel):
    """Presets and assets for other files."""

    bl_idname = "D3DMM_PT_presets"
    bl_label = "Presets and Assets"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """Draws the menus with their plus and minus, and the assets' buttons."""
        for kind, menu in (
            ("CHARACTER", D3DMM_MT_character_presets),
            ("EXPRESSION", D3DMM_MT_expression_presets),
        ):
            row = self.layout.row(align=True)
            row.menu(menu.bl_idname, text=menu.bl_label, text_ctxt=OUR_CONTEXT)
            row.operator("d3dmm.add_preset", text="", icon="ADD").kind = kind
            row.operator("d3dmm.remove_preset", text="", icon="REMOVE").kind = kind
        column = self.layout.column(align=True)
        column.operator("d3dmm.mark_face_asset", icon="ASSET_MANAGER")
        column.operator("d3dmm.save_expression_asset", icon="ACTION")


CLASSES = (D3DMM_MT_character_presets, D3DMM_MT_expression_presets, D3DMM_PT_presets)
