"""A Blender with the extension installed from its zip, in a temporary folder."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .package import build

MODULE = "bl_ext.user_default.detailed3dmm"


@contextlib.contextmanager
def installed_extension(interpreter: str = sys.executable) -> Iterator[str]:
    """Builds the zip, installs and enables it; afterwards disables it and stops its worker.

    Args:
        interpreter: the Python that the worker runs on.

    Yields:
        The extension's module name.
    """
    with tempfile.TemporaryDirectory(prefix="detailed3dmm-") as folder:
        os.environ["BLENDER_USER_RESOURCES"] = folder
        import bpy

        archive = build(Path(folder) / "zip")
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        bpy.ops.extensions.package_install_files(
            filepath=str(archive), repo="user_default", enable_on_install=True
        )
        preferences = bpy.context.preferences
        assert preferences is not None
        if MODULE not in preferences.addons:
            sys.exit("error: the extension was installed but could not be enabled; the lines above say why")
        addon_preferences = preferences.addons[MODULE].preferences
        assert addon_preferences is not None
        addon_preferences.interpreter = interpreter
        try:
            yield MODULE
        finally:
            bpy.ops.preferences.addon_disable(module=MODULE)
