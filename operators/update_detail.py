"""Update Detail, New Wrinkle Seed, Clear Baked Detail."""

import random

import bpy
from bpy.props import IntProperty

from ..detailed3dmm_addon.detail import follow as live_update
from ..detailed3dmm_addon.detail.baked import remove_baked_detail
from ..detailed3dmm_addon.model.registry import active_face
from ..detailed3dmm_addon.worker import jobs as backend
from .operator_base import FaceOperator, needs_current_face, needs_face


class D3DMM_OT_update_detail(FaceOperator, bpy.types.Operator):
    """Compute the wrinkles of the face as it is now, at full resolution"""

    bl_idname = "d3dmm.update_detail"
    bl_label = "Update Detail"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face, or while the baked detail is shown."""
        reason = needs_current_face(context)
        if reason:
            return reason
        if active_face(context).d3dmm.detail_source == "BAKED":
            return "The baked detail is shown: switch the source to Live first"
        return ""

    def perform(self, context):
        """Waits for the worker's map and shows it; without a backend the distilled one is shown."""
        least, greatest = live_update.update_detail(self.face(context))
        missing = backend.missing_reason()
        self.report(
            {"INFO"},
            f"Detail from {least:.2f} to {greatest:.2f} mm"
            + (f", by the built-in model. {missing}" if missing else ""),
        )


class D3DMM_OT_new_wrinkle_seed(FaceOperator, bpy.types.Operator):
    """Give the face another pattern of lines and pores"""

    bl_idname = "d3dmm.new_wrinkle_seed"
    bl_label = "New Wrinkle Seed"
    bl_options = {"REGISTER", "UNDO"}

    seed: IntProperty(name="Seed", description="Which pattern; -1 draws a new one", default=-1, min=-1)

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face of the present model."""
        return needs_current_face(context)

    def perform(self, context):
        """Draws the seed and asks for new detail."""
        if self.seed < 0:
            self.seed = random.randrange(1_000_000)
        face = self.face(context)
        with live_update.suspended():
            face.d3dmm.wrinkle_seed = self.seed
        self.show_detail(face)


class D3DMM_OT_clear_baked_detail(FaceOperator, bpy.types.Operator):
    """Remove the baked detail of this face; the live detail is shown again"""

    bl_idname = "d3dmm.clear_baked_detail"
    bl_label = "Clear Baked Detail"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey when nothing is baked."""
        return needs_face(context) or (
            "" if active_face(context).d3dmm.has_baked_detail else "This face has no baked detail"
        )

    def perform(self, context):
        """Removes modifier, attributes and curves."""
        face = self.face(context)
        remove_baked_detail(face)
        self.show_detail(face)


CLASSES = (D3DMM_OT_update_detail, D3DMM_OT_new_wrinkle_seed, D3DMM_OT_clear_baked_detail)
