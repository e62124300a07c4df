"""The Photo panel: where a face comes from a photograph, how sure that is, and how much of the photo shows."""

import bpy

from ..detailed3dmm_addon.model.registry import active_face
from .sidebar import FacePanel, characters_across, draw_paragraph


class D3DMM_PT_photo(FacePanel, bpy.types.Panel):
    """What the photo gave."""

    bl_idname = "D3DMM_PT_photo"
    bl_label = "Photo"

    @classmethod
    def poll(cls, context):
        """Whether the active face was fitted to a photo."""
        face = active_face(context)
        return face is not None and bool(face.d3dmm.photo)

    def draw(self, context):
        """Draws the photo's name, the fit's sureness and two blends."""
        settings = active_face(context).d3dmm
        self.layout.label(text=settings.photo, icon="IMAGE_DATA")
        icon = "CHECKMARK" if settings.photo_sure > 0.5 else "ERROR"
        draw_paragraph(self.layout, settings.photo_sureness, characters_across(context), icon)
        column = self.layout.column()
        column.use_property_split = True
        column.prop(settings, "photo_wrinkles", slider=True)
        column.prop(settings, "photo_colour", slider=True)


CLASSES = (D3DMM_PT_photo,)
