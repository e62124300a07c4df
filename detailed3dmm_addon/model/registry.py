"""The faces of a file: which objects are faces, and how one is found by its identifier."""

import bpy

_names: dict[str, str] = {}
"""Where each face was last found, by identifier."""


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
