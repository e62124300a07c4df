"""Checks that a datablock's animation can be written, before anything in the scene is touched."""

import bpy

from ...ml_backend.errors import UserError


def check_animatable(*owners: bpy.types.ID | None) -> None:
    """Raises UserError unless actions and NLA tracks of all datablocks can be written.

    Args:
        owners: objects or shape keys; None is passed over.

    Raises:
        UserError: a datablock is linked, or its NLA is in tweak mode.
    """
    for owner in owners:
        if owner is None:
            continue
        if owner.library:
            raise UserError(
                f"{owner.name}: linked from another file.", "Make it local, or choose another head object."
            )
        data = owner.animation_data
        if data is not None and data.use_tweak_mode:
            raise UserError(
                f"{owner.name}: a strip of its NLA is being tweaked.",
                "Leave tweak mode first: press Tab in the Nonlinear Animation editor.",
            )
