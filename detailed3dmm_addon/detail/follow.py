"""Keeps mesh and detail up to date while sliders move: what is seen at once, the rest from a timer.

Before Blender evaluates a change, handlers compare each face with what its mesh says it shows, and write the
distilled detail if
they differ: one evaluation shows both. The worker's full map follows from the timer once the face rests.
Faces are kept by
their identifier, never by reference. In background mode there is no timer: `update_detail` is called instead.
"""

import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ...ml_backend.errors import UserError
from ...ml_backend.process.client import Event
from ..face import mesh as face_mesh
from ..model.face_model import expression_of, face_model, identity_digest, identity_of
from ..model.registry import find_face, is_face
from ..nodes import detail_modifier as detail_modifiers
from ..worker import jobs as backend
from . import live as live_detail

_TICK_SECONDS = 0.015
_REST_SECONDS = 0.3
_WORK_SECONDS = 0.02
_KEYS_AT_ONCE = 4


@dataclass
class FaceState:
    """What is due for one face.

    Attributes:
        asked: name of the full map that was asked for last.
        full_due: when to ask for the full map (seconds, monotonic), or None.
        stale_keys: expressions whose shape keys are still of an older identity.
        moved_keys: those of them that were moved along with the rest shape, and so may show.
        keys_due: when to start rewriting them.
    """

    asked: str = ""
    full_due: float | None = None
    stale_keys: list[str] = field(default_factory=list)
    moved_keys: list[str] = field(default_factory=list)
    keys_due: float = 0.0


_states: dict[str, FaceState] = {}
_suspended = False
_rendering = False
_drawn: tuple = ()
_STANDS_STILL = (
    "Live wrinkles stood still in this render.",
    "Choose Render > Lock Interface and render again, or press Bake Detail for Action.",
)
interactive = not bpy.app.background
"""Whether changes are followed by themselves, through handlers and the timer."""


@contextmanager
def suspended():
    """While inside, changes of properties are not acted upon; the caller refreshes once afterwards."""
    global _suspended
    before, _suspended = _suspended, True
    try:
        yield
    finally:
        _suspended = before


def identity_changed(face: bpy.types.Object) -> None:
    """Follows an identity slider: the visible shape at once, other shape keys and the detail soon."""
    if _suspended or not is_face(face) or not face_mesh.has_our_topology(face):
        return
    refresh_shape(face)
    note_change(face)


def can_change_identity(face: bpy.types.Object) -> bool:
    """Whether the mesh still has the vertices that it was made with."""
    return face_mesh.has_our_topology(face)


def refresh_shape(face: bpy.types.Object) -> None:
    """Writes what can be seen of a changed identity now, and leaves the rest to the timer (all now in background mode)."""
    identity = identity_of(face)
    if not interactive:
        face_mesh.write_all_keys(face, identity)
        return
    state = _state(face)
    state.moved_keys, rest = face_mesh.move_rest_shape(face, identity)
    state.stale_keys = state.moved_keys + rest
    state.keys_due = time.monotonic() + _REST_SECONDS
    _start_timer()


def skin_changed(face: bpy.types.Object) -> None:
    """Follows a change of what only the detail depends on."""
    if not _suspended and is_face(face):
        note_change(face)


def note_change(face: bpy.types.Object, inputs: dict[str, np.ndarray] | None = None) -> None:
    """Shows the distilled detail of a face if it is not shown yet, and leaves the full map to the timer; cheap when it is.

    Args:
        face: a face of this file.
        inputs: what to show, or None for what the sliders say.
    """
    settings = face.d3dmm
    if not (settings.live and settings.show_detail) or settings.detail_source != "LIVE" or not _leads(face):
        return
    inputs = inputs or live_detail.detail_inputs(face)
    changed = live_detail.show_at_once(face, inputs)
    state = _state(face)
    if interactive and (
        changed
        or (
            state.full_due is None
            and live_detail.full_name(face, inputs) not in (state.asked, live_detail.shown_full(face))
        )
    ):
        state.full_due = time.monotonic() + _REST_SECONDS
        _start_timer()


def _leads(face: bpy.types.Object) -> bool:
    """Whether a face's own sliders make its detail: a duplicate gets its own, linked duplicates leave it to the first."""
    leader = find_face(face.d3dmm.uid)
    if leader is None or leader == face:
        return True
    if leader.data == face.data:
        return False
    face.d3dmm.uid = uuid.uuid4().hex
    detail_modifiers.make_detail_single_user(face)
    return True


