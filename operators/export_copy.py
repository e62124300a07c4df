"""Export Copy: a face for other programs; the scene stays as it was."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ExportHelper

from ..detailed3dmm_addon.export import formats as export_files
from ..detailed3dmm_addon.export.stage import export_stage, finished_files
from .operator_base import FaceOperator, named_file, needs_face

_MESHES = (
    ("BASE", "Base Mesh", "The model's own polygons, about 5,000 vertices: for games"),
    ("FULL", "Full Mesh", "Every vertex of the face: for renders"),
)
_SIZES = [(str(size), str(size), f"{size} x {size} texels") for size in (256, 512, 1024, 2048)]


class _ExportOperator(FaceOperator, ExportHelper):
    """Mixed into the exports: which frames, on which stage, with which progress."""

    format = ""

    scene_range: BoolProperty(
        name="Scene Range", description="Export the scene's frames, not those given here", default=True
    )
    first_frame: IntProperty(name="First Frame", description="Where it is not the scene's range", default=1)
    last_frame: IntProperty(name="Last Frame", description="Where it is not the scene's range", default=250)

    @classmethod
    def disabled_reason(cls, context):
        """Grey without a face, or where this Blender cannot write the format."""
        return needs_face(context) or (export_files.missing_format(cls.format) if cls.format else "")

    def perform(self, context):
        """Exports from the stage into a temporary folder, then moves the files into place."""
        face = self.face(context)
        scene = context.scene
        path = named_file(self)
        if path.suffix.lower() not in self.suffixes():
            path = path.with_name(path.name + self.filename_ext)
        first, last = (
            (scene.frame_start, scene.frame_end) if self.scene_range else (self.first_frame, self.last_frame)
        )
        manager = context.window_manager
        manager.progress_begin(0.0, 1.0)
        try:
            with (
                finished_files(path) as passing,
                export_stage(context, face, first, last, self.shows_detail()) as stage,
            ):
                said = self.export(stage, passing, manager.progress_update)
        finally:
            manager.progress_end()
        self.report({"INFO"}, f"Exported {path.name}: {said}")

    def suffixes(self) -> tuple[str, ...]:
        """Returns the suffixes that a file may have."""
        return (self.filename_ext,)

    def shows_detail(self) -> bool:
        """Tells whether the stage's copy is displaced."""
        return True

    def export(self, stage, path: Path, progress) -> str:
        """Writes the files; returns what to report."""
        raise NotImplementedError


class D3DMM_OT_export_gltf(_ExportOperator, bpy.types.Operator):
    """Write this face for game engines: expressions as morph targets, wrinkles as normal and wrinkle maps"""

    bl_idname = "d3dmm.export_gltf"
    bl_label = "Export Copy as glTF"
    format = "gltf"

    filename_ext = ".glb"
    filter_glob: StringProperty(default="*.glb", options={"HIDDEN"})
    mesh: EnumProperty(name="Mesh", description="Which vertices are exported", items=_MESHES, default="BASE")
    resolution: EnumProperty(
        name="Maps", description="Texels along a side of the maps", items=_SIZES[1:], default="1024"
    )
    wrinkle_count: IntProperty(
        name="Wrinkle Maps",
        description="Most maps of the detail basis, 0 for none; a baked clip exports its own",
        default=8,
        min=0,
        max=32,
    )
    textures: BoolProperty(
        name="Textures", description="Paint the materials' colours and roughness as textures", default=True
    )

    def export(self, stage, path, progress):
        """Writes the .glb and its wrinkle maps."""
        base = self.mesh == "BASE"
        size = int(self.resolution)
        return export_files.export_gltf(stage, path, base, size, self.wrinkle_count, self.textures, progress)


