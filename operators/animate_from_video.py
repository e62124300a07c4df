"""Import Video, Animate Movie Strip, Adjust Video, Refine Between Keys."""

import bpy
from bpy.props import BoolProperty, FloatProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..detailed3dmm_addon.actions import action_writer as face_animation
from ..detailed3dmm_addon.actions.movie_strip import active_movie, footage_of
from ..detailed3dmm_addon.clips import video_properties
from ..detailed3dmm_addon.clips.clip import ClipPlace
from ..detailed3dmm_addon.clips.clip_sources import VideoSource
from ..detailed3dmm_addon.clips.kept_take import has_take, kept_take
from ..detailed3dmm_addon.clips.targets import active_target
from ..detailed3dmm_addon.clips.video_clip import VideoClip, last_clip, refined_clip
from ..ml_backend.errors import UserError
from ..ml_backend.video.formats import PICTURE_SUFFIXES, VIDEO_SUFFIXES, sequence_pattern
from .animate_from_audio import ClipOperator, SpeechOperator
from .operator_base import named_file


class VideoOperator(SpeechOperator):
    """Mixed into operators that have a video solved: the options that all of them share."""

    face_number: video_properties.face_number()
    neutral: video_properties.neutral_frame()
    same_person: video_properties.same_person()
    more_neutral: video_properties.more_neutral_frames()
    voice: video_properties.lips_from_voice()
    strength: video_properties.strength()
    head_motion: video_properties.head_motion()
    gaze: video_properties.gaze()
    bake_detail: BoolProperty(
        name="Animated Wrinkles", description="Store the detail of every frame in the file", default=True
    )
    camera: BoolProperty(
        name="Video Camera",
        description="Add a camera that sees the face as the video does, with the video behind it; "
        "renders take its shape",
        default=False,
    )

    def place(self, scene: bpy.types.Scene, first_frame: int) -> ClipPlace:
        """Returns the clip's place in the scene."""
        return ClipPlace(
            fps=face_animation.scene_fps(scene),
            first_frame=first_frame,
            with_head=self.head_motion,
            with_detail=self.bake_detail,
        )

    def source(self, path, start: float, length: float, pace: float = 1.0) -> VideoSource:
        """Returns the part of a video with the options that were chosen."""
        return VideoSource(
            path,
            self.face_number,
            self.neutral,
            self.same_person,
            start,
            length,
            pace,
            self.gaze,
            self.strength,
            more_neutral=self.more_neutral,
            voice=self.voice,
        )


class D3DMM_OT_import_video(VideoOperator, bpy.types.Operator, ImportHelper):
    """Make the face do what an actor does in a video: expression, gaze, head and wrinkles"""

    bl_idname = "d3dmm.import_video"
    bl_label = "Import Video"
    bl_options = {"REGISTER", "UNDO"}

    filter_glob: StringProperty(
        default=";".join(f"*{suffix}" for suffix in (*VIDEO_SUFFIXES, *PICTURE_SUFFIXES)), options={"HIDDEN"}
    )
    start: FloatProperty(
        name="Start",
        description="Seconds of the video to leave out before the clip",
        default=0.0,
        min=0.0,
        subtype="TIME_ABSOLUTE",
    )
    end: FloatProperty(
        name="End",
        description="Second of the video at which the clip ends; 0 for the video's end",
        default=0.0,
        min=0.0,
        subtype="TIME_ABSOLUTE",
    )
    movie_strip: BoolProperty(
        name="Movie Strip", description="Add the video and its sound to the sequencer", default=True
    )

    def work(self, context):
        """Asks for the take, then for its wrinkles, and puts both into the scene."""
        scene = context.scene
        path = named_file(self)
        if self.end and self.end <= self.start:
            raise UserError(
                f"{path.name}: the end, {self.end:g} s, is not behind the start, {self.start:g} s.",
                "Give an end that is later, or 0 for the video's end.",
            )
        length = self.end - self.start if self.end else 0.0
        clip = VideoClip(
            target=self.target(context),
            source=self.source(sequence_pattern(path), self.start, length),
            place=self.place(scene, scene.frame_start),
            movie_strip=self.movie_strip,
            camera=self.camera,
        )
        return (yield from clip.work(context))

    def draw(self, context):
        """The options in the file browser."""
        for name in (
            "start",
            "end",
            "face_number",
            "neutral",
            "same_person",
            "voice",
            "strength",
            "head_motion",
            "gaze",
            "bake_detail",
            "movie_strip",
            "camera",
        ):
            self.layout.prop(self, name)
        column = self.layout.column(align=True)  # beside the field the name would be cut
        column.label(text="More Neutral")
        column.prop(self, "more_neutral", text="")


class D3DMM_OT_animate_movie(VideoOperator, bpy.types.Operator):
    """Make the face do what an actor does in the active movie strip, as far as it is not cut away"""

    bl_idname = "d3dmm.animate_movie"
    bl_label = "Animate Movie Strip"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a movie strip too."""
        return super().disabled_reason(context) or (
            "" if active_movie(context.scene) else "Select a movie strip in the sequencer"
        )

    def work(self, context):
        """Solves the strip's part of its video at the strip's place, without another strip."""
        scene = context.scene
        footage = footage_of(active_movie(scene), scene)
        seconds = footage.frames / face_animation.scene_fps(scene) * footage.pace
        half_a_frame = 0.5 * footage.pace / face_animation.scene_fps(scene)
        clip = VideoClip(
            target=self.target(context),
            source=self.source(footage.path, footage.start, seconds - half_a_frame, footage.pace),
            place=self.place(scene, footage.first_frame),
            camera=self.camera,
        )
        return (yield from clip.work(context))


class KeptVideoOperator(ClipOperator):
    """Mixed into operators that work on the take of the last video."""

    @classmethod
    def disabled_reason(cls, context):
        """Grey where the last clip on the mesh was no video."""
        reason = super().disabled_reason(context)
        if reason:
            return reason
        target = active_target(context)
        if target.d3dmm_animation.source_kind != VideoSource.kind or not has_take(target):
            return "No video was imported onto this mesh yet"
        return ""


class D3DMM_OT_adjust_video(KeptVideoOperator, bpy.types.Operator):
    """Make the video's animation again as these dials say, without a new solve; edited actions are kept"""

    bl_idname = "d3dmm.adjust_video"
    bl_label = "Adjust Video"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context):
        """Edits the kept take as the dials say, asks for its wrinkles, and puts both into the scene."""
        target = self.target(context).find()
        return (yield from last_clip(context.scene, target, kept_take(target)).work(context))


class D3DMM_OT_refine_video(KeptVideoOperator, bpy.types.Operator):
    """Hold the keys of the clip that you corrected, and let the frames between follow; your action is kept"""

    bl_idname = "d3dmm.refine_video"
    bl_label = "Refine Between Keys"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context):
        """Makes the kept take go through the keys that were changed, asks for its wrinkles, and keys it."""
        return (yield from refined_clip(context.scene, self.target(context).find()).work(context))


CLASSES = (D3DMM_OT_import_video, D3DMM_OT_animate_movie, D3DMM_OT_adjust_video, D3DMM_OT_refine_video)
