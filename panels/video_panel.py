"""The Video panel: import an actor's performance, adjust it, follow the job."""

import bpy

from ..detailed3dmm_addon.clips.live_face import RECORDING
from ..detailed3dmm_addon.clips.settings import VIDEO_GROUPS
from ..detailed3dmm_addon.clips.targets import active_target
from ..detailed3dmm_addon.worker import jobs as backend
from ..ml_backend.animation.curve_editing import GAIN_GROUPS
from .audio_panel import TargetPanel, draw_job


class D3DMM_PT_video(TargetPanel, bpy.types.Panel):
    """Performances of actors."""

    bl_idname = "D3DMM_PT_video"
    bl_label = "Video"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """Draws the buttons, or the job that one of them started."""
        layout = self.layout
        job = backend.running_job()
        if job is not None:
            draw_job(layout, job)
            return
        if RECORDING.runs:
            layout.operator("d3dmm.stop_live", icon="SNAP_FACE")
            return
        column = layout.column(align=True)
        column.operator("d3dmm.import_video", icon="FILE_MOVIE")
        column.operator("d3dmm.animate_movie", icon="SEQ_SEQUENCER")
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.operator("d3dmm.live_video", icon="REC")
        column.prop(active_target(context).d3dmm_animation, "live_source")
        row = layout.row(align=True)
        row.operator("d3dmm.update_animation", text="Update", icon="FILE_REFRESH")
        row.operator("d3dmm.clear_animation", text="Clear", icon="X")


class _SettingsPanel(TargetPanel):
    """Mixed into the panel's parts."""

    bl_parent_id = "D3DMM_PT_video"
    bl_options = {"DEFAULT_CLOSED"}


class D3DMM_PT_video_adjust(_SettingsPanel, bpy.types.Panel):
    """Edits of a solved video: they need no new solve."""

    bl_idname = "D3DMM_PT_video_adjust"
    bl_label = "Adjust"

    def draw(self, context):
        """Draws smoothing, strengths, switches and the button that applies them."""
        settings = active_target(context).d3dmm_animation
        layout = self.layout
        column = layout.column(align=True)
        column.label(text="Smoothing")
        for group in VIDEO_GROUPS:
            column.prop(settings, f"video_smoothing_{group}", slider=True)
        column = layout.column(align=True)
        column.label(text="Strength")
        column.prop(settings, "video_strength", text="All", slider=True)
        for group in GAIN_GROUPS:
            column.prop(settings, f"gain_{group}", slider=True)
        column = layout.column(align=True)
        column.prop(settings, "video_head")
        column.prop(settings, "video_gaze")
        column.prop(settings, "offset")
        if backend.running_job() is None:
            column = layout.column(align=True)
            column.operator("d3dmm.adjust_video", icon="CHECKMARK")
            column.operator("d3dmm.refine_video", icon="KEYFRAME_HLT")


class D3DMM_PT_video_solve(_SettingsPanel, bpy.types.Panel):
    """Settings of the solve: Update uses them."""

    bl_idname = "D3DMM_PT_video_solve"
    bl_label = "Solve"

    def draw(self, context):
        """Draws the face's number, the neutral frame and the actor's identity."""
        settings = active_target(context).d3dmm_animation
        column = self.layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        for name in ("video_face", "video_neutral", "video_more_neutral", "video_same_person", "video_voice"):
            column.prop(settings, name)


CLASSES = (D3DMM_PT_video, D3DMM_PT_video_adjust, D3DMM_PT_video_solve)
