"""Detail through the real worker: it displaces, follows, survives, and its failure is told."""

import os
import signal
import time

import bpy
import numpy as np
import pytest
from scene_state import evaluated, full_map, live_height, sampled

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
def detailed(worker, wrinkled):
    raise_brows(wrinkled)
    assert bpy.ops.d3dmm.update_detail() == {"FINISHED"}
    return wrinkled


def test_displacement_is_the_map_along_the_normal(detailed, module):
    face = detailed
    displacement = module("ml_backend.geometry.displacement")
    coarse, _ = module("ml_backend.geometry.map_bands").split_map(full_map(module, face))
    assert coarse.shape == (256, 256) and 0.05 < np.abs(coarse).max() < 4.0
    shown = evaluated(face)
    face.d3dmm.show_detail = False
    smooth = evaluated(face)
    mesh = face.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    normals = np.empty_like(smooth)
    mesh.vertex_normals.foreach_get("vector", normals.ravel())
    model = module("detailed3dmm_addon.model.face_model")
    skin = (model.dense_parts() == 0).astype(np.float32)
    expected = displacement.displace_vertices(smooth, normals, model.dense_mesh().vertex_uv(), coarse, skin)
    moved = np.linalg.norm(expected - smooth, axis=1)
    error = np.linalg.norm(shown - expected, axis=1)
    assert (
        moved.max() > 5e-5
        and np.percentile(error, 99) < 3e-5
        and error.mean() < 0.1 * moved[moved > 0].mean()
    )
    assert np.array_equal(shown[skin == 0], smooth[skin == 0])


def test_the_fine_image_adds_up_to_the_full_map(detailed, module):
    maps, modifiers = (
        module("detailed3dmm_addon.nodes.map_images"),
        module("detailed3dmm_addon.nodes.detail_modifier"),
    )
    bands, full = module("ml_backend.geometry.map_bands"), full_map(module, detailed)
    fine = maps.read_map(modifiers.fine_image(detailed))
    assert fine.shape == (512, 512)
    assert np.allclose(fine + bands.enlarge(bands.split_map(full)[0], 512), full, atol=1e-5)
    assert np.allclose(live_height(detailed), sampled(module, detailed, full), atol=1e-5)


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


def test_every_slider_wrinkles_in_the_same_update(wrinkled, no_worker, module):
    face, inputs = wrinkled, module("detailed3dmm_addon.detail.inputs")
    fast = module("detailed3dmm_addon.detail.distilled")
    keys = face.data.shape_keys.key_blocks
    shown = live_height(face)

    def expect_change(least):
        nonlocal shown
        bpy.context.view_layer.update()
        before, shown = shown, live_height(face)
        assert np.array_equal(shown, fast.height_at_vertices(inputs.detail_inputs(face)))
        assert np.abs(shown - before).max() > least

    keys["browInnerUp"].value = 1.0
    expect_change(0.02)
    face.d3dmm.directions["age"].value = 1.0
    expect_change(0.005)
    for name in ("age_offset", "skin_tendency", "skin_thickness"):
        setattr(face.d3dmm, name, 1.5)
        expect_change(0.002)
    face.d3dmm.wrinkle_seed = 77
    expect_change(0.005)
    face.d3dmm.live = False
    keys["browInnerUp"].value = 0.0
    bpy.context.view_layer.update()
    assert np.array_equal(live_height(face), shown)


def test_a_drag_needs_one_evaluation_not_two(wrinkled):
    count = []
    bpy.app.handlers.depsgraph_update_post.append(lambda *_: count.append(1))
    try:
        before = evaluated(wrinkled)
        count.clear()
        wrinkled.data.shape_keys.key_blocks["browInnerUp"].value = 1.0
        after = evaluated(wrinkled)
        bpy.context.view_layer.update()
        assert (
            np.abs(after - before).max() > 1e-3
            and np.array_equal(evaluated(wrinkled), after)
            and len(count) == 1
        )
    finally:
        bpy.app.handlers.depsgraph_update_post.pop()


def test_the_digest_of_inputs_is_that_of_saved_files(module):
    inputs = module("detailed3dmm_addon.detail.inputs").DetailInputs(
        np.linspace(-2, 2, 50, dtype=np.float32),
        np.linspace(-1, 1, 16, dtype=np.float32),
        np.linspace(0, 1, 52, dtype=np.float32),
        "map.exr 0123abcd",
    )
    assert inputs.digest() == "90d4913f421149b82987c731"


