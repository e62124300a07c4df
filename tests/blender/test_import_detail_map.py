"""Import Detail Map and Bake Detail for Action: their results, their refusals, editing afterwards."""

import bpy
import numpy as np
import pytest
from scene_state import evaluated, full_map, live_height, sampled


def key_brows(face):
    key = face.data.shape_keys.key_blocks["browInnerUp"]
    for frame, value in ((1, 0.0), (5, 1.0), (9, 0.3)):
        key.value = value
        key.keyframe_insert("value", frame=frame)


def test_an_animation_is_baked_by_the_distilled_model_where_there_is_no_worker(wrinkled, no_worker):
    key_brows(wrinkled)
    live, scene = [], bpy.context.scene
    for frame in (1, 3, 5, 8):
        scene.frame_set(frame)
        live.append(evaluated(wrinkled))
    before, action = len(bpy.data.actions), wrinkled.data.shape_keys.animation_data.action
    assert bpy.ops.d3dmm.bake_detail() == {"FINISHED"}
    assert (
        wrinkled.d3dmm.detail_source == "BAKED" and wrinkled.data.shape_keys.animation_data.action == action
    )
    assert (
        len(bpy.data.actions) == before + 1
        and wrinkled.d3dmm.baked_psnr >= 48
        and wrinkled.d3dmm.baked_components <= 9
    )
    for frame, shown in zip((1, 3, 5, 8), live, strict=True):
        scene.frame_set(frame)
        assert np.abs(evaluated(wrinkled) - shown).max() < 2e-5


def test_the_workers_bake_follows_the_animation_and_the_skin(worker, wrinkled, module):
    key_brows(wrinkled)
    wrinkled.d3dmm.keyframe_insert("age_offset", frame=1)
    wrinkled.d3dmm.age_offset = 1.5
    wrinkled.d3dmm.keyframe_insert("age_offset", frame=9)
    assert bpy.ops.d3dmm.bake_detail() == {"FINISHED"}
    scene = bpy.context.scene
    scene.frame_set(5)
    wanted = sampled(module, wrinkled, full_map(module, wrinkled, 256))
    mesh = wrinkled.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    height = np.empty(len(mesh.vertices), np.float32)
    mesh.attributes["d3dmm_height"].data.foreach_get("value", height)
    assert np.sqrt(((height - wanted) ** 2).mean()) < 0.05 * np.ptp(np.percentile(wanted, [0.1, 99.9]))


def test_without_an_animation_there_is_nothing_to_bake(wrinkled):
    assert not bpy.ops.d3dmm.bake_detail.poll()
    with pytest.raises(RuntimeError, match="not animated"):
        bpy.ops.d3dmm.bake_detail()


def test_an_absurd_range_is_refused_and_changes_nothing(wrinkled, no_worker):
    key_brows(wrinkled)
    with pytest.raises(RuntimeError, match="cannot be baked"):
        bpy.ops.d3dmm.bake_detail(whole_action=False, first_frame=5, last_frame=1)
    assert not wrinkled.d3dmm.has_baked_detail and bpy.context.scene.frame_current == 1


def test_undo_takes_the_bake_back(wrinkled, no_worker):
    name = wrinkled.name
    key_brows(wrinkled)
    bpy.ops.ed.undo_push(message="keyed")
    assert bpy.ops.d3dmm.bake_detail() == {"FINISHED"}
    bpy.ops.ed.undo_push(message="baked")
    bpy.ops.ed.undo()
    face = bpy.data.objects[name]
    assert not face.d3dmm.has_baked_detail and "d3dmm_detail_00" not in face.data.attributes
    bpy.ops.ed.redo()
    assert bpy.data.objects[name].d3dmm.detail_source == "BAKED"


@pytest.fixture
def other_map(worker, wrinkled, module, tmp_path):
    """Another person's map, as a file of floats."""
    inputs = module("detailed3dmm_addon.detail.inputs").detail_inputs(wrinkled).arrays()
    inputs["identity"] = -inputs["identity"]
    inputs["skin"] = -inputs["skin"]
    values = (
        module("detailed3dmm_addon.worker.jobs").ask("generate", {"resolution": 256}, inputs).arrays["map"]
    )
    path = tmp_path / "sculpt.npy"
    np.save(path, values)
    return path, values


