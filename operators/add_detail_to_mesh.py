"""Add Detail To Mesh, Remove Detail: wrinkles on any head with ARKit-named shape keys."""

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty

from ..detailed3dmm_addon.model.arkit_keys import FEWEST, expression_keys
from ..detailed3dmm_addon.model.registry import is_face
from ..detailed3dmm_addon.other_heads.detail import (
    add_mesh_detail,
    has_mesh_detail,
    remove_mesh_detail,
)
from ..detailed3dmm_addon.other_heads.report import report_detail
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
        added = add_mesh_detail(item, self.method, self.subdivisions, self.age, self.seed)
        self.report(*report_detail(added, item, context.selected_objects))


class D3DMM_OT_remove_mesh_detail(FaceOperator, bpy.types.Operator):
    """Take our wrinkles off this mesh; it becomes what it was"""

    bl_idname = "d3dmm.remove_mesh_detail"
    bl_label = "Remove Detail"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def disabled_reason(cls, context):
        """Grey without our detail."""
        return _needs_mesh(context) or (
            "" if has_mesh_detail(context.active_object) else "This mesh has none of our detail"
        )

    def perform(self, context):
        """Removes modifier, drivers, attributes."""
        remove_mesh_detail(context.active_object)


CLASSES = (D3DMM_OT_add_detail_to_mesh, D3DMM_OT_remove_mesh_detail)
