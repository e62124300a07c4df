"""Live: a film that is played in real time, the causal filter, lips from the voice, and what is no camera."""

import json
import os

import numpy as np
import pytest

from ml_backend.__main__ import main
from ml_backend.animation.causal_filter import CausalFilter
from ml_backend.animation.voice_lips import lips_from_voice
from ml_backend.errors import UserError
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.take_file import Take, read_take
from ml_backend.video.clip_model import UNSEEN
from ml_backend.video.live_frames import LiveFrames, camera_name
from ml_backend.video.video_writer import write_video

JAW = EXPRESSION_NAMES.index("jawOpen")
BROW = EXPRESSION_NAMES.index("browInnerUp")


def grey_frames(count: int):
    return (np.full((48, 64, 3), 8 * index % 256, np.uint8) for index in range(count))


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.mp4"
    write_video(path, grey_frames(12), 24)
    return path


def test_a_film_comes_in_its_own_time_and_a_slow_reader_gets_the_newest_frame(film):
    source = LiveFrames(str(film))
    shown = [frame.index for frame in source.frames()]
    assert shown == sorted(set(shown)) and shown[-1] == 11
    assert len(shown) + source.missed == 12
    slow = LiveFrames(str(film))
    frames = slow.frames()
    first = next(frames)
    with slow._ready:
        slow._ready.wait_for(lambda: slow._ended, timeout=30)
    rest = [frame.index for frame in frames]
    assert rest == [11] and slow.missed >= 12 - 2 - first.index


def test_a_film_stops_when_it_is_told(film):
    source = LiveFrames(str(film))
    frames = source.frames()
    next(frames)
    source.stop()
    assert len(list(frames)) <= 1
    assert not source._thread.is_alive()


def test_cameras_have_the_systems_names():
    assert camera_name("0", "linux") == ("/dev/video0", "v4l2")
    assert camera_name("/dev/video2", "linux") == ("/dev/video2", "v4l2")
    assert camera_name("0", "darwin") == ("0", "avfoundation")
    assert camera_name("Front Camera", "win32") == ("video=Front Camera", "dshow")
    with pytest.raises(UserError, match="has no name"):
        camera_name("0", "win32")
    with pytest.raises(UserError, match="Cameras cannot be read"):
        camera_name("0", "plan9")


def test_what_is_no_camera_is_named(tmp_path, capsys):
    assert not os.path.exists("/dev/video77")
    with pytest.raises(UserError, match="no camera that can be opened"):
        LiveFrames(str(tmp_path / "nothing"))
    status = main(["track", "--live", str(tmp_path / "nothing"), "--out", str(tmp_path / "take.json")])
    assert status != 0 and "no camera that can be opened" in capsys.readouterr().err
    assert main(["track", "--out", str(tmp_path / "take.json")]) != 0
    assert "One source is needed" in capsys.readouterr().err


def test_a_film_without_a_face_is_named(film, tmp_path, capsys):
    status = main(["track", "--live", str(film), "--out", str(tmp_path / "take.json")])
    assert status != 0 and "no face was seen" in capsys.readouterr().err
    assert not (tmp_path / "take.json").exists()


def test_the_causal_filter_calms_rest_and_follows_motion():
    random = np.random.default_rng(0)
    names = ("browInnerUp", "jawOpen")
    seconds = np.arange(90) / 30
    noisy = 0.01 * random.standard_normal((90, 2))
    still = CausalFilter(names)
    calm = np.array([still(moment, row) for moment, row in zip(seconds, noisy, strict=True)])
    assert calm[30:].std() < 0.6 * noisy[30:].std()
    jump = (seconds > 1.0).astype(float)[:, None] * np.ones(2)
    fast = CausalFilter(names)
    moved = np.array([fast(moment, row) for moment, row in zip(seconds, jump, strict=True)])
    first = int(np.argmax(jump[:, 0] > 0))
    assert moved[first + 4].min() > 0.8, "a jump is followed within a tenth of a second or so"
    again = CausalFilter(names)
    head = np.array([again(moment, row) for moment, row in zip(seconds[:40], jump[:40], strict=True)])
    assert np.array_equal(head, moved[:40]), "nothing looks ahead"


def take_of(confidence: np.ndarray) -> Take:
    count = len(confidence)
    return Take(
        np.arange(count) / 30, np.full((count, 52), 0.1, np.float32), np.zeros((count, 9), np.float32),
        confidence, np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3)), ("seen",) * count, UNSEEN,
        {"focal": 1.0}, np.zeros(4, np.float32), "", (0,), (), "clip.mp4",
    )  # fmt: skip


def test_lips_follow_the_voice_where_the_picture_is_unsure():
    confidence = np.ones((60, 52), np.float32)
    confidence[30:] = 0.1
    spoken = np.full((30, 52), 0.8)
    raw, share = lips_from_voice(take_of(confidence), spoken, 15.0)
    assert raw[:20, JAW] == pytest.approx(0.1, abs=1e-4) and raw[45:, JAW] == pytest.approx(0.8, abs=1e-4)
    assert (raw[:, BROW] == np.float32(0.1)).all() and share[:20].max() < 1e-3 < 0.99 < share[45:].min()
    assert np.abs(np.diff(raw[:, JAW])).max() < 0.3, "one goes over into the other"


@pytest.mark.slow
def test_a_painted_actor_is_recorded_live(tmp_path, capsys):
    from ml_backend.datasets.painted_clips import paint_clip
    from ml_backend.models.bilinear_face import BilinearFace
    from ml_backend.video.video_file import open_video

    short, film = tmp_path / "actor.mp4", tmp_path / "film.mp4"
    paint_clip(short, BilinearFace.default(), 611_000, 0, 24)
    frames = [frame.pixels for frame in open_video(short).frames()]
    write_video(film, [frames[0]] * 10 + frames + frames[::-1], 6)
    out = tmp_path / "take.json"
    assert main(["track", "--live", str(film), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    take = read_take(out)
    assert told["frames"] == len(take.seconds) > 2 and told["live_frames"] >= 0 and told["ended"]
    assert np.isfinite(take.raw).all() and set(take.marks) <= {"seen", "doubtful", "held"}
