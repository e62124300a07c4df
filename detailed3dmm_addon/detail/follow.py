"""Keeps mesh and detail up to date while sliders move: visible parts immediately, the rest from a timer.

The distilled detail is written before Blender evaluates a change (`handlers`), so one evaluation shows both.
The worker's full map follows from the timer once the face rests. Faces are kept by their identifier, never by
reference. In background mode there is no timer: `update_detail` does all of it at once.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import bpy

from ...ml_backend.errors import UserError
from ...ml_backend.process.client import Event
from ..face import mesh as face_mesh
from ..model.face_model import expression_of, face_model, identity_digest, identity_of, is_current
from ..model.registry import find_face, is_face
from ..nodes import detail_modifier
from ..worker import jobs
from . import live
from .inputs import DetailInputs, detail_inputs

_TICK_SECONDS = 0.015
_REST_SECONDS = 0.3
_WORK_SECONDS = 0.02


@dataclass
class PendingWork:
    """Work that is due for one face.

    Attributes:
        requested: name of the full map that was requested last.
        full_due: when to request the full map (seconds, monotonic), or None.
        stale_keys: expressions whose shape keys still belong to an older identity.
        moved_keys: those of them that were moved along with the rest shape, and so may show.
        keys_due: when to start rewriting them (seconds, monotonic).
    """

    requested: str = ""
    full_due: float | None = None
    stale_keys: list[str] = field(default_factory=list)
    moved_keys: list[str] = field(default_factory=list)
    keys_due: float = 0.0


@dataclass
class FollowState:
    """The state of following: which faces are followed, and whether changes are acted upon at the moment.

    Attributes:
        interactive: changes are followed through handlers and the timer, as in a window; False in background
            mode, where everything is done at once.
        is_suspended: property changes are not acted upon.
        is_rendering: a render is under way.
        faces: pending work by the face's identifier.
        drawn_status: the worker's status that the panels show.
    """

    interactive: bool = True
    is_suspended: bool = False
    is_rendering: bool = False
    faces: dict[str, PendingWork] = field(default_factory=dict)
    drawn_status: tuple = ()

    def pending(self, face: bpy.types.Object) -> PendingWork:
        """Returns the work that is due for a face; the face is followed from now on."""
        return self.faces.setdefault(face.d3dmm.uid, PendingWork())

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """While inside, property changes are not acted upon; the caller refreshes once afterwards."""
        before = self.is_suspended
        self.is_suspended = True
        try:
            yield
        finally:
            self.is_suspended = before

    @contextmanager
    def as_in_a_window(self) -> Iterator[None]:
        """While inside, changes are followed as in a window, also in background mode; ends the timer."""
        before = self.interactive
        self.interactive = True
        try:
            yield
        finally:
            self.interactive = before
            stop_timer()


STATE = FollowState(interactive=not bpy.app.background)


def suspended():
    """While inside, property changes are not acted upon; the caller refreshes once afterwards."""
    return STATE.suspended()


def identity_changed(face: bpy.types.Object) -> None:
    """Follows an identity slider: the visible shape immediately, other shape keys and the detail soon."""
    if STATE.is_suspended or not is_face(face) or not face_mesh.has_our_topology(face):
        return
    refresh_shape(face)
    follow_change(face)


def can_change_identity(face: bpy.types.Object) -> bool:
    """Returns True if the mesh still has the vertices that it was made with."""
    return face_mesh.has_our_topology(face)


def refresh_shape(face: bpy.types.Object) -> None:
    """Writes the visible part of a changed identity now and the rest from the timer.

    Background mode writes everything now.
    """
    identity = identity_of(face)
    if not STATE.interactive:
        face_mesh.write_all_keys(face, identity)
        return
    pending = STATE.pending(face)
    pending.moved_keys, others = face_mesh.move_rest_shape(face, identity)
    pending.stale_keys = pending.moved_keys + others
    _rewrite_keys_soon(pending)


def rewrite_stale_keys(face: bpy.types.Object) -> None:
    """Leaves all shape keys to the timer if they belong to another identity than the sliders show."""
    if not face_mesh.has_our_topology(face):
        return
    if face.d3dmm.keys_identity != identity_digest(identity_of(face)):
        pending = STATE.pending(face)
        pending.stale_keys = list(face_model().expression_names)
        pending.moved_keys = []
        _rewrite_keys_soon(pending)


def skin_changed(face: bpy.types.Object) -> None:
    """Follows a change that only the detail depends on."""
    if not STATE.is_suspended and is_face(face):
        follow_change(face)


def follow_change(face: bpy.types.Object, inputs: DetailInputs | None = None) -> None:
    """Shows the distilled detail of a face, and leaves the full map to the timer; cheap if nothing changed.

    Args:
        face: a face of this file; a duplicate that shares its identifier gets its own first.
        inputs: the inputs to show, or None for those that the sliders show.
    """
    if _shows_live_detail(face) and _owns_detail(face):
        _show_change(face, inputs or detail_inputs(face))


def follow_known_face(face: bpy.types.Object, inputs: DetailInputs | None = None) -> None:
    """Does the same as `follow_change` for a face that `find_face` returned, so it needs no look-up."""
    if _shows_live_detail(face):
        _show_change(face, inputs or detail_inputs(face))


def _shows_live_detail(face: bpy.types.Object) -> bool:
    settings = face.d3dmm
    is_live = settings.live and settings.show_detail and settings.detail_source == "LIVE"
    return is_live and is_current(face)


def _show_change(face: bpy.types.Object, inputs: DetailInputs) -> None:
    has_changed = live.show_at_once(face, inputs)
    pending = STATE.pending(face)
    if not STATE.interactive:
        return
    names = (pending.requested, live.shown_full(face))
    if has_changed or (pending.full_due is None and live.full_name(face, inputs) not in names):
        pending.full_due = time.monotonic() + _REST_SECONDS
        start_timer()


def _owns_detail(face: bpy.types.Object) -> bool:
    """Returns True if a face's own sliders make its detail.

    A duplicate gets an identifier, a skin and a fine image of its own. Linked duplicates share one mesh: the
    first of them makes its detail.
    """
    first = find_face(face.d3dmm.uid)
    if first is None or first == face:
        return True
    if first.data == face.data:
        return False
    face.d3dmm.uid = uuid.uuid4().hex
    detail_modifier.make_detail_single_user(face)
    return True


def update_detail(face: bpy.types.Object) -> tuple[float, float]:
    """Computes and shows a face's full detail now; the distilled model makes it where there is no backend.

    Returns:
        The least and the greatest displacement of the vertices, millimetres.

    Raises:
        UserError: the worker reports an error or cannot be started.
    """
    _owns_detail(face)
    inputs = detail_inputs(face)
    live.show_at_once(face, inputs)
    STATE.pending(face).full_due = None
    if jobs.missing_reason():
        live.show_fine_at_once(face, inputs)
    else:
        arrays = inputs.arrays() | live.latent_arrays(face)
        answer = jobs.ask("generate", {"resolution": int(face.d3dmm.resolution)}, arrays)
        live.show_full(face, inputs, answer.arrays["map"])
    return live.range_of(face)


def finish_shapes(face: bpy.types.Object) -> None:
    """Rewrites now every shape key that still belongs to an older identity."""
    if is_face(face) and face_mesh.has_our_topology(face):
        identity = identity_of(face)
        if face.d3dmm.keys_identity != identity_digest(identity):
            face_mesh.write_all_keys(face, identity)
        STATE.pending(face).stale_keys = []


def write_shown_keys(face: bpy.types.Object) -> None:
    """Rewrites now the stale expressions that a change of the scene made visible."""
    pending = STATE.faces.get(face.d3dmm.uid)
    if pending is None or not pending.stale_keys:
        return
    values = dict(zip(face_model().expression_names, expression_of(face), strict=True))
    shown = tuple(
        name for name in pending.stale_keys if values[name] != 0.0 and name not in pending.moved_keys
    )
    if shown:
        pending.stale_keys = [name for name in pending.stale_keys if name not in shown]
        face_mesh.write_keys(face, identity_of(face), shown)


def request_full_map(face: bpy.types.Object) -> None:
    """Requests the full map from the worker; without a worker, shows the distilled model's fine band."""
    inputs = detail_inputs(face)
    name = live.full_name(face, inputs)
    if live.shown_full(face) == name:
        return
    STATE.pending(face).requested = name
    if jobs.missing_reason() or jobs.state() == "failed":
        live.show_fine_at_once(face, inputs)
        return
    uid = face.d3dmm.uid
    parameters = {"resolution": int(face.d3dmm.resolution)}
    arrays = inputs.arrays() | live.latent_arrays(face)
    try:
        jobs.request("generate", parameters, arrays, partial(_show_full_map, uid, inputs), f"{uid} full")
    except UserError as error:
        jobs.report_problem(error.message, error.remedy)


