"""Baked detail as native data: it plays and renders without the extension."""

import subprocess
import sys

import bpy
import numpy as np
import pytest
from scene_state import evaluated

FRAMES, COMPONENTS, FINE = 12, 5, 32


@pytest.fixture
def baked(wrinkled, module):
    """A face with expression curves and a baked random basis; also the clip.

    Its eyes do not move the lids: they would follow the wrinkles.
    """
    face, draw = wrinkled, np.random.default_rng(0)
    face.modifiers["D3DMM Eyes"].show_viewport = False
    count = len(face.data.vertices)

    def noise(*shape):
        return draw.normal(0, 0.1, shape).astype(np.float32)

    animation, detail = (
        module("detailed3dmm_addon.actions.action_writer"),
        module("detailed3dmm_addon.detail.baked"),
    )
    clip = detail.ClipDetail(
        noise(count),
        noise(COMPONENTS, count),
        10 * noise(FRAMES, COMPONENTS),
        50.0,
        noise(FINE, FINE),
        noise(COMPONENTS, FINE, FINE),
    )
    jaw = np.linspace(0, 1, FRAMES).astype(np.float32)[:, None]
    animation.key_expressions(face, "clip", ("jawOpen",), jaw, 1)
    curves = detail.store_baked_detail(face, clip)
    curves["rotation_euler", 2] = np.linspace(0, 0.3, FRAMES).astype(np.float32)
    animation.key_object(face, "clip", curves, 1)
    return face, clip


def normals_by_neighbours(module, positions) -> np.ndarray:
    """Returns (N, 3): the normals by the lines between opposite neighbours."""
    neighbours = module("detailed3dmm_addon.face.neighbours")
    left, above = neighbours.neighbours()
    right, below, side = neighbours.opposite_neighbours()
    crossed = np.cross(positions[left] - positions[right], positions[above] - positions[below])
    return crossed / np.linalg.norm(crossed, axis=1, keepdims=True) * side[:, None]


def test_each_frame_is_mean_plus_weighted_fields_along_the_normal(baked, module):
    face, clip = baked
    scene = bpy.context.scene
    face.d3dmm.detail_strength = 1.5
    for frame in (1, 4, FRAMES):
        scene.frame_set(frame)
        face.d3dmm.show_detail = False
        smooth = evaluated(face)
        normals = normals_by_neighbours(module, smooth)
        face.d3dmm.show_detail = True
        height = (clip.mean + clip.coefficients[frame - 1] @ clip.fields) * 1.5e-3
        assert np.allclose(evaluated(face), smooth + normals * height[:, None], atol=2e-6)
        assert abs(face.data.shape_keys.key_blocks["jawOpen"].value - (frame - 1) / (FRAMES - 1)) < 1e-5


def test_one_source_shows_at_a_time_and_the_skin_follows(baked, module):
    face = baked[0]
    modifiers, nodes = (
        module("detailed3dmm_addon.nodes.detail_modifier"),
        module("detailed3dmm_addon.nodes.detail_groups"),
    )
    live, own = modifiers.fine_image(face), nodes.group_images(modifiers.fine_node(face).node_tree)
    assert modifiers.is_baked(face) and len(own) == 2 and live not in own
    played = evaluated(face)
    face.d3dmm.detail_source = "LIVE"
    assert not modifiers.is_baked(face) and nodes.group_images(modifiers.fine_node(face).node_tree) == [live]
    assert np.abs(evaluated(face) - played).max() > 1e-5
    face.d3dmm.detail_source = "BAKED"
    assert np.array_equal(evaluated(face), played) and modifiers.fine_image(face) == live