def test_an_imported_map_is_shown_and_every_slider_edits_it(wrinkled, other_map, module, tmp_path):
    path, values = other_map
    wanted = sampled(module, wrinkled, values)
    bpy.context.view_layer.update()
    own = live_height(wrinkled)
    assert bpy.ops.d3dmm.import_detail_map(filepath=str(path), steps=30) == {"FINISHED"}
    shown = live_height(wrinkled)
    assert np.square(shown - wanted).mean() < 0.7 * np.square(own - wanted).mean(), "the fit is no nearer"
    assert "sculpt.npy" in wrinkled.d3dmm.imported_map
    wrinkled.data.shape_keys.key_blocks["browInnerUp"].value = 1.0
    bpy.context.view_layer.update()
    moved = live_height(wrinkled)
    assert np.abs(moved - shown).max() > 0.02
    wrinkled.d3dmm.age_offset = 2.0
    bpy.context.view_layer.update()
    assert np.abs(live_height(wrinkled) - moved).max() > 0.005
    name = wrinkled.name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "sculpted.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "sculpted.blend"))
    face = bpy.data.objects[name]
    face.data.shape_keys.key_blocks["browInnerUp"].value = 0.0
    face.d3dmm.age_offset = 0.0
    bpy.context.view_layer.objects.active = face
    assert bpy.ops.d3dmm.update_detail() == {"FINISHED"}
    assert np.allclose(live_height(face), shown, atol=1e-4)
    assert bpy.ops.d3dmm.clear_detail_map() == {"FINISHED"} and not bpy.ops.d3dmm.clear_detail_map.poll()
    assert np.allclose(live_height(face), sampled(module, face, full_map(module, face)), atol=1e-5)


@pytest.mark.parametrize("kind", ["missing.npy", "empty.exr", "text.png", "nan.npy", "notes.txt"])
def test_broken_maps_are_named_and_change_nothing(worker, wrinkled, tmp_path, kind):
    path = tmp_path / kind
    if kind == "nan.npy":
        np.save(path, np.full((256, 256), np.nan, np.float32))
    elif kind != "missing.npy":
        path.write_bytes(b"" if kind == "empty.exr" else b"no map\n" * 50)
    bpy.context.view_layer.update()
    before = live_height(wrinkled)
    with pytest.raises(RuntimeError, match=kind) as refused:
        bpy.ops.d3dmm.import_detail_map(filepath=str(path))
    assert "Traceback" not in str(refused.value) and len(str(refused.value).strip().splitlines()) >= 2, (
        "no remedy"
    )
    assert np.array_equal(live_height(wrinkled), before) and not wrinkled.d3dmm.imported_map


def test_the_lock_keeps_the_pattern_of_another_random_face(wrinkled, no_worker):
    wrinkled.d3dmm.lock_wrinkle_seed, wrinkled.d3dmm.wrinkle_seed = True, 41
    assert bpy.ops.d3dmm.random_face(seed=8) == {"FINISHED"} and wrinkled.d3dmm.wrinkle_seed == 41
    wrinkled.d3dmm.lock_wrinkle_seed = False
    assert bpy.ops.d3dmm.random_face(seed=9) == {"FINISHED"} and wrinkled.d3dmm.wrinkle_seed == 9


def test_a_failure_after_the_fit_leaves_the_face_as_it_was(wrinkled, other_map, failing_at):
    wrinkled["d3dmm_latent_offset"] = [0.01] * (18 * 512)
    wrinkled.d3dmm.imported_map = "earlier.npy 12345678"
    bpy.context.view_layer.update()
    before = live_height(wrinkled)
    calls = failing_at(2)
    with pytest.raises(RuntimeError, match="ended unexpectedly"):
        bpy.ops.d3dmm.import_detail_map(filepath=str(other_map[0]), steps=10)
    assert calls == ["invert", "generate"]
    assert wrinkled.d3dmm.imported_map == "earlier.npy 12345678"
    assert np.allclose(wrinkled["d3dmm_latent_offset"], 0.01) and np.array_equal(
        live_height(wrinkled), before
    )


def test_an_error_is_thrown_into_the_steps_of_a_job(module, face, monkeypatch):
    """In a window too: the steps that a job has taken can be taken back by the job itself."""
    base, backend = module("operators.operator_base"), module("detailed3dmm_addon.worker.jobs")
    errors, client = module("ml_backend.errors"), module("ml_backend.process.client")
    seen, reports = [], []

    class Steps(base.JobOperator):
        def work(self, context):
            try:
                yield "First", "info", {}, {}
            except errors.UserError as error:
                seen.append(error.message)
                raise
            return "done"

        def report(self, kind, text):
            reports.append((kind, text))

        def _end(self, context):
            seen.append("ended")

    steps = Steps()
    steps._work = steps.work(None)
    monkeypatch.setattr(backend, "begin_job", lambda *request: request)
    assert steps._go_on(None, None) is None and not seen
    died = client.Event("died", 1, message="The worker ended.", remedy="Try again.")
    assert steps._go_on(None, died) == {"CANCELLED"}
    assert seen == ["The worker ended.", "ended"] and reports == [
        ({"ERROR"}, "The worker ended.\nTry again.")
    ]


def test_leaving_a_file_browser_ends_no_job(module, face, monkeypatch):
    """Blender calls `cancel` when Esc leaves the file browser of an operator that has not begun its job."""
    base, backend = module("operators.operator_base"), module("detailed3dmm_addon.worker.jobs")
    cancelled = []
    monkeypatch.setattr(backend, "cancel_job", lambda: cancelled.append(True))

    class Steps(base.JobOperator):
        def work(self, context):
            yield "First", "info", {}, {}

        def _end(self, context):
            cancelled.append("ended")

    steps = Steps()
    steps.cancel(None)
    assert not cancelled
    steps._work = steps.work(None)
    steps.cancel(None)
    assert cancelled == [True, "ended"]
