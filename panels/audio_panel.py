"""The Audio panel: import a recording, follow the job."""

import bpy

from ..detailed3dmm_addon import active_face, backend
from .sidebar import FacePanel


class D3DMM_PT_audio(FacePanel, bpy.types.Panel):
    """Speech."""

    bl_idname = "D3DMM_PT_audio"
    bl_label = "Audio"

    def draw(self, context):
        """Draws the button, or the job that it started."""
        layout = self.layout
        job = backend.running_job()
        if job is None:
            layout.operator("d3dmm.import_audio", icon="FILE_SOUND")
            layout.operator("d3dmm.clear_animation", icon="X")
        else:
            draw_job(layout, job)
        if active_face(context).d3dmm.detail_source == "BAKED":
            layout.label(text="Wrinkles play from the file", icon="CHECKMARK")


def draw_job(layout, job) -> None:
    """Draws a job's progress with its cancel button."""
    layout.label(text=job.title)
    row = layout.row(align=True)
    row.progress(factor=job.fraction, text=job.message)
    row.operator("d3dmm.cancel_job", text="", icon="CANCEL")


CLASSES = (D3DMM_PT_audio,)
