"""Draws the add-on's preferences, and registers them."""

import bpy

from . import environment
from .installation import running_installation, set_running_installation
from .interpreter import find_interpreter
from .preferences import ROOT_PACKAGE, BackendPreferences


class D3DMM_AP_preferences(BackendPreferences, bpy.types.AddonPreferences):
    """The preferences as Blender shows them."""

    bl_idname = ROOT_PACKAGE

    def draw(self, context):
        """Draws the interpreter, the one in use, and the managed environment with its buttons."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "interpreter")
        interpreter = find_interpreter()
        layout.label(
            text=f"In use: {interpreter}" if interpreter else "No Python with PyTorch found",
            icon="CHECKMARK" if interpreter else "ERROR",
        )
        box = layout.box()
        box.label(text="Managed Environment")
        installation = running_installation()
        if installation is not None:
            row = box.row(align=True)
            row.progress(factor=installation.fraction, text=installation.message)
            row.operator("d3dmm.cancel_job", text="", icon="CANCEL")
        else:
            box.prop(self, "build")
            draw_build(box)
        if environment.log_path().exists():
            box.operator("wm.path_open", text="Open Log", icon="TEXT").filepath = str(environment.log_path())


def draw_build(box: bpy.types.UILayout) -> None:
    """Draws what the chosen kind of PyTorch costs, and the buttons that install and remove it."""
    name = environment.chosen_build()
    kind = environment.BUILDS[name]
    installed = environment.installed_build()
    cost = f"{kind.label}: download about {kind.download_mb} MB, {kind.disk_mb} MB on disk"
    state = f"{environment.BUILDS[installed].label} is installed" if installed in environment.BUILDS else cost
    box.label(text=state, icon="INFO")
    row = box.row(align=True)
    repair = installed == name
    row.operator(
        "d3dmm.install_backend",
        text="Repair" if repair else "Install Backend",
        icon="FILE_REFRESH" if repair else "IMPORT",
    )
    row.operator("d3dmm.remove_backend", icon="TRASH")
    if environment.needs_network() and not getattr(bpy.app, "online_access", True):
        box.label(
            text="Install Backend needs online access: System, Network, Allow Online Access", icon="INFO"
        )


def register():
    """Adds the preferences."""
    bpy.utils.register_class(D3DMM_AP_preferences)


def unregister():
    """Removes the preferences, and ends an installation that is under way."""
    installation = running_installation()
    if installation is not None:
        installation.cancel()
        set_running_installation(None)
    bpy.utils.unregister_class(D3DMM_AP_preferences)