def test_keyed_sliders_wrinkle_at_every_frame(wrinkled, module):
    detail_inputs = module("detailed3dmm_addon.detail.inputs").detail_inputs
    fast = module("detailed3dmm_addon.detail.distilled")
    key = wrinkled.data.shape_keys.key_blocks["browInnerUp"]
    for frame, value in ((1, 0.0), (11, 1.0)):
        key.value = value
        key.keyframe_insert("value", frame=frame)
    wrinkled.d3dmm.keyframe_insert("age_offset", frame=1)
    wrinkled.d3dmm.age_offset = 2.0
    wrinkled.d3dmm.keyframe_insert("age_offset", frame=11)
    for frame in (1, 6, 11):
        bpy.context.scene.frame_set(frame)
        inputs = detail_inputs(wrinkled)
        assert abs(inputs.expression.max() - (frame - 1) / 10) < 0.2
        assert np.array_equal(live_height(wrinkled), fast.height_at_vertices(inputs))


def test_a_background_render_of_keyed_sliders_shows_each_frames_wrinkles(
    wrinkled, no_worker, module, tmp_path
):
    module("detailed3dmm_addon.appearance.studio").build_studio(bpy.context, wrinkled)
    key, scene = wrinkled.data.shape_keys.key_blocks["browInnerUp"], bpy.context.scene
    wrinkled.d3dmm.detail_strength = 4.0
    for frame, value in ((1, 0.0), (2, 1.0)):
        key.value = value
        key.keyframe_insert("value", frame=frame)
    scene.render.engine, scene.render.resolution_x, scene.render.resolution_y = "BLENDER_WORKBENCH", 128, 128
    scene.frame_start, scene.frame_end = 1, 2

    def picture(name):
        image = bpy.data.images.load(str(tmp_path / name))
        pixels = np.empty(128 * 128 * 4, np.float32)
        image.pixels.foreach_get(pixels)
        return pixels

    scene.frame_set(2)
    scene.render.filepath = str(tmp_path / "still.png")
    bpy.ops.render.render(write_still=True)
    scene.frame_set(1)
    scene.render.filepath = str(tmp_path / "clip_")
    bpy.ops.render.render(animation=True)
    assert np.abs(picture("still.png") - picture("clip_0002.png")).max() < 0.02
    assert np.abs(picture("clip_0001.png") - picture("clip_0002.png")).max() > 0.1


def test_the_drag_begins_and_ends_without_a_jump(detailed, module):
    key = detailed.data.shape_keys.key_blocks["browInnerUp"]
    full = live_height(detailed)
    key.value = 0.999
    bpy.context.view_layer.update()
    moved = live_height(detailed)
    assert 0 < np.abs(moved - full).max() < 0.02
    key.value = 0.0
    bpy.context.view_layer.update()
    dragged = live_height(detailed)
    assert bpy.ops.d3dmm.update_detail() == {"FINISHED"}
    rest, far = live_height(detailed), np.abs(full).mean()
    assert abs(rest.mean() - dragged.mean()) < 0.1 * far, "the level jumps"
    assert np.sqrt(((rest - dragged) ** 2).mean()) < np.sqrt(((rest - full) ** 2).mean()), (
        "the distilled detail goes elsewhere"
    )


def test_the_last_full_maps_surplus_fades_for_another_person(detailed, module):
    detail_inputs = module("detailed3dmm_addon.detail.inputs").detail_inputs
    fast = module("detailed3dmm_addon.detail.distilled")
    detailed.d3dmm.coefficients[0].value += 5.0
    bpy.context.view_layer.update()
    assert np.array_equal(live_height(detailed), fast.height_at_vertices(detail_inputs(detailed)))


def test_undo_and_redo_bring_the_detail_of_their_sliders(wrinkled, no_worker, module):
    detail_inputs = module("detailed3dmm_addon.detail.inputs").detail_inputs
    fast = module("detailed3dmm_addon.detail.distilled")
    name = wrinkled.name
    bpy.context.view_layer.update()
    bpy.ops.ed.undo_push(message="created")
    raise_brows(wrinkled)
    wrinkled.d3dmm.detail_strength = 2.0
    wrinkled.d3dmm.region_strengths = [0.5] * 10
    bpy.context.view_layer.update()
    bpy.ops.ed.undo_push(message="brows")
    shown = evaluated(wrinkled)
    bpy.ops.ed.undo()
    face = bpy.data.objects[name]
    assert (
        np.array_equal(live_height(face), fast.height_at_vertices(detail_inputs(face)))
        and face.d3dmm.detail_strength == 1.0
    )
    bpy.ops.ed.redo()
    face = bpy.data.objects[name]
    assert np.array_equal(evaluated(face), shown) and face.d3dmm.detail_strength == 2.0


