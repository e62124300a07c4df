"""Captures of Live Link Face as phones, spreadsheets and other programs leave them: times, names, cells."""

import json
from pathlib import Path

import numpy as np
import pytest

from ml_backend.animation.curve_editing import eyes_from_look, look_from_eyes, resampled
from ml_backend.errors import UserError
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.curve_file import HEAD_NAMES, Animation, read_curves, write_curves
from ml_backend.files.timecodes import capture_rate, code_seconds, parse_code

JAW = EXPRESSION_NAMES.index("jawOpen")


def pulse(second: float) -> float:
    """The jaw: a pulse at the middle of each second."""
    return max(0.0, 1 - abs(second % 1.0 - 0.5) * 8)


def take(folder: Path, rows, header="Timecode,BlendShapeCount,JawOpen,EyeBlinkLeft", separator=",") -> Path:
    """Writes a take; rows are (code, second) or ready lines."""
    lines = [header]
    for row in rows:
        code, second = row if isinstance(row, tuple) else (row, None)
        lines.append(code if second is None else f"{code},61,{pulse(second):.4f},0.1".replace(",", separator))
    path = folder / "take.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def coded(frames, base, start=37230):
    """Codes of frame numbers in a base, and their seconds."""
    for frame in frames:
        second = start + frame // base
        clock = f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        yield f"{clock}:{frame % base:02d}.000", frame / base


def peaks(animation) -> np.ndarray:
    """Seconds of the tops of the pulses."""
    jaw = animation.frames[:, JAW]
    tops = [
        index
        for index in range(1, len(jaw) - 1)
        if jaw[index] >= 0.7 and jaw[index] > jaw[index - 1] and jaw[index] >= jaw[index + 1]
    ]
    return np.array(tops) / animation.fps


def near_half(seconds, first=0.0) -> bool:
    return bool(len(seconds)) and np.abs((seconds + first) % 1.0 - 0.5).max() < 0.021


@pytest.mark.parametrize(
    "base, step, fps", [(60, 1, 60), (60, 2, 30), (50, 2, 25), (30, 1, 30), (25, 1, 25), (120, 2, 60)]
)
@pytest.mark.parametrize("start", [37230, 86397])
def test_every_row_stands_at_its_time_code(tmp_path, base, step, fps, start):
    read = read_curves(take(tmp_path, coded(range(0, 6 * base, step), base, start)))
    assert read.fps == fps and len(read.frames) == 6 * fps and near_half(peaks(read))
    assert not any("gap" in note or "lost" in note for note in read.notes)


def test_one_change_of_the_second_is_enough(tmp_path):
    read = read_curves(take(tmp_path, coded(range(30, 102, 2), 60)))
    assert read.fps == 30 and len(read.frames) == 36


def test_lost_rows_do_not_move_what_follows(tmp_path):
    frames = [frame for frame in range(360) if frame % 9]
    read = read_curves(take(tmp_path, coded(frames, 60)))
    assert read.fps == 60 and len(read.frames) == 359 and near_half(peaks(read), 1 / 60)
    assert any("rows were lost" in note for note in read.notes)


def test_a_gap_is_held_and_reported(tmp_path):
    read = read_curves(take(tmp_path, coded([*range(145), *range(265, 600)], 60)))
    assert len(read.frames) == 600 and near_half(peaks(read))
    assert np.allclose(read.frames[144:264, JAW], pulse(144 / 60), atol=1e-3)
    assert any("held: 2.0 s from 2.4 s on" in note for note in read.notes)


@pytest.mark.parametrize("empty", ["{code},0", "{code},0,0,0", "{code},0,,", "{code},61,,"])
def test_rows_without_a_face_are_gaps(tmp_path, empty):
    rows = [
        empty.format(code=code) if 150 <= frame < 270 else (code, second)
        for frame, (code, second) in enumerate(coded(range(600), 60))
    ]
    read = read_curves(take(tmp_path, rows))
    assert len(read.frames) == 600 and near_half(peaks(read)) and any("held" in note for note in read.notes)
    assert np.allclose(read.frames[150:269, JAW], pulse(149 / 60), atol=1e-3)


def test_rows_without_a_face_at_the_ends_keep_the_time(tmp_path):
    rows = [
        f"{code},0" if frame < 60 or frame >= 300 else (code, second)
        for frame, (code, second) in enumerate(coded(range(360), 60))
    ]
    read = read_curves(take(tmp_path, rows))
    assert (
        len(read.frames) == 360 and near_half(peaks(read)) and peaks(read)[0] == pytest.approx(1.5, abs=0.02)
    )


def test_a_phone_that_halves_its_rate_keeps_time(tmp_path):
    read = read_curves(take(tmp_path, coded([*range(300), *range(300, 600, 2)], 60)))
    assert read.fps == 60 and len(read.frames) in (599, 600) and near_half(peaks(read))
    assert len(peaks(read)) == 10 and any("half the rate" in note for note in read.notes)


