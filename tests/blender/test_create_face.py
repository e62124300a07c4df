"""Create Face, and what a face is made of, compared with the model below it."""

import bpy
import numpy as np
import pytest
from scene_state import evaluated


def test_face_is_the_models_person(face, module):
    model = module("detailed3dmm_addon.model.face_model")
    identity = model.face_model().seeded_person(3)
    assert np.allclose(model.identity_of(face), identity, atol=1e-6)
    assert np.allclose(
        evaluated(face), model.dense_mesh().refine(model.face_model().neutral(identity)), atol=2e-6
    )
    assert len(face.data.vertices) >= 60_000
    assert not face.data.validate()


def test_shape_keys_are_the_models_expressions(face, module):
    model = module("detailed3dmm_addon.model.face_model")
    names = model.face_model().expression_names
    keys = face.data.shape_keys.key_blocks
    assert [key.name for key in keys] == ["Basis", *names] and all(key.value == 0 for key in keys[1:])
    weights = np.zeros(52, np.float32)
    for name, value in {"mouthSmileLeft": 0.8, "browInnerUp": 1.0, "jawOpen": -0.2}.items():
        keys[name].value = weights[names.index(name)] = value
    bpy.context.view_layer.update()
    expected = model.dense_mesh().refine(model.face_model().evaluate(model.identity_of(face), weights))
    assert np.allclose(evaluated(face), expected, atol=2e-6)
    assert np.allclose(model.expression_of(face), weights)


def test_parts_have_materials_texture_coordinates_and_groups(face, module):
    model = module("detailed3dmm_addon.model.face_model").face_model()
    assert len(face.data.materials) == len(model.part_names) and all(face.data.materials)
    indices = np.empty(len(face.data.polygons), np.int32)
    face.data.polygons.foreach_get("material_index", indices)
    assert set(indices) == set(range(len(model.part_names)))
    assert {group.name for group in face.vertex_groups} == {"skin", *model.regions}
    uv = np.empty((len(face.data.loops), 2), np.float32)
    face.data.uv_layers["UVMap"].data.foreach_get("uv", uv.ravel())
    skin_corners = np.repeat(indices == model.part_names.index("skin"), 4)[: len(uv)]
    assert uv[skin_corners].min() >= -1e-6 and uv[skin_corners].max() <= 1 + 1e-6
    assert face.modifiers["D3DMM Detail"].type == "NODES" and face.d3dmm.detail_strength == 1.0


def test_with_nothing_but_the_zip_a_new_face_already_wrinkles(no_worker, module):
    assert bpy.ops.d3dmm.create_face(identity_seed=3) == {"FINISHED"}
    face = bpy.context.active_object
    shown = evaluated(face)
    face.d3dmm.show_detail = False
    moved = np.linalg.norm(shown - evaluated(face), axis=1)
    assert 3e-5 < moved.max() < 4e-3 and not module("detailed3dmm_addon.worker.jobs").problem.message


def test_scene_setup_frames_the_face():
    assert bpy.ops.d3dmm.create_face(identity_seed=1, scene_setup=True, update_detail=False) == {"FINISHED"}
    scene = bpy.context.scene
    assert scene.camera is not None and scene.camera.data.lens > 100
    assert sum(item.type == "LIGHT" for item in scene.objects) >= 3
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    face = bpy.context.active_object
    seen = [
        world_to_camera_view(scene, scene.camera, face.matrix_world @ vertex.co)
        for vertex in list(face.data.vertices)[::500]
    ]
    top = max(seen, key=lambda point: point.y)
    assert 0.8 < top.y < 1.0
    nose = world_to_camera_view(scene, scene.camera, Vector((0, min(v.co.y for v in face.data.vertices), 0)))
    assert 0.4 < nose.x < 0.6


def test_two_faces_share_nothing_that_changes(face, module):
    first = face
    assert bpy.ops.d3dmm.create_face(identity_seed=4, update_detail=False) == {"FINISHED"}
    second = bpy.context.active_object
    assert first != second and first.d3dmm.uid != second.d3dmm.uid
    assert first.data.materials[0] != second.data.materials[0]
    modifiers = module("detailed3dmm_addon.nodes.detail_modifier")
    assert modifiers.fine_image(first) != modifiers.fine_image(second)
    assert not np.allclose(evaluated(first), evaluated(second), atol=1e-4)


def test_same_seed_same_face_other_seed_another(face):
    face.d3dmm.live = False
    before = evaluated(face)
    assert bpy.ops.d3dmm.random_face(seed=9) == {"FINISHED"}
    other = evaluated(face)
    assert np.abs(other - before).max() > 1e-3
    assert bpy.ops.d3dmm.random_face(seed=3) == {"FINISHED"}
    assert np.allclose(evaluated(face), before, atol=1e-6)
    assert face.d3dmm.identity_seed == 3


def test_a_seed_has_the_tone_that_the_shell_gives_it(face, module):
    shell = module("ml_backend.models.skin.seeded_tone")
    model = module("ml_backend.models.bilinear_face").BilinearFace.default()
    for seed in (3, 5):
        assert bpy.ops.d3dmm.create_face(identity_seed=seed, update_detail=False) == {"FINISHED"}
        settings = bpy.context.active_object.d3dmm
        tone = shell.seeded_tone(seed, model.origin_shares(model.seeded_person(seed)))
        assert settings.skin_tone == pytest.approx(tone, abs=1e-5)
        assert settings.skin.tone == pytest.approx(shell.tone_angle(tone), abs=1e-3)


def test_names_appear_twice_without_trouble(face):
    face.name = "Heroine"
    assert bpy.ops.d3dmm.random_face(seed=5) == {"FINISHED"}
    assert bpy.ops.d3dmm.set_expression_preset(preset="anger") == {"FINISHED"}
    assert face.data.shape_keys.key_blocks["browDownLeft"].value == 1.0


def test_a_second_face_stands_beside_the_first(face):
    bpy.context.scene.cursor.location = face.location
    for _ in range(2):
        bpy.ops.d3dmm.create_face(update_detail=False)
    faces = [item for item in bpy.context.scene.objects if item.type == "MESH"]
    places = sorted(round(item.location.x - face.location.x, 4) for item in faces)
    assert places == [0.0, 0.3, 0.6] and len({item.location.y for item in faces}) == 1
    bpy.context.scene.cursor.location = (0.0, 1.0, 0.0)
    bpy.ops.d3dmm.create_face(update_detail=False)
    assert tuple(bpy.context.active_object.location) == (0.0, 1.0, 0.0)