def _show_full_map(uid: str, inputs: DetailInputs, event: Event) -> None:
    """Shows the worker's map, unless the sliders have moved on."""
    face = find_face(uid)
    if event.kind != "result" or face is None or not is_current(face):
        return
    if face.d3dmm.detail_source != "LIVE":
        return
    if detail_inputs(face).digest() == inputs.digest():
        live.show_full(face, inputs, event.arrays["map"])


def tick() -> float | None:
    """Runs one step of the timer: news of the worker, full maps that are due, stale shape keys.

    Returns:
        Seconds until the next step, or None when nothing is left to do.
    """
    jobs.pump()
    now = time.monotonic()
    is_busy = jobs.is_busy()
    for uid, pending in list(STATE.faces.items()):
        face = find_face(uid)
        if face is None:
            del STATE.faces[uid]
            continue
        if pending.full_due is not None:
            is_busy = True
            if now >= pending.full_due and not STATE.is_rendering:
                pending.full_due = None
                request_full_map(face)
        if pending.stale_keys:
            is_busy = True
            if now >= pending.keys_due and not STATE.is_rendering:
                _rewrite_some_keys(face, pending)
    _redraw_panels()
    return _TICK_SECONDS if is_busy else None


def _rewrite_keys_soon(pending: PendingWork) -> None:
    pending.keys_due = time.monotonic() + _REST_SECONDS
    start_timer()


def _rewrite_some_keys(face: bpy.types.Object, pending: PendingWork) -> None:
    identity = identity_of(face)
    limit = time.monotonic() + _WORK_SECONDS
    while pending.stale_keys and time.monotonic() < limit:
        names = pending.stale_keys[: face_mesh.KEYS_AT_ONCE]
        pending.stale_keys = pending.stale_keys[face_mesh.KEYS_AT_ONCE :]
        face_mesh.write_keys(face, identity, tuple(names))
    if not pending.stale_keys:
        face.d3dmm.keys_identity = identity_digest(identity)


def _redraw_panels() -> None:
    status = jobs.status()
    if status == STATE.drawn_status:
        return
    STATE.drawn_status = status
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def start_timer() -> None:
    """Starts the timer, if changes are followed and it is not running yet."""
    if STATE.interactive and not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=_TICK_SECONDS, persistent=True)


def stop_timer() -> None:
    """Ends the timer."""
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)


def watch() -> None:
    """Keeps the timer running while a job or the worker's start is under way."""
    start_timer()
