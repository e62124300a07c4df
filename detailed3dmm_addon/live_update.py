"""Keeps mesh and detail up to date while sliders move: what is seen at once, the rest from a timer.

Handlers only compare a face's state with the one last asked for; the worker does the work. Faces are kept by their
identifier, never by reference. In background mode nothing happens by itself: `update_detail` is called instead.
"""

import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ..ml_backend.client import Event
from ..ml_backend.errors import UserError
from . import backend, detail_maps, detail_modifiers, face_mesh, find_face, is_face
from .face_model import expression_of, face_model, identity_digest, identity_of, skin_of

_TICK_SECONDS = 0.015
_REST_SECONDS = 0.3
_WORK_SECONDS = 0.02
_KEYS_AT_ONCE = 4


@dataclass
class FaceState:
    """What was last asked for on behalf of one face.

    Attributes:
        asked: signature of identity, skin and expression that the coarse map was asked for.
        full_due: when to ask for the full map (seconds, monotonic), or None.
        stale_keys: expressions whose shape keys are still of an older identity.
        moved_keys: those of them that were moved along with the rest shape, and so may show.
        keys_due: when to start rewriting them.
    """

    asked: bytes = b""
    full_due: float | None = None
    stale_keys: list[str] = field(default_factory=list)
    moved_keys: list[str] = field(default_factory=list)
    keys_due: float = 0.0


_states: dict[str, FaceState] = {}
_suspended = False
_rendering = False
_drawn: tuple = ()
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


def note_change(face: bpy.types.Object) -> None:
    """Asks for new detail if the face is not what was last asked for; cheap when it is."""
    settings = face.d3dmm
    if not interactive or not (settings.live and settings.show_detail) or settings.detail_source != "LIVE":
        return
    ask_for_detail(face)


def ask_for_detail(face: bpy.types.Object) -> bool:
    """Asks the worker for the coarse map now and for the full one once the face rests.

    Returns:
        Whether anything was asked.
    """
    _separate_from_original(face)
    state, arrays = _state(face), _detail_inputs(face)
    signature = b"".join(array.tobytes() for array in arrays.values()) + face.d3dmm.resolution.encode()
    if signature == state.asked:
        return False
    state.asked = signature
    if not _request_map(face, arrays, detail_maps.COARSE_RESOLUTION):
        return False
    state.full_due = time.monotonic() + _REST_SECONDS
    _start_timer()
    return True


def _separate_from_original(face: bpy.types.Object) -> None:
    """A duplicate carries its original's identifier and maps: it gets its own; linked duplicates share all of it."""
    uid, mesh = face.d3dmm.uid, face.data
    if any(other != face and other.type == "MESH" and other.d3dmm.uid == uid and other.data != mesh for other in bpy.data.objects):
        face.d3dmm.uid = uuid.uuid4().hex
        detail_modifiers.make_detail_single_user(face)


def update_detail(face: bpy.types.Object) -> tuple[float, float]:
    """Computes and shows a face's detail now, waiting for the worker.

    Returns:
        The least and the greatest displacement, millimetres.

    Raises:
        UserError: the worker reports an error or cannot be started.
    """
    _separate_from_original(face)
    arrays = _detail_inputs(face)
    coarse = backend.ask("generate", {"resolution": detail_maps.COARSE_RESOLUTION}, arrays).arrays["map"]
    resolution = int(face.d3dmm.resolution)
    full = backend.ask("generate", {"resolution": resolution}, arrays).arrays["map"] if resolution > len(coarse) else coarse
    show_coarse(face, coarse)
    show_full(face, full)
    state = _state(face)
    state.asked = b"".join(array.tobytes() for array in arrays.values()) + face.d3dmm.resolution.encode()
    state.full_due = None
    return float(full.min()), float(full.max())


def show_coarse(face: bpy.types.Object, values: np.ndarray) -> None:
    """Displaces a face by a map (R, R), millimetres."""
    image = detail_modifiers.coarse_image(face)
    if image is not None:
        detail_maps.write_map(image, values)
        face.update_tag()


