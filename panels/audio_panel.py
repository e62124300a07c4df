"""The Audio panel: import a recording or captured curves, adjust them, follow the job."""

import bpy

from ..detailed3dmm_addon.clips.settings import LAYER_TEXTS
from ..detailed3dmm_addon.clips.targets import active_target
from ..detailed3dmm_addon.model.registry import active_face
from ..detailed3dmm_addon.worker import jobs as backend
from ..ml_backend.animation.curve_editing import GAIN_GROUPS
from .sidebar import SidebarPanel


class TargetPanel(SidebarPanel):
    """Mixed into panels that show for a face, and for any other mesh with ARKit's shape keys."""

    @classmethod
    def poll(cls, context):
        """Tells whether there is something to animate."""
        return active_target(context) is not None


class D3DMM_PT_audio(TargetPanel, bpy.types.Panel):
    """Speech and captured curves."""

    bl_idname = "D3DMM_PT_audio"
    bl_label = "Audio"

    def draw(self, context):
        """Draws the buttons, or the job that one of them started."""
        layout = self.layout
        job = backend.running_job()
        if job is None:
            column = layout.column(align=True)
            column.operator("d3dmm.import_audio", icon="FILE_SOUND")
            column.operator("d3dmm.animate_strip", icon="SEQ_SEQUENCER")
            column.operator("d3dmm.import_curves", icon="FCURVE")
            row = layout.row(align=True)
            row.operator("d3dmm.update_animation", text="Update", icon="FILE_REFRESH")
            row.operator("d3dmm.clear_animation", text="Clear", icon="X")
        else:
            draw_job(layout, job)
        face = active_face(context)
        if face is not None and face.d3dmm.detail_source == "BAKED":
            layout.label(text="Wrinkles play from the file", icon="CHECKMARK")


class _SettingsPanel(TargetPanel):
    """Mixed into the panel's parts."""

    bl_parent_id = "D3DMM_PT_audio"
    bl_options = {"DEFAULT_CLOSED"}


class D3DMM_PT_audio_adjust(_SettingsPanel, bpy.types.Panel):
    """Edits of the curves before they are keyed."""

    bl_idname = "D3DMM_PT_audio_adjust"
    bl_label = "Adjust"

    def draw(self, context):
        """Draws gains, smoothing and offset."""
        settings = active_target(context).d3dmm_animation
        column = self.layout.column(align=True)
        for group in GAIN_GROUPS:
            column.prop(settings, f"gain_{group}", slider=True)
        column = _column(self.layout)
        for name in ("smoothing", "offset"):
            column.prop(settings, name)


class D3DMM_PT_audio_layers(_SettingsPanel, bpy.types.Panel):
    """Procedural layers."""

    bl_idname = "D3DMM_PT_audio_layers"
    bl_label = "Procedural Layers"

    def draw(self, context):
        """Draws amount and seed of each layer, and the emotions over time."""
        settings = active_target(context).d3dmm_animation
        column = self.layout.column(align=True)
        for name in LAYER_TEXTS:
            row = column.row(align=True)
            row.prop(settings, f"amount_{name}", slider=True)
            row.prop(settings, f"seed_{name}", text="Seed")
        for index, key in enumerate(settings.emotions):
            row = self.layout.row(align=True)
            row.prop(key, "frame", text="")
            row.prop(key, "emotion", text="")
            row.prop(key, "intensity", text="")
            row.operator("d3dmm.remove_emotion", text="", icon="X").index = index
        self.layout.operator("d3dmm.add_emotion", icon="ADD")
        guess = _column(self.layout)
        guess.enabled = not len(settings.emotions)
        guess.prop(settings, "voice_emotion")


class D3DMM_PT_audio_output(_SettingsPanel, bpy.types.Panel):
    """Destination of the curves, and the speech networks."""

    bl_idname = "D3DMM_PT_audio_output"
    bl_label = "Output"

    def draw(self, context):
        """Draws destination, key error, the head's object and bones, transcript, speech encoder, decoder."""
        settings = active_target(context).d3dmm_animation
        column = _column(self.layout)
        for name in ("destination", "key_error", "head_object"):
            column.prop(settings, name)
        if settings.head_object is not None and settings.head_object.type == "ARMATURE":
            for name in ("head_bone", "eye_bone_left", "eye_bone_right"):
                column.prop_search(settings, name, settings.head_object.data, "bones")
        column.prop(settings, "transcript")
        if settings.transcript:
            column.prop(settings, "language")
        column.prop(settings, "speech_encoder", text="Encoder")
        column.prop(settings, "decoder")


def _column(layout):
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    return column


def draw_job(layout, job) -> None:
    """Draws a job's progress with its cancel button."""
    layout.label(text=job.title)
    row = layout.row(align=True)
    row.progress(factor=job.fraction, text=job.message)
    row.operator("d3dmm.cancel_job", text="", icon="CANCEL")


CLASSES = (D3DMM_PT_audio, D3DMM_PT_audio_adjust, D3DMM_PT_audio_layers, D3DMM_PT_audio_output)
