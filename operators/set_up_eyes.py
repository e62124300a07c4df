"""Add Eyes, Add Gaze Target, Remove Gaze Target."""

import bpy

from ..detailed3dmm_addon.appearance.eye_shapes import has_lids
from ..detailed3dmm_addon.appearance.eyes import add_eyes, eye_modifier
from ..detailed3dmm_addon.appearance.gaze import add_gaze_target, gaze_target, remove_gaze_target
from ..detailed3dmm_addon.face.mesh import has_our_topology
from ..detailed3dmm_addon.model.registry import active_face
from ..detailed3dmm_addon.model.scene_units import units_per_metre
from .operator_base import FaceOperator, needs_current_face, needs_face


class D3DMM_OT_add_eyes(FaceOperator, bpy.types.Operator):
    """Give a face of an earlier file eyes with cornea, iris and tears"""

    bl_idname = "d3dmm.add_eyes"
    bl_label = "Add Eyes"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face of the present model."""
        reason = needs_current_face(context)
        if reason:
            return reason
        face = active_face(context)
        if face is None or not has_our_topology(face):
            return "This face's mesh was edited: eyes cannot be set in"
        return "" if has_lids() else "This face model has lids that eyes cannot be set into"

    def perform(self, context):
        """Adds the modifier."""
        face = self.face(context)
        add_eyes(face, face.d3dmm.identity_seed, units_per_metre(context.scene))


class D3DMM_OT_add_gaze_target(FaceOperator, bpy.types.Operator):
    """Add an empty that both eyes follow, on top of any animation; move and key it"""

    bl_idname = "d3dmm.add_gaze_target"
    bl_label = "Add Gaze Target"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face with eyes."""
        reason = needs_face(context)
        if reason or eye_modifier(active_face(context)) is not None:
            return reason
        return "This face has no eyes of its own yet: press Add Eyes"

    def perform(self, context):
        """Adds the empty."""
        add_gaze_target(context, self.face(context))


class D3DMM_OT_remove_gaze_target(FaceOperator, bpy.types.Operator):
    """Let the eyes look where clip and sliders say"""

    bl_idname = "d3dmm.remove_gaze_target"
    bl_label = "Remove Gaze Target"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a gaze target."""
        reason = needs_face(context)
        if reason or gaze_target(active_face(context)) is not None:
            return reason
        return "This face has no gaze target"

    def perform(self, context):
        """Removes the empty."""
        remove_gaze_target(self.face(context))


CLASSES = (D3DMM_OT_add_eyes, D3DMM_OT_add_gaze_target, D3DMM_OT_remove_gaze_target)
