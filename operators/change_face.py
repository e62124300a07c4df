"""Random Face, Reset Face: another person in the same object."""

import random

import bpy
from bpy.props import IntProperty

from ..detailed3dmm_addon.characters.identity import reset_identity, set_identity_seed
from ..detailed3dmm_addon.detail import follow as live_update
from ..detailed3dmm_addon.model.registry import active_face
from .operator_base import FaceOperator, needs_current_face


class _IdentityOperator(FaceOperator):
    """Mixed into operators that change who the face is."""

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face, or when its mesh was edited."""
        reason = needs_current_face(context)
        if reason:
            return reason
        face = active_face(context)
        if face is None or not live_update.can_change_identity(face):
            return "This face's mesh was edited: its identity is fixed"
        return ""


class D3DMM_OT_random_face(_IdentityOperator, bpy.types.Operator):
    """Turn this face into another random person; the expression stays"""

    bl_idname = "d3dmm.random_face"
    bl_label = "Random Face"
    bl_options = {"REGISTER", "UNDO"}

    seed: IntProperty(name="Seed", description="Which random person; -1 draws a new one", default=-1, min=-1)

    def perform(self, context):
        """Draws the person and rewrites the shapes."""
        if self.seed < 0:
            self.seed = random.randrange(1_000_000)
        face = self.face(context)
        set_identity_seed(face, self.seed)
        self.show_detail(face)


class D3DMM_OT_reset_face(_IdentityOperator, bpy.types.Operator):
    """Set every identity slider back: the average person, or the seeded one"""

    bl_idname = "d3dmm.reset_face"
    bl_label = "Reset Identity"
    bl_options = {"REGISTER", "UNDO"}

    to_seed: bpy.props.BoolProperty(
        name="To the Seeded Person",
        description="Go back to the person the seed stands for, not to the average",
        default=False,
    )

    def perform(self, context):
        """Zeroes the sliders and rewrites the shapes."""
        face = self.face(context)
        if self.to_seed:
            set_identity_seed(face, face.d3dmm.identity_seed)
        else:
            reset_identity(face)
        self.show_detail(face)


CLASSES = (D3DMM_OT_random_face, D3DMM_OT_reset_face)
