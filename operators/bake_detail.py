"""Bake Detail for Action: any animation of the expressions gets its wrinkles, stored in the file."""

import bpy
from bpy.props import BoolProperty, IntProperty

from ..detailed3dmm_addon.actions import action_writer as face_animation
from ..detailed3dmm_addon.actions.animatable import check_animatable
from ..detailed3dmm_addon.detail.bake import ClipBake
from ..detailed3dmm_addon.model.registry import active_face
from ..detailed3dmm_addon.worker import jobs as backend
from .operator_base import JobOperator, needs_current_face


class D3DMM_OT_bake_detail(JobOperator, bpy.types.Operator):
    """Store the wrinkles of this face's animation in the file: they play fast and without the add-on"""

    bl_idname = "d3dmm.bake_detail"
    bl_label = "Bake Detail for Action"
    bl_options = {"REGISTER", "UNDO"}

    whole_action: BoolProperty(
        name="Whole Action",
        description="Bake as long as the expressions' action or NLA strips last, not the frames given",
        default=True,
    )
    first_frame: IntProperty(
        name="First Frame", description="Of the range, where it is not the whole action", default=1
    )
    last_frame: IntProperty(
        name="Last Frame", description="Of the range, where it is not the whole action", default=250
    )

    without_backend: BoolProperty(
        name="Built-in Model",
        description="Bake what dragging a slider shows, at once, and not the backend's maps",
        default=False,
    )

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face or an animation of its expressions, or while a job runs."""
        reason = needs_current_face(context)
        face = active_face(context)
        if reason or face is None:
            return reason
        data = face.data.shape_keys.animation_data
        if data is None or not (data.action or data.drivers or data.nla_tracks):
            return "This face's expressions are not animated: key their sliders first"
        return cls.busy_reason()

    def work(self, context):
        """Looks at every frame, asks for their detail, and keys it."""
        face = self.face(context)
        check_animatable(face, face.data.shape_keys)
        span = (self.first_frame, self.last_frame)
        if self.whole_action:
            span = face_animation.animated_range(face.data.shape_keys) or (
                context.scene.frame_start,
                context.scene.frame_end,
            )
        bake = ClipBake.of_range(context.scene, face, *span)
        built_in = self.without_backend or bool(backend.missing_reason())
        event = None if built_in else (yield "Wrinkles", *bake.request())
        return bake.put_into_scene(context.scene, event)


CLASSES = (D3DMM_OT_bake_detail,)
