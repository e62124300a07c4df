"""Create Face: a new person in the scene."""

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty

from ..detailed3dmm_addon.appearance import studio as face_scene
from ..detailed3dmm_addon.characters.identity import seeded_person, store_person
from ..detailed3dmm_addon.characters.new_face import new_face, select_face
from ..detailed3dmm_addon.hair.groom import add_hair
from ..detailed3dmm_addon.hair.looks import apply_hair_look, suiting_hair
from .build_studio import SET_UP_ITEMS
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
        description="Add a portrait camera, lights and a backdrop",
        default=False,
    )
    light: EnumProperty(
        name="Light", description="Set-up of the lights, with Camera and Lights", items=SET_UP_ITEMS
    )
    hair: BoolProperty(
        name="Brows and Lashes",
        description="Brows and lashes of hair curves; otherwise they are painted",
        default=True,
    )
    suiting_hair: BoolProperty(
        name="Suiting Hair",
        description="Hair that suits the person, as Random Hair grows it",
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
        seed = None if self.average else self.identity_seed
        with new_face(context, "Face", seeded_person(seed)[0], self.identity_seed) as face:
            store_person(face, seed)
            if self.skin_tone >= 0:
                face.d3dmm.skin_tone = self.skin_tone
        if self.suiting_hair:
            apply_hair_look(face, suiting_hair(face, self.identity_seed))
        elif self.hair:
            add_hair(face, ("brows", "lashes"))
        select_face(context, face)
        if self.scene_setup:
            face_scene.build_studio(context, face, self.light)
        if self.update_detail:
            self.show_detail(face)


CLASSES = (D3DMM_OT_create_face,)
