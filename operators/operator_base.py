"""The base of every operator: a grey button gives its reason, an error its remedy."""

from pathlib import Path

import bpy

from ..detailed3dmm_addon.detail import follow as live_update
from ..detailed3dmm_addon.detail.refresh import refresh_detail
from ..detailed3dmm_addon.face import mesh as face_mesh
from ..detailed3dmm_addon.model.face_model import fixed_reason
from ..detailed3dmm_addon.model.registry import active_face
from ..detailed3dmm_addon.worker import jobs as backend
from ..detailed3dmm_addon.worker.jobs import JobRequest, JobSteps
from ..ml_backend.errors import UserError
from ..ml_backend.process.client import Event


def needs_face(context: bpy.types.Context) -> str:
    """Returns the reason why there is no face to act on, or an empty string."""
    if context.mode != "OBJECT":
        return "Leave the current mode first: this works in Object Mode"
    face = active_face(context)
    if face is None:
        return "Select a face first, or press Create Face"
    return "" if face_mesh.is_own(face) else "This face is linked from another file: make it local first"


def needs_current_face(context: bpy.types.Context) -> str:
    """Returns the reason why person or wrinkles of the active face cannot change, or an empty string."""
    face = active_face(context)
    return needs_face(context) or ("" if face is None else fixed_reason(face))


def named_file(operator) -> Path:
    """Returns the file that an operator with `filepath` is to read or write.

    Raises:
        UserError: none was chosen or given.
    """
    if not operator.filepath:
        raise UserError("No file was named.", "Choose one, or give filepath=... from a script.")
    return Path(bpy.path.abspath(operator.filepath))


class FaceOperator:
    """Mixed into operators: `disabled_reason` greys them, `perform` does the work and may raise UserError."""

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        """Returns the reason why the operator cannot run now, or an empty string."""
        return needs_face(context)

    @classmethod
    def poll(cls, context):
        """Tells Blender whether the button is live."""
        reason = cls.disabled_reason(context)
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def perform(self, context: bpy.types.Context) -> None:
        """Does the operator's work; may raise UserError."""
        raise NotImplementedError

    def execute(self, context):
        """Runs `perform`; a UserError becomes a report."""
        try:
            self.perform(context)
        except UserError as error:
            return self.fail(error)
        return {"FINISHED"}

    def face(self, context: bpy.types.Context) -> bpy.types.Object:
        """Returns the active face.

        Raises:
            UserError: there is none.
        """
        face = active_face(context)
        if face is None:
            raise UserError("No face is selected.", "Select one, or press Create Face.")
        return face

    def show_detail(self, face: bpy.types.Object) -> None:
        """Brings a face's detail up to date; a warning where it cannot be."""
        error = refresh_detail(face)
        if error is not None:
            self.report({"WARNING"}, f"Without full detail: {error.message}\n{error.remedy}".strip())

    def fail(self, error: UserError) -> set[str]:
        """Reports an error with its remedy, keeps it for the Backend panel, and cancels."""
        backend.report_problem(error.message, error.remedy)
        self.report({"ERROR"}, f"{error.message}\n{error.remedy}".strip())
        return {"CANCELLED"}


class JobOperator(FaceOperator):
    """Mixed into operators that send long requests: `work` is written once for scripts and for the window.

    `work` is a generator: it yields (title, name, parameters, arrays) of a request, receives the worker's
    result, and returns the report. An error of the worker is thrown into it. It writes to the scene only
    after its last answer, so a failure leaves the scene as it was. Without a window it runs at once; in a
    window a timer follows it, with progress, and Esc cancels.
    """

    _timer = None
    _work = None
    _job = None

    @staticmethod
    def busy_reason() -> str:
        """Returns the reason why no job can begin now, or an empty string."""
        return "Another job is under way" if backend.running_job() else ""

    def work(self, context: bpy.types.Context) -> JobSteps[str]:
        """Yields the requests in order, and does the rest; may raise UserError."""
        raise NotImplementedError

    def perform(self, context):
        """Does all of it and waits: for scripts and background use."""
        work = self.work(context)
        try:
            request = next(work)
            while True:
                try:
                    event = backend.ask(*request[1:])
                except UserError as error:
                    request = work.throw(error)
                else:
                    request = work.send(event)
        except StopIteration as done:
            self.report({"INFO"}, done.value)

    def execute(self, context):
        """Starts the job: with progress in a window, at once without one."""
        if bpy.app.background:
            return super().execute(context)
        result = self.begin(context)
        if "RUNNING_MODAL" in result:
            context.window_manager.modal_handler_add(self)
        return result

    def begin(self, context) -> set[str]:
        """Sends the first request from a window; the caller sees to it that the operator is modal, once.

        Returns:
            RUNNING_MODAL, or the operator's result where there was nothing to wait for.
        """
        backend.clear_problem()
        self._work = self.work(context)
        manager = context.window_manager
        manager.progress_begin(0.0, 1.0)
        self._timer = manager.event_timer_add(0.05, window=context.window)
        result = self._go_on(context, None)
        if result is not None:
            return result
        live_update.watch()
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        """Follows the worker; Esc cancels."""
        if event.type == "ESC" and event.value == "PRESS":
            backend.cancel_job()
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        backend.pump()
        context.window_manager.progress_update(self._job.fraction)
        outcome = self._job.outcome
        return (self._go_on(context, outcome) if outcome is not None else None) or {"PASS_THROUGH"}

    def cancel(self, context):
        """Ends the job because Blender ends the operator, for example to load another file.

        Blender also calls this when the file browser of an operator is left, before its job has begun.
        """
        if self._work is None:
            return
        backend.cancel_job()
        self._work.close()
        self._end(context)

    def _go_on(self, context, outcome: Event | None) -> set[str] | None:
        """Takes the next step.

        Args:
            context: Blender's.
            outcome: final event of the last request, or None to begin.

        Returns:
            The operator's result when it was the last step, else None.
        """
        result = {"CANCELLED"}
        finished = True
        try:
            request = self._next_request(outcome)
            while finished:
                try:
                    self._job = backend.begin_job(*request)
                    finished = False
                except UserError as error:
                    request = self._work.throw(error)
        except StopIteration as done:
            self.report({"INFO"}, done.value)
            result = {"FINISHED"}
        except UserError as error:
            result = self.fail(error)
        finally:
            if finished:
                self._end(context)
        return result if finished else None

    def _next_request(self, outcome: Event | None) -> JobRequest:
        if outcome is None:
            return next(self._work)
        try:
            event = backend.require_result(outcome)
        except UserError as error:
            return self._work.throw(error)
        return self._work.send(event)

    def _end(self, context) -> None:
        context.window_manager.progress_end()
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
