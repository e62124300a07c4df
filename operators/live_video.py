"""Live, Stop Live: an actor before a camera moves the face at once, and the recording is kept."""

import time
from pathlib import Path

import bpy
from bpy.props import FloatProperty, StringProperty

from ..detailed3dmm_addon.actions import action_writer as face_animation
from ..detailed3dmm_addon.clips.clip import ClipPlace
from ..detailed3dmm_addon.clips.clip_sources import VideoSource
from ..detailed3dmm_addon.clips.live_face import RECORDING, LiveFace
from ..detailed3dmm_addon.clips.targets import active_target
from ..detailed3dmm_addon.clips.video_clip import VideoClip
from ..detailed3dmm_addon.model.face_model import identity_of
from ..detailed3dmm_addon.model.registry import is_face
from ..detailed3dmm_addon.worker import jobs as backend
from ..ml_backend.errors import UserError
from ..ml_backend.files.take_file import take_of_parts
from .animate_from_audio import SpeechOperator
from .operator_base import FaceOperator

_ENDED = ("ended", "failed")
_EVERY = 1 / 30
_TEXTS = {
    "starting": "Starting the backend",
    "waiting": "Waiting for a face",
    "resting": "Hold still, face at rest",
    "live": "Recording",
}


class D3DMM_OT_live_video(SpeechOperator, bpy.types.Operator):
    """Let an actor before a camera move the face at once; Stop keeps the performance, Esc drops it"""

    bl_idname = "d3dmm.live_video"
    bl_label = "Live"
    bl_options = {"REGISTER", "UNDO"}

    source: StringProperty(
        name="Source",
        description="A camera (0 is the first; on Windows its name), or a video that is played in real time",
        default="0",
    )
    seconds: FloatProperty(
        name="Length",
        description="Seconds after which the recording ends; 0: when you stop it",
        default=0.0,
        min=0.0,
        subtype="TIME_ABSOLUTE",
    )

    _face: LiveFace | None = None
    _asked: int = 0
    _begun: float = 0.0
    _phase: str = ""
    _started: bool = False
    _failure: UserError | None = None

    def invoke(self, context, event):
        """Takes the source of the panel."""
        self.source = active_target(context).d3dmm_animation.live_source
        return self.execute(context)

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a target or a backend, or while a job or a recording runs."""
        return super().disabled_reason(context) or ("A live recording runs" if RECORDING.runs else "")

    def perform(self, context):
        """Records for `seconds`, or until a film ends, and keeps it: for scripts and background use."""
        request = self._prepared(context)
        try:
            backend.ask(*request)
            self._started = True
            while not self._is_over(self._shown(backend.ask("live_frame", {}, {}))):
                time.sleep(_EVERY)
            self._put_back(context)
            self._keep(context)
        except UserError:
            self._give_up(context)
            raise
        finally:
            RECORDING.wish = ""
            RECORDING.runs = False

    def execute(self, context):
        """Starts the recording: in a window a timer follows it."""
        if bpy.app.background:
            return super().execute(context)
        manager = context.window_manager
        try:
            self._asked = backend.request(*self._prepared(context), self._answered)
        except UserError as error:
            RECORDING.runs = False
            return self.fail(error)
        self._timer = manager.event_timer_add(_EVERY, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        """Shows the newest frame; Esc drops the recording."""
        if self._work is not None:
            return super().modal(context, event)
        if event.type == "ESC" and event.value == "PRESS":
            RECORDING.wish = "drop"
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        try:
            backend.pump()
            if self._failure is not None:
                raise self._failure
            if RECORDING.wish == "drop":
                self._give_up(context)
                return self._closed(context, {"CANCELLED"})
            if RECORDING.wish != "keep" and not self._is_over(self._phase):
                if not self._asked:
                    self._asked = backend.request("live_frame", {}, {}, self._answered, "live")
                self._tell(context)
                return {"PASS_THROUGH"}
            self._put_back(context)
        except UserError as error:
            self._give_up(context)
            self._closed(context, {"CANCELLED"})
            return self.fail(error)
        self._closed(context, set())
        return self.begin(context)  # modal it is already: a second handler would outlive the operator

    def cancel(self, context):
        """Ends the recording because Blender ends the operator."""
        if self._work is not None:
            super().cancel(context)
            return
        self._give_up(context)
        self._closed(context, set())

    def work(self, context):
        """Solves all that was recorded together, asks for its wrinkles, and puts both into the scene."""
        target = self._following().target
        self._started = False  # the request below ends the recording
        answer = yield "Live", "live_stop", {"keep": True}, {}
        try:
            take = take_of_parts(answer.parameters, answer.arrays)
        except ValueError as error:
            raise UserError(f"The recording cannot be used ({error}).", "Record it again.") from error
        settings = target.find().d3dmm_animation
        source = VideoSource(
            Path(self.source), gaze=settings.video_gaze, strength=settings.video_strength, solved=take
        )
        place = ClipPlace(
            fps=face_animation.scene_fps(context.scene),
            first_frame=context.scene.frame_start,
            with_head=settings.video_head,
            with_detail=True,
        )
        return (yield from VideoClip(target, source, place).work(context))

    def _prepared(self, context) -> tuple[str, dict, dict]:
        """Remembers the mesh as it is, and returns the request that starts the recording."""
        target = self.target(context)
        mesh = target.find()
        settings = mesh.d3dmm_animation
        identity = {}
        if settings.video_same_person and is_face(mesh):
            identity = {"identity": identity_of(mesh)}
        backend.clear_problem()
        self._face = LiveFace.of(target, settings.video_head)
        self._asked = 0
        self._phase = "starting"
        self._started = False
        self._failure = None
        self._begun = time.monotonic()
        RECORDING.wish = ""
        RECORDING.runs = True
        return "live_start", {"source": bpy.path.abspath(self.source)}, identity

    def _answered(self, event) -> None:
        """Takes the worker's newest frame."""
        self._asked = 0
        if event.kind == "result":
            self._started = True
            self._phase = self._shown(event)
        elif event.kind != "superseded":
            self._failure = UserError(event.message or f"The request was {event.kind}.", event.remedy)

    def _shown(self, event) -> str:
        """Shows a frame and returns the recording's phase."""
        phase = event.parameters.get("phase", "waiting")
        if phase == "live":
            self._following().show(event.arrays["curves"], event.arrays["head"])
        return phase

    def _is_over(self, phase: str) -> bool:
        self._phase = phase
        return phase in _ENDED or (0 < self.seconds < time.monotonic() - self._begun)

    def _tell(self, context) -> None:
        context.workspace.status_text_set(f"{_TEXTS.get(self._phase, '')} - Esc")
        for area in context.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()

    def _put_back(self, context) -> None:
        """Gives the mesh its values back before the clip is written: undo then leads to them."""
        self._following().put_back()

    def _following(self) -> LiveFace:
        if self._face is None:
            raise ValueError("the recording has not begun")
        return self._face

    def _keep(self, context) -> None:
        """Writes the clip and waits."""
        super().perform(context)

    def _give_up(self, context) -> None:
        """Ends the recording without keeping it."""
        if self._face is not None:
            try:
                self._face.put_back()
            except UserError:
                self.report({"WARNING"}, "The face has gone")
        if self._started and backend.state() in ("ready", "starting"):
            backend.request("live_stop", {"keep": False}, {})

    def _closed(self, context, result: set[str]) -> set[str]:
        """Takes timer and status away."""
        RECORDING.runs = False
        context.workspace.status_text_set(None)
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        return result


class D3DMM_OT_stop_live(FaceOperator, bpy.types.Operator):
    """End the live recording and keep it"""

    bl_idname = "d3dmm.stop_live"
    bl_label = "Stop Live"

    @classmethod
    def disabled_reason(cls, context):
        """Grey where nothing is recorded."""
        return "" if RECORDING.runs else "No live recording runs"

    def perform(self, context):
        """Asks the recording to end."""
        RECORDING.wish = "keep"


CLASSES = (D3DMM_OT_live_video, D3DMM_OT_stop_live)