@pytest.mark.parametrize(
    "written", ["{h:02d}:{m:02d}:{s:02d}:{ms:07.3f}", "{h:02d}:{m:02d}:{s:02d}.{whole:03d}"]
)
@pytest.mark.parametrize("fps", [29.97, 30.0, 59.94])
def test_milliseconds_are_read(tmp_path, written, fps):
    rows = []
    for index in range(400):
        total = 86395.317 + index / fps
        whole = int(total)
        ms = (total - whole) * 1000
        code = written.format(
            h=whole // 3600 % 24,
            m=whole // 60 % 60,
            s=whole % 60,
            ms=min(ms, 999.999),
            whole=min(int(ms), 999),
        )
        rows.append((code, index / fps))
    read = read_curves(take(tmp_path, rows))
    assert read.fps == pytest.approx(fps, abs=0.02) and near_half(peaks(read))


@pytest.mark.parametrize("separator", [":", ";"])
@pytest.mark.parametrize("nominal", [30, 60])
def test_drop_frame_codes_are_real_time(tmp_path, separator, nominal):
    rate, left_out, rows, code = nominal * 1000 / 1001, nominal // 15, [], 0
    clock = 36000 * nominal + 50 * nominal  # 10:00:50, so that 10:01:00 leaves codes out
    while len(rows) < 90 * nominal:
        second, frame = divmod(clock, nominal)
        if second % 60 == 0 and second % 600 and frame < left_out:
            clock += 1
            continue
        stamp = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}{separator}{frame:02d}.000"
        rows.append((stamp, code / rate))
        code, clock = code + 1, clock + 1
    read = read_curves(take(tmp_path, rows))
    assert read.fps == pytest.approx(rate, abs=0.02) and len(read.frames) == len(rows)
    assert near_half(peaks(read)) and not any("lost" in note for note in read.notes)


def test_the_apps_codes_with_parts_of_frames(tmp_path):
    rows = []
    for index in range(240):
        code = 19.804 + index * 1.001
        rows.append((f"11:54:{29 + int(code // 60):02d}:{code % 60:06.3f}", index / 59.94))
    read = read_curves(take(tmp_path, rows))
    assert read.fps == 59.94 and len(read.frames) == 240 and near_half(peaks(read))


def test_rows_out_of_order_and_twice_are_put_right(tmp_path):
    rows = list(coded(range(240), 60))
    rows[100], rows[101] = rows[101], rows[100]
    rows.insert(50, rows[49])
    read = read_curves(take(tmp_path, rows))
    assert read.fps == 60 and len(read.frames) == 240 and near_half(peaks(read))
    assert any("sorted" in note for note in read.notes) and any("repeat" in note for note in read.notes)


def test_two_takes_in_one_file_are_refused_by_line(tmp_path):
    rows = [*coded(range(60), 60), *coded(range(60), 60, 50000)]
    with pytest.raises(UserError, match=r"take\.csv: the time code jumps by 12769 s at line 62"):
        read_curves(take(tmp_path, rows))


@pytest.mark.parametrize(
    "header", ["Timecode,BlendShapeCount,{}", "timecode,blendshapecount,{}", "Timecode,BlendshapeCount,{}"]
)
@pytest.mark.parametrize(
    "spelling",
    ["jawOpen,eyeBlinkLeft", "JawOpen,EyeBlinkLeft", "jaw_open,eyeBlink_L", "face.jawOpen,Head:eyeBlinkLeft"],
)
def test_names_are_read_in_any_spelling(tmp_path, header, spelling):
    read = read_curves(take(tmp_path, coded(range(90), 60), header.format(spelling)))
    assert near_half(peaks(read)) and np.allclose(read.frames[:, 0], 0.1)


SIDES = {"cheekPuff_L": 0.2, "cheekPuff_R": 0.6, "eyeBlink": 0.5, "jawOpen": 0.25, "old.jawOpen": 0.9}
"""Columns as other programs name them, and their values."""


def write_sides(folder: Path, kind: str, columns: dict[str, float]) -> Path:
    """Writes a second of constant columns as a CSV, as JSON or as Audio2Face does."""
    names, row = list(columns), list(columns.values())
    path = folder / ("take.csv" if kind == "csv" else "take.json")
    if kind == "csv":
        lines = [",".join([code, "61", *map(str, row)]) for code, _ in coded(range(60), 60)]
        path.write_text("\n".join([",".join(["Timecode", "BlendShapeCount", *names]), *lines]))
    else:
        keys = ("fps", "names", "frames") if kind == "json" else ("exportFps", "facsNames", "weightMat")
        path.write_text(json.dumps(dict(zip(keys, (60.0, names, [row] * 60), strict=True))))
    return path


