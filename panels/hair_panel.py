"""The Hair panel: buttons, looks, and the sliders of each part."""

import bpy

from ..detailed3dmm_addon.hair.groom import hair_objects, hair_part
from ..detailed3dmm_addon.hair.parts import COLOUR_SLIDERS, SHAPE_SLIDERS
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
    """Mixed into the panels of the parts; `names` holds the part's."""

    bl_parent_id = "D3DMM_PT_hair"
    bl_options = {"DEFAULT_CLOSED"}
    names: tuple[str, ...] = ()

    def draw(self, context):
        """Draws the part's buttons and sliders."""
        face = active_face(context)
        part = self.names[0]
        if part in hair_objects(face):
            self.layout.operator("d3dmm.remove_hair", text="Remove", icon="X").parts = {part}
        else:
            self.layout.operator("d3dmm.add_hair", icon="ADD").parts = {part}
        column = self.layout.column(align=True)
        column.enabled = not fixed_reason(face)
        sliders = hair_part(face, part)
        column.prop(sliders, "style", text="")
        for name in (*SHAPE_SLIDERS, "thickness", *COLOUR_SLIDERS):
            column.prop(sliders, name, slider=True)
        column.prop(sliders, "seed")
        column.prop(sliders, "viewport", slider=True)


class D3DMM_PT_hair_brows(_PartPanel, bpy.types.Panel):
    """The eyebrows."""

    bl_idname = "D3DMM_PT_hair_brows"
    bl_label = "Brows"
    names = ("brows",)


class D3DMM_PT_hair_lashes(_PartPanel, bpy.types.Panel):
    """The lashes."""

    bl_idname = "D3DMM_PT_hair_lashes"
    bl_label = "Lashes"
    names = ("lashes",)


class D3DMM_PT_hair_scalp(_PartPanel, bpy.types.Panel):
    """The hair of the head."""

    bl_idname = "D3DMM_PT_hair_scalp"
    bl_label = "Scalp"
    names = ("scalp",)


class D3DMM_PT_hair_beard(_PartPanel, bpy.types.Panel):
    """The beard."""

    bl_idname = "D3DMM_PT_hair_beard"
    bl_label = "Beard"
    names = ("beard",)


class D3DMM_PT_hair_vellus(_PartPanel, bpy.types.Panel):
    """The fine hair of the face."""

    bl_idname = "D3DMM_PT_hair_vellus"
    bl_label = "Vellus"
    names = ("vellus",)


CLASSES = (
    D3DMM_PT_hair,
    D3DMM_PT_hair_brows,
    D3DMM_PT_hair_lashes,
    D3DMM_PT_hair_scalp,
    D3DMM_PT_hair_beard,
    D3DMM_PT_hair_vellus,
)
