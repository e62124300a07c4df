"""Skin colour in Blender: the image follows the sliders, undo, files, duplicates, keys and renders."""

import time
from pathlib import Path

import bpy
import numpy as np
import pytest
from tiny_skin import write_tiny_model

EARLIER = Path(__file__).parent / "earlier" / "scene.blend"


@pytest.fixture(scope="module")
def tiny_folder(module, tmp_path_factory):
    folder = tmp_path_factory.mktemp("skin")
    write_tiny_model(module, folder)
    return folder


@pytest.fixture(autouse=True)
def tiny_model(module, tiny_folder, monkeypatch):
    """The small model in place of the shipped one."""
    colour = module("detailed3dmm_addon.appearance.skin_colour")
    monkeypatch.setattr(colour, "ASSETS", tiny_folder)
    colour.painter.cache_clear()
    yield colour
    colour.painter.cache_clear()


@pytest.fixture
def skinned(tiny_model, face):
    face.d3dmm.skin.size = "512"
    assert face.d3dmm.skin.use
    return face


def image_of(face) -> bpy.types.Image:
    return face.data.materials[0].node_tree.nodes["D3DMM Skin Image"].image


def pixels_of(face) -> np.ndarray:
    """(3, R, R) sRGB of a face's image."""
    image = image_of(face)
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(image.size[1], image.size[0], 4)[..., :3].transpose(2, 0, 1)


def tone_shown(colour, face) -> float:
    return colour.painter().sliders.tone_of(pixels_of(face))


def test_a_new_face_has_painted_skin_of_its_tone(tiny_model, skinned):
    image = image_of(skinned)
    assert image.colorspace_settings.name == "sRGB" and tuple(image.size) == (512, 512)
    assert tone_shown(tiny_model, skinned) == pytest.approx(skinned.d3dmm.skin.tone, abs=1.5)
    assert [modifier.name for modifier in skinned.modifiers][:2] == ["D3DMM Strain", "D3DMM Detail"]
    skinned.d3dmm.skin_tone = 0.9
    assert skinned.d3dmm.skin.tone < -40
    assert tone_shown(tiny_model, skinned) == pytest.approx(skinned.d3dmm.skin.tone, abs=1.5)


def test_every_slider_changes_the_image(skinned):
    skin = skinned.d3dmm.skin
    before = pixels_of(skinned)
    values = {
        "tone": 10.0, "undertone": 0.8, "redness": 0.9, "freckles": 0.9, "moles": 0.9, "age_spots": 0.9,
        "stubble": 0.8, "lips": 0.9, "lip_tint": (1.0, 0.5, 0.5), "age": 70.0, "tan": 0.9, "capillaries": 0.9,
        "under_eye": 0.9, "lipstick": 0.9, "blush": 0.9, "eyeliner": 0.9, "foundation": 0.9, "seed": 99,
        "lipstick_colour": (0.1, 0.5, 0.1), "own": (2.0,) * 12,
    }  # fmt: skip
    for name, value in values.items():
        setattr(skin, name, value)
        after = pixels_of(skinned)
        assert np.abs(after - before).max() > 0.003, name
        before = after
    skin.size = "1024"
    assert tuple(image_of(skinned).size) == (1024, 1024)


def test_while_dragging_a_draft_is_shown_and_at_rest_the_whole(module, tiny_model, skinned):
    follow = module("detailed3dmm_addon.appearance.skin_follow")
    skinned.d3dmm.skin.size = "1024"
    with follow.STATE.as_in_a_window():
        skinned.d3dmm.skin.tone = 5.0
        assert tuple(image_of(skinned).size) == (512, 512)
        assert tone_shown(tiny_model, skinned) == pytest.approx(5.0, abs=1.5)
        assert follow.tick() is not None and tuple(image_of(skinned).size) == (512, 512)
        time.sleep(0.32)
        assert follow.tick() is None and tuple(image_of(skinned).size) == (1024, 1024)
        skinned.d3dmm.skin.tone = 30.0
        bpy.context.scene.render.resolution_x = bpy.context.scene.render.resolution_y = 8
        follow._before_render()
        assert tuple(image_of(skinned).size) == (1024, 1024)
        follow._after_render()