def test_scales_stay_on_save_and_a_duplicate_has_its_own(wrinkled, no_worker, tmp_path):
    wrinkled.d3dmm.pores, wrinkled.d3dmm.detail_strength = 0.25, 1.5
    raise_brows(wrinkled)
    before = evaluated(wrinkled)
    bpy.ops.object.duplicate(linked=False)
    twin = bpy.context.active_object
    bpy.context.view_layer.update()
    twin.d3dmm.detail_strength = 0.0
    twin.data.shape_keys.key_blocks["browInnerUp"].value = 0.0
    bpy.context.view_layer.update()
    assert np.array_equal(evaluated(wrinkled), before) and wrinkled.d3dmm.detail_strength == 1.5
    assert not np.array_equal(live_height(twin), live_height(wrinkled))
    name = wrinkled.name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scaled.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scaled.blend"))
    again = bpy.data.objects[name]
    assert again.d3dmm.pores == 0.25 and np.array_equal(evaluated(again), before)


def test_a_linked_duplicate_follows_the_first_and_nothing_runs_in_circles(wrinkled, no_worker):
    bpy.ops.object.duplicate(linked=True)
    other = bpy.context.active_object
    other.d3dmm.wrinkle_seed = 55
    raise_brows(wrinkled)
    bpy.context.view_layer.update()
    shown = live_height(wrinkled)
    bpy.context.view_layer.update()
    assert other.data == wrinkled.data and np.array_equal(live_height(wrinkled), shown)


def test_an_edited_mesh_goes_on_wrinkling_by_its_texture_coordinates(wrinkled, no_worker):
    keys = wrinkled.data.shape_keys.key_blocks
    raise_brows(wrinkled)
    bpy.context.view_layer.update()
    whole = np.sort(live_height(wrinkled))[[0, -1]]
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="DESELECT")
    bpy.ops.object.mode_set(mode="OBJECT")
    wrinkled.data.vertices[5].select = True
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.delete(type="VERT")
    bpy.ops.object.mode_set(mode="OBJECT")
    keys["browInnerUp"].value = 0.99
    bpy.context.view_layer.update()
    assert np.allclose(np.sort(live_height(wrinkled))[[0, -1]], whole, atol=0.05)
    keys["browInnerUp"].value = 0.0
    bpy.context.view_layer.update()
    assert np.abs(np.sort(live_height(wrinkled))[[0, -1]] - whole).max() > 0.005


def test_a_broken_distilled_model_is_told_and_the_face_still_moves(module, monkeypatch, tmp_path):
    fast, backend = module("detailed3dmm_addon.detail.distilled"), module("detailed3dmm_addon.worker.jobs")
    for cached in (fast.distilled_model, fast.dense_fields, fast._wrinkling):
        cached.cache_clear()
    (tmp_path / "distilled_detail.safetensors").write_bytes(b"nothing of the kind")
    monkeypatch.setattr(fast, "MODEL_FILE", tmp_path / "distilled_detail.safetensors")
    assert bpy.ops.d3dmm.create_face(identity_seed=3, update_detail=False) == {"FINISHED"}
    face = bpy.context.active_object
    before = evaluated(face)
    face.data.shape_keys.key_blocks["jawOpen"].value = 1.0
    assert np.abs(evaluated(face) - before).max() > 5e-3
    assert "distilled_detail.safetensors" in backend.problem.message and backend.problem.remedy


def test_dragging_shows_the_distilled_detail_and_resting_the_full_one(worker, wrinkled, module, interactive):
    face, maps = wrinkled, module("detailed3dmm_addon.nodes.map_images")
    detail_inputs = module("detailed3dmm_addon.detail.inputs").detail_inputs
    fast = module("detailed3dmm_addon.detail.distilled")
    for value in (0.2, 0.5, 1.0):
        face.data.shape_keys.key_blocks["browInnerUp"].value = value
        bpy.context.view_layer.update()
        assert np.array_equal(live_height(face), fast.height_at_vertices(detail_inputs(face)))
    assert interactive.STATE.faces[face.d3dmm.uid].full_due is not None
    run_until(interactive, lambda: interactive.tick() is None)
    assert np.allclose(live_height(face), sampled(module, face, full_map(module, face)), atol=1e-5)
    assert maps.read_map(module("detailed3dmm_addon.nodes.detail_modifier").fine_image(face)).shape == (
        512,
        512,
    )
    bpy.context.view_layer.update()
    assert interactive.tick() is None, "showing a map asked for another"


