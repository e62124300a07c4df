"""Transfer, Before and After, Light From Photo: what one face shows goes to another."""

from pathlib import Path

import bpy
from bpy.props import FloatProperty

from ..detailed3dmm_addon.appearance.photo_light import build_photo_light, stored_light
from ..detailed3dmm_addon.characters import transfer as transfers
from ..detailed3dmm_addon.characters.photo import PHOTO_SUFFIXES
from ..detailed3dmm_addon.model.registry import active_face, is_face
from ..detailed3dmm_addon.worker import jobs as backend
from ..ml_backend.errors import UserError
from .operator_base import FaceOperator, JobOperator


class D3DMM_OT_transfer_attributes(JobOperator, bpy.types.Operator):
    """Give this face the chosen attributes of another face, a face file or a photo"""

    bl_idname = "d3dmm.transfer_attributes"
    bl_label = "Transfer"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face, a source, an attribute, or while a job runs."""
        face = active_face(context)
        if face is None:
            return "Select a face first, or press Create Face"
        settings = face.d3dmm_transfer
        if settings.source_kind == "FACE":
            if settings.source_face is None or not is_face(settings.source_face):
                return "Choose the face to take from"
            if settings.source_face == face:
                return "The source is this face itself"
        elif not settings.source_path:
            return "Choose a photo or a face file"
        if not settings.amounts() and not settings.use_hair:
            return "Switch an attribute on"
        return cls.busy_reason()

    def work(self, context):
        """Reads the source, lets the worker read or fit a photo, and changes the face at the end."""
        face = self.face(context)
        settings = face.d3dmm_transfer
        amounts, regions = settings.amounts(), settings.regions()
        if settings.source_kind == "FACE":
            name = settings.source_face.name
            source = transfers.source_of_face(settings.source_face)
        else:
            path = Path(bpy.path.abspath(settings.source_path))
            name = path.name
            if path.suffix.lower() == ".json":
                source = transfers.source_of_file(path)
            else:
                is_fitted = settings.fit_photo or settings.use_hair or settings.use_skin
                answer = yield "Transfer", *_photo_request(path, is_fitted)
                source = transfers.source_of_fit(answer) if is_fitted else transfers.source_of_code(answer)
        transfers.transfer(context, face, source, amounts, regions, settings.use_hair)
        self.show_detail(face)
        taken = (*amounts, "hair") if settings.use_hair else amounts
        return f"{', '.join(taken)} of {name}. {source.said}".strip()


def _photo_request(path: Path, is_fitted: bool) -> tuple[str, dict, dict]:
    """Returns the worker's request for a photo, that is fitted by iteration or read in one pass.

    Raises:
        UserError: the file is missing or no photo by its name, or there is no backend.
    """
    if path.suffix.lower() not in PHOTO_SUFFIXES:
        raise UserError(
            f"{path.name}: not a photo by its name.", f"Choose one of {', '.join(PHOTO_SUFFIXES)}."
        )
    if not path.is_file():
        raise UserError(f"{path.name}: no such file.", "Choose a photo.")
    reason = backend.missing_reason()
    if reason:
        raise UserError("A photo needs the backend.", reason)
    if not is_fitted:
        return "encode_photo", {"path": str(path)}, {}
    return "fit_from_image", {"paths": [str(path)], "faces": [], "landmark_model": ""}, {}


class D3DMM_OT_swap_transfer(FaceOperator, bpy.types.Operator):
    """Show this face as it was before the last transfer, or as it was after it"""

    bl_idname = "d3dmm.swap_transfer"
    bl_label = "Before / After"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey before the first transfer."""
        face = active_face(context)
        if face is None:
            return "Select a face first, or press Create Face"
        return "" if transfers.can_swap(face) else "Nothing was transferred to this face"

    def perform(self, context):
        """Exchanges the two states."""
        face = self.face(context)
        transfers.swap(face)
        self.show_detail(face)


class D3DMM_OT_light_from_photo(FaceOperator, bpy.types.Operator):
    """Light the scene as this face's photo was lit: a world and up to three area lights that you can edit"""

    bl_idname = "d3dmm.light_from_photo"
    bl_label = "Light From Photo"
    bl_options = {"REGISTER", "UNDO"}

    exposure: FloatProperty(
        name="Exposure", description="Stops that the light is brighter", default=0.0, min=-6.0, max=6.0
    )

    @classmethod
    def disabled_reason(cls, context):
        """Grey for faces without a photo."""
        face = active_face(context)
        if face is None:
            return "Select a face first, or press Create Face"
        return "" if stored_light(face) is not None else "This face was not made from a photo"

    def perform(self, context):
        """Builds world and lights."""
        face = self.face(context)
        light = stored_light(face)
        if light is None:
            raise UserError("This face was not made from a photo.", "Use Transfer with Light from a photo.")
        collection = build_photo_light(context, face, light, self.exposure)
        self.report({"INFO"}, f"{len(collection.objects)} lights and a world")


CLASSES = (D3DMM_OT_transfer_attributes, D3DMM_OT_swap_transfer, D3DMM_OT_light_from_photo)
