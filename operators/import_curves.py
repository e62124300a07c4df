"""Import Curves: Live Link Face CSV or JSON onto a face; the emotions of the emotion layer over time."""

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..detailed3dmm_addon.actions import action_writer as face_animation
from ..detailed3dmm_addon.clips.clip import ClipAnimation, ClipPlace
from ..detailed3dmm_addon.clips.clip_sources import CaptureSource
from ..detailed3dmm_addon.clips.targets import active_target, needs_target
from ..ml_backend.errors import UserError
from ..ml_backend.files.curve_file import CURVE_SUFFIXES
from .animate_from_audio import ClipOperator
from .operator_base import FaceOperator, named_file


class D3DMM_OT_import_curves(ClipOperator, bpy.types.Operator, ImportHelper):
    """Animate the face by captured curves: Live Link Face CSV, or the JSON that the shell writes"""

    bl_idname = "d3dmm.import_curves"
    bl_label = "Import Curves"
    bl_options = {"REGISTER", "UNDO"}

    filter_glob: StringProperty(
        default=";".join(f"*{suffix}" for suffix in CURVE_SUFFIXES), options={"HIDDEN"}
    )
    head_motion: BoolProperty(
        name="Head Motion", description="Key the captured turns of head and eyes", default=True
    )
    bake_detail: BoolProperty(
        name="Animated Wrinkles", description="Store the detail of every frame in the file", default=True
    )

    def work(self, context):
        """Reads the curves, asks for their detail, and puts both into the scene."""
        scene = context.scene
        clip = ClipAnimation(
            target=self.target(context),
            source=CaptureSource(named_file(self)),
            place=ClipPlace(
                fps=face_animation.scene_fps(scene),
                first_frame=scene.frame_start,
                with_head=self.head_motion,
                with_detail=self.bake_detail,
            ),
        )
        return (yield from clip.work(context))

    def draw(self, context):
        """The options in the file browser."""
        for name in ("head_motion", "bake_detail"):
            self.layout.prop(self, name)


class D3DMM_OT_add_emotion(FaceOperator, bpy.types.Operator):
    """Add an emotion at the current frame; it shows when the animation is updated"""

    bl_idname = "d3dmm.add_emotion"
    bl_label = "Add Emotion"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a target."""
        return needs_target(context)

    def perform(self, context):
        """Adds a key."""
        target = active_target(context)
        key = target.d3dmm_animation.emotions.add()
        key.frame = context.scene.frame_current


class D3DMM_OT_remove_emotion(FaceOperator, bpy.types.Operator):
    """Remove this emotion"""

    bl_idname = "d3dmm.remove_emotion"
    bl_label = "Remove Emotion"
    bl_options = {"REGISTER", "UNDO"}

    index: IntProperty(name="Index", description="Which of the list, from 0", min=0)

    @classmethod
    def disabled_reason(cls, context):
        """Grey where there is none."""
        reason = needs_target(context)
        return reason or (
            "" if len(active_target(context).d3dmm_animation.emotions) else "There are no emotions to remove"
        )

    def perform(self, context):
        """Removes the key.

        Raises:
            UserError: there are not so many.
        """
        emotions = active_target(context).d3dmm_animation.emotions
        if self.index >= len(emotions):
            raise UserError(f"There is no emotion number {self.index}.", f"There are {len(emotions)}.")
        emotions.remove(self.index)


CLASSES = (D3DMM_OT_import_curves, D3DMM_OT_add_emotion, D3DMM_OT_remove_emotion)
