"""Builds a portrait studio around a face: 85 mm camera, key, fill and rim lights, a grey backdrop.

The lights look the same in Cycles and in EEVEE, which ignores their spread.
"""

import bpy
import numpy as np
from mathutils import Vector

from ..model.registry import is_face
from ..model.scene_units import units_per_metre
from ..nodes.materials import new_material, principled_shader

COLLECTION_NAME = "Portrait Studio"
_SHOWN = 0.9
"""Share of the face's height that the frame shows."""
_HEADROOM = 0.05
"""Share of the face's height that is left free above it."""
_STEP_ASIDE = 0.3
"""Metres between faces that are created at the same place."""
_LIGHTS = (
    ("Key", (-0.72, -0.50, 0.85), 0.22, 39.0, (1.0, 0.95, 0.89)),
    ("Fill", (0.45, -1.15, -0.12), 0.6, 7.8, (0.88, 0.94, 1.0)),
    ("Rim", (0.6, 0.7, 0.5), 0.35, 42.0, (1.0, 0.98, 0.95)),
)


def free_place(scene: bpy.types.Scene, face: bpy.types.Object) -> Vector:
    """Returns the place of a new face: the 3D cursor, or beside the faces that stand there.

    It is in the scene's units.
    """
    others = [
        item.matrix_world.translation
        for item in scene.objects
        if item != face and item.type == "MESH" and is_face(item)
    ]
    place = scene.cursor.location.copy()
    step = _STEP_ASIDE * units_per_metre(scene)
    nearest = step * (1 - 1e-4)  # places are rounded
    while any((other - place).length < nearest for other in others):
        place.x += step
    return place


def build_studio(context: bpy.types.Context, face: bpy.types.Object) -> None:
    """Puts camera, lights and backdrop around a face; the scene uses the camera.

    Args:
        context: its scene receives a collection for the studio.
        face: the camera looks at it; its bounding box sets the frame.
    """
    studio = bpy.data.collections.new(COLLECTION_NAME)
    context.scene.collection.children.link(studio)
    centre, height = _face_centre(face)
    metre = units_per_metre(context.scene)
    camera = bpy.data.objects.new("Portrait Camera", bpy.data.cameras.new("Portrait Camera"))
    camera.data.sensor_fit = "VERTICAL"
    camera.data.lens = 85.0
    camera.data.sensor_height = 36.0
    camera.data.clip_start = 0.01 * metre
    camera.data.clip_end *= metre
    camera.data.display_size *= metre
    distance = height * _SHOWN * 85.0 / 36.0
    camera.location = centre + Vector((-0.10 * distance, -distance, 0.01 * metre))
    _aim(camera, centre)
    studio.objects.link(camera)
    context.scene.camera = camera
    for name, offset, size, watts, colour in _LIGHTS:
        light = bpy.data.lights.new(f"{name} Light", "AREA")
        light.energy = watts * metre**2  # as bright at this distance
        light.size = size * metre
        light.color = colour
        lamp = bpy.data.objects.new(light.name, light)
        lamp.location = centre + Vector(offset) * metre
        _aim(lamp, centre)
        studio.objects.link(lamp)
    studio.objects.link(_make_backdrop(centre, metre))
    _make_world(context.scene)


def _face_centre(face: bpy.types.Object) -> tuple[Vector, float]:
    corners = np.array([face.matrix_world @ Vector(corner) for corner in face.bound_box])
    low, high = corners.min(0), corners.max(0)
    height = float(high[2] - low[2])
    return Vector(
        ((low[0] + high[0]) / 2, float(low[1]), float(high[2]) + (_HEADROOM - _SHOWN / 2) * height)
    ), height


def _aim(item: bpy.types.Object, target: Vector) -> None:
    item.rotation_euler = (target - item.location).to_track_quat("-Z", "Y").to_euler()


def _make_backdrop(centre: Vector, metre: float) -> bpy.types.Object:
    mesh = bpy.data.meshes.new("Backdrop")
    side = 5.0 * metre
    behind = 2.2 * metre
    mesh.from_pydata(
        [(-side, 0, -side), (side, 0, -side), (side, 0, side), (-side, 0, side)], [], [(0, 1, 2, 3)]
    )
    material = new_material("Backdrop")
    shader = principled_shader(material)
    shader.inputs["Base Color"].default_value = (0.08, 0.083, 0.09, 1.0)
    shader.inputs["Roughness"].default_value = 0.9
    mesh.materials.append(material)
    backdrop = bpy.data.objects.new("Backdrop", mesh)
    backdrop.location = centre + Vector((0.0, behind, 0.0))
    return backdrop


def _make_world(scene: bpy.types.Scene) -> None:
    world = bpy.data.worlds.new("Portrait World")
    if world.node_tree is None:
        world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.bl_idname == "ShaderNodeBackground")
    background.inputs["Color"].default_value = (0.05, 0.053, 0.06, 1.0)
    background.inputs["Strength"].default_value = 1.0
    scene.world = world
