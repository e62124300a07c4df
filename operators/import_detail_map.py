"""Import Detail Map, Clear Imported Map: a sculpted or scanned map becomes this face's editable detail."""

import bpy
from bpy.props import IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..detailed3dmm_addon.characters.imported_map import MAP_SUFFIXES, MapImport
from ..detailed3dmm_addon.detail import live as live_detail
from ..detailed3dmm_addon.model.registry import active_face
from ..detailed3dmm_addon.worker import jobs as backend
from .operator_base import FaceOperator, JobOperator, named_file, needs_current_face


class D3DMM_OT_import_detail_map(JobOperator, bpy.types.Operator, ImportHelper):
    """Start from your own displacement map (EXR in mm, PNG16, npy, in this texture space); sliders edit it"""

    bl_idname = "d3dmm.import_detail_map"
    bl_label = "Import Detail Map"
    bl_options = {"REGISTER", "UNDO"}

    filter_glob: StringProperty(default=";".join(f"*{suffix}" for suffix in MAP_SUFFIXES), options={"HIDDEN"})
    steps: IntProperty(
        name="Steps",
        description="Of the fit: more come closer and take longer",
        default=500,
        min=10,
        max=10000,
    )

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face or a backend, or while a job runs."""
        return needs_current_face(context) or cls.busy_reason() or backend.missing_reason()

    def work(self, context):
        """Asks for the latent, then for its map, and puts both on the face."""
        face = self.face(context)
        imported = MapImport(face.d3dmm.uid, named_file(self), self.steps)
        imported.check()
        fit = yield "Imported Map", *imported.fit_request()
        request = imported.map_request(fit)
        shown = yield "Imported Map", *request
        return imported.put_on_face(fit, shown, request)

    def draw(self, context):
        """The option in the file browser."""
        self.layout.prop(self, "steps")


class D3DMM_OT_clear_detail_map(FaceOperator, bpy.types.Operator):
    """Take the imported map off this face; its own wrinkles come back"""

    bl_idname = "d3dmm.clear_detail_map"
    bl_label = "Clear Imported Map"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey when no map was imported."""
        reason = needs_current_face(context)
        face = active_face(context)
        return reason or (
            "" if face is not None and face.d3dmm.imported_map else "This face has no imported map"
        )

    def perform(self, context):
        """Removes the latent and its part of the detail."""
        face = self.face(context)
        live_detail.clear_latent(face)
        self.show_detail(face)


CLASSES = (D3DMM_OT_import_detail_map, D3DMM_OT_clear_detail_map)
