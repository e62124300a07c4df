"""Camera and Lights: a portrait studio around the active face."""

import bpy
from bpy.props import EnumProperty, IntProperty

from ..detailed3dmm_addon.appearance.studio import build_studio
from .operator_base import FaceOperator

SET_UP_ITEMS = (
    ("SOFT", "Soft", "Even light from the front, as for documents"),
    ("REMBRANDT", "Rembrandt", "One light from the side and above, a triangle of light on the far cheek"),
    ("BUTTERFLY", "Butterfly", "One light from the front and above, a short shadow below the nose"),
    ("RIM", "Rim", "Two lights from behind that draw the outline"),
    ("OUTDOOR", "Outdoor", "The light of a forest, one of Blender's own panoramas"),
)


class D3DMM_OT_build_studio(FaceOperator, bpy.types.Operator):
    """Put a camera, lights and a backdrop around the face, in place of those that were added before"""

    bl_idname = "d3dmm.build_studio"
    bl_label = "Camera and Lights"
    bl_options = {"REGISTER", "UNDO"}

    set_up: EnumProperty(name="Light", description="Set-up of the lights", items=SET_UP_ITEMS)
    turntable: IntProperty(
        name="Turntable",
        description="Frames in which the camera goes once around the face; 0: it stands still",
        default=0,
        min=0,
        max=10000,
    )

    def perform(self, context):
        """Builds the studio."""
        build_studio(context, self.face(context), self.set_up, self.turntable)


CLASSES = (D3DMM_OT_build_studio,)