def show_full(face: bpy.types.Object, values: np.ndarray) -> None:
    """Shades a face by what a full map (R, R), millimetres, has beyond the coarse one shown."""
    image, coarse = detail_modifiers.fine_image(face), detail_modifiers.coarse_image(face)
    if image is not None and coarse is not None:
        detail_maps.write_map(image, detail_maps.fine_residual(values, detail_maps.read_map(coarse)))


def finish_shapes(face: bpy.types.Object) -> None:
    """Rewrites at once every shape key that is still of an older identity."""
    if is_face(face) and face_mesh.has_our_topology(face):
        identity = identity_of(face)
        if face.d3dmm.keys_identity != identity_digest(identity):
            face_mesh.write_all_keys(face, identity)
        _state(face).stale_keys = []


def _detail_inputs(face: bpy.types.Object) -> dict[str, np.ndarray]:
    return {"identity": identity_of(face), "skin": skin_of(face), "expression": expression_of(face)}


def _state(face: bpy.types.Object) -> FaceState:
    return _states.setdefault(face.d3dmm.uid, FaceState())


def _request_map(face: bpy.types.Object, arrays: dict[str, np.ndarray], resolution: int) -> bool:
    uid = face.d3dmm.uid
    if backend.missing_reason() or backend.state() == "failed":
        backend.report_problem(
            backend.missing_reason() or backend.problem.message, "The sliders move the face; its detail needs the backend."
        )
        return False
    try:
        kind = "coarse" if resolution == detail_maps.COARSE_RESOLUTION else "full"
        backend.request("generate", {"resolution": resolution}, arrays, partial(_take_map, uid, kind), f"{uid} {kind}")
    except UserError as error:
        backend.report_problem(error.message, error.remedy)
        return False
    return True


def _take_map(uid: str, kind: str, event: Event) -> None:
    face = find_face(uid)
    if event.kind != "result" or face is None or face.d3dmm.detail_source != "LIVE":
        return
    (show_coarse if kind == "coarse" else show_full)(face, event.arrays["map"])


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
                if int(face.d3dmm.resolution) > detail_maps.COARSE_RESOLUTION:
                    _request_map(face, _detail_inputs(face), int(face.d3dmm.resolution))
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
        shown = tuple(name for name in state.stale_keys if values[name] != 0.0 and name not in state.moved_keys)
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
def _after_depsgraph_update(_scene, depsgraph):
    if _rendering or _suspended or not interactive:
        return
    for update in depsgraph.updates:
        if update.is_updated_geometry and isinstance(update.id, bpy.types.Object):
            face = update.id.original
            if is_face(face) and face.library is None:
                _follow(face)


@persistent
@_reporting
def _after_frame_change(scene, _depsgraph):
    if _rendering or not interactive:
        return
    for face in scene.objects:
        if face.type == "MESH" and is_face(face) and face.library is None:
            note_change(face)


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
        note_change(face)


@persistent
@_reporting
def _after_load(*_):
    global _rendering
    _rendering = False
    _states.clear()
    for face in _faces_of_file():
        state = _state(face)
        state.asked = b"".join(array.tobytes() for array in _detail_inputs(face).values()) + face.d3dmm.resolution.encode()


@persistent
@_reporting
def _before_save(*_):
    for face in _faces_of_file():
        finish_shapes(face)
        for image in (detail_modifiers.coarse_image(face), detail_modifiers.fine_image(face)):
            if image is not None and (image.is_dirty or image.packed_file is None):
                image.pack()


@persistent
def _before_render(*_):
    global _rendering
    _rendering = True


@persistent
def _after_render(*_):
    global _rendering
    _rendering = False


def _faces_of_file() -> list[bpy.types.Object]:
    return [found for found in bpy.data.objects if found.type == "MESH" and is_face(found) and found.library is None]


_HANDLERS = (
    ("depsgraph_update_post", _after_depsgraph_update),
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
