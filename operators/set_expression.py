"""Expression presets, mirror, reset, random: whole expressions at a press."""

import random

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty

from ..detailed3dmm_addon.detail import follow as live_update
from ..detailed3dmm_addon.model.expression_groups import EXPRESSION_PRESETS
from ..ml_backend.expression_names import EXPRESSION_NAMES, mirrored_name
from .operator_base import FaceOperator


class _ExpressionOperator(FaceOperator):
    """Mixed into operators that set the whole expression of the active face."""

    def show_expression(self, context: bpy.types.Context, values: dict[str, float]) -> None:
        """Sets every expression; those without a value go to 0."""
        face = self.face(context)
        live_update.finish_shapes(face)
        keys = face.data.shape_keys.key_blocks
        for name in EXPRESSION_NAMES:
            if name in keys:
                keys[name].value = values.get(name, 0.0)
        self.show_detail(face)

    def shown_expression(self, context: bpy.types.Context) -> dict[str, float]:
        """Returns the values of the active face's expressions by name."""
        keys = self.face(context).data.shape_keys.key_blocks
        return {name: keys[name].value for name in EXPRESSION_NAMES if name in keys}


class D3DMM_OT_set_expression_preset(_ExpressionOperator, bpy.types.Operator):
    """Set the whole face to an expression"""

    bl_idname = "d3dmm.set_expression_preset"
    bl_label = "Expression Preset"
    bl_options = {"REGISTER", "UNDO"}

    preset: EnumProperty(
        name="Preset",
        items=[(key, label, f"Show {label.lower()}") for key, (label, _) in EXPRESSION_PRESETS.items()],
    )
    intensity: FloatProperty(
        name="Intensity",
        description="How strongly, 1 as designed",
        default=1.0,
        min=0.0,
        soft_max=1.5,
        max=2.0,
    )

    def perform(self, context):
        """Writes the preset's values; other expressions go to 0."""
        values = EXPRESSION_PRESETS[self.preset][1]
        self.show_expression(context, {name: value * self.intensity for name, value in values.items()})


class D3DMM_OT_mirror_expression(_ExpressionOperator, bpy.types.Operator):
    """Swap left and right of the expression"""

    bl_idname = "d3dmm.mirror_expression"
    bl_label = "Mirror Expression"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context):
        """Swaps the values of each pair."""
        values = self.shown_expression(context)
        self.show_expression(context, {name: values.get(mirrored_name(name), 0.0) for name in values})


class D3DMM_OT_reset_expression(_ExpressionOperator, bpy.types.Operator):
    """Relax the face: every expression to 0"""

    bl_idname = "d3dmm.reset_expression"
    bl_label = "Reset Expression"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context):
        """Zeroes every expression."""
        self.show_expression(context, {})


class D3DMM_OT_random_expression(_ExpressionOperator, bpy.types.Operator):
    """Blend two presets at random strengths, a little differently on each side"""

    bl_idname = "d3dmm.random_expression"
    bl_label = "Random Expression"
    bl_options = {"REGISTER", "UNDO"}

    seed: IntProperty(name="Seed", description="Which expression; -1 draws a new one", default=-1, min=-1)

    def perform(self, context):
        """Draws and writes the blend."""
        if self.seed < 0:
            self.seed = random.randrange(1_000_000)
        draw = random.Random(self.seed)
        values: dict[str, float] = {}
        for key in draw.sample(sorted(EXPRESSION_PRESETS), 2):
            strength = draw.uniform(0.25, 0.7)
            for name, value in EXPRESSION_PRESETS[key][1].items():
                values[name] = min(1.0, values.get(name, 0.0) + strength * value * draw.uniform(0.85, 1.15))
        self.show_expression(context, values)


CLASSES = (
    D3DMM_OT_set_expression_preset,
    D3DMM_OT_mirror_expression,
    D3DMM_OT_reset_expression,
    D3DMM_OT_random_expression,
)
