"""The Eyes panel: iris, pupil, the white of the eyes, and the gaze target."""

import bpy

from ..detailed3dmm_addon.appearance.eyes import eye_modifier
from ..detailed3dmm_addon.appearance.gaze import gaze_target
from ..detailed3dmm_addon.model.registry import active_face
from ..detailed3dmm_addon.nodes import eye_groups
from ..detailed3dmm_addon.nodes.modifier_inputs import input_slider
from .sidebar import FacePanel

_LOOK = (
    eye_groups.IRIS_INPUT,
    eye_groups.SECOND_INPUT,
    eye_groups.SEED_INPUT,
    eye_groups.PUPIL_INPUT,
    eye_groups.VEINS_INPUT,
    eye_groups.YELLOWING_INPUT,
    eye_groups.WETNESS_INPUT,
)

_LABELS = {eye_groups.GAZE_INPUT: "Gaze", eye_groups.LIDS_INPUT: "Lids Follow"}


class D3DMM_PT_eyes(FacePanel, bpy.types.Panel):
    """The eyes."""

    bl_idname = "D3DMM_PT_eyes"
    bl_label = "Eyes"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """Draws the inputs of the eyes' modifier, or the button that adds it."""
        face = active_face(context)
        modifier = eye_modifier(face)
        if modifier is None:
            self.layout.operator("d3dmm.add_eyes", icon="HIDE_OFF")
            return
        column = self.layout.column(align=True)  # names inside: beside the sliders some would be cut
        for name in _LOOK:
            holder, path = input_slider(modifier, name)
            column.prop(holder, path, text=name)
        if gaze_target(face) is None:
            self.layout.operator("d3dmm.add_gaze_target", icon="TRACKER")
            return
        column = self.layout.column(align=True)
        holder, path = input_slider(modifier, eye_groups.TARGET_INPUT)
        column.prop_search(holder, path, bpy.data, "objects", text="Target")
        for name in (eye_groups.GAZE_INPUT, eye_groups.LIDS_INPUT):
            holder, path = input_slider(modifier, name)
            column.prop(holder, path, text=_LABELS[name])
        self.layout.operator("d3dmm.remove_gaze_target", icon="X")


CLASSES = (D3DMM_PT_eyes,)
