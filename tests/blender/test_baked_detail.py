"""Baked detail as native data: it plays and renders without the extension."""

import subprocess
import sys

import bpy
import numpy as np
import pytest
from test_create_face import evaluated

FRAMES, COMPONENTS = 12, 5


@pytest.fixture
def baked(face, module):
    """A face with expression curves and a baked random basis; also the basis and its coefficients."""
    draw = np.random.default_rng(0)
    count = len(face.data.vertices)
    mean = draw.normal(0, 0.1, count).astype(np.float32)
    fields = draw.normal(0, 0.1, (COMPONENTS, count)).astype(np.float32)
    coefficients = draw.normal(0, 1, (FRAMES, COMPONENTS)).astype(np.float32)
    animation, detail = module("detailed3dmm_addon.face_animation"), module("detailed3dmm_addon.baked_detail")
    jaw = np.linspace(0, 1, FRAMES).astype(np.float32)[:, None]
    animation.key_expressions(face, "clip", ("jawOpen",), jaw, 1)
    paths = detail.store_baked_detail(face, mean, fields)
    curves = {(path, 0): coefficients[:, index] for index, path in enumerate(paths)}
    curves["rotation_euler", 2] = np.linspace(0, 0.3, FRAMES).astype(np.float32)
    animation.key_object(face, "clip", curves, 1)
    return face, mean, fields, coefficients


def vertex_normals(face) -> np.ndarray:
    mesh = face.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    normals = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertex_normals.foreach_get("vector", normals.ravel())
    return normals


def test_each_frame_is_mean_plus_weighted_fields_along_the_normal(baked):
    face, mean, fields, coefficients = baked
    scene = bpy.context.scene
    face.d3dmm.detail_strength = 1.5
    for frame in (1, 4, FRAMES):
        scene.frame_set(frame)
        face.d3dmm.show_detail = False
        smooth, normals = evaluated(face), vertex_normals(face)
        face.d3dmm.show_detail = True
        height = (mean + coefficients[frame - 1] @ fields) * 1.5e-3
        assert np.allclose(evaluated(face), smooth + normals * height[:, None], atol=2e-6)
        assert abs(face.data.shape_keys.key_blocks["jawOpen"].value - (frame - 1) / (FRAMES - 1)) < 1e-5


def test_live_detail_is_off_while_baked_is_on(baked):
    face = baked[0]
    assert face.d3dmm.detail_source == "BAKED"
    assert not face.modifiers["D3DMM Live Detail"].show_render and face.modifiers["D3DMM Baked Detail"].show_render
    face.d3dmm.detail_source = "LIVE"
    assert face.modifiers["D3DMM Live Detail"].show_render and not face.modifiers["D3DMM Baked Detail"].show_render


def test_clearing_removes_everything_baked(baked):
    face = baked[0]
    assert bpy.ops.d3dmm.clear_baked_detail() == {"FINISHED"}
    assert "D3DMM Baked Detail" not in face.modifiers and not face.d3dmm.has_baked_detail
    assert not [a.name for a in face.data.attributes if a.name.startswith("d3dmm_detail_")] and not bpy.data.node_groups
    assert not bpy.ops.d3dmm.clear_baked_detail.poll()


def test_the_artists_actions_are_kept_and_their_curves_go_on(face, module):
    animation = module("detailed3dmm_addon.face_animation")
    face.location.x = 0.0
    face.keyframe_insert("location", index=0, frame=1)
    face.location.x = 1.0
    face.keyframe_insert("location", index=0, frame=11)
    key = face.data.shape_keys.key_blocks["browInnerUp"]
    key.value = 0.5
    key.keyframe_insert("value", frame=1)
    own, own_expression = face.animation_data.action, face.data.shape_keys.animation_data.action
    animation.key_expressions(face, "clip", ("jawOpen",), np.ones((3, 1), np.float32), 1)
    animation.key_object(face, "clip", {("rotation_euler", 0): np.full(3, 0.2, np.float32)}, 1)
    assert face.animation_data.action != own and own.use_fake_user
    assert face.data.shape_keys.animation_data.action != own_expression and own_expression.use_fake_user
    bpy.context.scene.frame_set(11)
    assert abs(face.location.x - 1.0) < 1e-5
    bpy.context.scene.frame_set(3)
    assert abs(face.rotation_euler.x - 0.2) < 1e-5 and abs(face.data.shape_keys.key_blocks["jawOpen"].value - 1) < 1e-5
    assert bpy.ops.d3dmm.clear_animation() == {"FINISHED"}
    assert face.data.shape_keys.key_blocks["jawOpen"].value == 0 and not bpy.ops.d3dmm.clear_animation.poll()


OPEN_WITHOUT_EXTENSION = """
import os, sys, bpy, numpy as np
bpy.ops.wm.read_factory_settings(use_empty=True)
assert not any("detailed3dmm" in name for name in bpy.context.preferences.addons.keys())
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
scene = bpy.context.scene
frames = []
for frame in (1, 7):
    scene.frame_set(frame)
    mesh = bpy.data.objects[sys.argv[3]].evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    positions = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", positions.ravel())
    frames.append(positions)
np.save(sys.argv[2] + "/plain.npy", np.stack(frames))
scene.render.filepath = sys.argv[2] + "/plain.png"
bpy.ops.render.render(write_still=True)
sys.stdout.flush()
os._exit(0)
"""


def test_plays_and_renders_the_same_with_the_extension_disabled(baked, tmp_path):
    face, scene = baked[0], bpy.context.scene
    module_scene = __import__("importlib").import_module(".detailed3dmm_addon.face_scene", "bl_ext.user_default.detailed3dmm")
    module_scene.build_studio(bpy.context, face)
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x = scene.render.resolution_y = 96
    frames = []
    for frame in (1, 7):
        scene.frame_set(frame)
        frames.append(evaluated(face))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "clip.blend"))
    scene.render.filepath = str(tmp_path / "own.png")
    bpy.ops.render.render(write_still=True)
    command = [sys.executable, "-c", OPEN_WITHOUT_EXTENSION, str(tmp_path / "clip.blend"), str(tmp_path), face.name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "plain.npy"), np.stack(frames))
    pictures = []
    for name in ("own.png", "plain.png"):
        image = bpy.data.images.load(str(tmp_path / name))
        pixels = np.empty(96 * 96 * 4, np.float32)
        image.pixels.foreach_get(pixels)
        pictures.append(pixels)
    assert pictures[0].reshape(96, 96, 4)[..., :3].std() > 0.02, "the picture is blank"
    assert np.abs(pictures[0] - pictures[1]).max() < 0.02
