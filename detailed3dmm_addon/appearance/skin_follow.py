"""Keeps the skin's image up to date: a draft while sliders move, the full image from a timer, every key.

Faces are kept by their identifier, images by their name, never by reference. In background mode there is no
timer: every change paints the full image.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import bpy
from bpy.app.handlers import persistent

from ...ml_backend.errors import UserError
from ...ml_backend.models.skin.live_skin import SkinLook
from ..face import mesh as face_mesh
from ..model.registry import find_face, is_face
from ..nodes.detail_modifier import make_detail_single_user
from ..nodes.materials import first_material
from ..worker import jobs
from . import eyes, skin_colour
from .photo_tone import FITTED_TONE, scale_lights, show_change
from .skin_colour import DRAFT, colour_image, is_painted, look_of

_REST_SECONDS = 0.3
_TICK_SECONDS = 0.05


@dataclass
class SkinState:
    """The state of following.

    Attributes:
        interactive: a timer paints the full image, as in a window.
        is_suspended: property changes are not acted upon.
        is_rendering: a render is under way.
        shown: the look and the size that an image shows, by the image's name.
        due: when to paint the full image (seconds, monotonic), by the face's identifier.
    """

    interactive: bool = True
    is_suspended: bool = False
    is_rendering: bool = False
    shown: dict[str, tuple[SkinLook, int]] = field(default_factory=dict)
    due: dict[str, float] = field(default_factory=dict)

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


STATE = SkinState(interactive=not bpy.app.background)


@contextmanager
def suspended() -> Iterator[None]:
    """While inside, changes are not acted upon; the caller calls `changed` once afterwards."""
    before = STATE.is_suspended
    STATE.is_suspended = True
    try:
        yield
    finally:
        STATE.is_suspended = before


def changed(face: bpy.types.Object) -> None:
    """Follows a change of a face's skin: the draft now, the full image soon; in background mode all of it."""
    if STATE.is_suspended or not is_face(face) or not face_mesh.is_own(face):
        return
    skin_colour.show_share(face)
    eyes.suit_skin(face)
    try:
        if FITTED_TONE in face:
            _own_material(face)
            show_change(face)
            scale_lights(face)
        if not is_painted(face):
            return
        _own_material(face)
        _follow(face, look_of(face))
    except UserError as error:
        jobs.report_problem(error.message, error.remedy)


def _follow(face: bpy.types.Object, look: SkinLook) -> None:
    full = int(face.d3dmm.skin.size)
    if not STATE.interactive:
        _show(face, look, full)
        return
    if _shown(face) not in ((look, full), (look, DRAFT)):
        _show(face, look, DRAFT)
    if _shown(face) != (look, full):
        STATE.due[face.d3dmm.uid] = time.monotonic() + _REST_SECONDS
        start_timer()


def finish(face: bpy.types.Object) -> None:
    """Paints the full image of a face now, if it shows a draft or something else.

    Raises:
        UserError: a file of the model of skin colour is missing or broken.
    """
    STATE.due.pop(face.d3dmm.uid, None)
    if is_painted(face):
        _show(face, look_of(face), int(face.d3dmm.skin.size))


def _shown(face: bpy.types.Object) -> tuple[SkinLook, int] | None:
    image = colour_image(face)
    return STATE.shown.get(image.name) if image is not None else None


def _show(face: bpy.types.Object, look: SkinLook, resolution: int) -> None:
    if _shown(face) == (look, resolution):
        return
    skin_colour.show_look(face, look, resolution)
    image = colour_image(face)
    if image is not None:
        STATE.shown[image.name] = (look, resolution)


def _own_material(face: bpy.types.Object) -> None:
    """Gives a duplicate a skin of its own when it is changed: it must not recolour its original."""
    material = first_material(face)
    if material is None or material.users < 2:
        return
    others = (item for item in bpy.data.objects if item.type == "MESH" and item.data != face.data)
    if any(is_face(item) and first_material(item) == material for item in others):
        make_detail_single_user(face)


def tick() -> float | None:
    """Runs one step of the timer: full images that are due.

    Returns:
        Seconds until the next step, or None when nothing is left to do.
    """
    now = time.monotonic()
    for uid, moment in list(STATE.due.items()):
        face = find_face(uid)
        if face is None or not is_painted(face):
            del STATE.due[uid]
        elif now >= moment and not STATE.is_rendering:
            try:
                finish(face)
            except UserError as error:
                jobs.report_problem(error.message, error.remedy)
    return _TICK_SECONDS if STATE.due else None


def start_timer() -> None:
    """Starts the timer, if changes are followed and it is not running yet."""
    if STATE.interactive and not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=_TICK_SECONDS, persistent=True)


def stop_timer() -> None:
    """Ends the timer."""
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)


def _painted_faces() -> list[bpy.types.Object]:
    """Returns the faces of the file whose skin is painted, one for each mesh."""
    found: dict[str, bpy.types.Object] = {}
    for item in bpy.data.objects:
        if item.type == "MESH" and is_face(item) and face_mesh.is_own(item) and is_painted(item):
            found.setdefault(item.data.name, item)
    return list(found.values())


@persistent
def _after_frame_change(scene, depsgraph):
    """Paints keyed and driven skin of the evaluated frame."""
    if STATE.is_suspended or (
        STATE.is_rendering and STATE.interactive and not scene.render.use_lock_interface
    ):
        return
    for face in _painted_faces():
        look = look_of(face.evaluated_get(depsgraph))
        shown = _shown(face)
        if shown is None or shown[0] != look:
            try:
                if STATE.is_rendering or not STATE.interactive:
                    _show(face, look, int(face.d3dmm.skin.size))
                else:
                    _follow(face, look)
            except UserError as error:
                jobs.report_problem(error.message, error.remedy)


@persistent
def _after_undo(*_):
    """Paints every face anew: undo does not reach into images."""
    STATE.shown.clear()
    for face in _painted_faces():
        changed(face)


@persistent
def _after_load(*_):
    """Notes what the images of the loaded file show."""
    STATE.is_rendering = False
    STATE.due.clear()
    STATE.shown.clear()
    for face in _painted_faces():
        image = colour_image(face)
        if image is not None:
            STATE.shown[image.name] = (look_of(face), image.size[0])


@persistent
def _before_save(*_):
    """Finishes drafts, and packs the images."""
    for face in _painted_faces():
        try:
            if face.d3dmm.uid in STATE.due:
                finish(face)
        except UserError as error:
            jobs.report_problem(error.message, error.remedy)
        image = colour_image(face)
        if image is not None and (image.is_dirty or image.packed_file is None):
            image.pack()


@persistent
def _before_render(*_):
    """Finishes drafts, and notes that a render is under way."""
    for face in _painted_faces():
        if face.d3dmm.uid in STATE.due:
            try:
                finish(face)
            except UserError as error:
                jobs.report_problem(error.message, error.remedy)
    STATE.is_rendering = True


@persistent
def _after_render(*_):
    """Notes that the render has ended."""
    STATE.is_rendering = False


_HANDLERS = (
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
    """Adds the handlers."""
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)


def unregister():
    """Removes the handlers, ends the timer and forgets all pending work."""
    for name, handler in _HANDLERS:
        listeners = getattr(bpy.app.handlers, name)
        if handler in listeners:
            listeners.remove(handler)
    stop_timer()
    STATE.due.clear()
    STATE.shown.clear()
