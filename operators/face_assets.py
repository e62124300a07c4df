"""Mark Face as Asset, Save Expression as Asset, Apply Expression; presets of faces and expressions."""

from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty

from ..detailed3dmm_addon.characters import assets as face_assets
from ..detailed3dmm_addon.characters.face_file import save_expression, save_preset
from ..detailed3dmm_addon.model.registry import active_face
from ..ml_backend.errors import UserError
from .create_face import show_detail
from .operator_base import FaceOperator, needs_face

PRESET_FOLDERS = {"CHARACTER": "detailed3dmm/characters", "EXPRESSION": "detailed3dmm/expressions"}
_KINDS = (
    ("CHARACTER", "Character", "The person, the skin, the colours, the expression"),
    ("EXPRESSION", "Expression", "What the face shows, for any face"),
)
_FORBIDDEN = '/\\:*?"<>|'


def preset_path(kind: str, name: str) -> Path:
    """Where a preset of a name is kept: in the user's presets, where Blender's menus look.

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
    _kept[:] = [(name, name, "") for name in _preset_names(self.kind)] or [("", "None", "There is no preset")]
    return _kept


_kept: list[tuple[str, str, str]] = []  # Blender keeps no reference to what an enumeration's function returns


class _Asset(FaceOperator):
    """Mixed into operators on the active face."""

    def face(self, context) -> bpy.types.Object:
        """The active face.

        Raises:
            UserError: there is none.
        """
        face = active_face(context)
        if face is None:
            raise UserError("No face is selected.", "Select one, or press Create Face.")
        return face


class D3DMM_OT_mark_face_asset(_Asset, bpy.types.Operator):
    """Make this face an asset of this file, with a picture, for the Asset Browser"""

    bl_idname = "d3dmm.mark_face_asset"
    bl_label = "Mark Face as Asset"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context):
        """Marks it."""
        face_assets.mark_face(self.face(context), context)


class D3DMM_OT_save_expression_asset(_Asset, bpy.types.Operator):
    """Keep what this face shows as an action on shape keys, an asset with a picture"""

    bl_idname = "d3dmm.save_expression_asset"
    bl_label = "Save Expression as Asset"
    bl_options = {"REGISTER", "UNDO"}

    name: StringProperty(name="Name", description="Of the asset", default="Expression")

    def invoke(self, context, event):
        """Asks for the name."""
        return context.window_manager.invoke_props_dialog(self)

    def perform(self, context):
        """Makes the action."""
        made = face_assets.mark_expression(self.face(context), context, self.name.strip() or "Expression")
        self.report({"INFO"}, f"Saved the expression {made.name}")


class D3DMM_OT_apply_expression_asset(_Asset, bpy.types.Operator):
    """Show an expression that was saved as an asset"""

    bl_idname = "d3dmm.apply_expression_asset"
    bl_label = "Apply Expression"
    bl_options = {"REGISTER", "UNDO"}

    action: StringProperty(name="Expression", description="Name of the action in this file")

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face or an expression."""
        return needs_face(context) or (
            "" if face_assets.expression_actions() else "No expression was saved as an asset in this file"
        )

    def perform(self, context):
        """Writes its values to the sliders."""
        face, action = self.face(context), bpy.data.actions.get(self.action)
        if action is None or not face_assets.pose_values(action):
            raise UserError(
                f"{self.action!r} is not an expression of this file.", "Choose an action on shape keys."
            )
        face_assets.apply_expression(face, action)
        show_detail(self, face)


class D3DMM_OT_add_preset(_Asset, bpy.types.Operator):
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
        """Grey where nothing was kept."""
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


CLASSES = (
    D3DMM_OT_mark_face_asset,
    D3DMM_OT_save_expression_asset,
    D3DMM_OT_apply_expression_asset,
    D3DMM_OT_add_preset,
    D3DMM_OT_remove_preset,
)
