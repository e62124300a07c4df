"""The values of the add-on's preferences; `preferences_panel` draws them."""

import bpy
from bpy.props import EnumProperty, StringProperty

ROOT_PACKAGE = __package__.rsplit(".", 2)[0]


class BackendPreferences:
    """The Python of the backend and the kind of PyTorch to install; mixed into the registered class."""

    interpreter: StringProperty(
        name="Python with PyTorch",
        description=(
            "A Python 3.11 or newer that has torch; empty: the managed environment, "
            "else Blender's own Python if it has torch"
        ),
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


def preferences() -> BackendPreferences | None:
    """Returns the preferences, or None while the add-on is not enabled through Blender."""
    addon = bpy.context.preferences.addons.get(ROOT_PACKAGE)
    return addon.preferences if addon is not None else None
