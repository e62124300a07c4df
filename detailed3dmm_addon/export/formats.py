"""Writes a staged face as glTF, FBX, USD, Alembic, map sequence or curves."""

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np

from ...ml_backend.errors import UserError
from ...ml_backend.files.curve_file import write_curves
from ...ml_backend.files.image_writers import write_exr, write_png, write_png16_millimetres
from ...ml_backend.geometry.normal_map import encode_normals, normals_of_heights
from ..nodes.materials import principled_shader
from ..nodes.node_graph import NodeGraph
from ..nodes.vertex_attributes import read_shape
from .hair import hair_of, staged_hair
from .hair_cards import show_picture, stage_cards
from .mesh import ExportMesh, KeyedClip, build_export_mesh, key_clip, plain_material
from .skin_maps import SkinMaps, shown_gain, shown_heights
from .stage import Stage
from .textures import Textures, apply_textures, bake_pores, can_paint, paint_textures
from .wrinkle_maps import wrinkle_maps, write_wrinkle_maps

Progress = Callable[[float], None]
FORMATS = {"gltf": "glTF", "fbx": "FBX", "usd": "USD", "alembic": "Alembic"}
_FRAME_DIGITS = 4
_CARD_TEXELS = 1024
"""Along a side of the picture of hair where no other textures are asked for: cards are nothing without."""


def missing_format(name: str) -> str:
    """Returns the reason why this Blender cannot write a format of `FORMATS`; empty if it can."""
    if name in ("usd", "alembic"):
        return (
            ""
            if getattr(bpy.app.build_options, name)
            else f"This Blender was built without {FORMATS[name]}: use another build"
        )
    operator = getattr(bpy.types, f"EXPORT_SCENE_OT_{name}", None)
    return (
        ""
        if operator is not None
        else f"Blender's {FORMATS[name]} add-on is off: enable it in the preferences"
    )


def export_gltf(
    stage: Stage,
    path: Path,
    base_mesh: bool,
    resolution: int,
    most_fields: int,
    painted: bool,
    progress: Progress,
) -> str:
    """Writes a .glb: morph targets and their animation, the shown detail as a normal map, colours.

    Wrinkle maps are written beside it.

    Args:
        stage: with the face and its frames.
        path: ends in .glb.
        base_mesh: see `build_export_mesh`.
        resolution: of the maps.
        most_fields: wrinkle maps at most; 0 for none.
        painted: bakes the materials' colours into textures; otherwise colours are plain.
        progress: called with 0 to 1.

    Returns:
        The report.

    Raises:
        UserError: Blender's exporter failed, or the distilled model is broken.
    """
    maps = SkinMaps(stage.face.data, resolution)
    normals = skin_normals(stage, maps)
    exported = build_export_mesh(stage, base_mesh)
    images = [_write_image(stage, path, "normal", encode_normals(normals))]
    _shade_with_normals(exported, images[0])
    report = _paint(stage, exported, path, resolution, True, images) if painted else ""
    if most_fields:
        wrinkles = wrinkle_maps(stage, maps, most_fields, progress)
        listed = write_wrinkle_maps(path, wrinkles, stage)
        exported.object["detailed3dmm_wrinkles"] = listed.name
        report += f", {len(wrinkles.fields)} wrinkle maps"
    clip = key_clip(stage, exported, progress, with_detail=False)
    report += _add_cards(stage, exported, clip, path, resolution, True, images)
    _leave_only(stage)
    _run(
        bpy.ops.export_scene.gltf,
        path,
        export_format="GLB",
        use_active_scene=True,
        export_extras=True,
        export_apply=False,
        export_morph=True,
        export_morph_normal=True,
        export_try_sparse_sk=True,
        export_animations=len(stage.frames) > 1,
        export_animation_mode="ACTIVE_ACTIONS",
        export_optimize_animation_size=True,
        export_image_format="AUTO",
    )
    _delete_files(images)
    count = len(exported.object.data.shape_keys.key_blocks) - 1
    return f"{len(exported.vertices)} vertices, {count} morph targets{report}"


