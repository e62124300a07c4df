"""Finds the Python that runs the backend."""

import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import bpy

from . import environment
from .preferences import preferences


def find_interpreter() -> str | None:
    """Returns the preferences' Python, else the managed environment's, else Blender's if it has torch."""
    chosen = preferences()
    if chosen is not None and chosen.interpreter:
        return bpy.path.abspath(chosen.interpreter)
    if environment.is_installed():
        return str(environment.environment_python())
    return sys.executable if bundled_library() else None


@lru_cache(maxsize=1)
def bundled_library() -> str:
    """Returns the folder in which Blender's own Python finds torch, or an empty string.

    A zip for one platform carries torch; the worker does not search that folder unless it is passed on.
    """
    spec = find_spec("torch")
    return str(Path(spec.origin).parent.parent) if spec is not None and spec.origin else ""


def missing_reason() -> str:
    """Returns the reason why the backend cannot be used at all, or an empty string."""
    interpreter = find_interpreter()
    if interpreter is None:
        return (
            "No Python with PyTorch: press Install Backend in the add-on's preferences, "
            "or choose a Python there"
        )
    if not Path(interpreter).is_file():
        return f"The backend's Python does not exist: {interpreter}"
    return ""
