"""Mark Face as Asset, Save Expression as Asset, Apply Expression."""

import bpy
from bpy.props import StringProperty

from ..detailed3dmm_addon.characters import assets as face_assets
from ..ml_backend.errors import UserError
from .operator_base import FaceOperator, needs_face


class D3DMM_OT_mark_face_asset(FaceOperator, bpy.types.Operator):
    """Make this face an asset of this file, with a picture, for the Asset Browser"""

    bl_idname = "d3dmm.mark_face_asset"
    bl_label = "Mark Face as Asset"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context):
        """Marks it."""
        face_assets.mark_face(self.face(context), context)


class D3DMM_OT_save_expression_asset(FaceOperator, bpy.types.Operator):
    """Keep what this face shows as an action on shape keys, an asset with a picture"""

    bl_idname = "d3dmm.save_expression_asset"
    bl_label = "Save Expression as Asset"
    bl_options = {"REGISTER", "UNDO"}

    name: StringProperty(name="Name", description="Of the asset", default="Expression")

    def invoke(self, context, event):
        """Asks for the name."""
        return context.window_manager.invoke_props_dialog(self)

    def perform(self, context):
        """Makes the action."""
        made = face_assets.mark_expression(self.face(context), context, self.name.strip() or "Expression")
        self.report({"INFO"}, f"Saved the expression {made.name}")


class D3DMM_OT_apply_expression_asset(FaceOperator, bpy.types.Operator):
    """Show an expression that was saved as an asset"""

    bl_idname = "d3dmm.apply_expression_asset"
    bl_label = "Apply Expression"
    bl_options = {"REGISTER", "UNDO"}

    action: StringProperty(name="Expression", description="Name of the action in this file")

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face or an expression."""
        return needs_face(context) or (
            "" if face_assets.expression_actions() else "No expression was saved as an asset in this file"
        )

    def perform(self, context):
        """Writes its values to the sliders."""
        face = self.face(context)
        action = bpy.data.actions.get(self.action)
        if action is None or not face_assets.pose_values(action):
            raise UserError(
                f"{self.action!r} is not an expression of this file.", "Choose an action on shape keys."
            )
        face_assets.apply_expression(face, action)
        self.show_detail(face)


CLASSES = (
    D3DMM_OT_mark_face_asset,
    D3DMM_OT_save_expression_asset,
    D3DMM_OT_apply_expression_asset,
)
