"""Live on faces: the real worker on a film that is played in real time."""

import os
import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest
from checking_layout import context, draw_all


@pytest.fixture(scope="module")
def slow_film(performance, tmp_path_factory) -> Path:
    """The painted actor, slowly: 24 frames in four seconds."""
    path = tmp_path_factory.mktemp("film") / "slow.mp4"
    code = (
        "import sys, pathlib; from ml_backend.video.video_file import open_video; "
        "from ml_backend.video.video_writer import write_video; "
        "frames = [frame.pixels for frame in open_video(sys.argv[1]).frames()]; "
        "write_video(pathlib.Path(sys.argv[2]), frames, 6)"
    )
    root = Path(__file__).resolve().parents[2]
    command = [os.environ["D3DMM_WORKER_PYTHON"], "-c", code, str(performance), str(path)]
    subprocess.run(command, check=True, timeout=300, cwd=root)
    return path


def test_a_film_in_real_time_is_recorded_and_kept(worker, face, slow_film, module):
    bpy.ops.ed.undo_push(message="created")
    name = face.name
    face.data.shape_keys.key_blocks["browInnerUp"].value = 0.25
    assert bpy.ops.d3dmm.live_video(source=str(slow_film)) == {"FINISHED"}
    face = bpy.data.objects[name]
    kept = module("detailed3dmm_addon.clips.kept_take").kept_take(face)
    assert len(kept.seconds) >= 3 and np.isfinite(kept.raw).all()
    assert face.data.shape_keys.animation_data.action is not None
    assert bpy.ops.d3dmm.adjust_video.poll()
    assert not module("detailed3dmm_addon.clips.live_face").RECORDING.runs
    assert not bpy.ops.d3dmm.stop_live.poll()
    bpy.ops.ed.undo_push(message="recorded")
    bpy.ops.ed.undo()
    assert bpy.data.objects[name].data.shape_keys.animation_data is None


def test_what_is_no_camera_changes_nothing(worker, face, module, tmp_path):
    before = [key.value for key in face.data.shape_keys.key_blocks]
    with pytest.raises(RuntimeError, match="no camera that can be opened"):
        bpy.ops.d3dmm.live_video(source=str(tmp_path / "nothing"))
    assert [key.value for key in face.data.shape_keys.key_blocks] == before
    assert face.data.shape_keys.animation_data is None and "d3dmm_take" not in face
    assert not module("detailed3dmm_addon.clips.live_face").RECORDING.runs


def test_a_face_follows_and_goes_back(face, module):
    live = module("detailed3dmm_addon.clips.live_face")
    targets = module("detailed3dmm_addon.clips.targets")
    names = module("ml_backend.expression_names").EXPRESSION_NAMES
    keys = face.data.shape_keys.key_blocks
    keys["jawOpen"].value = 0.2
    face.rotation_euler = (0.0, 0.0, 0.4)
    following = live.LiveFace.of(targets.TargetName.of(face), True)
    curves, head = np.zeros(52, np.float32), np.zeros(9, np.float32)
    curves[names.index("jawOpen")] = 0.9
    head[0] = 0.3
    following.show(curves, head)
    assert keys["jawOpen"].value == pytest.approx(0.9) and face.rotation_euler.z == pytest.approx(0.7)
    following.put_back()
    assert keys["jawOpen"].value == pytest.approx(0.2) and face.rotation_euler.z == pytest.approx(0.4)


def test_the_panel_offers_live_and_how_to_stop_it(face, module):
    recording = module("detailed3dmm_addon.clips.live_face").RECORDING
    said = draw_all(context())
    assert "Live" in said and "Stop Live" not in said and "Use Voice" in said
    recording.runs = True
    try:
        said = draw_all(context())
        assert "Stop Live" in said and "Import Video" not in said
        assert not bpy.ops.d3dmm.live_video.poll()
        assert bpy.ops.d3dmm.stop_live() == {"FINISHED"} and recording.wish == "keep"
    finally:
        recording.runs, recording.wish = False, ""


def test_neutral_frames_are_numbers(module):
    properties = module("detailed3dmm_addon.clips.video_properties")
    errors = module("ml_backend.errors")
    assert properties.neutral_frames(-1, "") == ()
    assert properties.neutral_frames(4, "12, 3 12") == (3, 4, 12)
    with pytest.raises(errors.UserError, match="not a frame of the video"):
        properties.neutral_frames(0, "two")