def export_fbx(
    stage: Stage, path: Path, base_mesh: bool, with_detail: bool, resolution: int, progress: Progress
) -> str:
    """Writes an .fbx: blend shapes and their animation; the frames' wrinkles as more blend shapes.

    Args:
        stage: with the face and its frames.
        path: ends in .fbx.
        base_mesh: see `build_export_mesh`.
        with_detail: adds blend shapes for the wrinkles, and the fine band as a normal map.
        resolution: of the textures inside the file; 0 for plain colours.
        progress: called with 0 to 1.

    Raises:
        UserError: Blender's exporter failed, or a modifier changes the copy's vertices.
    """
    images: list[bpy.types.Image] = []
    exported = build_export_mesh(stage, base_mesh)
    report = ""
    if resolution:
        report = _paint(stage, exported, path, resolution, False, images)
        if with_detail:
            fine = skin_normals(stage, SkinMaps(stage.face.data, resolution), fine_only=True)
            images.append(_write_image(stage, path, "normal", encode_normals(fine)))
            _shade_with_normals(exported, images[-1])
    clip = key_clip(stage, exported, progress, with_detail)
    report += _add_cards(stage, exported, clip, path, resolution or _CARD_TEXELS, False, images)
    _leave_only(stage)
    _run(
        bpy.ops.export_scene.fbx,
        path,
        object_types={"MESH"},
        use_mesh_modifiers=False,
        mesh_smooth_type="FACE",
        add_leaf_bones=False,
        bake_anim=len(stage.frames) > 1,
        bake_anim_use_nla_strips=False,
        bake_anim_use_all_actions=False,
        bake_anim_simplify_factor=0.0,
        path_mode="COPY",
        embed_textures=True,
    )
    _delete_files(images)
    count = len(exported.object.data.shape_keys.key_blocks) - 1
    return f"{len(exported.vertices)} vertices, {count} blend shapes{report}"


def export_usd(stage: Stage, path: Path, resolution: int) -> str:
    """Writes a .usd, .usdc or .usda: the detailed mesh and the hair of every frame; its textures beside.

    Metres, Z up.

    Args:
        stage: with the face and its frames.
        path: the file.
        resolution: of the textures; 0 for plain colours.

    Raises:
        UserError: Blender's exporter failed.
    """
    report = ""
    if resolution and can_paint():
        normals = skin_normals(stage, SkinMaps(stage.face.data, resolution), fine_only=True)
        textures = paint_textures(stage, resolution)
        _plain_materials(stage)
        whole = ExportMesh(np.arange(len(stage.face.data.vertices)), stage.face)
        report = _apply_images(stage, whole, path, textures, False, [])
        _shade_with_normals(whole, _write_image(stage, path, "normal", encode_normals(normals)))
    else:
        _plain_materials(stage)
    hair = staged_hair(stage)
    _run(
        bpy.ops.wm.usd_export,
        path,
        export_animation=True,
        export_shapekeys=False,
        export_armatures=False,
        evaluation_mode="VIEWPORT",
        export_materials=True,
        export_textures=False,
        export_textures_mode="KEEP",
        relative_paths=True,
    )
    return f"{len(stage.positions())} vertices, {len(stage.frames)} frames{report}{hair}"


def export_alembic(stage: Stage, path: Path) -> str:
    """Writes an .abc: the detailed mesh and the hair of every frame.

    Raises:
        UserError: Blender's exporter failed.
    """
    _plain_materials(stage)
    hair = staged_hair(stage)
    _run(
        bpy.ops.wm.alembic_export,
        path,
        start=stage.frames[0],
        end=stage.frames[-1],
        evaluation_mode="VIEWPORT",
        as_background_job=False,
        init_scene_frame_range=False,
    )
    return f"{len(stage.positions())} vertices, {len(stage.frames)} frames{hair}"


def export_map_sequence(stage: Stage, path: Path, resolution: int, progress: Progress) -> list[Path]:
    """Writes the displacement of each frame as EXR (half floats, millimetres) or PNG16 ((mm + 4) / 8).

    Args:
        stage: with the face and its frames.
        path: `x.exr` gives `x_0001.exr` and so on, by scene frame.
        resolution: texels along a side.
        progress: called with 0 to 1.

    Returns:
        The files.

    Raises:
        UserError: the suffix is neither .exr nor .png, or a file cannot be written.
    """
    write = {".exr": write_exr, ".png": write_png16_millimetres}.get(path.suffix.lower())
    if write is None:
        raise UserError(f"{path.name}: not a kind of displacement map by its name.", "Give it .exr or .png.")
    maps = SkinMaps(stage.face.data, resolution)
    written = []
    for index, frame in enumerate(stage.frames):
        stage.go_to(frame)
        written.append(path.with_name(f"{path.stem}_{frame:0{_FRAME_DIGITS}d}{path.suffix}"))
        write(written[-1], shown_heights(stage, maps))
        progress(index / len(stage.frames))
    return written


def export_curves(stage: Stage, path: Path, progress: Progress) -> str:
    """Writes the expressions and the head's rotation as Live Link Face CSV or JSON, by the suffix.

    Raises:
        UserError: the suffix is neither .csv nor .json, or the file cannot be written.
    """
    write_curves(path, stage.animation(progress))
    return f"{len(stage.frames)} frames"


