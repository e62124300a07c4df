"""The Identity panel: named directions, and the coefficients under a fold."""

import bpy

from ..detailed3dmm_addon.model.face_model import face_model, fixed_reason
from ..detailed3dmm_addon.model.registry import active_face
from ..detailed3dmm_addon.translations import OUR_CONTEXT
from .sidebar import FacePanel, readable


def shown_directions(face: bpy.types.Object) -> list:
    """Returns a face's named directions in the model's order; of another model's face, all as they are."""
    directions = face.d3dmm.directions
    if fixed_reason(face):
        return list(directions)
    return [directions[name] for name in face_model().direction_names if name in directions]


class D3DMM_PT_identity(FacePanel, bpy.types.Panel):
    """The identity of the face."""

    bl_idname = "D3DMM_PT_identity"
    bl_label = "Identity"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """Draws a slider for each named direction."""
        column = self.layout.column(
            align=True
        )  # the names inside: beside the sliders, some would be cut short
        column.enabled = not fixed_reason(active_face(context))
        for direction in shown_directions(active_face(context)):
            column.prop(direction, "value", text=readable(direction.name), text_ctxt=OUR_CONTEXT, slider=True)
        row = self.layout.row(align=True)
        row.operator("d3dmm.reset_face", text="Average")
        row.operator("d3dmm.reset_face", text="Seeded Person").to_seed = True


class D3DMM_PT_identity_coefficients(FacePanel, bpy.types.Panel):
    """The principal coefficients."""

    bl_idname = "D3DMM_PT_identity_coefficients"
    bl_parent_id = "D3DMM_PT_identity"
    bl_label = "Coefficients"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """Draws a slider for each coefficient."""
        flow = self.layout.grid_flow(columns=2, align=True, row_major=True)
        flow.enabled = not fixed_reason(active_face(context))
        for item in active_face(context).d3dmm.coefficients:
            flow.prop(item, "value", text=item.name, slider=True)


CLASSES = (D3DMM_PT_identity, D3DMM_PT_identity_coefficients)
