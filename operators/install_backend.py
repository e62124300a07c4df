"""Install Backend, Remove Backend: the managed environment, step by step, with progress and cancel."""

import time

import bpy

from ..detailed3dmm_addon.worker import environment
from ..detailed3dmm_addon.worker import jobs as backend
from ..detailed3dmm_addon.worker.installation import (
    Installation,
    running_installation,
    set_running_installation,
)
from ..ml_backend.errors import UserError
from .operator_base import FaceOperator


class D3DMM_OT_install_backend(FaceOperator, bpy.types.Operator):
    """Download PyTorch and the speech libraries into a folder of the extension's own"""

    bl_idname = "d3dmm.install_backend"
    bl_label = "Install Backend"

    @classmethod
    def disabled_reason(cls, context):
        """Grey while it is under way, or while Blender is offline and something would have to be fetched."""
        if environment.needs_network() and not getattr(bpy.app, "online_access", True):
            return "Blender is offline: allow online access in Preferences, System, Network"
        if running_installation() is not None:
            return "The installation is under way"
        return ""

    @classmethod
    def description(cls, context, properties):
        """Says what it costs before it is pressed."""
        kind = environment.BUILDS[environment.chosen_build()]
        return f"{kind.label}: download about {kind.download_mb} MB into {environment.user_folder('')}"

    def invoke(self, context, event):
        """Runs beside the user's work."""
        if bpy.app.background:
            return self.execute(context)
        try:
            self._begin()
        except UserError as error:
            return self.fail(error)
        self._timer = context.window_manager.event_timer_add(0.3, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        """Looks after the running step."""
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        installation = running_installation()
        if installation is None:
            return self._end(context, {"CANCELLED"})
        try:
            done = installation.advance()
        except UserError as error:
            set_running_installation(None)
            self.fail(error)
            return self._end(context, {"CANCELLED"})
        for area in context.window.screen.areas:
            area.tag_redraw()
        if not done:
            return {"PASS_THROUGH"}
        set_running_installation(None)
        self.report({"INFO"}, "The backend is installed")
        return self._end(context, {"FINISHED"})

    def perform(self, context):
        """Installs and waits, for scripts."""
        installation = self._begin()
        try:
            while not installation.advance():
                time.sleep(0.2)
        finally:
            set_running_installation(None)
        self.report({"INFO"}, "The backend is installed")

    def _begin(self) -> Installation:
        backend.stop()
        backend.clear_problem()
        installation = Installation()
        installation.start()
        set_running_installation(installation)
        return installation

    def _end(self, context, result):
        context.window_manager.event_timer_remove(self._timer)
        return result


class D3DMM_OT_remove_backend(FaceOperator, bpy.types.Operator):
    """Delete the managed environment and its downloads; faces keep their wrinkles while you drag"""

    bl_idname = "d3dmm.remove_backend"
    bl_label = "Remove Backend"

    @classmethod
    def disabled_reason(cls, context):
        """Grey while it is being installed, or where there is nothing to delete."""
        if running_installation() is not None:
            return "The installation is under way"
        return "" if environment.leftovers() else "Nothing was installed"

    def invoke(self, context, event):
        """Asks first."""
        return context.window_manager.invoke_confirm(self, event)

    def perform(self, context):
        """Stops the worker and deletes the folders."""
        backend.stop()
        environment.remove()
        self.report({"INFO"}, "The backend was removed")


CLASSES = (D3DMM_OT_install_backend, D3DMM_OT_remove_backend)
