"""A light mesh with ARKit's shape keys: another program's head, as far as clips see it."""

import bpy


def arkit_mesh(names) -> bpy.types.Object:
    """Returns a triangle, active, whose shape keys have some names and raise it by their number."""
    mesh = bpy.data.meshes.new("Other")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    other = bpy.data.objects.new("Other", mesh)
    bpy.context.collection.objects.link(other)
    other.shape_key_add(name="Basis")
    for number, name in enumerate(names):
        key = other.shape_key_add(name=name)
        key.data[0].co.z = 0.01 * (number + 1)
        key.value = 0.0
    bpy.context.view_layer.objects.active = other
    return other
