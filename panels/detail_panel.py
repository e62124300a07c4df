"""The Detail panel: on or off, strength and pores, regions, the skin, live or baked, an imported map."""

import bpy

from ..detailed3dmm_addon.model.face_model import fixed_reason
from ..detailed3dmm_addon.model.registry import active_face
from ..detailed3dmm_addon.nodes import detail_modifier as detail_modifiers
from ..detailed3dmm_addon.nodes.detail_groups import PORES_INPUT, REGION_INPUTS, STRENGTH_INPUT
from ..detailed3dmm_addon.nodes.modifier_inputs import input_slider
from .sidebar import FacePanel

_LABELS = {PORES_INPUT: "Pores"}  # what does not fit at the sidebar's first width


class D3DMM_PT_detail(FacePanel, bpy.types.Panel):
    """The wrinkles."""

    bl_idname = "D3DMM_PT_detail"
    bl_label = "Detail"

    def draw_header(self, context):
        """Draws the switch."""
        self.layout.prop(active_face(context).d3dmm, "show_detail", text="")

    def draw(self, context):
        """Draws strength, source, resolution and what is baked."""
        face = active_face(context)
        settings = face.d3dmm
        column = _column(self.layout, settings.show_detail)
        _draw_scales(column, face, (STRENGTH_INPUT, PORES_INPUT))
        if settings.has_baked_detail:
            column.row().prop(settings, "detail_source", expand=True)
            row = column.row()
            row.label(text="In this file", icon="CHECKMARK")
            row.label(text=f"{settings.baked_megabytes:.0f} MB, {settings.baked_psnr:.0f} dB")
            column.operator("d3dmm.clear_baked_detail", icon="X")
        column.operator("d3dmm.bake_detail", icon="ACTION")
        live = column.column()
        live.active = settings.detail_source == "LIVE"
        live.enabled = not fixed_reason(face)
        live.prop(settings, "live")
        live.row().prop(settings, "resolution", expand=True)
        live.operator("d3dmm.update_detail", icon="MOD_DISPLACE")
        row = live.row(align=True)
        if settings.imported_map:
            row.label(text=settings.imported_map.rsplit(" ", 1)[0], icon="TEXTURE")
            row.operator("d3dmm.clear_detail_map", text="", icon="X")
        else:
            row.operator("d3dmm.import_detail_map", icon="IMPORT")


class D3DMM_PT_detail_skin(FacePanel, bpy.types.Panel):
    """Properties of the skin beyond the face's shape."""

    bl_idname = "D3DMM_PT_detail_skin"
    bl_parent_id = "D3DMM_PT_detail"
    bl_label = "Wrinkles"

    def draw(self, context):
        """Draws age, tendency, thickness and the seed with its lock."""
        settings = active_face(context).d3dmm
        column = _column(self.layout, settings.show_detail and settings.detail_source == "LIVE", True)
        column.enabled = not fixed_reason(active_face(context))
        for name in ("age_offset", "skin_tendency", "skin_thickness"):
            column.prop(settings, name, slider=True)
        row = column.row(align=True)
        row.prop(settings, "wrinkle_seed")
        row.operator("d3dmm.new_wrinkle_seed", text="", icon="FILE_REFRESH")
        row.prop(
            settings,
            "lock_wrinkle_seed",
            text="",
            icon="LOCKED" if settings.lock_wrinkle_seed else "UNLOCKED",
        )


class D3DMM_PT_detail_regions(FacePanel, bpy.types.Panel):
    """Strength by region."""

    bl_idname = "D3DMM_PT_detail_regions"
    bl_parent_id = "D3DMM_PT_detail"
    bl_label = "Regions"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """Draws a slider for each region."""
        face = active_face(context)
        _draw_scales(_column(self.layout, face.d3dmm.show_detail), face, REGION_INPUTS.values())


def _column(layout, active: bool, decorate: bool = False):
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = decorate
    column.active = active
    return column


def _draw_scales(column, face, names) -> None:
    """Draws the modifier's own inputs, so that they are keyed and driven as any other."""
    modifier = detail_modifiers.detail_modifier(face)
    if modifier is None:
        column.label(text="The detail's modifier was removed", icon="ERROR")
        return
    scales = column.column()
    scales.use_property_decorate = True
    for name in names:
        scales.prop(*input_slider(modifier, name), text=_LABELS.get(name, name), slider=True)


CLASSES = (D3DMM_PT_detail, D3DMM_PT_detail_skin, D3DMM_PT_detail_regions)