def update_detail(face: bpy.types.Object) -> tuple[float, float]:
    """Computes and shows a face's detail now: the full map, waiting for the worker, or the distilled one where there is no backend.

    Returns:
        The least and the greatest displacement of the vertices, millimetres.

    Raises:
        UserError: the worker reports an error or cannot be started.
    """
    _leads(face)
    inputs = live_detail.detail_inputs(face)
    live_detail.show_at_once(face, inputs)
    _state(face).full_due = None
    if backend.missing_reason():
        live_detail.show_fine_at_once(face, inputs)
    else:
        arrays = inputs | live_detail.latent_arrays(face)
        answer = backend.ask("generate", {"resolution": int(face.d3dmm.resolution)}, arrays)
        live_detail.show_full(face, inputs, answer.arrays["map"])
    return live_detail.range_of(face)


def finish_shapes(face: bpy.types.Object) -> None:
    """Rewrites at once every shape key that is still of an older identity."""
    if is_face(face) and face_mesh.has_our_topology(face):
        identity = identity_of(face)
        if face.d3dmm.keys_identity != identity_digest(identity):
            face_mesh.write_all_keys(face, identity)
        _state(face).stale_keys = []


def _state(face: bpy.types.Object) -> FaceState:
    return _states.setdefault(face.d3dmm.uid, FaceState())


def _ask_for_full(face: bpy.types.Object) -> None:
    """Asks the worker for the full map; without one, the distilled model's own fine band is shown."""
    inputs = live_detail.detail_inputs(face)
    name = live_detail.full_name(face, inputs)
    if live_detail.shown_full(face) == name:
        return
    _state(face).asked = name
    if backend.missing_reason() or backend.state() == "failed":
        live_detail.show_fine_at_once(face, inputs)
        return
    uid = face.d3dmm.uid
    arrays = inputs | live_detail.latent_arrays(face)
    try:
        backend.request(
            "generate",
            {"resolution": int(face.d3dmm.resolution)},
            arrays,
            partial(_take_map, uid, inputs),
            f"{uid} full",
        )
    except UserError as error:
        backend.report_problem(error.message, error.remedy)


def _take_map(uid: str, inputs: dict[str, np.ndarray], event: Event) -> None:
    """Shows the full map, unless the sliders have moved on."""
    face = find_face(uid)
    if event.kind != "result" or face is None or face.d3dmm.detail_source != "LIVE":
        return
    if live_detail.digest_of(face, live_detail.detail_inputs(face)) == live_detail.digest_of(face, inputs):
        live_detail.show_full(face, inputs, event.arrays["map"])


def tick() -> float | None:
    """One step of the timer: news of the worker, full maps that are due, shape keys that are stale.

    Returns:
        Seconds until the next step, or None when nothing is left to do.
    """
    backend.pump()
    now, busy = time.monotonic(), backend.is_busy()
    for uid, state in list(_states.items()):
        face = find_face(uid)
        if face is None:
            del _states[uid]
            continue
        if state.full_due is not None:
            busy = True
            if now >= state.full_due and not _rendering:
                state.full_due = None
                _ask_for_full(face)
        if state.stale_keys:
            busy = True
            if now >= state.keys_due and not _rendering:
                _rewrite_some_keys(face, state)
    _redraw_panels()
    return _TICK_SECONDS if busy else None


def _rewrite_some_keys(face: bpy.types.Object, state: FaceState) -> None:
    identity, limit = identity_of(face), time.monotonic() + _WORK_SECONDS
    while state.stale_keys and time.monotonic() < limit:
        names, state.stale_keys = state.stale_keys[:_KEYS_AT_ONCE], state.stale_keys[_KEYS_AT_ONCE:]
        face_mesh.write_keys(face, identity, tuple(names))
    if not state.stale_keys:
        face.d3dmm.keys_identity = identity_digest(identity)


def _redraw_panels() -> None:
    global _drawn
    shown = backend.status()
    if shown == _drawn:
        return
    _drawn = shown
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def _start_timer() -> None:
    if interactive and not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=_TICK_SECONDS, persistent=True)


def watch() -> None:
    """Keeps the timer going while a job or the worker's start is under way."""
    _start_timer()


def _follow(face: bpy.types.Object) -> None:
    """After any change of the scene: expressions that now show a stale key, then the detail."""
    state = _states.get(face.d3dmm.uid)
    if state is not None and state.stale_keys:
        values = dict(zip(face_model().expression_names, expression_of(face), strict=True))
        shown = tuple(
            name for name in state.stale_keys if values[name] != 0.0 and name not in state.moved_keys
        )
        if shown:
            state.stale_keys = [name for name in state.stale_keys if name not in shown]
            face_mesh.write_keys(face, identity_of(face), shown)
    note_change(face)


def _reporting(handler):
    """A handler that shows a user's error in the Backend panel instead of failing on every event."""

    @wraps(handler)
    def guarded(*arguments):
        try:
            handler(*arguments)
        except UserError as error:
            backend.report_problem(error.message, error.remedy)

    return guarded


