"""Save Face, Load Face: identity, expression and detail as a file, to be used again, shared, or given to the shell."""

import bpy
from bpy.props import StringProperty
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ..detailed3dmm_addon.characters.face_file import apply_preset, read_preset, save_preset
from ..detailed3dmm_addon.model.registry import active_face
from ..ml_backend.errors import UserError
from .create_face import show_detail
from .operator_base import FaceOperator, named_file


def _face(context: bpy.types.Context) -> bpy.types.Object:
    face = active_face(context)
    if face is None:
        raise UserError("No face is selected.", "Select one, or press Create Face.")
    return face


class D3DMM_OT_save_face(FaceOperator, bpy.types.Operator, ExportHelper):
    """Write this face, its expression and its detail settings to a file"""

    bl_idname = "d3dmm.save_face"
    bl_label = "Save Face"

    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    def perform(self, context):
        """Writes the file."""
        path = named_file(self)
        save_preset(_face(context), path)
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
        face, path = _face(context), named_file(self)
        preset = read_preset(path)
        apply_preset(face, preset)
        show_detail(self, face)
        foreign = preset.parameters.skin is not None and not preset.numbers
        self.report(
            {"INFO"},
            f"Loaded {path.name}"
            + ("; its skin vector has no seed, so the skin stays this face's" if foreign else ""),
        )


CLASSES = (D3DMM_OT_save_face, D3DMM_OT_load_face)
