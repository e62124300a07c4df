"""Curves of other programs, in files written here in their layouts: names, order, rate, units and signs."""

import json

import numpy as np
import pytest

from ml_backend.errors import UserError
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.curve_file import HEAD_NAMES, read_curves

YAW, PITCH, ROLL = range(3)
SMILE, JAW = EXPRESSION_NAMES.index("mouthSmileLeft"), EXPRESSION_NAMES.index("jawOpen")
APPLE = [name.replace("Left", "_L").replace("Right", "_R") for name in reversed(EXPRESSION_NAMES)]


def unity_quaternion(axis: int, degrees: float) -> list[float]:
    """Returns x, y, z, w."""
    half = np.radians(degrees) / 2
    made = [0.0, 0.0, 0.0, float(np.cos(half))]
    made[axis] = float(np.sin(half))
    return made


def facecap(angles=(0, 0, 0), eyes=(0, 0, 0, 0)) -> str:
    lines = ["info,FaceCap 3.0,iPhone", "bs," + ",".join(APPLE)]
    for index in range(31):
        weights = [0.5 * index / 30 if name == "jawOpen" else 0.0 for name in APPLE]
        weights[APPLE.index("mouthSmile_L")] = 0.25
        row = [round(1000 * index / 60), 0.1, 0.2, 0.3, *angles, *eyes, *weights]
        lines.append("k," + ",".join(map(str, row)))
    return "\n".join(lines) + "\n"


def test_facecap(tmp_path):
    path = tmp_path / "take.txt"
    path.write_text(facecap((0, 20, 0), (5, 10, 5, 10)))
    read = read_curves(path)
    assert read.fps == 60 and len(read.frames) == 31 and read.names == EXPRESSION_NAMES
    assert np.allclose(read.frames[:, SMILE], 0.25) and np.isclose(read.frames[-1, JAW], 0.5, atol=0.01)
    assert np.allclose(np.degrees(read.head[0, :3]), [-20, 0, 0], atol=1e-4), "about up: to Unity's right"
    assert np.allclose(np.degrees(read.head[0, 3:]), [10, 5, 0, 10, 5, 0], atol=1e-4)
    path.write_text(facecap((20, 0, 0)))
    assert np.allclose(np.degrees(read_curves(path).head[0, :3]), [0, -20, 0], atol=1e-4), (
        "the nose goes down"
    )
    path.write_text(facecap((0, 0, 20)))
    assert np.allclose(np.degrees(read_curves(path).head[0, :3]), [0, 0, 20], atol=1e-4)


def mediapipe_row(index: int, turn: np.ndarray, script: bool) -> dict:
    """Returns a result of the face landmarker as Python or JavaScript write it."""
    named = {"_neutral": 0.0} | {name: 0.0 for name in EXPRESSION_NAMES if name != "tongueOut"}
    named |= {"mouthSmileLeft": 0.25, "jawOpen": 0.02 * index}
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, (1.0, 2.0, -40.0)
    if script:
        categories = [
            {"index": place, "score": score, "categoryName": name, "displayName": ""}
            for place, (name, score) in enumerate(named.items())
        ]
        data = {"rows": 4, "columns": 4, "data": matrix.T.ravel().tolist()}
        return {
            "timestampMs": 40.0 * index,
            "faceBlendshapes": [{"categories": categories, "headIndex": -1, "headName": ""}],
            "facialTransformationMatrixes": [data],
        }
    scores = [
        {"index": place, "score": score, "display_name": "", "category_name": name}
        for place, (name, score) in enumerate(named.items())
    ]
    return {
        "timestamp_ms": 40 * index,
        "face_blendshapes": [scores],
        "facial_transformation_matrixes": [matrix.tolist()],
    }


@pytest.mark.parametrize("script", [False, True])
def test_mediapipe(tmp_path, script):
    angle = np.radians(15)
    to_left = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )  # what looks to the camera (+Z) now looks to the picture's right (+X), the person's left
    rows = [mediapipe_row(index, to_left, script) for index in range(11)]
    empty = {"timestampMs": 440.0, "faceBlendshapes": []} if script else {"timestamp_ms": 440}
    rows.append({**empty, **({} if script else {"face_blendshapes": []})})
    rows.append(mediapipe_row(12, to_left, script))
    path = tmp_path / "take.json"
    path.write_text(json.dumps(rows if script else {"frames": rows}))
    read = read_curves(path)
    assert read.fps == 25 and len(read.frames) == 13
    assert np.allclose(read.frames[:, SMILE], 0.25) and np.isclose(read.frames[10, JAW], 0.2)
    assert np.allclose(np.degrees(read.head[:, :3]), [15, 0, 0], atol=1e-3) and not read.head[:, 3:].any()
    assert any("no face" in note for note in read.notes)
    path.write_text(json.dumps([{"blendshapes": {"jawOpen": 0.5}}] * 3))
    read = read_curves(path)
    assert read.fps == 30 and any("no times" in note for note in read.notes)


def vmc(kind: str, bone: str, turn: list[float]) -> str:
    lines = []

    def send(seconds: float, address: str, types: str, *words) -> None:
        if kind == "oscdump":
            stamp = f"{int(3_900_000_000 + seconds):08x}.{int(seconds % 1 * 2**32):08x}"
            said = " ".join(f'"{word}"' if isinstance(word, str) else f"{word:f}" for word in words)
            lines.append(f"{stamp} {address} {types} {said}")
        else:
            lines.append(json.dumps({"time": seconds, "address": address, "args": list(words)}))

    for index in range(21):
        seconds = index / 50
        send(seconds, "/VMC/Ext/Bone/Pos", "sfffffff", bone, 0.0, 1.4, 0.0, *turn)
        if index == 0:  # values hold until they are sent again
            send(seconds, "/VMC/Ext/Blend/Val", "sf", "MouthSmileLeft", 0.25)
        send(seconds, "/VMC/Ext/Blend/Val", "sf", "JawOpen", 0.02 * index)
        send(seconds, "/VMC/Ext/Blend/Val", "sf", "Joy", 0.0)
        send(seconds, "/VMC/Ext/Blend/Apply", "")
        send(seconds, "/VMC/Ext/OK", "i", 1)
    return "\n".join(lines) if kind != "array" else f"[{','.join(lines)}]"


