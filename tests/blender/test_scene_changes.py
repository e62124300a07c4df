"""Faces and running jobs under undo, save, append, override, duplicate, rename, other files and renders."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import bpy
import numpy as np
import pytest
from scene_state import evaluated, state_of_scene

EXTENSION = "bl_ext.user_default.detailed3dmm"

EVERY_OPERATOR = {
    "create_face": {"identity_seed": 8, "update_detail": False},
    "random_face": {"seed": 5},
    "reset_face": {},
    "add_hair": {"parts": {"scalp"}},
    "set_hair_look": {"look": "SHAVED"},
    "random_hair": {"seed": 3},
    "remove_hair": {},
    "set_expression_preset": {"preset": "surprise"},
    "mirror_expression": {},
    "random_expression": {"seed": 2},
    "reset_expression": {},
    "new_wrinkle_seed": {"seed": 7},
    "load_face": {"filepath": "{folder}/face.json"},
    "bake_detail": {"without_backend": True},
    "clear_baked_detail": {},
    "clear_animation": {},
    "clear_detail_map": {},
    "update_detail": {},
    "import_curves": {"filepath": "{folder}/curves.json"},
    "update_animation": {},
    "add_emotion": {},
    "remove_emotion": {},
    "mark_face_asset": {},
    "save_expression_asset": {"name": "Gasp"},
    "apply_expression_asset": {"action": "Gasp"},
    "add_detail_to_mesh": {"method": "UV"},
    "remove_mesh_detail": {},
}
UNCHANGED = ("update_detail", "update_animation")
"""These make again the same as the scene showed before."""


def prepare(face, name: str, folder: Path, module) -> None:
    """Makes an operator's button live."""
    face.data.shape_keys.key_blocks["browDownLeft"].value = 0.6
    if name in ("add_hair", "set_hair_look", "random_hair"):
        for part in ("scalp", "beard", "vellus"):
            getattr(face.d3dmm_hair, part).density = 0.05
    if name == "remove_hair":
        bpy.ops.d3dmm.add_hair(parts={"brows"})
    if name == "load_face":
        (folder / "face.json").write_text(json.dumps({"expression": {"jawOpen": 0.7}}))
    if name in ("import_curves", "update_animation"):
        frames = [[index / 4] for index in range(5)]
        (folder / "curves.json").write_text(json.dumps({"fps": 24, "names": ["jawOpen"], "frames": frames}))
    if name == "update_animation":
        bpy.ops.d3dmm.import_curves(filepath=str(folder / "curves.json"), bake_detail=False)
        face.d3dmm_animation.emotions.add()
    if name == "remove_emotion":
        face.d3dmm_animation.emotions.add()
    if name in ("bake_detail", "clear_baked_detail", "clear_animation"):
        key = face.data.shape_keys.key_blocks["jawOpen"]
        for frame in (1, 4):
            key.value = frame / 4
            key.keyframe_insert("value", frame=frame)
    if name in ("clear_baked_detail", "clear_animation"):
        bpy.ops.d3dmm.bake_detail(without_backend=True)
    if name == "clear_animation":
        animation = module("detailed3dmm_addon.actions.action_writer")
        animation.key_expressions(
            face, "said", ("jawOpen",), np.linspace(0, 1, 5, dtype=np.float32)[:, None], 1
        )
    if name == "clear_detail_map":
        module("detailed3dmm_addon.detail.live").set_latent(face, np.zeros((18, 512)), "sculpt.exr 0")
    if name == "apply_expression_asset":
        bpy.ops.d3dmm.save_expression_asset(name="Gasp")
        face.data.shape_keys.key_blocks["jawOpen"].value = 0.4
    if name in ("add_detail_to_mesh", "remove_mesh_detail"):
        face.d3dmm.is_face = False  # any other mesh with ARKit's shape keys
        face.modifiers.clear()
    if name == "remove_mesh_detail":
        bpy.ops.d3dmm.add_detail_to_mesh(method="UV")


def undone_and_redone(operator, changes: bool = True, **parameters) -> None:
    """Runs an operator, then takes it back and brings it again, twice."""
    bpy.ops.ed.undo_push(message="before")
    before = state_of_scene()
    assert operator(**parameters) == {"FINISHED"}
    bpy.ops.ed.undo_push(message="after")
    after = state_of_scene()
    assert not changes or after != before, "the operator did nothing"
    for _ in range(2):
        bpy.ops.ed.undo()
        assert state_of_scene() == before
        bpy.ops.ed.redo()
        assert state_of_scene() == after