@persistent
@_reporting
def _before_depsgraph_update(_scene, _depsgraph=None):
    """What is written here is evaluated together with the change that is followed."""
    if not (_rendering or _suspended):
        for face in _known_faces():
            _follow(face)


@persistent
@_reporting
def _after_depsgraph_update(_scene, depsgraph):
    """Faces that are new here, and those that drivers moved during the evaluation."""
    if _rendering or _suspended:
        return
    for update in depsgraph.updates:
        if update.is_updated_geometry and isinstance(update.id, bpy.types.Object):
            face = update.id.original
            if is_face(face) and face_mesh.is_own(face):
                _follow(face)


@persistent
@_reporting
def _before_frame_change(scene, _depsgraph=None):
    """Keyed expressions, looked up before the frame is evaluated, so that one evaluation is enough."""
    if _suspended:
        return
    for face in _known_faces():
        if face.d3dmm.detail_source == "LIVE":
            inputs = live_detail.inputs_at(face, scene.frame_current_final)
            if _may_write(scene):
                note_change(face, inputs)
            elif face.name in scene.objects and _stands_still(face, inputs):
                backend.report_problem(*_STANDS_STILL)


@persistent
@_reporting
def _after_frame_change(scene, depsgraph):
    """What the frame came to: drivers and the NLA count too; what is written here is evaluated once more, in renders as well."""
    if not _suspended and _may_write(scene):
        for face in _known_faces():
            shown = face.data.get(live_detail.SHOWN)
            note_change(face, live_detail.evaluated_inputs(face, depsgraph))
            if face.data.get(live_detail.SHOWN) != shown:
                face.data.shape_keys.update_tag(
                    refresh={"TIME"}
                )  # else the second evaluation begins from the file's values


def _may_write(scene: bpy.types.Scene) -> bool:
    """Whether a frame's detail may be written now: a render beside an unlocked window would read it while the viewport does."""
    return not _rendering or bpy.app.background or scene.render.use_lock_interface


def _stands_still(face: bpy.types.Object, inputs: dict[str, np.ndarray]) -> bool:
    """Whether a render that may not be written to shows a live face with another frame's wrinkles."""
    settings = face.d3dmm
    seen = settings.live and settings.show_detail and not face.hide_render
    return seen and live_detail.digest_of(face, inputs) != face.data.get(live_detail.SHOWN)


@persistent
@_reporting
def _after_undo(*_):
    for face in _faces_of_file():
        identity = identity_of(face)
        state = _state(face)
        if face_mesh.has_our_topology(face) and face.d3dmm.keys_identity != identity_digest(identity):
            state.stale_keys, state.moved_keys = list(face_model().expression_names), []
            state.keys_due = time.monotonic() + _REST_SECONDS
            _start_timer()
        live_detail.forget_full(face)
        state.asked = ""
        note_change(face)


@persistent
@_reporting
def _after_load(*_):
    global _rendering
    _rendering = False
    _states.clear()
    for face in _faces_of_file():
        _state(face)


@persistent
@_reporting
def _before_save(*_):
    for face in _faces_of_file():
        finish_shapes(face)
        for image in detail_modifiers.face_images(face):
            if image.is_dirty or image.packed_file is None:
                image.pack()


@persistent
def _before_render(*_):
    global _rendering
    _rendering = True


@persistent
def _after_render(*_):
    global _rendering
    _rendering = False


def _known_faces() -> list[bpy.types.Object]:
    """The faces that have been seen; finding all would mean a walk over every object at every change."""
    return [face for face in map(find_face, list(_states)) if face is not None and face_mesh.is_own(face)]


def _faces_of_file() -> list[bpy.types.Object]:
    return [
        found
        for found in bpy.data.objects
        if found.type == "MESH" and is_face(found) and face_mesh.is_own(found)
    ]


_HANDLERS = (
    ("depsgraph_update_pre", _before_depsgraph_update),
    ("depsgraph_update_post", _after_depsgraph_update),
    ("frame_change_pre", _before_frame_change),
    ("frame_change_post", _after_frame_change),
    ("undo_post", _after_undo),
    ("redo_post", _after_undo),
    ("load_post", _after_load),
    ("save_pre", _before_save),
    ("render_init", _before_render),
    ("render_complete", _after_render),
    ("render_cancel", _after_render),
)


def register():
    """Starts listening."""
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)


def unregister():
    """Stops listening."""
    for name, handler in _HANDLERS:
        listeners = getattr(bpy.app.handlers, name)
        if handler in listeners:
            listeners.remove(handler)
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    _states.clear()
