"""Draws the Detailed3DMM tab of the 3D viewport's sidebar; decides nothing."""

import bpy


def _classes():
    from . import (
        audio_panel,
        backend_panel,
        detail_panel,
        export_panel,
        expression_panel,
        eyes_panel,
        face_panel,
        hair_panel,
        identity_panel,
        own_characters_panel,
        photo_panel,
        preset_panel,
        skin_panel,
        transfer_panel,
        video_panel,
    )

    return (
        *face_panel.CLASSES,
        *photo_panel.CLASSES,
        *identity_panel.CLASSES,
        *skin_panel.CLASSES,
        *expression_panel.CLASSES,
        *eyes_panel.CLASSES,
        *detail_panel.CLASSES,
        *hair_panel.CLASSES,
        *audio_panel.CLASSES,
        *video_panel.CLASSES,
        *transfer_panel.CLASSES,
        *preset_panel.CLASSES,
        *export_panel.CLASSES,
        *own_characters_panel.CLASSES,
        *backend_panel.CLASSES,
    )


def register():
    """Adds every panel."""
    for cls in _classes():
        bpy.utils.register_class(cls)


def unregister():
    """Removes every panel."""
    from .skin_panel import forget_swatches

    for cls in reversed(_classes()):
        bpy.utils.unregister_class(cls)
    forget_swatches()