def test_undo_and_redo_repaint(tiny_model, skinned):
    bpy.ops.ed.undo_push(message="light")
    assert bpy.ops.d3dmm.skin_tone(tone=-40.0) == {"FINISHED"}
    bpy.ops.ed.undo_push(message="dark")
    assert tone_shown(tiny_model, bpy.context.active_object) == pytest.approx(-40, abs=1.5)
    bpy.ops.ed.undo()
    face = bpy.context.active_object
    assert face.d3dmm.skin.tone > 0
    assert tone_shown(tiny_model, face) == pytest.approx(face.d3dmm.skin.tone, abs=1.5)
    bpy.ops.ed.redo()
    assert tone_shown(tiny_model, bpy.context.active_object) == pytest.approx(-40, abs=1.5)


def test_the_skin_is_in_the_file(module, tiny_model, skinned, tmp_path):
    skinned.d3dmm.skin.freckles = 0.7
    skinned.d3dmm.skin.lipstick_colour = (0.2, 0.1, 0.3)
    shown = pixels_of(skinned)
    path = tmp_path / "skin.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    assert image_of(skinned).packed_file is not None
    bpy.ops.wm.open_mainfile(filepath=str(path))
    loaded = bpy.context.active_object
    assert loaded.d3dmm.skin.freckles == pytest.approx(0.7)
    assert loaded.d3dmm.skin.lipstick_colour[2] == pytest.approx(0.3)
    np.testing.assert_allclose(pixels_of(loaded), shown, atol=1e-3)
    bpy.ops.wm.read_homefile(use_empty=True)
    for link in (False, True):
        with bpy.data.libraries.load(str(path), link=link) as (there, here):
            here.objects = [name for name in there.objects if name == loaded_name(there)]
        taken = here.objects[0]
        bpy.context.scene.collection.objects.link(taken)
        np.testing.assert_allclose(pixels_of(taken), shown, atol=1e-3)
        if not link:
            taken.d3dmm.skin.tone = -30.0
            assert tone_shown(tiny_model, taken) == pytest.approx(-30, abs=1.5)
    bpy.context.scene.frame_set(3)
    module("detailed3dmm_addon.appearance.skin_follow")._after_undo()
    np.testing.assert_allclose(pixels_of(taken), shown, atol=1e-3)


def loaded_name(names) -> str:
    return next(name for name in names.objects if name.startswith("Face"))


def test_a_duplicate_gets_a_skin_of_its_own_when_it_changes(tiny_model, skinned):
    before = pixels_of(skinned)
    bpy.ops.object.duplicate()
    copy = bpy.context.active_object
    assert copy != skinned
    copy.d3dmm.skin.tone = -35.0
    assert image_of(copy) != image_of(skinned)
    np.testing.assert_array_equal(pixels_of(skinned), before)
    assert tone_shown(tiny_model, copy) == pytest.approx(-35, abs=1.5)
    bpy.ops.d3dmm.create_face(identity_seed=5, update_detail=False)
    bpy.context.active_object.d3dmm.skin.tone = 60.0
    assert tone_shown(tiny_model, copy) == pytest.approx(-35, abs=1.5)


def test_keyed_skin_follows_the_frame(tiny_model, skinned):
    skin = skinned.d3dmm.skin
    for frame, tone in ((1, 50.0), (11, -30.0)):
        skin.tone = tone
        assert skin.keyframe_insert("tone", frame=frame)
    for frame in (1, 11, 6):
        bpy.context.scene.frame_set(frame)
        assert tone_shown(tiny_model, skinned) == pytest.approx(skin.tone, abs=1.5)
    assert -20 < skin.tone < 40


def test_a_face_file_keeps_the_skin(skinned, tmp_path):
    skin = skinned.d3dmm.skin
    skin.tone, skin.freckles, skin.seed, skin.blood = -12.0, 0.6, 77, 2.0
    skin.blush_colour = (0.3, 0.2, 0.1)
    shown = pixels_of(skinned)
    path = tmp_path / "face.json"
    assert bpy.ops.d3dmm.save_face(filepath=str(path)) == {"FINISHED"}
    bpy.ops.d3dmm.create_face(identity_seed=9, update_detail=False)
    other = bpy.context.active_object
    other.d3dmm.skin.size = "512"
    assert bpy.ops.d3dmm.load_face(filepath=str(path)) == {"FINISHED"}
    assert other.d3dmm.skin.seed == 77 and other.d3dmm.skin.blood == pytest.approx(2.0)
    assert other.d3dmm.skin.blush_colour[0] == pytest.approx(0.3)
    np.testing.assert_allclose(pixels_of(other), shown, atol=5e-3)
    for broken in ('"skin": []', '"skin": {"horns": 1}', '"skin": {"tone": "x"}', '"skin": {"own": [1]}'):
        path.write_text('{"expression": {"jawOpen": 0.5}, "sliders": {' + broken + "}}")
        with pytest.raises(RuntimeError, match="skin"):
            bpy.ops.d3dmm.load_face(filepath=str(path))


