"""Presets in Blender's menus, assets with pictures, files dropped on the viewport."""

from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest


def picture_of(item) -> np.ndarray:
    """(256, 256, 4): what the Asset Browser shows."""
    assert tuple(item.preview.image_size) == (256, 256)
    pixels = np.empty(256 * 256 * 4, np.float32)
    item.preview.image_pixels_float.foreach_get(pixels)
    return pixels.reshape(256, 256, 4)


def test_a_face_becomes_an_asset_with_its_picture_and_tags(face):
    face.d3dmm.skin_tone = 0.1
    assert bpy.ops.d3dmm.mark_face_asset() == {"FINISHED"}
    assert {"face", "detailed3dmm", "character"} <= set(
        face.asset_data.tags.keys()
    ) and "seed 3" in face.asset_data.description
    light = picture_of(face)
    covered = light[..., 3] > 0.5
    assert 0.25 < covered.mean() < 0.9 and not covered[:, :8].any()
    assert light[covered, :3].std() > 0.1 and np.all(light[covered, 0].mean() > light[covered, 2].mean())
    face.d3dmm.skin_tone = 0.9
    assert bpy.ops.d3dmm.mark_face_asset() == {"FINISHED"}
    assert picture_of(face)[covered, :3].mean() < 0.75 * light[covered, :3].mean()


def test_an_expression_becomes_an_asset_and_another_face_shows_it(face, module, no_worker):
    keys = face.data.shape_keys.key_blocks
    keys["jawOpen"].value, keys["browInnerUp"].value = 0.6, 1.2
    assert bpy.ops.d3dmm.save_expression_asset(name="Gasp") == {"FINISHED"}
    action = bpy.data.actions["Gasp"]
    assert (
        action.asset_data is not None
        and {"expression", "pose"} <= set(action.asset_data.tags.keys())
        and action.use_fake_user
    )
    assert "browInnerUp" in action.asset_data.description and face.data.shape_keys.animation_data is None
    open_mouth = picture_of(action)
    bpy.ops.d3dmm.create_face(identity_seed=8, update_detail=False)
    other = bpy.context.active_object
    other.data.shape_keys.key_blocks["mouthPucker"].value = 1.0
    assert bpy.ops.d3dmm.apply_expression_asset(action="Gasp") == {"FINISHED"}
    model = module("detailed3dmm_addon.model.face_model")
    assert np.allclose(model.expression_of(other), model.expression_of(face), atol=1e-6)
    bpy.ops.d3dmm.reset_expression()
    bpy.ops.d3dmm.save_expression_asset(name="Rest")
    assert np.abs(picture_of(bpy.data.actions["Rest"]) - open_mouth).max() > 0.2
    with pytest.raises(RuntimeError, match="not an expression"):
        bpy.ops.d3dmm.apply_expression_asset(action="Nothing")


def test_presets_are_listed_loaded_and_removed_through_blenders_menus(face, module, no_worker):
    keys = face.data.shape_keys.key_blocks
    keys["mouthSmileLeft"].value = 0.7
    assert bpy.ops.d3dmm.add_preset(kind="EXPRESSION", name="Half Smile") == {"FINISHED"}
    assert bpy.ops.d3dmm.add_preset(kind="CHARACTER", name="Ünä") == {"FINISHED"}
    menus = module("panels.preset_panel")
    model = module("detailed3dmm_addon.model.face_model")
    identity = model.identity_of(face)
    bpy.ops.d3dmm.random_face(seed=11)
    bpy.ops.d3dmm.reset_expression()
    other = model.identity_of(face)
    (listed,) = files_of(menus.D3DMM_MT_expression_presets)
    assert listed.stem == "Half Smile"
    assert bpy.ops.d3dmm.load_face(filepath=str(listed)) == {"FINISHED"}
    assert keys["mouthSmileLeft"].value == pytest.approx(0.7) and np.array_equal(
        model.identity_of(face), other
    )
    (listed,) = files_of(menus.D3DMM_MT_character_presets)
    assert bpy.ops.d3dmm.load_face(filepath=str(listed)) == {"FINISHED"}
    assert np.allclose(model.identity_of(face), identity, atol=1e-5)
    assert bpy.ops.d3dmm.remove_preset(kind="CHARACTER", name="Ünä") == {"FINISHED"}
    assert (
        not files_of(menus.D3DMM_MT_character_presets)
        and len(files_of(menus.D3DMM_MT_expression_presets)) == 1
    )
    assert bpy.ops.d3dmm.remove_preset(kind="EXPRESSION", name="Half Smile") == {"FINISHED"}
    with pytest.raises(RuntimeError, match="cannot name a preset"):
        bpy.ops.d3dmm.add_preset(kind="EXPRESSION", name="../escape")


