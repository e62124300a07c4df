"""What answers a click: checks, calls the scene side, reports, leaves one undo step."""

import bpy


def _classes():
    from . import animate_from_audio, change_face, control_backend, create_face, install_backend, set_expression, update_detail

    return (
        *create_face.CLASSES,
        *change_face.CLASSES,
        *set_expression.CLASSES,
        *update_detail.CLASSES,
        *animate_from_audio.CLASSES,
        *control_backend.CLASSES,
        *install_backend.CLASSES,
    )


def register():
    """Adds every operator."""
    for cls in _classes():
        bpy.utils.register_class(cls)


def unregister():
    """Removes every operator."""
    for cls in reversed(_classes()):
        bpy.utils.unregister_class(cls)
