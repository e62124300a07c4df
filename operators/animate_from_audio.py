"""Import Audio: a recording becomes a sound strip, one new action and animated wrinkles, in one undo step."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..detailed3dmm_addon import active_face, backend, face_animation
from ..detailed3dmm_addon.baked_detail import remove_baked_detail
from ..detailed3dmm_addon.speech_animation import AUDIO_SUFFIXES, SpeechAnimation
from ..ml_backend.errors import UserError
from .operator_base import FaceOperator, JobOperator, needs_face


class D3DMM_OT_import_audio(JobOperator, bpy.types.Operator, ImportHelper):
    """Make the face speak a recording: lips, blinks, head and wrinkles"""

    bl_idname = "d3dmm.import_audio"
    bl_label = "Import Audio"
    bl_options = {"REGISTER", "UNDO"}

    filter_glob: StringProperty(default=";".join(f"*{suffix}" for suffix in AUDIO_SUFFIXES), options={"HIDDEN"})
    seed: IntProperty(name="Seed", description="Chooses blinks, brows and head motion", default=0, min=0)
    head_motion: BoolProperty(name="Head Motion", description="Key small head turns on the object's rotation", default=True)
    bake_detail: BoolProperty(name="Animated Wrinkles", description="Store the detail of every frame in the file", default=True)
    sound_strip: BoolProperty(name="Sound Strip", description="Add the recording to the sequencer", default=True)

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face or a backend, or while a job runs."""
        busy = "Another job is under way" if backend.running_job() else ""
        return needs_face(context) or busy or backend.missing_reason()

    def work(self, context):
        """Asks for the curves, then for their detail, and puts both into the scene."""
        imported = self._import(context)
        imported.take_speech((yield "Speech", *imported.speech_request()))
        detail = (yield "Animated Wrinkles", *imported.detail_request()) if self.bake_detail else None
        return imported.put_into_scene(context.scene, detail)

    def draw(self, context):
        """The options in the file browser."""
        for name in ("seed", "head_motion", "bake_detail", "sound_strip"):
            self.layout.prop(self, name)

    def _import(self, context) -> SpeechAnimation:
        face = active_face(context)
        if face is None:
            raise UserError("No face is selected.", "Select one, or press Create Face.")
        scene = context.scene
        path = Path(bpy.path.abspath(self.filepath))
        work = SpeechAnimation(
            face.d3dmm.uid,
            path,
            face_animation.scene_fps(scene),
            scene.frame_start,
            self.seed,
            self.head_motion,
            self.bake_detail,
            self.sound_strip,
        )
        work.check()
        return work


class D3DMM_OT_clear_animation(FaceOperator, bpy.types.Operator):
    """Take the imported speech off the face; its actions stay in the file"""

    bl_idname = "d3dmm.clear_animation"
    bl_label = "Clear Animation"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey when no expression is animated by us."""
        reason = needs_face(context)
        if reason:
            return reason
        face = active_face(context)
        return "" if face is not None and face_animation.has_our_animation(face) else "This face has no imported animation"

    def perform(self, context):
        """Unlinks our actions and removes the baked detail."""
        face = active_face(context)
        if face is not None:
            face_animation.unlink_our_actions(face)
            remove_baked_detail(face)


CLASSES = (D3DMM_OT_import_audio, D3DMM_OT_clear_animation)
