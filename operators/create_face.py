"""Create Face: a new person in the scene."""

import bpy
from bpy.props import BoolProperty, FloatProperty, IntProperty

from ..detailed3dmm_addon.appearance import face_materials
from ..detailed3dmm_addon.appearance import studio as face_scene
from ..detailed3dmm_addon.characters.identity import seeded_person, store_person
from ..detailed3dmm_addon.detail import follow as live_update
from ..detailed3dmm_addon.face import mesh as face_mesh
from ..detailed3dmm_addon.nodes import detail_modifier as detail_modifiers
from ..detailed3dmm_addon.worker import jobs as backend
from ..ml_backend.errors import UserError
from .operator_base import FaceOperator


class D3DMM_OT_create_face(FaceOperator, bpy.types.Operator):
    """Add a face with 52 expressions, materials and wrinkles"""

    bl_idname = "d3dmm.create_face"
    bl_label = "Create Face"
    bl_options = {"REGISTER", "UNDO"}

    identity_seed: IntProperty(
        name="Seed", description="Which random person; the same seed gives the same face", default=1, min=0
    )
    average: BoolProperty(
        name="Average Face", description="Start from the average person instead", default=False
    )
    skin_tone: FloatProperty(
        name="Skin Tone",
        description="Melanin, 0 lightest to 1 darkest; below 0: chosen by the seed",
        default=-1.0,
        max=1.0,
    )
    scene_setup: BoolProperty(
        name="Camera and Lights",
        description="Add a portrait camera, three lights and a backdrop",
        default=False,
    )
    update_detail: BoolProperty(
        name="Compute Detail", description="Ask the backend for the wrinkles at once", default=True
    )

    @classmethod
    def disabled_reason(cls, context):
        """Grey outside Object Mode."""
        return "" if context.mode == "OBJECT" else "Leave the current mode first: this works in Object Mode"

    def perform(self, context):
        """Builds the face, selects it, and asks for its detail."""
        with live_update.suspended():
            seed = None if self.average else self.identity_seed
            face = face_mesh.create_face_object(context, "Face", seeded_person(seed)[0])
            store_person(face, seed)
            if self.skin_tone >= 0:
                face.d3dmm.skin_tone = self.skin_tone
            face_materials.assign_materials(face, self.identity_seed)
            detail_modifiers.add_modifier(face)
            face.location = face_scene.free_place(context.scene, face)
        for other in context.selected_objects:
            other.select_set(False)
        face.select_set(True)
        context.view_layer.objects.active = face
        context.view_layer.update()
        if self.scene_setup:
            face_scene.build_studio(context, face)
        if self.update_detail:
            show_detail(self, face)


def show_detail(operator: bpy.types.Operator, face: bpy.types.Object) -> None:
    """Brings a face's detail up to date: in full at once in background mode, through the timer otherwise; a warning if it cannot."""
    if not (face.d3dmm.show_detail and face.d3dmm.live and face.d3dmm.detail_source == "LIVE"):
        return
    try:
        if live_update.STATE.interactive:
            live_update.follow_change(face)
        else:
            live_update.update_detail(face)
    except UserError as error:
        backend.report_problem(error.message, error.remedy)
        operator.report({"WARNING"}, f"Without full detail: {error.message}\n{error.remedy}".strip())


CLASSES = (D3DMM_OT_create_face,)