@pytest.mark.parametrize("kind", ["csv", "json", "audio2face"])
def test_two_sides_make_one_expression_and_one_column_feeds_two(tmp_path, kind):
    read = read_curves(write_sides(tmp_path, kind, SIDES))
    values = dict(zip(EXPRESSION_NAMES, read.frames[7].tolist(), strict=True))
    moved = {name: round(value, 5) for name, value in values.items() if value}
    assert moved == {"eyeBlinkLeft": 0.5, "eyeBlinkRight": 0.5, "jawOpen": 0.25, "cheekPuff": 0.4}
    assert [note for note in read.notes if "old.jawOpen" in note and "plainer" in note]
    alone = read_curves(write_sides(tmp_path, kind, {"jawOpen": 0.25, "cheekPuff_L": 0.2}))
    assert alone.frames[0, JAW] == 0.25 and np.count_nonzero(alone.frames[0]) == 1
    assert [note for note in alone.notes if "cheekPuff_L" in note and "one side" in note]


@pytest.mark.parametrize("kind", ["csv", "json", "audio2face"])
@pytest.mark.parametrize("names", [("jawOpen", "jaw_open"), ("a.jawOpen", "b.jawOpen")])
def test_equally_plain_columns_of_one_expression_are_refused(tmp_path, kind, names):
    with pytest.raises(UserError, match="the column jawOpen is there twice"):
        read_curves(write_sides(tmp_path, kind, dict.fromkeys(names, 0.5)))


def test_columns_in_any_order(tmp_path):
    path = tmp_path / "a.csv"
    lines = [f"{pulse(second):.4f},{code},take 3,61,0.25" for code, second in coded(range(120), 60)]
    path.write_text("\n".join(["jawOpen,Timecode,Notes,BlendShapeCount,HeadYaw", *lines]))
    read = read_curves(path)
    assert near_half(peaks(read)) and np.allclose(read.head[:, 0], 0.25)
    assert any("Notes" in note for note in read.notes)


def test_trailing_commas_and_semicolons_and_decimal_commas(tmp_path):
    plain = read_curves(take(tmp_path, coded(range(120), 60))).frames
    text = (tmp_path / "take.csv").read_text()
    for changed in (
        text.replace("\n", ",\n"),
        text.replace("\n", "\r\n"),
        text.replace(".000,", ";", 0).replace(",", ";"),
        text.replace(".000,", ",").replace(",", ";").replace("0.", "0,"),
        text.replace(",", "\t"),
    ):
        (tmp_path / "b.csv").write_text(changed, newline="")
        assert np.allclose(read_curves(tmp_path / "b.csv").frames, plain, atol=1e-6)
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "cp1252"):
        (tmp_path / "b.csv").write_bytes(text.replace("\n", ",é\n").encode(encoding))
        assert np.allclose(read_curves(tmp_path / "b.csv").frames, plain, atol=1e-6)


def test_an_empty_cell_is_filled_and_reported(tmp_path):
    rows = [f"{code},61,{second:.4f},0.1" for code, second in coded(range(60), 60)]
    rows[20] = rows[20].rsplit(",", 2)[0] + ",,0.1"
    read = read_curves(take(tmp_path, rows))
    assert read.frames[20, JAW] == pytest.approx(20 / 60, abs=1e-3)
    assert any("1 empty cells" in note and "jawOpen" in note for note in read.notes)


@pytest.mark.parametrize(
    "bad, said",
    [
        ("10:20:30:20.000,61,oops,0.1", r"line 22, column JawOpen: 'oops' is not a number"),
        ("10:20:30:20.000,61,0.5,nan", r"line 22, column EyeBlinkLeft: holds values that are not finite"),
        ("10:20:30:20.000,61,0.5", r"line 22 ends after 3 of 4 columns"),
        ("half past ten,61,0.5,0.1", r"line 22, column Timecode: no time code"),
        ("10:99:30:20.000,61,0.5,0.1", r"line 22, column Timecode: no time code"),
    ],
)
def test_what_cannot_be_read_is_named_by_line_and_column(tmp_path, bad, said):
    rows = [f"{code},61,0.5,0.1" for code, _ in coded(range(60), 60)]
    rows[20] = bad
    with pytest.raises(UserError, match=r"take\.csv: " + said) as caught:
        read_curves(take(tmp_path, rows))
    assert caught.value.remedy


def test_a_broken_last_line_is_left_out(tmp_path):
    rows = [f"{code},61,0.5,0.1" for code, _ in coded(range(60), 60)]
    read = read_curves(take(tmp_path, [*rows, "10:20:31:00.000,61,0."]))
    assert len(read.frames) == 60 and any("breaks off" in note for note in read.notes)