def test_without_a_worker_resting_brings_the_distilled_fine_lines(wrinkled, no_worker, module, interactive):
    maps, modifiers = (
        module("detailed3dmm_addon.nodes.map_images"),
        module("detailed3dmm_addon.nodes.detail_modifier"),
    )
    raise_brows(wrinkled)
    bpy.context.view_layer.update()
    run_until(interactive, lambda: interactive.tick() is None)
    fine = maps.read_map(modifiers.fine_image(wrinkled))
    assert (
        fine.shape == (512, 512)
        and np.abs(fine).max() > 1e-3
        and not module("detailed3dmm_addon.worker.jobs").problem.message
    )


def test_without_a_python_update_detail_says_what_it_used(wrinkled, module):
    bpy.context.preferences.addons[
        "bl_ext.user_default.detailed3dmm"
    ].preferences.interpreter = "/nonexistent/python"
    backend = module("detailed3dmm_addon.worker.jobs")
    backend.stop()
    assert not bpy.ops.d3dmm.start_backend.poll() and "/nonexistent/python" in backend.missing_reason()
    assert bpy.ops.d3dmm.update_detail() == {"FINISHED"}
    assert np.abs(live_height(wrinkled)).max() > 0.02


def test_a_python_without_torch_is_told(wrinkled, module, tmp_path):
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'no torch here' >&2\nexit 1\n")
    fake.chmod(0o755)
    bpy.context.preferences.addons["bl_ext.user_default.detailed3dmm"].preferences.interpreter = str(fake)
    with pytest.raises(RuntimeError, match="ended unexpectedly"):
        bpy.ops.d3dmm.update_detail()
    assert "no torch here" in module("detailed3dmm_addon.worker.jobs").problem.remedy


def test_killed_worker_is_told_and_the_next_try_works(detailed, module, interactive):
    backend = module("detailed3dmm_addon.worker.jobs")
    before = evaluated(detailed)
    detailed.data.shape_keys.key_blocks["noseSneerLeft"].value = 1.0
    bpy.context.view_layer.update()
    os.kill(backend.worker_pid(), signal.SIGKILL)
    run_until(interactive, lambda: "ended unexpectedly" in backend.problem.message, 2.5)
    assert backend.state() == "died" and "next request" in backend.problem.remedy
    detailed.data.shape_keys.key_blocks["noseSneerLeft"].value = 0.0
    assert np.allclose(evaluated(detailed), before, atol=1e-6)
    assert bpy.ops.d3dmm.update_detail() == {"FINISHED"} and backend.state() == "ready"


def test_deleting_the_face_while_its_map_is_under_way(worker, wrinkled, module, interactive):
    raise_brows(wrinkled)
    bpy.context.view_layer.update()
    bpy.data.objects.remove(wrinkled)
    run_until(interactive, lambda: interactive.tick() is None)
    assert not module("detailed3dmm_addon.worker.jobs").problem.message


def test_loading_a_file_while_a_map_is_under_way(worker, wrinkled, module, interactive):
    raise_brows(wrinkled)
    bpy.context.view_layer.update()
    bpy.ops.wm.read_homefile(use_empty=True)
    run_until(interactive, lambda: interactive.tick() is None)
    assert not module("detailed3dmm_addon.worker.jobs").problem.message and not bpy.data.objects


def test_undo_while_a_map_is_under_way(worker, wrinkled, module, interactive):
    bpy.ops.ed.undo_push(message="created")
    name = wrinkled.name
    raise_brows(wrinkled)
    bpy.context.view_layer.update()
    bpy.ops.ed.undo_push(message="brows")
    bpy.ops.ed.undo()
    face = bpy.data.objects[name]
    assert face.data.shape_keys.key_blocks["browInnerUp"].value == 0.0
    run_until(interactive, lambda: interactive.tick() is None)
    assert np.allclose(live_height(face), sampled(module, face, full_map(module, face)), atol=1e-5)


def test_start_and_stop(worker, module):
    backend = module("detailed3dmm_addon.worker.jobs")
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
