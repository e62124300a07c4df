"""A face saved to a file and loaded into another one is the same face; broken files change nothing."""

import json

import bpy
import numpy as np
import pytest


def state(face, module):
    model = module("detailed3dmm_addon.model.face_model")
    return model.identity_of(face), model.skin_of(face), model.expression_of(face)


def other_face():
    assert bpy.ops.d3dmm.create_face(identity_seed=8, update_detail=False) == {"FINISHED"}
    return bpy.context.active_object


def shape(face):
    positions = np.empty(3 * len(face.data.vertices), np.float32)
    face.data.shape_keys.key_blocks[0].data.foreach_get("co", positions)
    return positions


def test_a_saved_face_comes_back_in_another(face, module, tmp_path):
    face.d3dmm.directions["age"].value = 0.4
    face.d3dmm.age_offset, face.d3dmm.skin_tone, face.d3dmm.wrinkle_seed, face.d3dmm.detail_strength = (
        1.25,
        0.7,
        31,
        0.8,
    )
    face.d3dmm.region_strengths = [0.5 + 0.1 * i for i in range(len(face.d3dmm.region_strengths))]
    face.data.shape_keys.key_blocks["jawOpen"].value = 0.35
    path = tmp_path / "äöü face.json"
    assert bpy.ops.d3dmm.save_face(filepath=str(path), check_existing=False) == {"FINISHED"}
    saved = state(face, module)
    regions = list(face.d3dmm.region_strengths)
    loaded = other_face()
    assert bpy.ops.d3dmm.load_face(filepath=str(path)) == {"FINISHED"}
    for mine, theirs in zip(state(loaded, module), saved, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-5)
    assert loaded.d3dmm.directions["age"].value == pytest.approx(0.4)
    assert loaded.d3dmm.wrinkle_seed == 31 and loaded.d3dmm.skin_tone == pytest.approx(0.7)
    assert loaded.d3dmm.detail_strength == pytest.approx(0.8) and list(
        loaded.d3dmm.region_strengths
    ) == pytest.approx(regions)
    np.testing.assert_allclose(shape(loaded), shape(face), atol=2e-5)


def test_the_shell_reads_what_was_saved(face, module, tmp_path):
    path = tmp_path / "face.json"
    bpy.ops.d3dmm.save_face(filepath=str(path), check_existing=False)
    read = module("ml_backend.files.face_file").read_face(path)
    np.testing.assert_allclose(read.identity, state(face, module)[0], atol=1e-5)
    np.testing.assert_allclose(read.skin, state(face, module)[1], atol=1e-5)


def test_a_file_of_the_shell_keeps_the_skin(face, module, tmp_path):
    path = tmp_path / "shell.json"
    path.write_text(json.dumps({"expression": {"mouthSmileLeft": 0.5}}))
    before = state(face, module)
    assert bpy.ops.d3dmm.load_face(filepath=str(path)) == {"FINISHED"}
    after = state(face, module)
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[1], before[1])
    assert face.data.shape_keys.key_blocks["mouthSmileLeft"].value == 0.5


@pytest.mark.parametrize(
    "content, said",
    [
        ("not json", "not JSON"),
        ('{"identity": [1, 2, 3]}', "coefficients"),
        ('{"expression": {"jawOpen": 1e400}}', "finite"),
        ('{"expression": {"jawOpen": 0.5}, "sliders": []}', "named numbers"),
        ('{"expression": {"jawOpen": 0.5}, "sliders": {"skin_tone": "dark"}}', "skin_tone"),
        ('{"expression": {"jawOpen": 0.5}, "sliders": {"skin_tone": NaN}}', "skin_tone"),
        ('{"expression": {"jawOpen": 0.5}, "sliders": {"directions": {"tail": 1}}}', "tail"),
        ('{"expression": {"jawOpen": 0.5}, "sliders": {"wrinkle_seed": 1e30}}', "wrinkle_seed"),
    ],
)
def test_a_broken_file_changes_nothing(face, module, tmp_path, content, said):
    path = tmp_path / "broken.json"
    path.write_text(content)
    before = state(face, module)
    with pytest.raises(RuntimeError, match=said):
        bpy.ops.d3dmm.load_face(filepath=str(path))
    for mine, theirs in zip(state(face, module), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
