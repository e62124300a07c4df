"""Converts between metres and the units of a scene."""

import bpy


def units_per_metre(scene: bpy.types.Scene) -> float:
    """Returns the length of a metre in a scene's units: 100 in a scene in centimetres.

    A scene without a unit system counts in metres, as Blender's exporters take it.
    """
    settings = scene.unit_settings
    return 1.0 if settings.system == "NONE" else 1.0 / settings.scale_length
