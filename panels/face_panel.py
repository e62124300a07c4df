"""The Face panel: create, random, reset, seed."""

import bpy

from ..detailed3dmm_addon.appearance.skin_colour import is_painted
from ..detailed3dmm_addon.model.face_model import fixed_reason
from ..detailed3dmm_addon.model.registry import active_face
from ..detailed3dmm_addon.translations import OUR_CONTEXT
from .sidebar import SidebarPanel, draw_model_note


class D3DMM_PT_face(SidebarPanel, bpy.types.Panel):
    """Buttons that make a face, and its seed."""

    bl_idname = "D3DMM_PT_face"
    bl_label = "Face"

    def draw(self, context):
        """Draws create, and for a face its seed and skin tone."""
        layout = self.layout
        column = layout.column(align=True)
        column.scale_y = 1.3
        column.operator("d3dmm.create_face", icon="USER")
        portrait = column.operator(
            "d3dmm.create_face", text="Create with Camera and Lights", icon="OUTLINER_OB_CAMERA"
        )
        portrait.scene_setup = portrait.suiting_hair = True
        column.operator("d3dmm.fit_from_image", icon="IMAGE_DATA")
        face = active_face(context)
        if face is None:
            layout.label(text="Select a face to shape it", icon="INFO")
            return
        draw_model_note(layout, context, face)
        row = layout.row(align=True)
        row.operator("d3dmm.random_face", icon="FILE_REFRESH")
        row.operator("d3dmm.reset_face", text="Reset", icon="LOOP_BACK")
        row = layout.row(align=True)
        row.operator("d3dmm.save_face", text="Save", text_ctxt=OUR_CONTEXT, icon="EXPORT")
        row.operator("d3dmm.load_face", text="Load", text_ctxt=OUR_CONTEXT, icon="IMPORT")
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(face, "name", text="Name")
        row = column.row(align=True)
        row.prop(face.d3dmm, "identity_seed")
        row.enabled = not fixed_reason(face)
        row.operator("d3dmm.random_face", text="", icon="CHECKMARK").seed = face.d3dmm.identity_seed
        self.layout.operator_menu_enum("d3dmm.build_studio", "set_up", icon="LIGHT")
        if not is_painted(face):
            column.prop(face.d3dmm, "skin_tone", slider=True)
        column.prop(face.d3dmm, "hair", slider=True)


CLASSES = (D3DMM_PT_face,)