def test_documents_of_other_programs_are_named(tmp_path):
    for name, data, said in (
        ("a.csv", b"PK\x03\x04rest", "spreadsheet"),
        ("b.csv", b"%PDF-1.7", "PDF"),
        ("c.csv", bytes(range(1, 32)) * 9, "not a text file"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=said):
            read_curves(tmp_path / name)


def test_audio2face_is_read(tmp_path):
    names = [*EXPRESSION_NAMES[:46], "tongueTipUp"]
    weights = np.random.default_rng(0).uniform(0, 1, (90, 47)).round(4)
    document = {
        "exportFps": 60.0, "trackPath": "C:/take.wav", "numPoses": 47, "numFrames": 90,
        "facsNames": names, "weightMat": weights.tolist(), "joints": ["jaw"],
    }  # fmt: skip
    (tmp_path / "a2f.json").write_text(json.dumps(document))
    read = read_curves(tmp_path / "a2f.json")
    assert (
        read.fps == 60 and np.allclose(read.frames[:, :46], weights[:, :46]) and not read.frames[:, 46:].any()
    )
    assert any("tongueTipUp" in note for note in read.notes)
    for broken in (
        {"facsNames": ["a"], "weightMat": [[0.0]]},
        {"facsNames": names, "weightMat": [[0.0, 1.0]]},
    ):
        (tmp_path / "bad.json").write_text(json.dumps({"exportFps": 30, **broken}))
        with pytest.raises(UserError, match=r"bad\.json"):
            read_curves(tmp_path / "bad.json")


def looking_left_and_up(count=60) -> np.ndarray:
    frames = np.zeros((count, 52), np.float32)
    ramp = np.linspace(0.1, 0.6, count)
    for name in ("eyeLookOutLeft", "eyeLookInRight"):
        frames[:, EXPRESSION_NAMES.index(name)] = ramp
    for name in ("eyeLookUpLeft", "eyeLookUpRight"):
        frames[:, EXPRESSION_NAMES.index(name)] = ramp / 2
    return frames


@pytest.mark.parametrize("extension", ["csv", "json"])
def test_eyes_have_the_apps_signs_and_old_files_are_turned(tmp_path, extension):
    frames = looking_left_and_up()
    head = np.concatenate([np.full((60, 3), 0.1, np.float32), eyes_from_look(frames)], 1)
    assert (head[:, [3, 6]] < 0).all() and (head[:, [4, 7]] < 0).all()  # to the left and up
    write_curves(tmp_path / f"new.{extension}", Animation(30.0, EXPRESSION_NAMES, frames, head))
    old = head * np.array([1, 1, 1, -1, -1, 1, -1, -1, 1], np.float32)
    write_curves(tmp_path / f"old.{extension}", Animation(30.0, EXPRESSION_NAMES, frames, old))
    for name in ("new", "old"):
        read = read_curves(tmp_path / f"{name}.{extension}")
        assert np.allclose(read.head, head, atol=1e-5), name
        look = look_from_eyes(read.head)
        assert np.allclose(
            look["eyeLookOutLeft"], frames[:, EXPRESSION_NAMES.index("eyeLookOutLeft")], atol=1e-4
        )


def test_an_actors_eyes_are_read_as_they_are(tmp_path):
    """As on real takes: the eyes converge, and their rotations are not the curves times an angle."""
    ramp = np.linspace(0, 0.5, 60)
    lines = [
        f"10:20:30:{index:02d}.000,61,{out:.4f},{out:.4f},{-0.07 - 0.55 * out:.4f},{0.07 - 0.55 * out:.4f}"
        for index, out in enumerate(ramp)
    ]
    path = tmp_path / "actor.csv"
    path.write_text(
        "\n".join(["Timecode,BlendShapeCount,EyeLookOutLeft,EyeLookInRight,LeftEyeYaw,RightEyeYaw", *lines])
    )
    read = read_curves(path)
    assert np.corrcoef(read.head[:, 3], ramp)[0, 1] < -0.99
    assert look_from_eyes(read.head)["eyeLookOutLeft"][-1] > 0.4


def test_notes_stay_with_a_resampled_take(tmp_path):
    read = read_curves(take(tmp_path, coded([*range(130), *range(250, 360)], 60)))
    assert read.notes and resampled(read, 24.0).notes == read.notes


def test_codes_and_rates_alone():
    assert parse_code("10:20:30;15").drop and parse_code("10:20") is None and parse_code("a:b:c:d") is None
    codes = [parse_code(f"23:59:59:{frame:02d}") for frame in range(25)] + [parse_code("00:00:00:00")]
    seconds = code_seconds(codes)
    assert np.allclose(np.diff(seconds), 1 / 25)
    assert capture_rate(np.zeros(1)) == 30 and capture_rate(np.arange(100) / 23.976) == 23.976
    assert len(HEAD_NAMES) == 9
