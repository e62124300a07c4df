"""Brings a face's detail up to date after a button has changed the face."""

import bpy

from ...ml_backend.errors import UserError
from ..model.face_model import is_current
from ..worker import jobs as backend
from . import follow as live_update


def refresh_detail(face: bpy.types.Object) -> UserError | None:
    """Brings a live face's detail up to date: in full at once without a window, from the timer in one.

    Args:
        face: a face; nothing is done where its detail is hidden, baked, not live, or of another face model.

    Returns:
        The error that left it without full detail, also kept for the Backend panel, or None.
    """
    settings = face.d3dmm
    if not (settings.show_detail and settings.live and settings.detail_source == "LIVE" and is_current(face)):
        return None
    try:
        if live_update.STATE.interactive:
            live_update.follow_change(face)
        else:
            live_update.update_detail(face)
    except UserError as error:
        backend.report_problem(error.message, error.remedy)
        return error
    return None
