"""The Photo panel: the confidence of the fit, and the share of the photo that shows."""

import bpy

from ..detailed3dmm_addon.model.registry import active_face
from .sidebar import FacePanel, characters_across, draw_paragraph


class D3DMM_PT_photo(FacePanel, bpy.types.Panel):
    """The photo of a face, and its share."""

    bl_idname = "D3DMM_PT_photo"
    bl_label = "Photo"

    @classmethod
    def poll(cls, context):
        """Tells whether the active face was fitted to a photo."""
        face = active_face(context)
        return face is not None and bool(face.d3dmm.photo)

    def draw(self, context):
        """Draws the photo's name, the fit's confidence and three blends."""
        settings = active_face(context).d3dmm
        self.layout.label(text=settings.photo, icon="IMAGE_DATA")
        icon = "CHECKMARK" if settings.photo_sure > 0.5 else "ERROR"
        draw_paragraph(self.layout, settings.photo_sureness, characters_across(context), icon)
        column = self.layout.column()
        column.use_property_split = True
        column.prop(settings, "photo_wrinkles", slider=True)
        column.prop(settings, "photo_colour", slider=True)
        column.prop(settings, "photo_light", slider=True)


CLASSES = (D3DMM_PT_photo,)
