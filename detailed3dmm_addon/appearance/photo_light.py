"""The light of a photo as a world and lamps that an artist edits.

A photo's light is known as nine harmonics of the normal: an even surround, and up to three directions. How
large a lamp was, such a light does not tell; ours are soft.
"""

import bpy
import numpy as np
from mathutils import Vector

from ...ml_backend.geometry.light_sources import light_sources
from ...ml_backend.geometry.spherical_harmonics import harmonics
from ..model.scene_units import units_per_metre
from .photo_tone import own_lights

LIGHT = "d3dmm_photo_light"
"""Name on the object: (27,) the light of the face's photo, 9 harmonics x 3 colours."""
COLLECTION = "Photo Light"
WORLD = "Photo World"
_DISTANCE = 1.5
_SIZE = 0.5
_LEVEL = 0.8
"""Shading of the face's front at an exposure of 0 stops."""
_FRONT = ((0.0, -1.0, 0.0), (0.5, -0.85, 0.15), (-0.5, -0.85, 0.15), (0.0, -0.8, 0.6), (0.0, -0.9, -0.4))


def stored_light(face: bpy.types.Object) -> np.ndarray | None:
    """Returns the light (9, 3) float32 of a face's photo, or None."""
    stored = face.get(LIGHT)
    return None if stored is None else np.array(stored, np.float32).reshape(9, 3)


def store_light(face: bpy.types.Object, light: np.ndarray) -> None:
    """Keeps the light (9, 3) of a face's photo on the object."""
    face[LIGHT] = np.asarray(light, float).ravel().tolist()


def build_photo_light(
    context: bpy.types.Context, face: bpy.types.Object, light: np.ndarray, exposure: float = 0.0
) -> bpy.types.Collection:
    """Puts a world and area lights into the scene that light a face as in its photo.

    Lights that an earlier call made are replaced; others stay, hidden neither nor changed.

    Args:
        context: its scene receives them.
        face: what they light; they stand around it and turn with it. A tone other than the fitted one
            scales them.
        light: (9, 3) harmonics, in the face's axes.
        exposure: stops that all of it is brighter.

    Returns:
        The collection of the lights.
    """
    level = float(np.clip(harmonics(_unit(_FRONT)) @ light, 0.05, None).mean())
    setup = light_sources(light * (_LEVEL / level) * 2.0**exposure)
    scene = context.scene
    collection = _own_collection(scene)
    metre = units_per_metre(scene)
    centre = Vector(np.array(face.bound_box).mean(0).tolist())
    turn = face.matrix_world.to_quaternion()
    for number, lamp in enumerate(setup.lamps, 1):
        strength = float(lamp.colour.max())
        data = bpy.data.lights.new(f"Photo Light {number}", "AREA")
        data.shape = "DISK"
        data.size = _SIZE * metre
        # Shading is P / (pi d)^2 for an area light of P watts that a matt surface faces from a distance d.
        data.energy = strength * (np.pi * _DISTANCE * metre) ** 2
        data.color = (lamp.colour / strength).tolist()
        item = bpy.data.objects.new(data.name, data)
        towards = turn @ Vector(lamp.direction.tolist())
        item.location = face.matrix_world @ centre + towards * _DISTANCE * metre
        item.rotation_euler = towards.to_track_quat("Z", "Y").to_euler()
        collection.objects.link(item)
    scene.world = _world(setup.surround)
    own_lights(face, collection, scene.world)
    return collection


def _own_collection(scene: bpy.types.Scene) -> bpy.types.Collection:
    """Returns the scene's collection of photo lights, emptied of them."""
    collection = scene.collection.children.get(COLLECTION)
    if collection is None:
        collection = bpy.data.collections.new(COLLECTION)
        scene.collection.children.link(collection)
    for item in list(collection.objects):
        if item.type == "LIGHT":
            bpy.data.lights.remove(item.data)  # its object goes with it
    return collection


def _world(colour: np.ndarray) -> bpy.types.World:
    world = bpy.data.worlds.new(WORLD)
    if world.node_tree is None:
        world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.bl_idname == "ShaderNodeBackground")
    background.inputs["Color"].default_value = (*(float(part) for part in colour), 1.0)
    background.inputs["Strength"].default_value = 1.0
    return world


def _unit(vectors: tuple) -> np.ndarray:
    rows = np.array(vectors, np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