@pytest.mark.parametrize("name", EVERY_OPERATOR)
def test_undo_and_redo_over_every_operator(face, no_worker, module, tmp_path, name):
    if name in ("bake_detail", "clear_baked_detail", "update_detail", "new_wrinkle_seed"):
        face.d3dmm.show_detail = True
    prepare(face, name, tmp_path, module)
    parameters = {
        key: value.format(folder=tmp_path) if isinstance(value, str) else value
        for key, value in EVERY_OPERATOR[name].items()
    }
    undone_and_redone(getattr(bpy.ops.d3dmm, name), name not in UNCHANGED, **parameters)


@pytest.mark.parametrize("kind", ["CHARACTER", "EXPRESSION"])
def test_undo_and_redo_of_a_preset_that_stays_on_disk(face, no_worker, module, kind):
    path = module("operators.face_presets").preset_path(kind, "Kept")
    face.data.shape_keys.key_blocks["jawOpen"].value = 0.7
    assert bpy.ops.d3dmm.add_preset(kind=kind, name="Kept") == {"FINISHED"}
    try:
        bpy.ops.d3dmm.random_face(seed=11)
        bpy.ops.d3dmm.reset_expression()
        undone_and_redone(bpy.ops.d3dmm.load_face, filepath=str(path))
        assert path.exists() and bpy.context.active_object.data.shape_keys.key_blocks[
            "jawOpen"
        ].value == pytest.approx(0.7)
    finally:
        path.unlink()


def test_undo_and_redo_of_a_face_from_a_photo(worker, photo):
    undone_and_redone(bpy.ops.d3dmm.fit_from_image, filepath=str(photo))


