"""Carry Over: a face of an earlier face model becomes one of the present model."""

import bpy
from bpy.props import BoolProperty

from ..detailed3dmm_addon.characters.carried_over import carry_over
from ..detailed3dmm_addon.model.face_model import is_current, is_of_earlier
from ..detailed3dmm_addon.model.registry import active_face
from .operator_base import FaceOperator, needs_face


class D3DMM_OT_carry_over_face(FaceOperator, bpy.types.Operator):
    """Make this face anew on the present face model: the nearest person, the same expressions and keys"""

    bl_idname = "d3dmm.carry_over_face"
    bl_label = "Carry Over"
    bl_options = {"REGISTER", "UNDO"}

    discard_edits: BoolProperty(
        name="Discard Edits",
        description="Also where vertices were added or deleted, which undoes those edits",
        default=False,
    )

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face of the earlier model."""
        reason = needs_face(context)
        face = active_face(context)
        if reason or face is None:
            return reason
        if is_current(face):
            return "This face is one of the present face model"
        return "" if is_of_earlier(face) else "This face's model is not known here"

    def perform(self, context):
        """Carries the face over, and asks for its detail."""
        face = self.face(context)
        said = carry_over(face, self.discard_edits)
        self.show_detail(face)
        self.report({"INFO"}, said)


CLASSES = (D3DMM_OT_carry_over_face,)