@pytest.mark.parametrize("kind", ["oscdump", "lines", "array"])
def test_vmc(tmp_path, kind):
    path = tmp_path / {"oscdump": "take.txt", "lines": "take.jsonl", "array": "take.json"}[kind]
    path.write_text(vmc(kind, "Head", unity_quaternion(0, 10)))
    read = read_curves(path)
    assert read.fps == 50 and len(read.frames) == 21
    assert np.allclose(read.frames[:, SMILE], 0.25) and np.isclose(read.frames[-1, JAW], 0.4, atol=1e-3)
    assert np.allclose(np.degrees(read.head[:, :3]), [0, -10, 0], atol=1e-3)
    path.write_text(vmc(kind, "LeftEye", unity_quaternion(1, -8)))
    expected = np.zeros(9)
    expected[HEAD_NAMES.index("LeftEyeYaw")] = -8  # to the person's left: negative, as the app writes it
    assert np.allclose(np.degrees(read_curves(path).head[3]), expected, atol=1e-3)


def test_expressions_of_vrm_count_where_there_are_no_others(tmp_path):
    rows = []
    for index in range(5):
        rows.append({"time": index / 30, "address": "/VMC/Ext/Blend/Val", "args": ["Blink", 0.5]})
        rows.append({"time": index / 30, "address": "/VMC/Ext/Blend/Val", "args": ["A", 0.3]})
        rows.append({"time": index / 30, "address": "/VMC/Ext/Blend/Apply", "args": []})
    (tmp_path / "a.json").write_text(json.dumps(rows))
    read = read_curves(tmp_path / "a.json")
    assert np.allclose(read.frames[:, EXPRESSION_NAMES.index("eyeBlinkRight")], 0.5)
    assert np.allclose(read.frames[:, JAW], 0.3) and any("VRM" in note for note in read.notes)


@pytest.mark.parametrize("table", [False, True])
def test_metahuman(tmp_path, table):
    titles = ["CTRL_expressions_mouthCornerPullL", "CTRL_expressions_jawOpen", "HeadYaw"]
    titles += [f"CTRL_expressions_mouthFunnel{place}" for place in ("UL", "UR", "DL", "DR")]
    titles += ["CTRL_expressions_eyeLookLeftR", "CTRL_expressions_earUpL"]
    rows = [["---", *titles]]
    for index in range(13):
        rows.append([index / 24, 0.25, index / 12, 0.2, 0.4, 0.4, 0.2, 0.2, 0.6, 1.0])
    if table:
        rows = [list(column) for column in zip(*rows, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    read = read_curves(tmp_path / "a.csv")
    assert read.fps == 24 and len(read.frames) == 13
    assert np.allclose(read.frames[:, SMILE], 0.25) and np.isclose(read.frames[-1, JAW], 1.0)
    assert np.allclose(read.frames[:, EXPRESSION_NAMES.index("mouthFunnel")], 0.3)
    assert np.allclose(read.frames[:, EXPRESSION_NAMES.index("eyeLookInRight")], 0.6)
    assert np.allclose(read.head[:, YAW], 0.2) and not read.head[:, 1:].any()
    assert any("MetaHuman" in note for note in read.notes)


def test_audio2face_with_its_rate(tmp_path):
    document = {
        "exportFps": 24.0, "trackPath": "a.wav", "numPoses": 3, "numFrames": 2,
        "facsNames": ["mouthSmileLeft", "jawOpen", "other"], "weightMat": [[0.25, 0.1, 9], [0.25, 0.5, 9]],
        "joints": ["jaw"], "rotations": [[[0, 0, 0, 1]]] * 2, "translations": [[[0, 0, 0]]] * 2,
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(document))
    read = read_curves(tmp_path / "a.json")
    assert read.fps == 24 and np.allclose(read.frames[:, [SMILE, JAW]], [[0.25, 0.1], [0.25, 0.5]])
    assert any("other" in note for note in read.notes)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "Dear reader,"),
        ("a.txt", "bs,jawOpen\nk,0,1,2\n"),
        ("a.txt", "bs,jawOpen\nk,0,0,0,0,0,0,0,0,0,0,0,nan\n"),
        ("a.txt", "bs,jawOpen\nk,x,0,0,0,0,0,0,0,0,0,0,1\n"),
        ("a.txt", "dcba /VMC/Ext/Blend/Val sf"),
        ("a.jsonl", '{"time": 0, "address": "/VMC/Ext/Blend/Val", "args": ["jawOpen"]}'),
        ("a.json", '[{"time": 0, "address": "/VMC/Ext/OK", "args": [1]}]'),
        ("a.json", '[{"face_blendshapes": [{"score": "x", "category_name": "jawOpen"}]}]'),
        ("a.json", '[{"face_blendshapes": []}]'),
        ("a.csv", "---,CTRL_expressions_jawOpen\n0,x\n"),
        ("a.csv", "---,CTRL_expressions_jawOpen\n0,1\n0,1\n"),
        ("a.csv", "---,CTRL_expressions_earUpL\n0,1\n1,1\n"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as caught:
        read_curves(tmp_path / name)
    assert name in caught.value.message and caught.value.remedy
