"""The Backend panel: state, device, start, stop, the last error with its remedy."""

import bpy

from ..detailed3dmm_addon.translations import OUR_CONTEXT
from ..detailed3dmm_addon.worker import jobs as backend
from ..detailed3dmm_addon.worker.installation import running_installation
from .audio_panel import draw_job
from .sidebar import SidebarPanel, characters_across, draw_paragraph

_STATES = {
    "stopped": ("Stopped: starts when it is needed", "PAUSE"),
    "starting": ("Starting", "SORTTIME"),
    "ready": ("Ready", "CHECKMARK"),
    "died": ("Ended unexpectedly: starts again when needed", "ERROR"),
    "failed": ("Cannot be started", "ERROR"),
}


class D3DMM_PT_backend(SidebarPanel, bpy.types.Panel):
    """The process that computes."""

    bl_idname = "D3DMM_PT_backend"
    bl_label = "Backend"

    def draw(self, context):
        """Draws the state and what can be done about it."""
        layout = self.layout
        width = characters_across(context)
        text, icon = _STATES[backend.state()]
        device = backend.device()
        layout.label(
            text=f"{text} ({device})" if device and backend.state() == "ready" else text,
            text_ctxt=OUR_CONTEXT,
            icon=icon,
        )
        memory = backend.worker_memory()
        if memory is not None:
            layout.label(text=f"{memory:.0f} MB of memory, freed by Stop", icon="BLANK1")
        row = layout.row(align=True)
        row.operator("d3dmm.start_backend", icon="PLAY")
        row.operator("d3dmm.stop_backend", icon="SNAP_FACE")
        job = backend.running_job()
        if job is not None:
            draw_job(layout, job)
        installation = running_installation()
        if installation is not None:
            row = layout.row(align=True)
            row.progress(factor=installation.fraction, text=installation.message)
            row.operator("d3dmm.cancel_job", text="", icon="CANCEL")
        missing = backend.missing_reason()
        if missing:
            draw_paragraph(layout, missing, width, "ERROR")
            layout.operator("d3dmm.install_backend", icon="IMPORT")
        if backend.problem.message:
            box = layout.box()
            draw_paragraph(box, backend.problem.message, width, "ERROR")
            if backend.problem.remedy:
                draw_paragraph(box, backend.problem.remedy, width, "INFO")
            box.operator("d3dmm.clear_problem", icon="X")


CLASSES = (D3DMM_PT_backend,)
