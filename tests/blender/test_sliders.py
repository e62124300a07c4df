"""Identity and expression sliders, and what undo, save and the timer do to them."""

import bpy
import numpy as np
import pytest
from scene_state import evaluated


def expected(module, face) -> np.ndarray:
    model = module("detailed3dmm_addon.model.face_model")
    return model.dense_mesh().refine(
        model.face_model().evaluate(model.identity_of(face), model.expression_of(face))
    )


def test_each_named_direction_moves_the_mesh_and_zero_brings_it_back(face, interactive):
    face.d3dmm.live = False
    rest = evaluated(face)
    for direction in face.d3dmm.directions:
        direction.value = 0.7
        assert np.abs(evaluated(face) - rest).max() > 2e-4, direction.name
        direction.value = 0.0
    assert np.allclose(evaluated(face), rest, atol=1e-6)


def test_identity_slider_carries_the_expressions_along(face, module):
    face.data.shape_keys.key_blocks["mouthSmileLeft"].value = 1.0
    face.d3dmm.directions["mouth_width"].value = 1.0
    face.d3dmm.coefficients[2].value = -2.0
    assert np.allclose(evaluated(face), expected(module, face), atol=2e-6)


def test_reset_goes_to_the_average_or_to_the_seed(face, module):
    face.d3dmm.live = False
    seeded = evaluated(face)
    assert bpy.ops.d3dmm.reset_face() == {"FINISHED"}
    model = module("detailed3dmm_addon.model.face_model")
    assert np.abs(model.identity_of(face)).max() == 0
    assert bpy.ops.d3dmm.reset_face(to_seed=True) == {"FINISHED"}
    assert np.allclose(evaluated(face), seeded, atol=1e-6)


def test_presets_mirror_and_reset(face, module):
    face.d3dmm.live = False
    presets = module("detailed3dmm_addon.model.expression_groups").EXPRESSION_PRESETS
    keys = face.data.shape_keys.key_blocks
    for preset, (_, values) in presets.items():
        assert bpy.ops.d3dmm.set_expression_preset(preset=preset) == {"FINISHED"}
        assert {key.name: round(key.value, 5) for key in keys[1:] if key.value} == {
            name: round(value, 5) for name, value in values.items()
        }
    bpy.ops.d3dmm.set_expression_preset(preset="wink")
    assert bpy.ops.d3dmm.mirror_expression() == {"FINISHED"}
    assert keys["eyeBlinkRight"].value == 1.0 and keys["eyeBlinkLeft"].value == 0.0
    assert bpy.ops.d3dmm.random_expression(seed=4) == {"FINISHED"} and any(key.value for key in keys[1:])
    assert bpy.ops.d3dmm.reset_expression() == {"FINISHED"} and not any(key.value for key in keys[1:])


def test_undo_and_redo_keep_mesh_and_sliders(face):
    bpy.ops.ed.undo_push(message="created")
    name, before = face.name, evaluated(face)
    face.d3dmm.directions["jaw_width"].value = 1.0
    face.data.shape_keys.key_blocks["jawOpen"].value = 1.0
    bpy.ops.ed.undo_push(message="changed")
    changed = evaluated(face)
    bpy.ops.ed.undo()
    face = bpy.data.objects[name]
    assert face.d3dmm.directions["jaw_width"].value == 0.0 and np.allclose(evaluated(face), before, atol=1e-6)
    bpy.ops.ed.redo()
    face = bpy.data.objects[name]
    assert face.d3dmm.directions["jaw_width"].value == 1.0 and np.allclose(
        evaluated(face), changed, atol=1e-6
    )


def test_save_and_reload_keep_mesh_and_sliders(face, tmp_path):
    face.d3dmm.directions["nose_length"].value = 0.5
    face.data.shape_keys.key_blocks["browInnerUp"].value = 0.6
    name, before = face.name, evaluated(face)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "face.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "face.blend"))
    face = bpy.data.objects[name]
    assert face.d3dmm.is_face and abs(face.d3dmm.directions["nose_length"].value - 0.5) < 1e-6
    assert np.allclose(evaluated(face), before, atol=1e-6)
    face.d3dmm.directions["nose_length"].value = 0.0
    assert np.abs(evaluated(face) - before).max() > 1e-4


