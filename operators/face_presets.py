"""Save Face, Load Face, Add Preset, Remove Preset: faces and expressions as files."""

from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ..detailed3dmm_addon.characters.face_file import (
    apply_preset,
    read_preset,
    save_expression,
    save_preset,
)
from ..ml_backend.errors import UserError
from .operator_base import FaceOperator, named_file

PRESET_FOLDERS = {"CHARACTER": "detailed3dmm/characters", "EXPRESSION": "detailed3dmm/expressions"}
_KINDS = (
    ("CHARACTER", "Character", "The person, the skin, the colours, the expression"),
    ("EXPRESSION", "Expression", "What the face shows, for any face"),
)
_FORBIDDEN = '/\\:*?"<>|'


def preset_path(kind: str, name: str) -> Path:
    """Returns the file of a preset: in the user's presets, where Blender's menus look.

    Raises:
        UserError: the name cannot be a file's.
    """
    stem = name.strip()
    if not stem or stem.startswith(".") or any(letter in _FORBIDDEN or ord(letter) < 32 for letter in stem):
        raise UserError(f"{name!r} cannot name a preset.", f"Use letters and digits, none of {_FORBIDDEN}.")
    folder = bpy.utils.user_resource("SCRIPTS", path=f"presets/{PRESET_FOLDERS[kind]}", create=True)
    return Path(folder) / f"{stem}.json"


def _preset_names(kind: str) -> list[str]:
    folder = Path(bpy.utils.user_resource("SCRIPTS", path=f"presets/{PRESET_FOLDERS[kind]}"))
    return sorted(path.stem for path in folder.glob("*.json")) if folder.is_dir() else []


def _listed(self, context):
    _items[:] = [(name, name, "") for name in _preset_names(self.kind)] or [
        ("", "None", "There is no preset")
    ]
    return _items


_items: list[
    tuple[str, str, str]
] = []  # Blender keeps no reference to what an enumeration's function returns


class D3DMM_OT_save_face(FaceOperator, bpy.types.Operator, ExportHelper):
    """Write this face, its expression and its detail settings to a file"""

    bl_idname = "d3dmm.save_face"
    bl_label = "Save Face"

    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    def perform(self, context):
        """Writes the file."""
        path = named_file(self)
        save_preset(self.face(context), path)
        self.report({"INFO"}, f"Saved {path.name}")


class D3DMM_OT_load_face(FaceOperator, bpy.types.Operator, ImportHelper):
    """Turn the selected face into one that was saved: person, expression and detail settings"""

    bl_idname = "d3dmm.load_face"
    bl_label = "Load Face"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    def perform(self, context):
        """Reads the file first, so that a broken one changes nothing."""
        face = self.face(context)
        path = named_file(self)
        preset = read_preset(path)
        apply_preset(face, preset)
        self.show_detail(face)
        foreign = preset.parameters.skin is not None and not preset.numbers
        self.report(
            {"INFO"},
            f"Loaded {path.name}"
            + ("; its skin vector has no seed, so the skin stays this face's" if foreign else "")
            + (f". {preset.note}" if preset.note else ""),
        )


class D3DMM_OT_add_preset(FaceOperator, bpy.types.Operator):
    """Keep this face, or its expression, as a preset of yours for every file"""

    bl_idname = "d3dmm.add_preset"
    bl_label = "Add Preset"

    kind: EnumProperty(name="Kind", description="What is kept", items=_KINDS)
    name: StringProperty(name="Name", description="Of the preset", default="My Preset")

    def invoke(self, context, event):
        """Asks for the name."""
        return context.window_manager.invoke_props_dialog(self)

    def perform(self, context):
        """Writes the file."""
        path = preset_path(self.kind, self.name)
        (save_preset if self.kind == "CHARACTER" else save_expression)(self.face(context), path)
        self.report({"INFO"}, f"Saved the preset {path.stem}")


class D3DMM_OT_remove_preset(FaceOperator, bpy.types.Operator):
    """Delete a preset of yours"""

    bl_idname = "d3dmm.remove_preset"
    bl_label = "Remove Preset"
    bl_property = "name"

    kind: EnumProperty(name="Kind", description="What was kept", items=_KINDS)
    name: EnumProperty(name="Preset", description="Which is deleted", items=_listed)

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a preset."""
        return "" if any(map(_preset_names, PRESET_FOLDERS)) else "There is no preset"

    def invoke(self, context, event):
        """Asks which."""
        context.window_manager.invoke_search_popup(self)
        return {"INTERFACE"}

    def perform(self, context):
        """Deletes the file."""
        if not self.properties.is_property_set("name"):
            raise UserError("No preset was named.", "Choose one, or give name=... from a script.")
        if self.name:
            preset_path(self.kind, self.name).unlink(missing_ok=True)
            self.report({"INFO"}, f"Removed the preset {self.name}")


CLASSES = (D3DMM_OT_save_face, D3DMM_OT_load_face, D3DMM_OT_add_preset, D3DMM_OT_remove_preset)
