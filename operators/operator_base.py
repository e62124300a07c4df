"""What every operator shares: a grey button says why, an error says what to do."""

import bpy

from ..detailed3dmm_addon import active_face, backend
from ..ml_backend.errors import UserError


def needs_face(context: bpy.types.Context) -> str:
    """The reason why there is no face to act on, or an empty string."""
    if context.mode != "OBJECT":
        return "Leave the current mode first: this works in Object Mode"
    face = active_face(context)
    if face is None:
        return "Select a face first, or press Create Face"
    return "This face is linked from another file: make it local first" if face.library is not None else ""


class FaceOperator:
    """Mixed into operators: `disabled_reason` greys them, `perform` does the work and may raise UserError."""

    @classmethod
    def disabled_reason(cls, context: bpy.types.Context) -> str:
        """Why the operator cannot run now; empty when it can."""
        return needs_face(context)

    @classmethod
    def poll(cls, context):
        """Blender's question whether the button is live."""
        reason = cls.disabled_reason(context)
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def perform(self, context: bpy.types.Context) -> None:
        """Does what the button says."""
        raise NotImplementedError

    def execute(self, context):
        """Runs `perform`; a user's mistake becomes a report, and nothing is left behind."""
        try:
            self.perform(context)
        except UserError as error:
            return self.fail(error)
        return {"FINISHED"}

    def fail(self, error: UserError) -> set[str]:
        """Reports an error with its remedy, keeps it for the Backend panel, and cancels."""
        backend.report_problem(error.message, error.remedy)
        self.report({"ERROR"}, f"{error.message}\n{error.remedy}".strip())
        return {"CANCELLED"}