def test_presets_random_skin_and_the_lock(tiny_model, skinned):
    skin = skinned.d3dmm.skin
    assert bpy.ops.d3dmm.skin_preset(preset="freckled") == {"FINISHED"}
    assert skin.freckles == pytest.approx(0.85)
    assert tone_shown(tiny_model, skinned) == pytest.approx(56, abs=1.5)
    assert bpy.ops.d3dmm.skin_preset(preset="evening") == {"FINISHED"}
    assert skin.freckles == pytest.approx(0.85) and skin.lipstick > 0.5
    assert bpy.ops.d3dmm.random_skin(seed=12) == {"FINISHED"}
    drawn = pixels_of(skinned)
    skin.lock_seed = True
    assert bpy.ops.d3dmm.random_face(seed=4) == {"FINISHED"}
    np.testing.assert_array_equal(pixels_of(skinned), drawn)
    skin.lock_seed = False
    assert bpy.ops.d3dmm.random_face(seed=4) == {"FINISHED"}
    assert skin.seed == 4 and np.abs(pixels_of(skinned) - drawn).max() > 0.01


def strain_of(face) -> np.ndarray:
    """(N, 3) of the evaluated mesh."""
    graph = bpy.context.evaluated_depsgraph_get()
    data = face.evaluated_get(graph).data.attributes["d3dmm_strain"].data
    values = np.empty(3 * len(data), np.float32)
    data.foreach_get("vector", values)
    return values.reshape(-1, 3)


def test_blood_follows_the_strain(skinned):
    assert np.abs(strain_of(skinned)).max() < 1e-3
    keys = skinned.data.shape_keys.key_blocks
    for side in ("Left", "Right"):
        keys[f"mouthSmile{side}"].value = keys[f"cheekSquint{side}"].value = 1.0
    smiling = strain_of(skinned)
    assert smiling[:, 2].max() > 0.1 and smiling[:, 2].min() < -0.1
    area = (1 + smiling[:, 0]) * (1 + smiling[:, 1])
    squeezed, stretched = area < 0.9, area > 1.1
    assert smiling[squeezed, 2].min() > 0 > smiling[stretched, 2].max()
    skinned.d3dmm.skin.blood = 0.0
    assert np.abs(strain_of(skinned)[:, 2]).max() == 0
    skinned.d3dmm.skin.blood = 2.0
    np.testing.assert_allclose(strain_of(skinned)[:, 2], 2 * smiling[:, 2], atol=1e-5)
    skinned.d3dmm.directions["age"].value = 0.8
    for key in keys[1:]:
        key.value = 0.0
    assert np.abs(strain_of(skinned)).max() < 1e-3


def test_true_displacement_goes_on_and_off(skinned):
    material = skinned.data.materials[0]
    before = len(material.node_tree.nodes)
    skinned.d3dmm.skin.true_displacement = True
    output = next(node for node in material.node_tree.nodes if node.bl_idname == "ShaderNodeOutputMaterial")
    assert material.displacement_method == "BOTH" and output.inputs["Displacement"].is_linked
    subdivision = skinned.modifiers["D3DMM Render Subdivision"]
    assert subdivision.render_levels == 2 and not subdivision.show_viewport
    skinned.d3dmm.skin.true_displacement = False
    assert material.displacement_method == "BUMP" and len(material.node_tree.nodes) == before
    assert "D3DMM Render Subdivision" not in skinned.modifiers


def test_the_switch_shows_the_plain_skin(skinned):
    share = skinned.data.materials[0].node_tree.nodes["D3DMM Skin Colour"].outputs[0]
    assert share.default_value == 1
    skinned.d3dmm.skin.use = False
    assert share.default_value == 0 and not bpy.ops.d3dmm.random_skin.poll()
    assert bpy.ops.d3dmm.add_skin_colour() == {"FINISHED"}
    assert share.default_value == 1 and skinned.d3dmm.skin.use


