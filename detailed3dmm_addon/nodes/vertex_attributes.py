"""Reads and writes the vertex attributes, shape keys and texture coordinates of meshes as arrays."""

import bpy
import numpy as np

_FIELDS = {"FLOAT": ("value", 1), "FLOAT_VECTOR": ("vector", 3)}
_KINDS = {"i": ("INT", np.int32), "b": ("BOOLEAN", np.bool_)}


def read_attribute(mesh: bpy.types.Mesh, name: str) -> np.ndarray | None:
    """Returns a vertex attribute: (N,) float32 of floats, (N, 3) of vectors, None if it is not there.

    Raises:
        KeyError: the attribute holds neither floats nor vectors.
    """
    attribute = mesh.attributes.get(name)
    if attribute is None:
        return None
    field, width = _FIELDS[attribute.data_type]
    values = np.empty(len(attribute.data) * width, np.float32)
    attribute.data.foreach_get(field, values)
    return values if width == 1 else values.reshape(-1, width)


def write_attribute(mesh: bpy.types.Mesh, name: str, values: np.ndarray) -> None:
    """Writes a vertex attribute, a new one if need be.

    Args:
        mesh: of N vertices.
        name: of the attribute.
        values: (N,) for floats, whole numbers or truth, by their type; (N, 3) for vectors.
    """
    kind, number = _KINDS.get(np.asarray(values).dtype.kind, ("FLOAT", np.float32))
    if np.ndim(values) == 2:
        kind, number = "FLOAT_VECTOR", np.float32
    attribute = mesh.attributes.get(name) or mesh.attributes.new(name, kind, "POINT")
    field = "vector" if kind == "FLOAT_VECTOR" else "value"
    attribute.data.foreach_set(field, np.ascontiguousarray(values, number).ravel())


def remove_attributes(mesh: bpy.types.Mesh, prefix: str) -> None:
    """Removes every attribute whose name begins with a prefix."""
    names = [attribute.name for attribute in mesh.attributes if attribute.name.startswith(prefix)]
    for name in names:
        mesh.attributes.remove(mesh.attributes[name])


def read_positions(mesh: bpy.types.Mesh) -> np.ndarray:
    """Returns (N, 3) float32: the positions of a mesh's vertices in its own space."""
    positions = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", positions.ravel())
    return positions


def write_positions(mesh: bpy.types.Mesh, positions: np.ndarray) -> None:
    """Writes positions (N, 3) to a mesh's vertices; the caller updates the mesh."""
    mesh.attributes["position"].data.foreach_set(
        "vector", np.ascontiguousarray(positions, np.float32).ravel()
    )


def read_shape(key: bpy.types.ShapeKey) -> np.ndarray:
    """Returns (N, 3) float32: the positions of a shape key."""
    positions = np.empty((len(key.points), 3), np.float32)
    key.points.foreach_get("co", positions.ravel())
    return positions


def write_shape(key: bpy.types.ShapeKey, positions: np.ndarray) -> None:
    """Writes positions (N, 3) to a shape key."""
    key.points.foreach_set("co", np.ascontiguousarray(positions, np.float32).ravel())


def read_corner_uv(layer: bpy.types.MeshUVLoopLayer) -> np.ndarray:
    """Returns (L, 2) float32: a layer's texture coordinates by corner of the mesh."""
    uv = np.empty((len(layer.uv), 2), np.float32)
    layer.uv.foreach_get("vector", uv.ravel())
    return uv
