"""Import Audio, Animate Sound Strip, Update Animation, Clear Animation."""

import tempfile
from pathlib import Path

import bpy
from bpy.props import BoolProperty, FloatProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..detailed3dmm_addon.actions import action_writer as face_animation
from ..detailed3dmm_addon.actions.animatable import check_animatable
from ..detailed3dmm_addon.actions.sound_strip import SoundRange, active_sound
from ..detailed3dmm_addon.clips.clip import ClipAnimation, ClipPlace
from ..detailed3dmm_addon.clips.clip_sources import SpeechSource
from ..detailed3dmm_addon.clips.kept_take import has_take
from ..detailed3dmm_addon.clips.targets import TargetName, active_target, needs_target
from ..detailed3dmm_addon.clips.video_clip import last_clip, remove_video
from ..detailed3dmm_addon.detail.baked import remove_baked_detail
from ..detailed3dmm_addon.worker import jobs as backend
from ..ml_backend.audio.formats import AUDIO_SUFFIXES
from ..ml_backend.errors import UserError
from .operator_base import FaceOperator, JobOperator, named_file, needs_face


class ClipOperator(JobOperator):
    """Mixed into operators that put a clip on the active face, or on another mesh with ARKit's shape keys."""

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a target, or while a job runs."""
        return needs_target(context) or cls.busy_reason()

    def target(self, context) -> TargetName:
        """Returns the name of the clip's target.

        Raises:
            UserError: nothing fit is selected.
        """
        target = active_target(context)
        if target is None:
            raise UserError("No face is selected.", "Select one, or press Create Face.")
        return TargetName.of(target)


class SpeechOperator(ClipOperator):
    """Mixed into operators that need the backend to listen."""

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a target or a backend, or while a job runs."""
        return super().disabled_reason(context) or backend.missing_reason()


class D3DMM_OT_import_audio(SpeechOperator, bpy.types.Operator, ImportHelper):
    """Make the face speak a recording: lips, blinks, head and wrinkles"""

    bl_idname = "d3dmm.import_audio"
    bl_label = "Import Audio"
    bl_options = {"REGISTER", "UNDO"}

    filter_glob: StringProperty(
        default=";".join(f"*{suffix}" for suffix in AUDIO_SUFFIXES), options={"HIDDEN"}
    )
    seed: IntProperty(name="Seed", description="Chooses blinks, brows and head motion", default=0, min=0)
    start: FloatProperty(
        name="Start",
        description="Seconds of the recording to leave out before the clip",
        default=0.0,
        min=0.0,
        subtype="TIME_ABSOLUTE",
    )
    length: FloatProperty(
        name="Length",
        description="Seconds of the recording to use; 0 for all that is left",
        default=0.0,
        min=0.0,
        subtype="TIME_ABSOLUTE",
    )
    head_motion: BoolProperty(
        name="Head Motion", description="Key small head turns on the object's rotation", default=True
    )
    bake_detail: BoolProperty(
        name="Animated Wrinkles", description="Store the detail of every frame in the file", default=True
    )
    sound_strip: BoolProperty(
        name="Sound Strip", description="Add the recording to the sequencer", default=True
    )

    def work(self, context):
        """Asks for the curves, then for their detail, and puts both into the scene."""
        scene = context.scene
        clip = ClipAnimation(
            target=self.target(context),
            source=SpeechSource(named_file(self), self.seed, self.start, self.length),
            place=ClipPlace(
                fps=face_animation.scene_fps(scene),
                first_frame=scene.frame_start,
                with_head=self.head_motion,
                with_detail=self.bake_detail,
                with_sound=self.sound_strip,
            ),
        )
        return (yield from clip.work(context))

    def draw(self, context):
        """The options in the file browser."""
        for name in ("seed", "start", "length", "head_motion", "bake_detail", "sound_strip"):
            self.layout.prop(self, name)


class D3DMM_OT_animate_strip(SpeechOperator, bpy.types.Operator):
    """Make the face speak the sequencer's active sound strip, as far as it is not cut away"""

    bl_idname = "d3dmm.animate_strip"
    bl_label = "Animate Sound Strip"
    bl_options = {"REGISTER", "UNDO"}

    seed: IntProperty(name="Seed", description="Chooses blinks, brows and head motion", default=0, min=0)
    head_motion: BoolProperty(
        name="Head Motion", description="Key small head turns on the object's rotation", default=True
    )
    bake_detail: BoolProperty(
        name="Animated Wrinkles", description="Store the detail of every frame in the file", default=True
    )

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a sound strip too."""
        return super().disabled_reason(context) or (
            "" if active_sound(context.scene) else "Select a sound strip in the sequencer"
        )

    def work(self, context):
        """Imports the strip's range at the strip's place, without another strip."""
        scene = context.scene
        with tempfile.TemporaryDirectory(prefix="d3dmm-") as folder:
            sound = SoundRange.of(active_sound(scene), scene, Path(folder))
            clip = ClipAnimation(
                target=self.target(context),
                source=SpeechSource(sound.path, self.seed, sound.start, sound.length),
                place=ClipPlace(
                    fps=face_animation.scene_fps(scene),
                    first_frame=sound.first_frame,
                    with_head=self.head_motion,
                    with_detail=self.bake_detail,
                ),
            )
            return (yield from clip.work(context))


class D3DMM_OT_update_animation(ClipOperator, bpy.types.Operator):
    """Bake the last clip again with the current settings; edited actions are kept, the others replaced"""

    bl_idname = "d3dmm.update_animation"
    bl_label = "Update Animation"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey where nothing was imported, or where speech needs a backend."""
        reason = super().disabled_reason(context)
        if reason:
            return reason
        settings = active_target(context).d3dmm_animation
        if not settings.source:
            return "Nothing was imported onto this mesh yet"
        return backend.missing_reason() if settings.source_kind in ("speech", "video") else ""

    def work(self, context):
        """Imports again what was imported last."""
        target = self.target(context).find()
        return (yield from last_clip(context.scene, target).work(context))


class D3DMM_OT_clear_animation(FaceOperator, bpy.types.Operator):
    """Take the imported animation off the face, with a video's strips, markers and camera; actions stay"""

    bl_idname = "d3dmm.clear_animation"
    bl_label = "Clear Animation"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey without an animation of this extension."""
        reason = needs_target(context)
        if reason:
            return reason
        target = active_target(context)
        return (
            ""
            if face_animation.has_our_animation(target) or has_take(target)
            else "This face has no imported animation"
        )

    def perform(self, context):
        """Unlinks our actions, and removes the baked detail and all that came with a video."""
        target = active_target(context)
        if target is None:
            return
        check_animatable(target, target.data.shape_keys, target.d3dmm_animation.head_object)
        face_animation.unlink_our_actions(target, target.d3dmm_animation.head_object)
        if not needs_face(context):
            remove_baked_detail(target)
        remove_video(context.scene, target)


CLASSES = (D3DMM_OT_import_audio, D3DMM_OT_animate_strip, D3DMM_OT_update_animation, D3DMM_OT_clear_animation)