def files_of(menu) -> list[Path]:
    """Returns the files that Blender's own code lists in a menu of presets."""
    found = []
    rows = SimpleNamespace(
        layout=SimpleNamespace(
            operator=lambda _name, **_: _keep(found),
            operator_context="",
            column=lambda **_: None,
            row=lambda **_: None,
            separator=lambda: None,
        ),
        bl_idname=menu.bl_idname,
        preset_subdir=menu.preset_subdir,
        preset_operator=menu.preset_operator,
        preset_extensions=menu.preset_extensions,
    )
    rows.path_menu = lambda *a, **k: bpy.types.Menu.path_menu(rows, *a, **k)
    rows.layout.column = rows.layout.row = lambda **_: rows.layout
    menu.draw(rows, bpy.context)
    return [Path(item.filepath) for item in found if hasattr(item, "filepath")]


def _keep(found):
    found.append(SimpleNamespace())
    return found[-1]


def test_a_saved_face_keeps_its_colours_its_imported_map_and_what_is_shown(face, module, no_worker, tmp_path):
    live = module("detailed3dmm_addon.detail.live")
    hair_node = module("detailed3dmm_addon.appearance.skin_material").HAIR_NODE

    def socket(item, node):
        return next(
            m.node_tree.nodes[node].outputs[0] for m in item.data.materials if node in m.node_tree.nodes
        )

    face.d3dmm.iris_colour = (0.1, 0.5, 0.2)
    socket(face, hair_node).default_value = (0.6, 0.1, 0.1, 1.0)
    latent = np.random.default_rng(0).normal(0, 1, (18, 512)).astype(np.float32)
    live.set_latent(face, latent, "scan.exr 0123")
    face.d3dmm.resolution = "256"
    path = tmp_path / "face.json"
    assert bpy.ops.d3dmm.save_face(filepath=str(path), check_existing=False) == {"FINISHED"}
    bpy.ops.d3dmm.create_face(identity_seed=8, update_detail=False)
    other = bpy.context.active_object
    assert bpy.ops.d3dmm.load_face(filepath=str(path)) == {"FINISHED"}
    assert tuple(other.d3dmm.iris_colour) == pytest.approx((0.1, 0.5, 0.2))
    assert tuple(socket(other, hair_node).default_value)[:3] == pytest.approx((0.6, 0.1, 0.1))
    assert (
        other.d3dmm.imported_map == "scan.exr 0123"
        and other.d3dmm.resolution == "256"
        and not other.d3dmm.show_detail
    )
    assert np.allclose(live.latent_arrays(other)["latent_offset"], latent, atol=1e-5)
    for broken, said in (
        ('"colours": {"hair": [1, 2]}', "three numbers"),
        ('"imported_map": {"name": "x", "latent": [1]}', "imported_map"),
    ):
        path.write_text('{"expression": {}, "sliders": {' + broken + "}}")
        with pytest.raises(RuntimeError, match=said):
            bpy.ops.d3dmm.load_face(filepath=str(path))
    assert tuple(socket(other, hair_node).default_value)[:3] == pytest.approx((0.6, 0.1, 0.1))


def test_a_recording_can_be_dropped_on_the_viewport_of_a_face(face, module, tmp_path):
    handler = bpy.types.D3DMM_FH_recording
    assert (
        handler.bl_import_operator == "d3dmm.drop_recording"
        and ".wav" in handler.bl_file_extensions.split(";")
    )
    viewport, other = (
        SimpleNamespace(area=SimpleNamespace(type=kind), active_object=face, mode="OBJECT")
        for kind in ("VIEW_3D", "TEXT_EDITOR")
    )
    assert handler.poll_drop(viewport) and not handler.poll_drop(other)
    assert {".jpg", ".heic"} <= set(bpy.types.D3DMM_FH_photo.bl_file_extensions.split(";"))
    with pytest.raises(RuntimeError, match=r"no such file|no Python|No Python"):
        bpy.ops.d3dmm.drop_recording(filepath=str(tmp_path / "nothing.wav"))


def drop(path: Path) -> None:
    """Hands a file to the viewport as Blender does when one is let go over it."""
    (window,) = bpy.context.window_manager.windows
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        assert bpy.ops.wm.drop_import_file(
            "INVOKE_DEFAULT", directory=f"{path.parent}/", files=[{"name": path.name}]
        ) == {"FINISHED"}


def test_blender_hands_a_dropped_recording_to_the_face(face, worker, recording):
    drop(recording)
    assert face.data.shape_keys.animation_data.action is not None and face.d3dmm.has_baked_detail


def test_blender_hands_a_dropped_photo_to_us_where_nobody_else_takes_it(worker, photo):
    """With others that take pictures it asks, which needs a window: tests/window."""
    others = [
        cls
        for cls in bpy.types.FileHandler.__subclasses__()
        if ".png" in cls.bl_file_extensions and cls.is_registered
    ]
    others = [cls for cls in others if not cls.bl_idname.startswith("D3DMM")]
    for cls in others:
        bpy.utils.unregister_class(cls)
    try:
        drop(photo)
    finally:
        for cls in others:
            bpy.utils.register_class(cls)
    (made,) = [item for item in bpy.context.scene.objects if item.type == "MESH"]
    assert made.d3dmm.photo == photo.name


def test_no_key_is_bound_by_default():
    for configuration in bpy.context.window_manager.keyconfigs:
        for keymap in configuration.keymaps:
            assert not [item.idname for item in keymap.keymap_items if item.idname.startswith("d3dmm.")]
