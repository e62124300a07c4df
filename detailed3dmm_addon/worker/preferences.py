"""The add-on's preferences: which Python runs the backend, and the managed environment's installation."""

import bpy
from bpy.props import EnumProperty, StringProperty

ROOT_PACKAGE = __package__.rsplit(".", 2)[0]


class D3DMM_AP_preferences(bpy.types.AddonPreferences):
    """Where the backend's Python is."""

    bl_idname = ROOT_PACKAGE

    interpreter: StringProperty(
        name="Python with PyTorch",
        description="A Python 3.11 or newer that has torch; empty: the managed environment, else Blender's own Python if it has torch",
        subtype="FILE_PATH",
    )
    build: EnumProperty(
        name="Kind",
        description="Which PyTorch to install",
        items=(
            ("AUTO", "Automatic", "What suits this computer"),
            ("CPU", "CPU", "Works everywhere; a full map takes about a second"),
            ("CUDA", "NVIDIA GPU", "For the CUDA version that your driver knows"),
            ("APPLE", "Apple GPU", "For Macs with Apple's own processors"),
            (
                "INDEX",
                "Own Package Index",
                "Whatever PyTorch the index has that pip or uv is set to, as in a studio",
            ),
        ),
    )

    def draw(self, context):
        """Draws the interpreter, what is used in effect, and what installs and removes the managed environment."""
        from . import environment
        from . import jobs as backend

        layout = self.layout
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(self, "interpreter")
        found = backend.find_interpreter()
        layout.label(
            text=f"In use: {found}" if found else "No Python with PyTorch found",
            icon="CHECKMARK" if found else "ERROR",
        )
        box = layout.box()
        box.label(text="Managed Environment")
        installation = environment.running_installation()
        if installation is not None:
            row = box.row(align=True)
            row.progress(factor=installation.fraction, text=installation.message)
            row.operator("d3dmm.cancel_job", text="", icon="CANCEL")
        else:
            self._draw_choice(box, environment)
        if environment.log_path().exists():
            box.operator("wm.path_open", text="Open Log", icon="TEXT").filepath = str(environment.log_path())

    def _draw_choice(self, box, environment):
        box.prop(self, "build")
        name = environment.chosen_build()
        kind, installed = environment.BUILDS[name], environment.installed_build()
        wanted = f"{kind.label}: download about {kind.download_mb} MB, {kind.disk_mb} MB on disk"
        box.label(
            text=f"{environment.BUILDS[installed].label} is installed"
            if installed in environment.BUILDS
            else wanted,
            icon="INFO",
        )
        row = box.row(align=True)
        again = installed == name
        row.operator(
            "d3dmm.install_backend",
            text="Repair" if again else "Install Backend",
            icon="FILE_REFRESH" if again else "IMPORT",
        )
        row.operator("d3dmm.remove_backend", icon="TRASH")
        if environment.needs_network() and not getattr(bpy.app, "online_access", True):
            box.label(
                text="Install Backend needs online access: System, Network, Allow Online Access", icon="INFO"
            )


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
