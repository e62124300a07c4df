"""Detailed3DMM for Blender: faces whose skin wrinkles with identity, expression and speech.

Registers the scene side, the operators and the panels, in the order in which they know each other.
"""


def register():
    """Makes properties, operators and panels known to Blender."""
    from . import detailed3dmm_addon, operators, panels

    detailed3dmm_addon.register()
    operators.register()
    panels.register()


def unregister():
    """Takes everything back, the worker process included."""
    from . import detailed3dmm_addon, operators, panels

    panels.unregister()
    operators.unregister()
    detailed3dmm_addon.unregister()
