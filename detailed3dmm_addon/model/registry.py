"""Finds the faces of a file: the active one, and one by its identifier."""

import bpy

_names: dict[str, str] = {}
"""Names of the objects at which faces were seen last, by identifier."""


def active_face(context: bpy.types.Context) -> bpy.types.Object | None:
    """Returns the face that buttons and sliders act on: the active object, if it is a face."""
    face = context.active_object
    return face if face is not None and is_face(face) else None


def is_face(candidate: bpy.types.Object) -> bool:
    """Returns True if an object is a face of this extension with its shape keys."""
    return candidate.type == "MESH" and candidate.d3dmm.is_face and candidate.data.shape_keys is not None


def find_face(uid: str) -> bpy.types.Object | None:
    """Returns the face with an identifier, or None if it was deleted; the first of linked duplicates."""
    named = bpy.data.objects.get(_names.get(uid, ""))
    if named is not None and named.type == "MESH" and named.d3dmm.uid == uid and is_face(named):
        return named
    for item in bpy.data.objects:
        if item.type == "MESH" and item.d3dmm.uid == uid and is_face(item):
            _names[uid] = item.name
            return item
    _names.pop(uid, None)
    return None