def test_while_dragging_the_shape_follows_and_the_keys_come_after(face, module, interactive):
    face.d3dmm.live = False
    keys = face.data.shape_keys.key_blocks
    keys["mouthSmileLeft"].value = 1.0
    face.d3dmm.directions["face_width"].value = 1.0
    assert np.abs(evaluated(face) - expected(module, face)).max() < 1.5e-3
    state = interactive.STATE.faces[face.d3dmm.uid]
    assert len(state.stale_keys) == 52 and state.stale_keys[0] == "mouthSmileLeft"
    state.keys_due = 0.0
    for _ in range(30):
        interactive.tick()
    assert not state.stale_keys and interactive.tick() is None
    assert np.allclose(evaluated(face), expected(module, face), atol=2e-6)
    keys["eyeBlinkRight"].value = 1.0
    assert np.allclose(evaluated(face), expected(module, face), atol=2e-6)


def test_an_expression_shown_before_its_key_was_rewritten_is_right_at_once(face, module, interactive):
    face.d3dmm.live = False
    face.d3dmm.directions["face_width"].value = 1.0
    face.data.shape_keys.key_blocks["mouthPucker"].value = 1.0
    bpy.context.view_layer.update()
    assert np.allclose(evaluated(face), expected(module, face), atol=2e-6)


def test_saving_during_a_drag_finishes_the_keys(face, module, interactive, tmp_path):
    face.d3dmm.live = False
    face.d3dmm.directions["gender"].value = -1.0
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "face.blend"))
    face.data.shape_keys.key_blocks["jawOpen"].value = 1.0
    assert np.allclose(evaluated(face), expected(module, face), atol=2e-6)


def test_an_edited_mesh_keeps_its_shape_and_its_button_says_why(face):
    bpy.ops.object.mode_set(mode="EDIT")
    assert not bpy.ops.d3dmm.random_face.poll()
    bpy.ops.mesh.select_all(action="DESELECT")
    bpy.ops.object.mode_set(mode="OBJECT")
    face.data.vertices[5].select = True
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.delete(type="VERT")
    bpy.ops.object.mode_set(mode="OBJECT")
    before = evaluated(face)
    face.d3dmm.directions["age"].value = 1.0
    assert np.array_equal(evaluated(face), before)
    with pytest.raises(RuntimeError, match="mesh was edited"):
        bpy.ops.d3dmm.random_face()


def test_a_duplicate_has_its_own_detail_once_it_changes(face, module, interactive):
    face.d3dmm.live = False
    bpy.ops.object.duplicate(linked=False)
    twin = bpy.context.active_object
    assert twin != face and twin.d3dmm.uid == face.d3dmm.uid
    assert interactive._owns_detail(twin)
    modifiers = module("detailed3dmm_addon.nodes.detail_modifier")
    assert twin.d3dmm.uid != face.d3dmm.uid
    assert (
        modifiers.fine_image(twin) != modifiers.fine_image(face)
        and twin.data.materials[0] != face.data.materials[0]
    )
    before = evaluated(face)
    twin.d3dmm.directions["age"].value = 1.0
    assert np.array_equal(evaluated(face), before) and not np.allclose(evaluated(twin), before, atol=1e-4)


def test_appending_brings_a_working_face(face, tmp_path):
    name, before = face.name, evaluated(face)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "face.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "face.blend")) as (_, wanted):
        wanted.objects = [name]
    appended = wanted.objects[0]
    bpy.context.collection.objects.link(appended)
    assert appended.d3dmm.is_face and np.allclose(evaluated(appended), before, atol=1e-6)
    appended.d3dmm.live = False
    appended.d3dmm.directions["age"].value = 1.0
    assert np.abs(evaluated(appended) - before).max() > 1e-4


def test_a_linked_face_shows_and_its_buttons_say_why_not(face, tmp_path):
    name, before = face.name, evaluated(face)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "face.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "face.blend"), link=True) as (_, wanted):
        wanted.objects = [name]
    linked = wanted.objects[0]
    bpy.context.collection.objects.link(linked)
    bpy.context.view_layer.objects.active = linked
    assert np.allclose(evaluated(linked), before, atol=1e-6)
    with pytest.raises(RuntimeError, match="linked from another file"):
        bpy.ops.d3dmm.random_face()
