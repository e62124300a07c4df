"""Import Audio: a recording becomes a sound strip, one new action and animated wrinkles, in one undo step."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..detailed3dmm_addon import active_face, backend, face_animation, live_update
from ..detailed3dmm_addon.baked_detail import remove_baked_detail
from ..detailed3dmm_addon.speech_animation import AUDIO_SUFFIXES, SpeechAnimation
from ..ml_backend.errors import UserError
from .operator_base import FaceOperator, needs_face


class D3DMM_OT_import_audio(FaceOperator, bpy.types.Operator, ImportHelper):
    """Make the face speak a recording: lips, blinks, head and wrinkles"""

    bl_idname = "d3dmm.import_audio"
    bl_label = "Import Audio"
    bl_options = {"REGISTER", "UNDO"}

    filter_glob: StringProperty(default=";".join(f"*{suffix}" for suffix in AUDIO_SUFFIXES), options={"HIDDEN"})
    seed: IntProperty(name="Seed", description="Chooses blinks, brows and head motion", default=0, min=0)
    head_motion: BoolProperty(name="Head Motion", description="Key small head turns on the object's rotation", default=True)
    bake_detail: BoolProperty(name="Animated Wrinkles", description="Store the detail of every frame in the file", default=True)
    sound_strip: BoolProperty(name="Sound Strip", description="Add the recording to the sequencer", default=True)

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face or a backend, or while a job runs."""
        busy = "Another job is under way" if backend.running_job() else ""
        return needs_face(context) or busy or backend.missing_reason()

    def perform(self, context):
        """Does all of it and waits: for scripts and background use."""
        work = self._work(context)
        work.take_speech(backend.ask(*work.speech_request()))
        detail = backend.ask(*work.detail_request()) if work.with_detail else None
        self.report({"INFO"}, work.put_into_scene(context.scene, detail))

    def execute(self, context):
        """From the file browser or a script: beside the user's work in a window, at once without one."""
        if bpy.app.background:
            return super().execute(context)
        try:
            self._start(context)
        except UserError as error:
            return self.fail(error)
        self._timer = context.window_manager.event_timer_add(0.05, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        """Follows the worker; Esc cancels."""
        if event.type == "ESC" and event.value == "PRESS":
            backend.cancel_job()
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        return self.step(context) or {"PASS_THROUGH"}

    def step(self, context) -> set[str] | None:
        """Looks at the worker once.

        Returns:
            The operator's result when it is over, else None.
        """
        backend.pump()
        context.window_manager.progress_update(self._job.fraction)
        outcome = self._job.outcome
        if outcome is None:
            return None
        try:
            backend.require_result(outcome)
            if self._import.frames is None:
                self._import.take_speech(outcome)
                if self._import.with_detail:
                    self._job = backend.begin_job("Animated Wrinkles", *self._import.detail_request())
                    return None
                outcome = None
            self.report({"INFO"}, self._import.put_into_scene(context.scene, outcome))
        except UserError as error:
            self._end(context)
            return self.fail(error)
        self._end(context)
        return {"FINISHED"}

    def cancel(self, context):
        """Blender ends the operator, for example to load another file."""
        backend.cancel_job()
        self._end(context)

    def draw(self, context):
        """The options in the file browser."""
        for name in ("seed", "head_motion", "bake_detail", "sound_strip"):
            self.layout.prop(self, name)

    def _work(self, context) -> SpeechAnimation:
        face = active_face(context)
        if face is None:
            raise UserError("No face is selected.", "Select one, or press Create Face.")
        scene = context.scene
        path = Path(bpy.path.abspath(self.filepath))
        work = SpeechAnimation(
            face.d3dmm.uid,
            path,
            face_animation.scene_fps(scene),
            scene.frame_start,
            self.seed,
            self.head_motion,
            self.bake_detail,
            self.sound_strip,
        )
        work.check()
        return work

    def _start(self, context) -> None:
        backend.clear_problem()
        self._import = self._work(context)
        self._job = backend.begin_job("Speech", *self._import.speech_request())
        context.window_manager.progress_begin(0.0, 1.0)
        live_update.watch()

    def _end(self, context) -> None:
        context.window_manager.progress_end()
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None

    _timer = None


class D3DMM_OT_clear_animation(FaceOperator, bpy.types.Operator):
    """Take the imported speech off the face; its actions stay in the file"""

    bl_idname = "d3dmm.clear_animation"
    bl_label = "Clear Animation"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey when no expression is animated by us."""
        reason = needs_face(context)
        if reason:
            return reason
        face = active_face(context)
        return "" if face is not None and face_animation.has_our_animation(face) else "This face has no imported animation"

    def perform(self, context):
        """Unlinks our actions and removes the baked detail."""
        face = active_face(context)
        if face is not None:
            face_animation.unlink_our_actions(face)
            remove_baked_detail(face)


CLASSES = (D3DMM_OT_import_audio, D3DMM_OT_clear_animation)