def skin_normals(stage: Stage, maps: SkinMaps, fine_only: bool = False) -> np.ndarray:
    """Returns (R, R, 3): normals of the shown detail, or of its fine band, in the tangent frame at rest."""
    rest = read_shape(stage.face.data.shape_keys.key_blocks[0])
    heights = shown_heights(stage, maps, fine_only, as_shaded=True)
    pores = bake_pores(stage, maps.resolution) if can_paint() else None
    if pores is not None:
        heights = heights + pores * maps.carry(np.minimum(shown_gain(stage, maps), 2.0))
    return normals_of_heights(heights, maps.metric(rest))


def _run(operator, path: Path, **options) -> None:
    """Calls one of Blender's exporters with the options that its version has.

    Raises:
        UserError: it failed.
    """
    properties = operator.get_rna_type().properties
    try:
        result = operator(
            filepath=str(path),
            check_existing=False,
            **{name: value for name, value in options.items() if name in properties},
        )
    except RuntimeError as error:
        raise UserError(
            f"{path.name}: Blender's exporter failed ({error}).".replace("\n", " "),
            "Look at the terminal for more.",
        ) from error
    if result != {"FINISHED"}:
        raise UserError(f"{path.name}: Blender's exporter gave up.", "Look at the terminal for more.")


def _leave_only(stage: Stage) -> None:
    """Leaves only the export mesh on the stage."""
    stage.inputs.clear()
    bpy.data.objects.remove(stage.face)
    stage.go_to(stage.frames[0])


def _plain_materials(stage: Stage) -> None:
    for index, material in enumerate(stage.face.data.materials):
        stage.face.data.materials[index] = stage.track(plain_material(material))


def _write_image(
    stage: Stage, path: Path, name: str, pixels: np.ndarray, colour: bool = False
) -> bpy.types.Image:
    """Writes an image beside a file, and loads it.

    Args:
        stage: the image is removed with it.
        path: of the exported file.
        name: is added to the file's name.
        pixels: (R, R, C) uint8, row 0 at the bottom.
        colour: the pixels are sRGB colours; otherwise they are data.
    """
    image_path = path.with_name(f"{path.stem}_{name}.png")
    write_png(image_path, pixels)
    image = stage.track(bpy.data.images.load(str(image_path)))
    if not colour:
        image.colorspace_settings.name = "Non-Color"
    return image


def _delete_files(images: list[bpy.types.Image]) -> None:
    """Deletes the files of images that the exported file holds."""
    for image in images:
        Path(bpy.path.abspath(image.filepath)).unlink()


def _paint(
    stage: Stage,
    exported: ExportMesh,
    path: Path,
    resolution: int,
    packed: bool,
    images: list[bpy.types.Image],
) -> str:
    """Gives an export mesh the colours of the face's materials, adds the images, and returns the report."""
    if not can_paint():
        return ", plain colours (Blender's Cycles add-on is off)"
    return _apply_images(stage, exported, path, paint_textures(stage, resolution), packed, images)


def _apply_images(
    stage: Stage,
    exported: ExportMesh,
    path: Path,
    textures: Textures,
    packed: bool,
    images: list[bpy.types.Image],
) -> str:
    """Writes textures beside a file, puts them into the mesh's materials, and returns the report."""
    rough = textures.roughness
    if packed:
        rough = np.stack([np.full_like(rough, 255), rough, np.zeros_like(rough)], 2)
    made = (
        _write_image(stage, path, "skin", textures.skin, True),
        _write_image(stage, path, "roughness", rough),
        _write_image(stage, path, "parts", textures.parts, True),
    )
    apply_textures(exported, textures, *made, packed)
    images += made
    return ", 3 textures"


def _add_cards(
    stage: Stage,
    exported: ExportMesh,
    clip: KeyedClip,
    path: Path,
    resolution: int,
    packed: bool,
    images: list[bpy.types.Image],
) -> str:
    """Adds the face's hair as cards to an export mesh and its pictures to the images; returns the report."""
    parts = stage_cards(stage, exported, clip, resolution)
    for part in parts:
        images.append(_write_image(stage, path, part.part, part.picture, True))
        show_picture(stage, part, images[-1], packed)
    left = len(hair_of(stage.face)) > len(parts)
    return (f", hair as {len(parts)} meshes of cards" if parts else "") + (", without vellus" if left else "")


def _shade_with_normals(exported: ExportMesh, image: bpy.types.Image) -> None:
    material = exported.object.data.materials[0]
    graph = NodeGraph(material.node_tree, keep=True)
    texture = graph.node("TexImage", image=image)
    normal = graph.node("NormalMap", {"Color": texture.outputs["Color"]}, uv_map="UVMap")
    graph.feed(principled_shader(material).inputs["Normal"], normal.outputs["Normal"])
