"""Wrinkles, their preview and skin colour on any head with ARKit-named shape keys."""

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty

from ..detailed3dmm_addon.model.arkit_keys import FEWEST, expression_keys
from ..detailed3dmm_addon.model.registry import is_face
from ..detailed3dmm_addon.other_heads.detail import (
    MARK,
    SCALE,
    add_mesh_detail,
    has_mesh_detail,
    remove_mesh_detail,
)
from ..detailed3dmm_addon.other_heads.match_preview import (
    hide_preview,
    is_shown,
    show_preview,
    wrinkle_energy,
)
from ..detailed3dmm_addon.other_heads.mesh_hair import grow_hair
from ..detailed3dmm_addon.other_heads.report import likelier_skin, report_detail
from ..detailed3dmm_addon.other_heads.skin_image import paint_skin, remove_skin
from ..ml_backend.errors import UserError
from ..ml_backend.models.skin.live_skin import SkinLook
from .operator_base import FaceOperator


def _needs_mesh(context) -> str:
    if context.mode != "OBJECT":
        return "Leave the current mode first: this works in Object Mode"
    item = context.active_object
    if item is None or item.type != "MESH":
        return "Select a mesh first"
    if item.library is not None or item.data.library is not None:
        return "This mesh is linked from another file: make it local first"
    return "This is a face of ours: it has its own detail" if is_face(item) else ""


class _DetailOperator(FaceOperator):
    """Mixed into operators on a mesh that has our detail."""

    @classmethod
    def disabled_reason(cls, context):
        """Grey without our detail."""
        return _needs_mesh(context) or (
            "" if has_mesh_detail(context.active_object) else "This mesh has none of our detail"
        )


class D3DMM_OT_add_detail_to_mesh(FaceOperator, bpy.types.Operator):
    """Give the selected head wrinkles that its own ARKit-named shape keys drive"""

    bl_idname = "d3dmm.add_detail_to_mesh"
    bl_label = "Add Detail To Mesh"
    bl_options = {"REGISTER", "UNDO"}

    method: EnumProperty(
        name="Match",
        description="How our skin is found on the mesh",
        items=(
            ("AUTO", "Automatic", "By texture coordinates where they are laid out as ours, else by wrapping"),
            ("WRAP", "Wrap", "Lay our head over the mesh, guided by where its expressions act"),
            ("UV", "Texture Coordinates", "The mesh has our texture layout"),
        ),
    )
    subdivisions: IntProperty(
        name="Subdivide",
        description=(
            "Subdivide a copy of the mesh this many times first; Remove Detail brings the mesh back"
        ),
        min=0,
        max=3,
    )
    age: FloatProperty(name="Age", description="Years that the skin looks", default=55.0, min=18.0, max=90.0)
    seed: IntProperty(name="Wrinkle Seed", description="Chooses the pattern of lines", default=0, min=0)

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a mesh that has expressions."""
        reason = _needs_mesh(context)
        if reason:
            return reason
        if has_mesh_detail(context.active_object):
            return "This mesh has our detail already: remove it first"
        if len(expression_keys(context.active_object.data)) < FEWEST:
            return f"This mesh has fewer than {FEWEST} shape keys with ARKit names"
        return ""

    def perform(self, context):
        """Finds our skin on the mesh and stores its wrinkles there."""
        item = context.active_object
        try:
            added = add_mesh_detail(item, self.method, self.subdivisions, self.age, self.seed)
        except UserError as error:
            skin = likelier_skin(item, context.scene.objects)
            if skin is None:
                raise
            message = f"{error.message} The skin of this head seems to be {skin.name}."
            raise UserError(message, f"Make {skin.name} active and press again.") from error
        self.report(*report_detail(added, item, context.selected_objects))


class D3DMM_OT_remove_mesh_detail(_DetailOperator, bpy.types.Operator):
    """Take our wrinkles, colours and hair off this mesh; it becomes what it was"""

    bl_idname = "d3dmm.remove_mesh_detail"
    bl_label = "Remove Detail"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context):
        """Removes modifier, drivers, attributes, colours."""
        hide_preview(context.active_object, context.space_data)
        remove_mesh_detail(context.active_object)


class D3DMM_OT_show_match(_DetailOperator, bpy.types.Operator):
    """Colour the mesh by how much it wrinkles: grey not at all, red most; press again to hide it"""

    bl_idname = "d3dmm.show_match"
    bl_label = "Show Match"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context):
        """Turns the colours on or off."""
        item = context.active_object
        if is_shown(item):
            hide_preview(item, context.space_data)
        else:
            show_preview(item, wrinkle_energy(item, item[MARK], item[SCALE]), context.space_data)


class D3DMM_OT_colour_own_head(_DetailOperator, bpy.types.Operator):
    """Paint our skin colour onto the mesh's own texture coordinates, where it has no skin image"""

    bl_idname = "d3dmm.colour_own_head"
    bl_label = "Add Skin Colour To Mesh"
    bl_options = {"REGISTER", "UNDO"}

    tone: FloatProperty(
        name="Tone", description="Lightness of the skin, degrees", default=35.0, min=-60.0, max=70.0
    )
    age: FloatProperty(name="Age", description="Years that the skin looks", default=45.0, min=18.0, max=90.0)
    seed: IntProperty(name="Skin Seed", description="Chooses spots and patches", default=0, min=0)
    resolution: EnumProperty(
        name="Resolution",
        items=(("1024", "1024", ""), ("2048", "2048", "")),
    )

    def perform(self, context):
        """Paints, packs and shows the image."""
        item = context.active_object
        remove_skin(item)
        look = SkinLook(self.tone, {"age": self.age}, self.seed)
        size = item[SCALE] * abs(item.matrix_world.determinant()) ** (1 / 3)
        image = paint_skin(item, look, int(self.resolution), size)
        self.report({"INFO"}, f"{image.name}: painted")


class D3DMM_OT_grow_hair_on_mesh(_DetailOperator, bpy.types.Operator):
    """Grow our brows or lashes on this mesh; they follow its expressions"""

    bl_idname = "d3dmm.grow_hair_on_mesh"
    bl_label = "Add Hair To Mesh"
    bl_options = {"REGISTER", "UNDO"}

    parts: EnumProperty(
        name="Parts",
        items=(("brows", "Brows", ""), ("lashes", "Lashes", "")),
        options={"ENUM_FLAG"},
        default={"brows", "lashes"},
    )
    melanin: FloatProperty(name="Melanin", default=0.7, min=0.0, max=1.0)
    redness: FloatProperty(name="Redness", default=0.2, min=0.0, max=1.0)
    seed: IntProperty(name="Seed", default=0, min=0)

    def perform(self, context):
        """Grows the chosen parts."""
        item = context.active_object
        colour = (self.melanin, self.redness)
        counts = {part: grow_hair(item, part, item[SCALE], self.seed, colour) for part in sorted(self.parts)}
        grown = ", ".join(f"{count} {part}" for part, count in counts.items())
        self.report({"INFO"}, f"{item.name}: {grown}; scalp hair and beards grow on faces of ours alone")


CLASSES = (
    D3DMM_OT_add_detail_to_mesh,
    D3DMM_OT_remove_mesh_detail,
    D3DMM_OT_show_match,
    D3DMM_OT_colour_own_head,
    D3DMM_OT_grow_hair_on_mesh,
)
