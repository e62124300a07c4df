"""Detail through the real worker: it displaces, follows, survives, and its failure is told."""

import os
import signal
import time

import bpy
import numpy as np
import pytest
from test_create_face import evaluated

BROWS = ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")


def raise_brows(face):
    for name in BROWS:
        face.data.shape_keys.key_blocks[name].value = 1.0


def run_until(interactive, condition, seconds=60.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "the timer's ticks led nowhere"
        interactive.tick()
        time.sleep(0.01)


@pytest.fixture
def detailed(worker, face):
    face.d3dmm.resolution = "512"
    raise_brows(face)
    assert bpy.ops.d3dmm.update_detail() == {"FINISHED"}
    return face


def test_displacement_is_the_map_along_the_normal(detailed, module):
    face = detailed
    displacement = module("ml_backend.geometry.displacement")
    maps, modifiers = module("detailed3dmm_addon.detail_maps"), module("detailed3dmm_addon.detail_modifiers")
    coarse = maps.read_map(modifiers.coarse_image(face))
    assert coarse.shape == (256, 256) and 0.05 < np.abs(coarse).max() < 4.0
    shown = evaluated(face)
    face.d3dmm.show_detail = False
    smooth = evaluated(face)
    mesh = face.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    normals = np.empty_like(smooth)
    mesh.vertex_normals.foreach_get("vector", normals.ravel())
    model = module("detailed3dmm_addon.face_model")
    skin = (model.dense_parts() == 0).astype(np.float32)
    expected = displacement.displace_vertices(smooth, normals, model.dense_mesh().vertex_uv(), coarse, skin)
    moved = np.linalg.norm(expected - smooth, axis=1)
    error = np.linalg.norm(shown - expected, axis=1)
    assert moved.max() > 5e-5 and np.percentile(error, 99) < 3e-5 and error.mean() < 0.1 * moved[moved > 0].mean()
    assert np.array_equal(shown[skin == 0], smooth[skin == 0])


def test_the_fine_image_adds_up_to_the_full_map(detailed, module):
    maps, modifiers = module("detailed3dmm_addon.detail_maps"), module("detailed3dmm_addon.detail_modifiers")
    backend, live = module("detailed3dmm_addon.backend"), module("detailed3dmm_addon.live_update")
    full = backend.ask("generate", {"resolution": 512}, live._detail_inputs(detailed)).arrays["map"]
    coarse, fine = maps.read_map(modifiers.coarse_image(detailed)), maps.read_map(modifiers.fine_image(detailed))
    assert fine.shape == (512, 512)
    assert np.allclose(fine + maps.enlarge(coarse, 512), full, atol=1e-5)


def test_strength_scales_and_the_switch_removes(detailed):
    full = evaluated(detailed)
    detailed.d3dmm.show_detail = False
    smooth = evaluated(detailed)
    detailed.d3dmm.show_detail = True
    detailed.d3dmm.detail_strength = 0.5
    assert np.allclose(evaluated(detailed), (full + smooth) / 2, atol=2e-6)
    detailed.d3dmm.detail_strength = 0.0
    assert np.allclose(evaluated(detailed), smooth, atol=1e-7)


def test_save_and_reload_keep_the_detail(detailed, tmp_path):
    before = evaluated(detailed)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "detailed.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "detailed.blend"))
    assert np.abs(evaluated(bpy.data.objects["Face"]) - before).max() < 5e-6


def test_another_skin_another_pattern(detailed):
    before = evaluated(detailed)
    assert bpy.ops.d3dmm.new_wrinkle_seed(seed=99) == {"FINISHED"}
    assert np.abs(evaluated(detailed) - before).max() > 2e-5


def test_dragging_brings_the_coarse_map_then_the_full_one(worker, face, module, interactive):
    modifiers, maps = module("detailed3dmm_addon.detail_modifiers"), module("detailed3dmm_addon.detail_maps")
    face.d3dmm.resolution = "512"
    for value in (0.2, 0.5, 1.0):
        face.data.shape_keys.key_blocks["browInnerUp"].value = value
        bpy.context.view_layer.update()
    state = interactive._states[face.d3dmm.uid]
    assert state.asked and state.full_due is not None
    run_until(interactive, lambda: np.abs(maps.read_map(modifiers.coarse_image(face))).max() > 0.01)
    run_until(interactive, lambda: interactive.tick() is None)
    live = module("detailed3dmm_addon.backend").ask("generate", {"resolution": 256}, interactive._detail_inputs(face)).arrays["map"]
    assert np.allclose(maps.read_map(modifiers.coarse_image(face)), live, atol=1e-5)
    assert maps.read_map(modifiers.fine_image(face)).shape == (512, 512)
    bpy.context.view_layer.update()
    assert interactive.tick() is None, "showing a map asked for another"


def test_without_a_python_sliders_move_and_the_panel_says_what_to_do(face, module, interactive):
    bpy.context.preferences.addons["bl_ext.user_default.detailed3dmm"].preferences.interpreter = "/nonexistent/python"
    backend = module("detailed3dmm_addon.backend")
    backend.stop()
    before = evaluated(face)
    face.data.shape_keys.key_blocks["jawOpen"].value = 1.0
    bpy.context.view_layer.update()
    assert np.abs(evaluated(face) - before).max() > 5e-3
    assert "/nonexistent/python" in backend.problem.message and backend.problem.remedy
    assert not bpy.ops.d3dmm.update_detail.poll() and not bpy.ops.d3dmm.start_backend.poll()
    with pytest.raises(RuntimeError, match="/nonexistent/python"):
        bpy.ops.d3dmm.update_detail()


def test_a_python_without_torch_is_told(face, module, tmp_path):
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'no torch here' >&2\nexit 1\n")
    fake.chmod(0o755)
    bpy.context.preferences.addons["bl_ext.user_default.detailed3dmm"].preferences.interpreter = str(fake)
    with pytest.raises(RuntimeError, match="ended unexpectedly"):
        bpy.ops.d3dmm.update_detail()
    assert "no torch here" in module("detailed3dmm_addon.backend").problem.remedy


def test_killed_worker_is_told_and_the_next_try_works(detailed, module, interactive):
    backend = module("detailed3dmm_addon.backend")
    before = evaluated(detailed)
    detailed.data.shape_keys.key_blocks["noseSneerLeft"].value = 1.0
    bpy.context.view_layer.update()
    os.kill(backend.worker_pid(), signal.SIGKILL)
    run_until(interactive, lambda: "ended unexpectedly" in backend.problem.message, 2.5)
    assert backend.state() == "died" and "next request" in backend.problem.remedy
    detailed.data.shape_keys.key_blocks["noseSneerLeft"].value = 0.0
    assert np.allclose(evaluated(detailed), before, atol=1e-6)
    assert bpy.ops.d3dmm.update_detail() == {"FINISHED"} and backend.state() == "ready"


def test_deleting_the_face_while_its_map_is_under_way(worker, face, module, interactive):
    raise_brows(face)
    bpy.context.view_layer.update()
    bpy.data.objects.remove(face)
    run_until(interactive, lambda: interactive.tick() is None)
    assert not module("detailed3dmm_addon.backend").problem.message


def test_loading_a_file_while_a_map_is_under_way(worker, face, module, interactive):
    raise_brows(face)
    bpy.context.view_layer.update()
    bpy.ops.wm.read_homefile(use_empty=True)
    run_until(interactive, lambda: interactive.tick() is None)
    assert not module("detailed3dmm_addon.backend").problem.message and not bpy.data.objects


def test_undo_while_a_map_is_under_way(worker, face, module, interactive):
    bpy.ops.ed.undo_push(message="created")
    name = face.name
    raise_brows(face)
    bpy.context.view_layer.update()
    bpy.ops.ed.undo_push(message="brows")
    bpy.ops.ed.undo()
    face = bpy.data.objects[name]
    assert face.data.shape_keys.key_blocks["browInnerUp"].value == 0.0
    run_until(interactive, lambda: interactive.tick() is None)
    backend, maps = module("detailed3dmm_addon.backend"), module("detailed3dmm_addon.detail_maps")
    live = backend.ask("generate", {"resolution": 256}, interactive._detail_inputs(face)).arrays["map"]
    assert np.allclose(maps.read_map(module("detailed3dmm_addon.detail_modifiers").coarse_image(face)), live, atol=1e-5)


def test_start_and_stop(worker, module):
    backend = module("detailed3dmm_addon.backend")
    backend.stop()
    assert not bpy.ops.d3dmm.stop_backend.poll() and bpy.ops.d3dmm.start_backend() == {"FINISHED"}
    limit = time.monotonic() + 60
    while backend.state() != "ready":
        assert time.monotonic() < limit and backend.state() == "starting"
        backend.pump()
        time.sleep(0.02)
    assert backend.device() and not bpy.ops.d3dmm.start_backend.poll()
    assert bpy.ops.d3dmm.stop_backend() == {"FINISHED"} and backend.state() == "stopped"
    assert not bpy.ops.d3dmm.cancel_job.poll() and not bpy.ops.d3dmm.clear_problem.poll()
    backend.report_problem("Something.", "Do this.")
    assert bpy.ops.d3dmm.clear_problem() == {"FINISHED"} and not backend.problem.message
