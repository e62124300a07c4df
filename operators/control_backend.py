"""Start, Stop, Cancel, Dismiss: the worker and its last error."""

import bpy

from ..detailed3dmm_addon.detail import follow as live_update
from ..detailed3dmm_addon.worker import jobs as backend
from ..detailed3dmm_addon.worker.installation import running_installation, set_running_installation
from .operator_base import FaceOperator


class D3DMM_OT_start_backend(FaceOperator, bpy.types.Operator):
    """Start the process that computes wrinkles and speech"""

    bl_idname = "d3dmm.start_backend"
    bl_label = "Start"

    @classmethod
    def disabled_reason(cls, context):
        """Grey while it runs, or when there is no Python for it."""
        return (
            "The backend runs already"
            if backend.state() in ("starting", "ready")
            else backend.missing_reason()
        )

    def perform(self, context):
        """Starts it; the panel shows when it is ready."""
        backend.clear_problem()
        backend.start()
        live_update.watch()


class D3DMM_OT_stop_backend(FaceOperator, bpy.types.Operator):
    """Stop the process and free its memory; the next request starts it again"""

    bl_idname = "d3dmm.stop_backend"
    bl_label = "Stop"

    @classmethod
    def disabled_reason(cls, context):
        """Grey while it does not run."""
        return "" if backend.state() in ("starting", "ready") else "The backend does not run"

    def perform(self, context):
        """Stops it."""
        backend.stop()


class D3DMM_OT_cancel_job(FaceOperator, bpy.types.Operator):
    """Cancel the job or the installation under way; the scene stays as it was"""

    bl_idname = "d3dmm.cancel_job"
    bl_label = "Cancel"

    @classmethod
    def disabled_reason(cls, context):
        """Grey when nothing is under way."""
        return "" if backend.running_job() or running_installation() else "Nothing is under way"

    def perform(self, context):
        """Asks the worker, or ends the installer."""
        backend.cancel_job()
        installation = running_installation()
        if installation is not None:
            installation.cancel()
            set_running_installation(None)


class D3DMM_OT_clear_problem(FaceOperator, bpy.types.Operator):
    """Forget the last error"""

    bl_idname = "d3dmm.clear_problem"
    bl_label = "Dismiss"

    @classmethod
    def disabled_reason(cls, context):
        """Grey when there is none."""
        return "" if backend.problem.message else "There is no error"

    def perform(self, context):
        """Forgets it."""
        backend.clear_problem()


CLASSES = (D3DMM_OT_start_backend, D3DMM_OT_stop_backend, D3DMM_OT_cancel_job, D3DMM_OT_clear_problem)
