"""Videos of every kind are read by their time stamps, upright; what is no video is named."""

from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from ml_backend.errors import UserError
from ml_backend.video.formats import sequence_of, sequence_pattern
from ml_backend.video.video_file import open_video


def picture(index: int, height: int = 64, width: int = 96) -> np.ndarray:
    """A grey picture that gets lighter, with a red corner at the top left."""
    pixels = np.full((height, width, 3), 20 + 10 * index, np.uint8)
    pixels[: height // 4, : width // 4] = (250, 0, 0)
    return pixels


def write(path, frames, codec="mpeg4", pix_fmt="yuv420p", times=None, rate=30):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate))
        stream.pix_fmt = pix_fmt
        for index, pixels in enumerate(frames):
            if not index:
                stream.height, stream.width = pixels.shape[:2]
                stream.bit_rate = 4_000_000
                stream.codec_context.time_base = Fraction(1, 600)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = round(600 * (index / rate if times is None else times[index]))
            frame.time_base = Fraction(1, 600)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def test_frames_come_at_their_time_stamps(tmp_path):
    times = [0.0, 0.05, 0.06, 0.2, 0.35, 0.4]
    path = write(tmp_path / "variable.mkv", [picture(index) for index in range(6)], "ffv1", times=times)
    video = open_video(path)
    frames = list(video.frames())
    assert np.allclose([frame.seconds for frame in frames], times, atol=0.002)
    assert [round(float(frame.pixels[-1, -1].mean()), -1) for frame in frames] == [20, 30, 40, 50, 60, 70]
    assert video.size == (96, 64)
    part = list(open_video(path).frames(0.055, 0.36))
    assert [frame.index for frame in part] == [2, 3, 4]


def test_a_rotation_flag_turns_the_picture(tmp_path):
    path = write(tmp_path / "turned.mp4", [picture(3)] * 4)
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40
    quarter = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)  # a quarter turn clockwise
    content[start : start + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in quarter)
    path.write_bytes(content)
    video = open_video(path)
    pixels = next(iter(video.frames())).pixels
    assert pixels.shape == (96, 64, 3) and video.full_size == (64, 96)
    reddest = np.unravel_index(np.argmax(pixels[..., 0].astype(int) - pixels[..., 1]), pixels.shape[:2])
    assert reddest[0] < 30 and reddest[1] > 40, "the corner at the top left is now at the top right"


def test_ten_bits_become_eight(tmp_path):
    path = write(tmp_path / "deep.mkv", [picture(index) for index in range(3)], "ffv1", "yuv420p10le")
    frames = list(open_video(path).frames())
    assert frames[2].pixels.dtype == np.uint8
    assert abs(float(frames[2].pixels[-1, -1].mean()) - 40) < 4


def test_large_frames_are_made_smaller_while_they_are_decoded(tmp_path):
    path = write(tmp_path / "large.mkv", [picture(1, 1200, 2400)], "ffv1")
    video = open_video(path)
    assert next(iter(video.frames())).pixels.shape == (960, 1920, 3)
    assert video.full_size == (2400, 1200)


def test_a_sequence_of_pictures_is_read_in_the_order_of_its_numbers(tmp_path):
    for index in (10, 9, 1):
        Image.fromarray(picture(index)).save(tmp_path / f"shot_{index}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    names = [path.name for path in sequence_of(tmp_path / "shot_#.png")]
    assert names == ["shot_1.png", "shot_9.png", "shot_10.png"]
    frames = list(open_video(tmp_path, rate=25).frames())
    assert np.allclose([frame.seconds for frame in frames], [0, 0.04, 0.08])
    Image.fromarray(picture(1, 80, 80)).save(tmp_path / "shot_11.png")
    with pytest.raises(UserError, match="another size"):
        list(open_video(tmp_path).frames())


def test_a_picture_names_its_sequence_and_a_video_may_have_any_name(tmp_path):
    for name, pattern in (
        ("shot_0012.png", "shot_#.png"),
        ("day2_take7.jpg", "day2_take#.jpg"),
        ("7.png", "#.png"),
        ("portrait.png", "portrait.png"),
        ("take7.mp4", "take7.mp4"),
    ):
        assert sequence_pattern(tmp_path / name) == tmp_path / pattern
    path = write(tmp_path / "take #2 %d.mkv", [picture(1), picture(2)], "ffv1")
    assert len(list(open_video(path).frames())) == 2


def test_a_video_that_breaks_off_is_read_up_to_there(tmp_path):
    random = np.random.default_rng(0)
    frames = [random.integers(0, 255, (64, 96, 3), np.uint8) for _ in range(40)]
    path = write(tmp_path / "whole.avi", frames)
    content = path.read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(content[: len(content) // 2])
    read = list(open_video(cut).frames())
    assert 5 < len(read) < 40
    path.write_bytes(write(tmp_path / "whole.mp4", frames).read_bytes()[:2000])
    with pytest.raises(UserError, match="not a video that can be read") as error:
        list(open_video(path).frames())
    assert "copy it again" in error.value.remedy


def test_what_is_no_video_is_named(tmp_path):
    with pytest.raises(UserError, match="no such video"):
        open_video(tmp_path / "missing.mp4")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(UserError, match="the file is empty"):
        open_video(tmp_path / "empty.mp4")
    (tmp_path / "text.mp4").write_text("This is a letter. " * 30)
    with pytest.raises(UserError, match=r"text.mp4: not a video that can be read"):
        open_video(tmp_path / "text.mp4")
    for suffix in ("png", "jpg"):
        Image.fromarray(picture(2)).save(tmp_path / f"still.{suffix}")
        with pytest.raises(UserError, match="a still picture, not a video") as error:
            open_video(tmp_path / f"still.{suffix}")
        assert "ml_backend fit" in error.value.remedy
    with av.open(str(tmp_path / "song.m4a"), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    with pytest.raises(UserError, match="holds no picture, only sound") as error:
        open_video(tmp_path / "song.m4a")
    assert "ml_backend animate" in error.value.remedy
    with pytest.raises(UserError, match="no pictures of a sequence"):
        open_video(tmp_path / "shot_####.png")


def test_a_video_without_frames_is_named(tmp_path):
    path = tmp_path / "none.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        container.start_encoding()
    with pytest.raises(UserError) as error:
        list(open_video(path).frames())
    assert "none.avi" in str(error.value)