def test_the_fine_images_and_their_weights_sum_to_the_frames_fine_map(baked, module):
    face, clip = baked
    maps, modifiers = (
        module("detailed3dmm_addon.nodes.map_images"),
        module("detailed3dmm_addon.nodes.detail_modifier"),
    )
    nodes = module("detailed3dmm_addon.nodes.detail_groups")
    images = nodes.group_images(modifiers.fine_node(face).node_tree)
    bpy.context.scene.frame_set(5)
    mesh = face.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    total = np.zeros((FINE, FINE), np.float32)
    for index, image in enumerate(images):
        weights = np.array(mesh.attributes[nodes.WEIGHTS_ATTRIBUTE.format(index)].data[7].vector)
        pixels = np.empty(FINE * FINE * 4, np.float32)
        image.pixels.foreach_get(pixels)
        total += pixels.reshape(FINE, FINE, 4)[..., :3] @ weights.astype(np.float32)
    assert np.allclose(
        total, clip.fine_mean + np.tensordot(clip.coefficients[4], clip.fine_fields, 1), atol=1e-4
    )
    assert maps.read_map(images[0]).shape == (FINE, FINE)


def test_clearing_removes_everything_baked(baked):
    face = baked[0]
    images = len(bpy.data.images)
    assert bpy.ops.d3dmm.clear_baked_detail() == {"FINISHED"}
    assert (
        face.d3dmm.detail_source == "LIVE"
        and not face.d3dmm.has_baked_detail
        and len(bpy.data.images) == images - 2
    )
    assert not [a.name for a in face.data.attributes if a.name.startswith("d3dmm_detail_")]
    assert [group.name for group in bpy.data.node_groups if group.name.startswith("D3DMM Detail")] == [
        "D3DMM Detail"
    ]
    assert not bpy.ops.d3dmm.clear_baked_detail.poll()


def test_strength_and_regions_scale_a_clip_and_can_be_keyed(baked, module):
    face = baked[0]
    modifiers = module("detailed3dmm_addon.nodes.detail_modifier")
    scene, modifier = bpy.context.scene, face.modifiers["D3DMM Detail"]
    inputs = module("detailed3dmm_addon.nodes.modifier_inputs")
    path = f'modifiers["D3DMM Detail"]{inputs.input_path(modifier, "Strength")}'
    for frame, value in ((1, 0.0), (11, 2.0)):
        modifiers.set_scale(face, "Strength", value)
        assert face.keyframe_insert(path, frame=frame)
    scene.frame_set(1)
    still = evaluated(face)
    face.d3dmm.show_detail = False
    assert np.allclose(still, evaluated(face), atol=1e-7)
    face.d3dmm.show_detail = True
    scene.frame_set(11)
    assert abs(face.d3dmm.detail_strength - 2.0) < 1e-6
    both = evaluated(face)
    face.d3dmm.region_strengths = [0.0] + [1.0] * 9
    forehead = np.linalg.norm(evaluated(face) - both, axis=1) > 1e-6
    weight = np.empty(len(forehead), np.float32)
    face.data.attributes["d3dmm_region_forehead"].data.foreach_get("value", weight)
    assert forehead.sum() > 500 and np.all(weight[forehead] > 0)


def test_the_artists_actions_are_kept_and_their_curves_go_on(face, module):
    animation = module("detailed3dmm_addon.actions.action_writer")
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
    assert (
        abs(face.rotation_euler.x - 0.2) < 1e-5
        and abs(face.data.shape_keys.key_blocks["jawOpen"].value - 1) < 1e-5
    )
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


def test_plays_and_renders_the_same_with_the_extension_disabled(baked, tmp_path, module):
    face, scene = baked[0], bpy.context.scene
    module("detailed3dmm_addon.appearance.studio").build_studio(bpy.context, face)
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x = scene.render.resolution_y = 96
    frames = []
    for frame in (1, 7):
        scene.frame_set(frame)
        frames.append(evaluated(face))
    assert np.abs(frames[0] - frames[1]).max() > 1e-4
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "clip.blend"))
    scene.render.filepath = str(tmp_path / "own.png")
    bpy.ops.render.render(write_still=True)
    command = [
        sys.executable,
        "-c",
        OPEN_WITHOUT_EXTENSION,
        str(tmp_path / "clip.blend"),
        str(tmp_path),
        face.name,
    ]
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
