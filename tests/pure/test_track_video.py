"""A video becomes a take: the whole way through decoder, detector and solve, and what cannot be tracked."""

import json

import av
import numpy as np
import pytest

from ml_backend.__main__ import main
from ml_backend.animation.take_curves import smoothed
from ml_backend.commands.track import parse_dials
from ml_backend.datasets.painted_clips import PaintedClip, paint_clip
from ml_backend.errors import UserError
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.curve_file import read_curves
from ml_backend.files.face_file import FaceParameters, write_face
from ml_backend.files.take_file import Take, read_take, write_take
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.pipelines.track_video import TrackVideoRequest, track_video
from ml_backend.video.video_writer import write_video

FIRST = 610_000
JAW = EXPRESSION_NAMES.index("jawOpen")
LID = EXPRESSION_NAMES.index("eyeBlinkLeft")


def quiet(share: float, text: str) -> None:
    assert 0 <= share <= 1 and text


@pytest.fixture(scope="module")
def painted(tmp_path_factory) -> PaintedClip:
    path = tmp_path_factory.mktemp("video") / "actor.mp4"
    return paint_clip(path, BilinearFace.default(), FIRST, 0, 30)


@pytest.fixture(scope="module")
def take(painted) -> Take:
    return track_video(TrackVideoRequest(str(painted.path)), quiet)


def test_a_painted_actor_is_tracked(painted, take):
    assert len(take.seconds) == 30 and np.allclose(np.diff(take.seconds), 1 / 30, atol=1e-4)
    assert set(take.marks) <= {"seen", "doubtful"} and take.shots == (0,)
    jaw = take.raw[:, JAW]
    assert jaw[-3:].mean() > jaw[:20].mean() + 0.15, "the mouth opens at the end"
    (top,) = painted.blinks
    assert take.raw[top - 2 : top + 3, LID].max() > 0.7 > 0.4 > take.raw[15:25, LID].max()
    true = np.array([camera.head_angles() for camera in painted.cameras])
    yaw = np.degrees(take.head[:, 0])
    assert np.corrcoef(yaw, true[:, 0])[0, 1] > 0.97
    assert (take.raw[:, EXPRESSION_NAMES.index("tongueOut")] == 0).all()
    assert "tongueOut" in take.not_seen and "cheekPuff" in take.not_seen
    assert (
        take.confidence.shape == take.raw.shape and 0 <= take.confidence.min() <= take.confidence.max() <= 1
    )
    assert take.camera["width"] == take.camera["height"] == 288


def test_a_take_goes_to_disk_and_back(take, tmp_path):
    path = tmp_path / "take.json"
    write_take(path, take, smoothed(take, {}), {"lips": 0.0})
    again = read_take(path)
    assert np.allclose(again.raw, take.raw, atol=1e-4) and again.marks == take.marks
    assert np.allclose(again.translation, take.translation, atol=1e-5)
    curves = read_curves(path)
    assert np.allclose(curves.frames, take.raw, atol=1e-4), "every reader of curves reads a take"
    sheet = tmp_path / "take.csv"
    write_take(sheet, take, smoothed(take, {}), {})
    assert sheet.read_text().splitlines()[0].startswith("Timecode,BlendShapeCount,EyeBlinkLeft,")
    read = read_curves(sheet)
    assert read.fps == 30 and np.allclose(read.head, take.head, atol=1e-4)
    path.write_text(json.dumps({"fps": 30, "names": [], "frames": []}))
    with pytest.raises(UserError, match="not a take of a video"):
        read_take(path)


def test_smoothing_is_a_dial_after_the_solve(take):
    raw = smoothed(take, parse_dials("0"))
    assert np.array_equal(raw.frames, np.clip(take.raw, 0, 1))
    soft = smoothed(take, parse_dials("brows=1,head=0.8"))
    assert np.array_equal(soft.frames[:, JAW], raw.frames[:, JAW])
    brow = EXPRESSION_NAMES.index("browInnerUp")
    assert np.abs(np.diff(soft.frames[:, brow], 2)).sum() < np.abs(np.diff(raw.frames[:, brow], 2)).sum()
    for text in ("2", "ears=0.1", "lips", "lips=x"):
        with pytest.raises(UserError, match="no smoothing"):
            parse_dials(text)