def save_and_open(folder: Path) -> None:
    path = str(folder / "scene 场景.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)


def test_two_faces_are_saved_and_opened_as_they_were(wrinkled, no_worker, tmp_path):
    bpy.ops.d3dmm.create_face(identity_seed=9, update_detail=False)
    bpy.context.active_object.location.x = 0.3
    bpy.ops.d3dmm.set_expression_preset(preset="joy")
    wrinkled.data.shape_keys.key_blocks["browInnerUp"].value = 0.8
    before = state_of_scene()
    save_and_open(tmp_path)
    assert state_of_scene() == before


def test_two_faces_do_not_touch_each_other(wrinkled, no_worker, interactive):
    bpy.ops.d3dmm.create_face(identity_seed=9, update_detail=False)
    other = bpy.context.active_object
    still = evaluated(wrinkled)
    other.data.shape_keys.key_blocks["jawOpen"].value = 1.0
    other.d3dmm.directions["age"].value = 1.0
    bpy.context.view_layer.update()
    assert np.array_equal(evaluated(wrinkled), still) and other.d3dmm.uid != wrinkled.d3dmm.uid


def test_a_renamed_face_is_still_found_by_its_job(wrinkled, worker, module):
    backend, follow = (
        module("detailed3dmm_addon.worker.jobs"),
        module("detailed3dmm_addon.detail.follow"),
    )
    live_detail = module("detailed3dmm_addon.detail.live")
    detail_inputs = module("detailed3dmm_addon.detail.inputs").detail_inputs
    with follow.STATE.as_in_a_window():
        follow.request_full_map(wrinkled)
        wrinkled.name, wrinkled.data.name = "名前 renamed", "mesh renamed"
        limit = time.monotonic() + 120
        while backend.is_busy():
            assert time.monotonic() < limit, "no answer in time"
            backend.pump()
            time.sleep(0.01)
        assert live_detail.shown_full(wrinkled) == live_detail.full_name(wrinkled, detail_inputs(wrinkled))


@pytest.mark.parametrize("linked", [False, True])
def test_duplicates_move_and_go_without_the_first(wrinkled, no_worker, linked, interactive):
    bpy.ops.object.duplicate(linked=linked)
    twin = bpy.context.active_object
    twin.data.shape_keys.key_blocks["jawOpen"].value = 0.9
    bpy.context.view_layer.update()
    assert np.allclose(evaluated(twin), evaluated(wrinkled), atol=1e-6) == linked
    shown = evaluated(twin)
    bpy.data.objects.remove(wrinkled)
    bpy.context.view_layer.update()
    assert np.allclose(evaluated(twin), shown, atol=1e-6)
    twin.data.shape_keys.key_blocks["browInnerUp"].value = 1.0
    assert np.abs(evaluated(twin) - shown).max() > 1e-4


def linked_face(face, folder: Path) -> bpy.types.Object:
    """The face of another file, linked into an empty one."""
    name, path = face.name, str(folder / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (_, wanted):
        wanted.objects = [name]
    bpy.context.collection.objects.link(wanted.objects[0])
    bpy.context.view_layer.objects.active = wanted.objects[0]
    return wanted.objects[0]


def test_a_library_override_shows_the_face_and_its_buttons_say_what_is_not_its_own(
    wrinkled, no_worker, tmp_path, interactive, module
):
    before = evaluated(wrinkled)
    linked = linked_face(wrinkled, tmp_path)
    override = linked.override_create(remap_local_usages=True)
    bpy.context.view_layer.objects.active = override
    override.location.x = 1.0
    override.select_set(True)
    bpy.context.view_layer.update()
    assert np.allclose(evaluated(override), before, atol=1e-6)
    with pytest.raises(RuntimeError, match="linked from another file"):
        bpy.ops.d3dmm.set_expression_preset(preset="joy")
    assert not module("detailed3dmm_addon.worker.jobs").problem.message
    save_and_open(tmp_path)
    assert np.allclose(evaluated(bpy.context.scene.objects[0]), before, atol=1e-6)


def test_made_local_again_it_works(wrinkled, no_worker, tmp_path):
    linked_face(wrinkled, tmp_path).select_set(True)
    bpy.ops.object.make_local(type="ALL")
    face = bpy.context.scene.objects[0]
    bpy.context.view_layer.objects.active = face
    still = evaluated(face)
    assert bpy.ops.d3dmm.set_expression_preset(preset="joy") == {"FINISHED"}
    assert np.abs(evaluated(face) - still).max() > 1e-4


def running_bake(face, module, frames: int = 4000):
    """A long job of the real worker for a face."""
    backend, clip_detail = module("detailed3dmm_addon.worker.jobs"), module("detailed3dmm_addon.detail.bake")
    expressions = np.random.default_rng(0).uniform(0, 1, (frames, 52)).astype(np.float32)
    request = clip_detail.clip_request(
        face, expressions, module("detailed3dmm_addon.model.face_model").skin_of(face)
    )
    return backend.begin_job("Wrinkles", *request)


def test_another_file_while_a_job_runs(wrinkled, worker, module):
    backend = module("detailed3dmm_addon.worker.jobs")
    job = running_bake(wrinkled, module)
    bpy.ops.wm.read_homefile(use_empty=True)
    backend.cancel_job()
    limit = time.monotonic() + 60
    while job.outcome is None:
        assert time.monotonic() < limit, "no outcome in time"
        backend.pump()
        time.sleep(0.01)
    assert job.outcome.kind == "cancelled" and not bpy.data.objects and not bpy.data.actions
    assert bpy.ops.d3dmm.create_face(update_detail=True) == {"FINISHED"} and not backend.problem.message


def test_disabled_and_enabled_while_a_job_runs(wrinkled, worker, module):
    backend = module("detailed3dmm_addon.worker.jobs")
    job, shown, name = running_bake(wrinkled, module), evaluated(wrinkled), wrinkled.name
    process = backend.worker_pid()
    interpreter = bpy.context.preferences.addons[EXTENSION].preferences.interpreter
    bpy.ops.preferences.addon_disable(module=EXTENSION)
    try:
        assert job.outcome is not None and job.outcome.kind == "died"
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
        assert np.array_equal(evaluated(bpy.data.objects[name]), shown)
    finally:
        bpy.ops.preferences.addon_enable(module=EXTENSION)
        bpy.context.preferences.addons[EXTENSION].preferences.interpreter = interpreter
    face = bpy.data.objects[name]
    bpy.context.view_layer.objects.active = face
    assert bpy.ops.d3dmm.set_expression_preset(preset="surprise") == {"FINISHED"}
    assert bpy.ops.d3dmm.update_detail() == {"FINISHED"}
    assert (
        np.abs(evaluated(face) - shown).max() > 1e-4
        and module("detailed3dmm_addon.worker.jobs").running_job() is None
    )


RENDER_IN_BACKGROUND = """
import os, sys, bpy
status = 1
try:
    bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
    bpy.ops.preferences.addon_enable(module="bl_ext.user_default.detailed3dmm")
    bpy.context.scene.render.filepath = sys.argv[2]
    bpy.ops.render.render(animation=True)
    status = 0
finally:
    sys.stdout.flush()
    os._exit(status)
"""


def pixels_of(path: Path) -> np.ndarray:
    image = bpy.data.images.load(str(path))
    values = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(values)
    return values


def test_a_background_render_of_keyed_frames_equals_this_one(wrinkled, no_worker, module, tmp_path):
    """Frames change during the render; live detail follows them in both."""
    scene, keys = bpy.context.scene, wrinkled.data.shape_keys.key_blocks
    module("detailed3dmm_addon.appearance.studio").build_studio(bpy.context, wrinkled)
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x = scene.render.resolution_y = 96
    scene.frame_start, scene.frame_end = 1, 2
    for frame, value in ((1, 0.0), (2, 1.0)):
        keys["browInnerUp"].value = value
        keys["browInnerUp"].keyframe_insert("value", frame=frame)
    scene.frame_set(1)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "clip.blend"))
    scene.render.filepath = str(tmp_path / "own_")
    bpy.ops.render.render(animation=True)
    command = [
        sys.executable,
        "-c",
        RENDER_IN_BACKGROUND,
        str(tmp_path / "clip.blend"),
        str(tmp_path / "other_"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    own = [pixels_of(tmp_path / f"own_000{frame}.png") for frame in (1, 2)]
    other = [pixels_of(tmp_path / f"other_000{frame}.png") for frame in (1, 2)]
    assert np.abs(own[0] - own[1]).max() > 0.05, "the frames are the same"
    for mine, theirs in zip(own, other, strict=True):
        apart = np.abs(mine - theirs)
        assert apart.max() < 0.05 and apart.mean() < 2e-4


def by_keys(face) -> None:
    key = face.data.shape_keys.key_blocks["browDownLeft"]
    for frame, value in ((1, 0.0), (2, 1.0)):
        key.value = value
        key.keyframe_insert("value", frame=frame)


def by_a_driver(face) -> None:
    lever = bpy.data.objects.new("Lever", None)
    bpy.context.scene.collection.objects.link(lever)
    for frame, place in ((1, 0.0), (2, 1.0)):
        lever.location.x = place
        lever.keyframe_insert("location", index=0, frame=frame)
    driver = face.data.shape_keys.key_blocks["browDownLeft"].driver_add("value").driver
    driver.type = "SUM"
    (target,) = (driver.variables.new().targets[0],)
    target.id, target.data_path = lever, "location.x"


def by_a_strip(face) -> None:
    by_keys(face)
    animation = face.data.shape_keys.animation_data
    animation.nla_tracks.new().strips.new("Frown", 1, animation.action)
    animation.action = None


def by_keyed_skin(face) -> None:
    for frame, years in ((1, 0.0), (2, 2.0)):
        face.d3dmm.age_offset = years
        face.d3dmm.keyframe_insert("age_offset", frame=frame)


def by_keys_and_skin(face) -> None:
    by_keys(face)
    by_keyed_skin(face)


def surface_and_height(face, depsgraph) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, 3), metres, and displacement (N,), millimetres, of an evaluated face."""
    mesh = face.evaluated_get(depsgraph).data
    positions, height = (
        np.empty((len(mesh.vertices), 3), np.float32),
        np.empty(len(mesh.vertices), np.float32),
    )
    mesh.attributes["position"].data.foreach_get("vector", positions.ravel())
    mesh.attributes["d3dmm_height"].data.foreach_get("value", height)
    return positions, height


@pytest.fixture
def render_engine():
    """A renderer that notes what it is given; the list of (positions, displacement), one a frame."""
    given = []

    class Recorder(bpy.types.RenderEngine):
        """Draws nothing."""

        bl_idname, bl_label = "D3DMM_TEST_RECORDER", "Recorder"

        def render(self, depsgraph):
            """Looks at the face as a renderer does."""
            (face,) = [
                item.original
                for item in depsgraph.objects
                if item.type == "MESH" and item.original.d3dmm.is_face
            ]
            given.append(surface_and_height(face, depsgraph))

    bpy.utils.register_class(Recorder)
    bpy.context.scene.render.engine = Recorder.bl_idname
    bpy.context.scene.render.resolution_x = bpy.context.scene.render.resolution_y = 16
    yield given
    bpy.utils.unregister_class(Recorder)


@pytest.mark.parametrize("move", [by_keys, by_a_driver, by_a_strip, by_keyed_skin, by_keys_and_skin])
def test_a_final_render_is_given_the_mesh_that_the_viewport_shows(
    wrinkled, no_worker, render_engine, tmp_path, move
):
    scene = bpy.context.scene
    move(wrinkled)
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.frame_start, scene.frame_end, scene.render.filepath = 1, 2, str(tmp_path / "frame_")
    shown = []
    for frame in (1, 2):
        scene.frame_set(frame)
        shown.append(surface_and_height(wrinkled, bpy.context.evaluated_depsgraph_get()))
    assert np.abs(shown[1][1] - shown[0][1]).max() > 0.05, "the frames wrinkle alike"
    scene.frame_set(1)
    bpy.ops.render.render(animation=True)
    assert len(render_engine) == 2
    for given, wanted in zip(render_engine, shown, strict=True):
        for values, expected in zip(given, wanted, strict=True):
            assert np.abs(values - expected).max() < 1e-6


def test_a_render_beside_an_unlocked_window_says_that_wrinkles_stood_still(
    wrinkled, no_worker, module, interactive
):
    backend, scene = module("detailed3dmm_addon.worker.jobs"), bpy.context.scene
    assert scene.render.use_lock_interface
    by_keys(wrinkled)
    scene.frame_set(1)
    scene.render.use_lock_interface = False
    interactive.STATE.is_rendering = True
    try:
        scene.frame_set(1)
        assert not backend.problem.message
        scene.frame_set(2)
    finally:
        interactive.STATE.is_rendering = False
    assert "stood still" in backend.problem.message and "Lock Interface" in backend.problem.remedy
