"""Face From Photo: a person's photographs become a face with the photo's camera, colour and wrinkles."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..detailed3dmm_addon.characters.photo import PHOTO_SUFFIXES, PhotoFit
from ..detailed3dmm_addon.worker import jobs as backend
from .operator_base import JobOperator


class D3DMM_OT_fit_from_image(JobOperator, bpy.types.Operator, ImportHelper):
    """Make a person's face from one or several photos, also small or blurred ones; ask the person first"""

    bl_idname = "d3dmm.fit_from_image"
    bl_label = "Face From Photo"
    bl_options = {"REGISTER", "UNDO"}

    filter_glob: StringProperty(
        default=";".join(f"*{suffix}" for suffix in PHOTO_SUFFIXES), options={"HIDDEN"}
    )
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    keep_expression: BoolProperty(
        name="Keep Expression",
        description="Set the photo's expression; else the face is at rest",
        default=True,
    )
    photo_camera: BoolProperty(
        name="Photo Camera",
        description="Add the photo's camera with the photo behind the face; renders take its shape",
        default=True,
    )
    hair: BoolProperty(
        name="Hair",
        description="Grow hair, brows and beard as the photo seems to show them; else they stay painted",
        default=True,
    )
    face_number: IntProperty(
        name="Face", description="Which face, counted from 1, left to right; 0: the largest", default=0, min=0
    )
    landmark_model: StringProperty(
        name="Landmark Model",
        description="A face_landmarker.task to use in place of the carried networks",
        subtype="FILE_PATH",
    )

    @classmethod
    def disabled_reason(cls, context):
        """Grey outside Object Mode, without a backend, or while a job runs."""
        if context.mode != "OBJECT":
            return "Leave the current mode first: this works in Object Mode"
        return cls.busy_reason() or backend.missing_reason()

    def work(self, context):
        """Asks for the fit, then for the wrinkles at full resolution, and makes the face at the end."""
        model = bpy.path.abspath(self.landmark_model) if self.landmark_model else ""
        fit = PhotoFit(
            self._paths(), self.face_number, model, self.keep_expression, self.photo_camera, self.hair
        )
        fit.check()
        answer = yield "Face From Photo", *fit.request()
        shown = yield "Wrinkles", *fit.map_request(answer)
        return fit.put_into_scene(context, answer, shown)[1]

    def draw(self, context):
        """The options in the file browser."""
        for name in ("keep_expression", "photo_camera", "hair", "face_number"):
            self.layout.prop(self, name)
        column = self.layout.column(align=True)  # beside the field the name would be cut
        column.label(text="Landmark Model")
        column.prop(self, "landmark_model", text="")

    def _paths(self) -> tuple[Path, ...]:
        folder = Path(bpy.path.abspath(self.directory)) if self.directory else None
        chosen = [folder / item.name for item in self.files if item.name] if folder is not None else []
        first = Path(bpy.path.abspath(self.filepath))
        return tuple(chosen) if chosen else ((first,) if self.filepath else ())


CLASSES = (D3DMM_OT_fit_from_image,)