def test_a_face_without_painted_skin_gets_it_when_asked(module, tiny_model, skinned):
    """As a file of an earlier version: another material, no strain, no places of the skin."""
    hair = (0.4, 0.2, 0.1, 1.0)
    skinned.data.materials[0].node_tree.nodes["D3DMM Hair Colour"].outputs[0].default_value = hair
    plain = skinned.data.materials[0]
    for name in ("D3DMM Skin Image", "D3DMM Skin Colour"):
        plain.node_tree.nodes.remove(plain.node_tree.nodes[name])
    skinned.d3dmm.skin.use = False
    skinned.modifiers.remove(skinned.modifiers["D3DMM Strain"])
    for name in ("d3dmm_surface", "d3dmm_beard"):
        skinned.data.attributes.remove(skinned.data.attributes[name])
    skinned.d3dmm.skin_tone = 0.6
    fine = module("detailed3dmm_addon.nodes.detail_modifier").fine_image(skinned)
    assert bpy.ops.d3dmm.add_skin_colour() == {"FINISHED"}
    assert skinned.data.materials[0] != plain
    assert tone_shown(tiny_model, skinned) == pytest.approx(skinned.d3dmm.skin.tone, abs=1.5)
    assert module("detailed3dmm_addon.nodes.detail_modifier").fine_image(skinned) == fine
    kept = skinned.data.materials[0].node_tree.nodes["D3DMM Hair Colour"].outputs[0].default_value
    assert tuple(kept) == pytest.approx(hair)
    assert "d3dmm_surface" in skinned.data.attributes and "D3DMM Strain" in skinned.modifiers


def test_an_earlier_scene_keeps_its_skin(tiny_model):
    bpy.ops.wm.open_mainfile(filepath=str(EARLIER))
    faces = [item for item in bpy.data.objects if item.type == "MESH" and item.d3dmm.is_face]
    assert faces
    for face in faces:
        assert not face.d3dmm.skin.use and not tiny_model.is_painted(face)
        face.d3dmm.skin.tone = -20.0
    assert not any("Skin Colour" in image.name for image in bpy.data.images)


def test_without_the_model_the_plain_skin_is_shown(tiny_model, monkeypatch, tmp_path):
    monkeypatch.setattr(tiny_model, "ASSETS", tmp_path)
    bpy.ops.d3dmm.create_face(identity_seed=2, update_detail=False)
    made = bpy.context.active_object
    assert not made.d3dmm.skin.use and not bpy.ops.d3dmm.add_skin_colour.poll()
    assert made.data.materials[0].node_tree.nodes["D3DMM Skin Colour"].outputs[0].default_value == 0


def test_usd_carries_colour_roughness_and_normals(skinned, tmp_path):
    path = tmp_path / "face.usda"
    done = bpy.ops.d3dmm.export_usd(
        filepath=str(path), resolution="512", scene_range=False, first_frame=1, last_frame=1
    )
    assert done == {"FINISHED"}
    text = path.read_text("utf-8")
    for name in ("skin", "roughness", "normal"):
        assert f"face_{name}.png" in text and (tmp_path / f"face_{name}.png").is_file(), name
    loaded = bpy.data.images.load(str(tmp_path / "face_normal.png"))
    loaded.colorspace_settings.name = "Non-Color"
    pixels = np.empty(len(loaded.pixels), np.float32)
    loaded.pixels.foreach_get(pixels)
    slopes = pixels.reshape(-1, 4)[:, :2]
    assert slopes.std() == 0 or slopes.std() < 0.2


def test_fine_relief_is_shaded_as_plateaus_and_furrows(skinned, module):
    surface = module("detailed3dmm_addon.appearance.skin_surface")
    depths = np.linspace(-0.4, 0.4, 401)
    shaded = surface.plateaus_of(depths)
    assert (np.diff(shaded) > 0).all() and abs(surface.plateaus_of(np.zeros(1))[0]) < 1e-9
    shallow = np.abs(depths) < 0.02
    few = shallow & (depths < 0)
    assert np.allclose(shaded[few], (1 - surface._LESS) * depths[few], atol=1e-3)
    assert shaded[0] < -0.3 and 0 < shaded[-1] < -0.7 * shaded[0]
    node = skinned.data.materials[0].node_tree.nodes[surface.PLATEAUS_NODE]
    assert node.outputs[0].is_linked and node.inputs[1].default_value == pytest.approx(-surface._FLATTER)