def test_uneven_time_stamps_become_a_constant_rate(take):
    seconds = np.concatenate([take.seconds[:10], take.seconds[12:]])
    rows = np.r_[0:10, 12:30]
    part = Take(
        seconds, take.raw[rows], take.head[rows], take.confidence[rows], take.rotation[rows],
        take.translation[rows], tuple(np.array(take.marks)[rows]), take.not_seen, take.camera, take.identity,
        take.face_model, (0,), (), "part",
    )  # fmt: skip
    animation = part.animation()
    assert animation.fps == 30 and len(animation.frames) == 30
    assert np.abs(animation.frames[12:] - take.raw[12:]).max() < 0.02


def test_the_shell_tracks_a_given_person_and_a_neutral_frame(painted, tmp_path, capsys):
    face = BilinearFace.default()
    person = tmp_path / "person.json"
    identity = face.sample_identity(FIRST)
    write_face(person, FaceParameters(identity, None, np.zeros(52, np.float32), face.fingerprint()))
    out = tmp_path / "takes"
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "actor.mp4").write_bytes(painted.path.read_bytes())
    (folder / "letter.mp4").write_text("Dear reader, " * 50)
    command = ["track", str(folder), "--out", str(out), "--identity", str(person), "--neutral", "9"]
    assert main([*command, "--end", "0.5", "--json"]) == 1
    shown = capsys.readouterr()
    rows = json.loads(shown.out)
    assert rows[0]["frames"] == 16 and "not a video that can be read" in rows[1]["error"]
    take = read_take(out / "actor.json")
    assert np.allclose(take.identity, identity, atol=1e-5)
    lips = [index for index, name in enumerate(EXPRESSION_NAMES) if name.startswith(("jaw", "mouth"))]
    assert take.raw[9, lips].max() < 0.12, "the neutral frame is neutral"
    assert main([*command, "--end", "0.5", "--json"]) == 1
    assert "there already" in capsys.readouterr().err


def test_cancelling_leaves_nothing(painted, tmp_path, monkeypatch):
    def cancel(share: float, text: str) -> None:
        if share > 0.1:
            raise KeyboardInterrupt

    monkeypatch.setattr("ml_backend.commands.track.print_progress", cancel)
    assert main(["track", str(painted.path), "--out", str(tmp_path / "take.json")]) == 130
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_tracked_is_named(painted, tmp_path):
    noise = np.random.default_rng(0).integers(90, 110, (6, 120, 160, 3), np.uint8)
    empty = tmp_path / "wall.mp4"
    write_video(empty, noise, 30)
    with pytest.raises(UserError, match=r"wall.mp4: no face was found in any frame"):
        track_video(TrackVideoRequest(str(empty)), quiet)
    for request, message in (
        ({"start": 2.0, "end": 1.0}, "is not behind the start"),
        ({"start": 60.0}, "no frame lies between these times"),
        ({"face": 3, "end": 0.1}, "there is no face 3"),
        ({"neutral": (99,), "end": 0.1}, "there is no frame 99"),
    ):
        with pytest.raises(UserError, match=message) as error:
            track_video(TrackVideoRequest(str(painted.path), **request), quiet)
        assert "actor.mp4" in str(error.value) and error.value.remedy
    with pytest.raises(UserError, match="no such folder"):
        main_raises(["track", str(painted.path), "--out", str(tmp_path / "none" / "take.json")])


def main_raises(argv: list[str]) -> None:
    """Runs a command as the shell does, without turning errors into messages."""
    import argparse

    from ml_backend.commands import track

    parser = argparse.ArgumentParser()
    track.add_arguments(parser)
    track.run(parser.parse_args(argv[1:]))


def test_a_face_that_leaves_and_comes_back_is_held_between(painted, tmp_path):
    with av.open(str(painted.path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    blank = np.full_like(frames[0], 90)
    path = tmp_path / "leaves.mp4"
    write_video(path, [*frames[:8], *[blank] * 4, *frames[8:16]], 30)
    take = track_video(TrackVideoRequest(str(path)), quiet)
    assert [mark == "held" for mark in take.marks] == [8 <= index < 12 for index in range(20)]
    assert (take.confidence[8:12] == 0).all() and np.isfinite(take.raw).all()
    assert any("show no face and are held" in note for note in take.notes)
