"""The Export Copy panel: a face for other programs."""

import bpy

from .sidebar import FacePanel


class D3DMM_PT_export(FacePanel, bpy.types.Panel):
    """Ways out of Blender; the scene stays as it is."""

    bl_idname = "D3DMM_PT_export"
    bl_label = "Export Copy"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        """Draws a button for each kind of file."""
        grid = self.layout.grid_flow(columns=2, align=True, row_major=True, even_columns=True)
        for name, label in (("gltf", "glTF"), ("fbx", "FBX"), ("usd", "USD"), ("alembic", "Alembic")):
            grid.operator(f"d3dmm.export_{name}", text=label, icon="EXPORT")
        column = self.layout.column(align=True)
        column.operator("d3dmm.export_maps", text="Displacement Maps", icon="TEXTURE")
        column.operator("d3dmm.export_curves", text="Curves", icon="FCURVE")


CLASSES = (D3DMM_PT_export,)
