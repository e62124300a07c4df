"""Scene and data: what a face is in Blender, how its mesh, detail, materials and animation are made and kept up to date."""

import bpy

_names: dict[str, str] = {}
"""Where each face was last found, by identifier."""


def register():
    """Registers preferences and properties, and starts listening to changes of the scene."""
    from . import properties, translations
    from .clips import settings as animation_settings
    from .detail import follow as live_update
    from .worker import preferences

    translations.register()
    preferences.register()
    properties.register()
    animation_settings.register()
    live_update.register()


def unregister():
    """Stops listening, ends the worker, removes the properties."""
    from . import properties, translations
    from .clips import settings as animation_settings
    from .detail import follow as live_update
    from .worker import jobs as backend
    from .worker import preferences

    live_update.unregister()
    backend.stop()
    animation_settings.unregister()
    properties.unregister()
    preferences.unregister()
    translations.unregister()


def active_face(context: bpy.types.Context) -> bpy.types.Object | None:
    """The face that buttons and sliders act on: the active object, if it is one."""
    face = context.active_object
    return face if face is not None and is_face(face) else None


def is_face(candidate: bpy.types.Object) -> bool:
    """Whether an object is a face of this extension with its shape keys."""
    return candidate.type == "MESH" and candidate.d3dmm.is_face and candidate.data.shape_keys is not None


def find_face(uid: str) -> bpy.types.Object | None:
    """The face with an identifier, or None when it has been deleted; the first, where linked duplicates share it."""
    named = bpy.data.objects.get(_names.get(uid, ""))
    if named is not None and named.type == "MESH" and named.d3dmm.uid == uid and is_face(named):
        return named
    found = next(
        (
            other
            for other in bpy.data.objects
            if other.type == "MESH" and other.d3dmm.uid == uid and is_face(other)
        ),
        None,
    )
    if found is None:
        _names.pop(uid, None)
    else:
        _names[uid] = found.name
    return found
