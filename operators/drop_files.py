"""Recordings, videos and photos dropped on the 3D viewport: the buttons' work on the dropped file."""

import bpy
from bpy.props import StringProperty

from ..detailed3dmm_addon.characters.photo import PHOTO_SUFFIXES
from ..detailed3dmm_addon.model.registry import active_face
from ..ml_backend.audio.formats import SOUND_SUFFIXES
from ..ml_backend.errors import UserError
from ..ml_backend.video.formats import VIDEO_SUFFIXES
from .animate_from_audio import D3DMM_OT_import_audio
from .animate_from_video import D3DMM_OT_import_video
from .fit_from_image import D3DMM_OT_fit_from_image
from .operator_base import FaceOperator, needs_face


class _Dropped(FaceOperator):
    """Mixed into operators that pass a dropped file to another one; a refusal is always reported."""

    target: type[FaceOperator]
    filepath: StringProperty(
        name="File", description="What was dropped", subtype="FILE_PATH", options={"SKIP_SAVE"}
    )

    @classmethod
    def disabled_reason(cls, context):
        """Always live: a reason not to run is reported."""
        return ""

    def execute(self, context):
        """Runs the other operator with the file; its own errors and undo step are what the artist gets."""
        reason = self.target.disabled_reason(context)
        if reason:
            return self.fail(UserError(f"{reason}.", ""))
        name = self.target.bl_idname.partition(".")[2]
        try:
            getattr(bpy.ops.d3dmm, name)("EXEC_DEFAULT", filepath=self.filepath)
        except RuntimeError as error:
            self.report({"ERROR"}, str(error).removeprefix("Error: ").strip())
            return {"CANCELLED"}
        return {"FINISHED"}


class D3DMM_OT_drop_recording(_Dropped, bpy.types.Operator):
    """Make the face speak the recording that was dropped"""

    bl_idname = "d3dmm.drop_recording"
    bl_label = "Speak Dropped Recording"
    bl_options = {"INTERNAL"}
    target = D3DMM_OT_import_audio


class D3DMM_OT_drop_video(_Dropped, bpy.types.Operator):
    """Make the face do what the actor does in the video that was dropped"""

    bl_idname = "d3dmm.drop_video"
    bl_label = "Perform Dropped Video"
    bl_options = {"INTERNAL"}
    target = D3DMM_OT_import_video


class D3DMM_OT_drop_photo(_Dropped, bpy.types.Operator):
    """Make a face of the photo that was dropped"""

    bl_idname = "d3dmm.drop_photo"
    bl_label = "Face of Dropped Photo"
    bl_options = {"INTERNAL"}
    target = D3DMM_OT_fit_from_image


class _OntoFace:
    """Mixed into handlers of files that move a face."""

    @classmethod
    def poll_drop(cls, context):
        """Over a 3D viewport with an active face."""
        return (
            context.area is not None
            and context.area.type == "VIEW_3D"
            and active_face(context) is not None
            and not needs_face(context)
        )


class D3DMM_FH_recording(_OntoFace, bpy.types.FileHandler):
    """Recordings on the 3D viewport, while a face is active."""

    bl_idname = "D3DMM_FH_recording"
    bl_label = "Speech for a Face"
    bl_import_operator = "d3dmm.drop_recording"
    bl_file_extensions = ";".join(SOUND_SUFFIXES)


class D3DMM_FH_video(_OntoFace, bpy.types.FileHandler):
    """Videos on the 3D viewport, while a face is active."""

    bl_idname = "D3DMM_FH_video"
    bl_label = "Performance for a Face"
    bl_import_operator = "d3dmm.drop_video"
    bl_file_extensions = ";".join(VIDEO_SUFFIXES)


class D3DMM_FH_photo(bpy.types.FileHandler):
    """Photos on the 3D viewport."""

    bl_idname = "D3DMM_FH_photo"
    bl_label = "Face from a Photo"
    bl_import_operator = "d3dmm.drop_photo"
    bl_file_extensions = ";".join(PHOTO_SUFFIXES)

    @classmethod
    def poll_drop(cls, context):
        """Over a 3D viewport in Object Mode."""
        return context.area is not None and context.area.type == "VIEW_3D" and context.mode == "OBJECT"


CLASSES = (
    D3DMM_OT_drop_recording,
    D3DMM_OT_drop_video,
    D3DMM_OT_drop_photo,
    D3DMM_FH_recording,
    D3DMM_FH_video,
    D3DMM_FH_photo,
)