class D3DMM_OT_export_fbx(_ExportOperator, bpy.types.Operator):
    """Write this face and its animation: expressions and wrinkles as blend shapes"""

    bl_idname = "d3dmm.export_fbx"
    bl_label = "Export Copy as FBX"
    format = "fbx"

    filename_ext = ".fbx"
    filter_glob: StringProperty(default="*.fbx", options={"HIDDEN"})
    mesh: EnumProperty(name="Mesh", description="Which vertices are exported", items=_MESHES, default="FULL")
    detail: BoolProperty(
        name="Wrinkles", description="Add blend shapes for the wrinkles of these frames", default=True
    )
    textures: BoolProperty(
        name="Textures", description="Paint the materials' colours and roughness as textures", default=True
    )
    resolution: EnumProperty(
        name="Maps", description="Texels along a side of the textures", items=_SIZES[1:], default="1024"
    )

    def export(self, stage, path, progress):
        """Writes the .fbx."""
        size = int(self.resolution) if self.textures else 0
        return export_files.export_fbx(stage, path, self.mesh == "BASE", self.detail, size, progress)

    def shows_detail(self):
        """As asked for."""
        return self.detail


class D3DMM_OT_export_usd(_ExportOperator, bpy.types.Operator):
    """Write this face as it moves, wrinkles included, as USD"""

    bl_idname = "d3dmm.export_usd"
    bl_label = "Export Copy as USD"
    format = "usd"

    filename_ext = ".usdc"
    filter_glob: StringProperty(default="*.usd;*.usdc;*.usda", options={"HIDDEN"})
    detail: BoolProperty(name="Wrinkles", description="Displace the mesh by its wrinkles", default=True)
    textures: BoolProperty(
        name="Textures", description="Paint the materials' colours and roughness as textures", default=True
    )
    resolution: EnumProperty(
        name="Maps", description="Texels along a side of the textures", items=_SIZES[1:], default="1024"
    )

    def suffixes(self):
        """All of USD's."""
        return (".usdc", ".usda", ".usd")

    def export(self, stage, path, progress):
        """Writes the mesh of every frame."""
        return export_files.export_usd(stage, path, int(self.resolution) if self.textures else 0)

    def shows_detail(self):
        """As asked for."""
        return self.detail


class D3DMM_OT_export_alembic(_ExportOperator, bpy.types.Operator):
    """Write this face as it moves, wrinkles included, as Alembic"""

    bl_idname = "d3dmm.export_alembic"
    bl_label = "Export Copy as Alembic"
    format = "alembic"

    filename_ext = ".abc"
    filter_glob: StringProperty(default="*.abc", options={"HIDDEN"})
    detail: BoolProperty(name="Wrinkles", description="Displace the mesh by its wrinkles", default=True)

    def export(self, stage, path, progress):
        """Writes the mesh of every frame."""
        return export_files.export_alembic(stage, path)

    def shows_detail(self):
        """As asked for."""
        return self.detail


class D3DMM_OT_export_maps(_ExportOperator, bpy.types.Operator):
    """Write the displacement of each frame as a map: EXR in millimetres, or PNG16 as (mm + 4) / 8"""

    bl_idname = "d3dmm.export_maps"
    bl_label = "Export Displacement Maps"

    filename_ext = ".exr"
    filter_glob: StringProperty(default="*.exr;*.png", options={"HIDDEN"})
    resolution: EnumProperty(name="Maps", description="Texels along a side", items=_SIZES, default="1024")

    def suffixes(self):
        """EXR and PNG."""
        return (".exr", ".png")

    def export(self, stage, path, progress):
        """Writes one map a frame; the first stands for the file that was named."""
        written = export_files.export_map_sequence(stage, path, int(self.resolution), progress)
        return f"{len(written)} maps, {written[0].name} to {written[-1].name}"


class D3DMM_OT_export_curves(_ExportOperator, bpy.types.Operator):
    """Write the animation of the expressions as Live Link Face CSV, or as JSON"""

    bl_idname = "d3dmm.export_curves"
    bl_label = "Export Curves"

    filename_ext = ".csv"
    filter_glob: StringProperty(default="*.csv;*.json", options={"HIDDEN"})

    def suffixes(self):
        """CSV and JSON."""
        return (".csv", ".json")

    def export(self, stage, path, progress):
        """Writes one row a frame."""
        return export_files.export_curves(stage, path, progress)

    def shows_detail(self):
        """Not needed."""
        return False


CLASSES = (
    D3DMM_OT_export_gltf,
    D3DMM_OT_export_fbx,
    D3DMM_OT_export_usd,
    D3DMM_OT_export_alembic,
    D3DMM_OT_export_maps,
    D3DMM_OT_export_curves,
)
