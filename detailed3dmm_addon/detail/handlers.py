"""The handlers by which faces follow changes of the scene, frames, undo, loading, saving and renders."""

from functools import wraps

import bpy
from bpy.app.handlers import persistent

from ...ml_backend.errors import UserError
from ..face import mesh as face_mesh
from ..model.face_model import is_current
from ..model.registry import find_face, is_face
from ..nodes import detail_modifier
from ..worker import jobs
from . import follow, live
from .follow import STATE
from .inputs import DetailInputs, evaluated_inputs, inputs_at

_STANDS_STILL = (
    "Live wrinkles stood still in this render.",
    "Choose Render > Lock Interface and render again, or press Bake Detail for Action.",
)


def _reporting(handler):
    """Returns a handler that shows a user's error in the Backend panel instead of failing at every event."""

    @wraps(handler)
    def guarded(*arguments):
        try:
            handler(*arguments)
        except UserError as error:
            jobs.report_problem(error.message, error.remedy)

    return guarded


@persistent
@_reporting
def _before_depsgraph_update(_scene, _depsgraph=None):
    """Writes the detail before the change is evaluated, so that one evaluation shows both."""
    if STATE.is_rendering or STATE.is_suspended:
        return
    for face in _known_faces():
        follow.write_shown_keys(face)
        follow.follow_known_face(face)


@persistent
@_reporting
def _after_depsgraph_update(_scene, depsgraph):
    """Follows faces that are new here, and those that drivers moved during the evaluation."""
    if STATE.is_rendering or STATE.is_suspended:
        return
    for update in depsgraph.updates:
        if update.is_updated_geometry and isinstance(update.id, bpy.types.Object):
            face = update.id.original
            if is_face(face) and face_mesh.is_own(face):
                follow.write_shown_keys(face)
                follow.follow_change(face)


@persistent
@_reporting
def _before_frame_change(scene, _depsgraph=None):
    """Shows the detail of keyed expressions before the frame is evaluated: one evaluation is enough."""
    if STATE.is_suspended:
        return
    for face in _known_faces():
        if face.d3dmm.detail_source == "LIVE":
            inputs = inputs_at(face, scene.frame_current_final)
            if _may_write(scene):
                follow.follow_known_face(face, inputs)
            elif face.name in scene.objects and _stands_still(face, inputs):
                jobs.report_problem(*_STANDS_STILL)


@persistent
@_reporting
def _after_frame_change(scene, depsgraph):
    """Shows the detail of the evaluated frame, drivers and the NLA included.

    What it writes is evaluated once more, in renders as well.
    """
    if STATE.is_suspended or not _may_write(scene):
        return
    for face in _known_faces():
        before = face.data.get(live.SHOWN)
        follow.follow_known_face(face, evaluated_inputs(face, depsgraph))
        if face.data.get(live.SHOWN) != before:
            # Without TIME the second evaluation begins from the values in the file.
            face.data.shape_keys.update_tag(refresh={"TIME"})


def _may_write(scene: bpy.types.Scene) -> bool:
    """Returns True if a frame's detail may be written now.

    A render beside an unlocked window reads the mesh while the viewport writes it.
    """
    return not (STATE.is_rendering and STATE.interactive) or scene.render.use_lock_interface


def _stands_still(face: bpy.types.Object, inputs: DetailInputs) -> bool:
    """Returns True if a render that may not be written to shows a face with another frame's wrinkles."""
    settings = face.d3dmm
    is_seen = settings.live and settings.show_detail and not face.hide_render
    return is_seen and inputs.digest() != face.data.get(live.SHOWN)


@persistent
@_reporting
def _after_undo(*_):
    """Brings every face up to date: undo does not reach into images."""
    for face in filter(is_current, _faces_of_file()):
        follow.rewrite_stale_keys(face)
        live.forget_full(face)
        STATE.pending(face).requested = ""
        follow.follow_change(face)


@persistent
@_reporting
def _after_load(*_):
    """Follows the faces of the loaded file."""
    STATE.is_rendering = False
    STATE.faces.clear()
    for face in _faces_of_file():
        STATE.pending(face)


@persistent
@_reporting
def _before_save(*_):
    """Finishes shape keys and packs the images of the detail."""
    for face in _faces_of_file():
        follow.finish_shapes(face)
        for image in detail_modifier.face_images(face):
            if image.is_dirty or image.packed_file is None:
                image.pack()


@persistent
def _before_render(*_):
    """Notes that a render is under way."""
    STATE.is_rendering = True


@persistent
def _after_render(*_):
    """Notes that the render has ended."""
    STATE.is_rendering = False


def _known_faces() -> list[bpy.types.Object]:
    """Returns the faces that are followed; a search for all would visit every object at every change.

    A face of another model keeps the detail that it was saved with.
    """
    faces = (find_face(uid) for uid in list(STATE.faces))
    return [face for face in faces if face is not None and face_mesh.is_own(face) and is_current(face)]


def _faces_of_file() -> list[bpy.types.Object]:
    """Returns all faces of the file that may be written to."""
    return [
        item for item in bpy.data.objects if item.type == "MESH" and is_face(item) and face_mesh.is_own(item)
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
    """Adds the handlers."""
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)


def unregister():
    """Removes the handlers, ends the timer and forgets all pending work."""
    for name, handler in _HANDLERS:
        listeners = getattr(bpy.app.handlers, name)
        if handler in listeners:
            listeners.remove(handler)
    follow.stop_timer()
    STATE.faces.clear()
