"""Add Skin Colour, Random Skin, Skin Preset, Skin Tone: the colour of a face's skin."""

import random

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty

from ..detailed3dmm_addon.appearance import skin_colour, skin_follow
from ..detailed3dmm_addon.characters import skin
from ..detailed3dmm_addon.model.registry import active_face
from .operator_base import FaceOperator, needs_current_face, needs_face


class _SkinOperator(FaceOperator):
    """Mixed into operators that change painted skin."""

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face whose skin is painted."""
        reason = needs_face(context) or skin_colour.missing_reason()
        if reason:
            return reason
        face = active_face(context)
        return "" if face is not None and skin_colour.is_painted(face) else "Press Add Skin Colour first"


class D3DMM_OT_add_skin_colour(FaceOperator, bpy.types.Operator):
    """Give this face the present skin: colour by sliders, pores, blood; its tone stays as light as it was"""

    bl_idname = "d3dmm.add_skin_colour"
    bl_label = "Add Skin Colour"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face of the present model, or without the model of skin colour."""
        return needs_current_face(context) or skin_colour.missing_reason()

    def perform(self, context):
        """Makes the material and paints it."""
        skin.add_skin_colour(self.face(context))


class D3DMM_OT_random_skin(_SkinOperator, bpy.types.Operator):
    """Give this face the skin of another random person, tone included; make-up stays"""

    bl_idname = "d3dmm.random_skin"
    bl_label = "Random Skin"
    bl_options = {"REGISTER", "UNDO"}

    seed: IntProperty(name="Seed", description="Which random skin; -1 draws a new one", default=-1, min=-1)

    def perform(self, context):
        """Draws the skin and paints it."""
        if self.seed < 0:
            self.seed = random.randrange(1_000_000)
        skin.random_skin(self.face(context), self.seed)


class D3DMM_OT_new_skin_seed(_SkinOperator, bpy.types.Operator):
    """Draw anew where blotches and spots lie; all sliders stay"""

    bl_idname = "d3dmm.new_skin_seed"
    bl_label = "New Skin Seed"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context):
        """Draws the seed and paints it."""
        self.face(context).d3dmm.skin.seed = random.randrange(1_000_000)


class D3DMM_OT_skin_preset(_SkinOperator, bpy.types.Operator):
    """Set the sliders of the skin to a preset; the seed stays"""

    bl_idname = "d3dmm.skin_preset"
    bl_label = "Skin Preset"
    bl_options = {"REGISTER", "UNDO"}

    preset: EnumProperty(
        name="Preset",
        description="Which skin",
        items=[(key, label, "") for key, label in skin.SKIN_PRESETS.items()],
    )

    def perform(self, context):
        """Writes the sliders and paints them."""
        skin.apply_skin_preset(self.face(context), self.preset)


class D3DMM_OT_skin_tone(_SkinOperator, bpy.types.Operator):
    """Set the tone to this one of the Monk scale; freckles and redness stay"""

    bl_idname = "d3dmm.skin_tone"
    bl_label = "Skin Tone"
    bl_options = {"REGISTER", "UNDO"}

    tone: FloatProperty(name="Tone", description="Typology angle, degrees", default=40.0, min=-60.0, max=70.0)

    def perform(self, context):
        """Sets the tone and paints it."""
        face = self.face(context)
        with skin_follow.suspended():
            face.d3dmm.skin.tone = self.tone
        skin_follow.changed(face)


CLASSES = (
    D3DMM_OT_add_skin_colour,
    D3DMM_OT_random_skin,
    D3DMM_OT_new_skin_seed,
    D3DMM_OT_skin_preset,
    D3DMM_OT_skin_tone,
)
