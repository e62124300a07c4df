"""The Expression panel: presets, mirror, and 52 sliders in six groups."""

import bpy

from ..detailed3dmm_addon.model.expression_groups import EXPRESSION_GROUPS, EXPRESSION_PRESETS
from ..detailed3dmm_addon.model.registry import active_face
from .sidebar import FacePanel, readable


class D3DMM_PT_expression(FacePanel, bpy.types.Panel):
    """The expression of the face."""

    bl_idname = "D3DMM_PT_expression"
    bl_label = "Expression"

    def draw(self, context):
        """Draws the buttons; the sliders are in the groups below."""
        layout = self.layout
        row = layout.row(align=True)
        row.operator("d3dmm.reset_expression", text="Neutral", icon="LOOP_BACK")
        row.operator("d3dmm.mirror_expression", text="Mirror", icon="MOD_MIRROR")
        row.operator("d3dmm.random_expression", text="Random", icon="FILE_REFRESH")
        grid = layout.grid_flow(columns=3, align=True, row_major=True, even_columns=True)
        for key, (label, _) in EXPRESSION_PRESETS.items():
            grid.operator("d3dmm.set_expression_preset", text=label).preset = key


class _GroupPanel(FacePanel):
    """Mixed into the six groups of sliders."""

    bl_parent_id = "D3DMM_PT_expression"
    bl_options = {"DEFAULT_CLOSED"}
    names: tuple[str, ...] = ()

    def draw(self, context):
        """Draws the shape keys' own values, so that they are keyed and driven as any other."""
        keys = active_face(context).data.shape_keys.key_blocks
        column = self.layout.column(align=True)
        for name in self.names:
            key = keys.get(name)
            if key is not None:
                row = column.row(align=True)
                row.prop(
                    key, "value", text=readable(name), slider=True
                )  # the name inside: beside it, it would be cut short
                row.prop_decorator(key, "value")


CLASSES = (
    D3DMM_PT_expression,
    *(
        type(
            f"D3DMM_PT_expression_{key}",
            (_GroupPanel, bpy.types.Panel),
            {
                "__doc__": f"{label}.",
                "bl_idname": f"D3DMM_PT_expression_{key}",
                "bl_label": label,
                "names": names,
            },
        )
        for key, label, names in EXPRESSION_GROUPS
    ),
)
