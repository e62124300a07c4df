"""Add Hair, Remove Hair, Random Hair, and looks of hair with a name."""

import random

import bpy
from bpy.props import EnumProperty, IntProperty

from ..detailed3dmm_addon.hair.groom import add_hair, hair_objects, remove_hair
from ..detailed3dmm_addon.hair.looks import LOOKS, apply_hair_look, suiting_hair
from ..detailed3dmm_addon.hair.parts import PARTS
from ..detailed3dmm_addon.model.registry import active_face
from .operator_base import FaceOperator, needs_current_face

_PART_ITEMS = tuple((part, part.title(), "") for part in PARTS)


class _HairOperator(FaceOperator):
    """Mixed into operators that grow hair."""

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face of the present model, or when its mesh was edited."""
        return needs_current_face(context)


class D3DMM_OT_add_hair(_HairOperator, bpy.types.Operator):
    """Grow hair on this face as the sliders of its parts say"""

    bl_idname = "d3dmm.add_hair"
    bl_label = "Add Hair"
    bl_options = {"REGISTER", "UNDO"}

    parts: EnumProperty(
        name="Parts",
        description="Which hair to grow",
        items=(
            ("brows", "Brows", ""),
            ("lashes", "Lashes", ""),
            ("scalp", "Scalp", ""),
            ("beard", "Beard", ""),
            ("vellus", "Vellus", ""),
        ),
        default={"brows", "lashes", "scalp"},
        options={"ENUM_FLAG"},
    )

    def perform(self, context):
        """Grows the parts."""
        add_hair(self.face(context), [part for part in PARTS if part in self.parts])


class D3DMM_OT_set_hair_look(_HairOperator, bpy.types.Operator):
    """Give this face a whole look: cut, brows, lashes, beard and colour"""

    bl_idname = "d3dmm.set_hair_look"
    bl_label = "Hair Look"
    bl_options = {"REGISTER", "UNDO"}

    look: EnumProperty(
        name="Look",
        description="The look to wear",
        items=(
            ("BOB", "Bob", ""),
            ("LONG", "Long and Straight", ""),
            ("WAVY", "Shoulder-Long Waves", ""),
            ("CROPPED", "Cropped with Stubble", ""),
            ("FADE", "Short Fade", ""),
            ("SIDE_PART", "Side Part", ""),
            ("SLICKED", "Combed Back with Beard", ""),
            ("TIED", "Tied Back", ""),
            ("CURLY", "Curly", ""),
            ("COILY", "Coily", ""),
            ("GREY", "Receding and Grey", ""),
            ("BALD", "Bald Crown with Moustache", ""),
            ("SHAVED", "Shaved with Goatee", ""),
        ),
    )

    def perform(self, context):
        """Sets the sliders and grows the parts of the look."""
        apply_hair_look(self.face(context), LOOKS[self.look])


class D3DMM_OT_random_hair(_HairOperator, bpy.types.Operator):
    """Grow hair that suits this face's skin and age, another one at each press"""

    bl_idname = "d3dmm.random_hair"
    bl_label = "Random Hair"
    bl_options = {"REGISTER", "UNDO"}

    seed: IntProperty(name="Seed", description="Which hair; -1 draws a new one", default=-1, min=-1)

    def perform(self, context):
        """Draws the look and grows it."""
        if self.seed < 0:
            self.seed = random.randrange(1_000_000)
        face = self.face(context)
        apply_hair_look(face, suiting_hair(face, self.seed))


class D3DMM_OT_remove_hair(FaceOperator, bpy.types.Operator):
    """Remove hair from this face; its sliders stay"""

    bl_idname = "d3dmm.remove_hair"
    bl_label = "Remove Hair"
    bl_options = {"REGISTER", "UNDO"}

    parts: EnumProperty(
        name="Parts",
        description="Which hair to remove",
        items=_PART_ITEMS,
        default=set(PARTS),
        options={"ENUM_FLAG"},
    )

    @classmethod
    def disabled_reason(cls, context):
        """Grey without hair."""
        reason = super().disabled_reason(context)
        face = active_face(context)
        if reason or face is None:
            return reason
        return "" if hair_objects(face) else "This face has no hair curves: press Add Hair"

    def perform(self, context):
        """Removes the parts."""
        remove_hair(self.face(context), self.parts)


CLASSES = (
    D3DMM_OT_add_hair,
    D3DMM_OT_set_hair_look,
    D3DMM_OT_random_hair,
    D3DMM_OT_remove_hair,
)
