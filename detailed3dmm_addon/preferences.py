"""The add-on's preferences: which Python runs the backend."""

import bpy
from bpy.props import StringProperty

ROOT_PACKAGE = __package__.rpartition(".")[0]


class D3DMM_AP_preferences(bpy.types.AddonPreferences):
    """Where the backend's Python is."""

    bl_idname = ROOT_PACKAGE

    interpreter: StringProperty(
        name="Python with PyTorch",
        description="A Python 3.11 or newer that has torch; empty: the managed environment, else Blender's own Python if it has torch",
        subtype="FILE_PATH",
    )

    def draw(self, context):
        """Draws the interpreter, what is used in effect, and the install button."""
        from . import backend, environment

        layout = self.layout
        layout.prop(self, "interpreter")
        found = backend.find_interpreter()
        layout.label(text=f"In use: {found}" if found else "No Python with PyTorch found", icon="CHECKMARK" if found else "ERROR")
        row = layout.row()
        row.operator("d3dmm.install_backend", icon="IMPORT")
        installation = environment.running_installation()
        if installation is not None:
            row.label(text=installation.message)
            row.operator("d3dmm.cancel_job", text="Cancel", icon="CANCEL")
        elif not getattr(bpy.app, "online_access", True):
            layout.label(text="Install Backend needs online access: System, Network, Allow Online Access", icon="INFO")


def preferences() -> "D3DMM_AP_preferences | None":
    """The preferences, or None while the add-on is not enabled through Blender."""
    addon = bpy.context.preferences.addons.get(ROOT_PACKAGE)
    return addon.preferences if addon is not None else None


def register():
    """Adds the preferences."""
    bpy.utils.register_class(D3DMM_AP_preferences)


def unregister():
    """Removes the preferences."""
    bpy.utils.unregister_class(D3DMM_AP_preferences)
