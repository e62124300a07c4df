"""Animation files: what is written is read back, and what is no animation is refused."""

import json

import numpy as np
import pytest

from ml_backend.errors import UserError
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.curve_file import (
    HEAD_NAMES,
    Animation,
    read_csv,
    read_curves,
    read_json,
    timecode,
    write_csv,
    write_curves,
    write_json,
)


def animation(fps=30.0, count=70) -> Animation:
    rng = np.random.default_rng(0)
    frames, head = rng.uniform(0, 1, (count, 52)), rng.normal(0, 0.1, (count, 9))
    return Animation(fps, EXPRESSION_NAMES, frames.astype(np.float32), head.astype(np.float32))


@pytest.mark.parametrize("extension", ["csv", "json"])
@pytest.mark.parametrize("fps", [24.0, 25.0, 29.97, 30.0, 60.0])
def test_there_and_back(tmp_path, extension, fps):
    written = animation(fps, 200)
    write_curves(tmp_path / f"a.{extension}", written)
    read = read_curves(tmp_path / f"a.{extension}")
    assert read.fps == pytest.approx(fps, rel=1e-3) and read.names == EXPRESSION_NAMES
    assert np.allclose(read.frames, written.frames, atol=1e-5) and np.allclose(
        read.head, written.head, atol=1e-5
    )


def test_csv_is_live_link_faces_layout(tmp_path):
    write_csv(tmp_path / "a.csv", animation())
    lines = (tmp_path / "a.csv").read_text().splitlines()
    titles = lines[0].split(",")
    assert (
        titles[:3] == ["Timecode", "BlendShapeCount", "EyeBlinkLeft"]
        and titles[53] == "TongueOut"
        and titles[54:] == list(HEAD_NAMES)
    )
    assert len(lines) == 71
    first = lines[1].split(",")
    assert first[0] == "00:00:00:00.000" and first[1] == "61" and len(first) == 63


def test_timecode_counts_frames_within_the_second():
    assert timecode(0, 30) == "00:00:00:00.000"
    assert timecode(31, 30) == "00:00:01:01.000"
    assert timecode(30 * 3661, 30) == "01:01:01:00.000"
    assert timecode(24, 23.976) == "00:00:01:00.024"


def test_a_file_of_less_than_a_second_is_taken_for_the_apps_own_rate(tmp_path):
    for count, fps in ((12, 30.0), (30, 30.0), (45, 60.0)):
        write_csv(tmp_path / "a.csv", animation(60.0 if count > 30 else 30.0, count))
        assert read_csv(tmp_path / "a.csv").fps == fps


def test_columns_in_another_order_and_without_rotations(tmp_path):
    rows = [
        "Timecode,BlendShapeCount,JawOpen,EyeBlinkLeft",
        *(f"00:00:00:{i:02d}.000,2,0.5,{i / 10}" for i in range(10)),
    ]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    read = read_csv(tmp_path / "a.csv")
    assert read.frames[3, EXPRESSION_NAMES.index("jawOpen")] == 0.5
    assert read.frames[3, 0] == pytest.approx(0.3) and not read.head.any()


def test_broken_files_are_named(tmp_path):
    write_json(tmp_path / "good.json", animation())
    write_csv(tmp_path / "good.csv", animation())
    document = json.loads((tmp_path / "good.json").read_text())
    bad = {
        "nan.json": json.dumps({**document, "frames": [[float("nan")] * 52]}),
        "names.json": json.dumps({**document, "names": ["nonsense"] * 52}),
        "ragged.json": json.dumps({**document, "frames": [[0.0] * 52, [0.0] * 3], "head": [[0] * 9] * 2}),
        "cut.json": (tmp_path / "good.json").read_text()[:500],
        "number.json": "3",
        "text.csv": "hello\nworld\n",
        "empty.csv": "",
        "words.csv": (tmp_path / "good.csv")
        .read_text()
        .replace("00:00:00:05.000,61,", "00:00:00:05.000,61,oops"),
        "infinite.csv": "Timecode,BlendShapeCount,JawOpen\n00:00:00:00.000,1,inf\n",
    }
    for name, text in bad.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(UserError) as caught:
            read_curves(tmp_path / name)
        assert name in caught.value.message and caught.value.remedy
    (tmp_path / "bytes.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(UserError, match=r"bytes\.csv"):
        read_csv(tmp_path / "bytes.csv")
    with pytest.raises(UserError, match=r"missing\.json"):
        read_json(tmp_path / "missing.json")


def test_other_extensions_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"a\.fbx"):
        write_curves(tmp_path / "a.fbx", animation())
    with pytest.raises(UserError, match=r"nowhere"):
        write_curves(tmp_path / "nowhere" / "a.csv", animation())


def test_shapes_are_checked():
    with pytest.raises(ValueError):
        Animation(30.0, EXPRESSION_NAMES, np.zeros((5, 51), np.float32), np.zeros((5, 9), np.float32))
