"""Curves that other programs record: FaceCap's text, MediaPipe's JSON, VMC messages, MetaHuman's controls.

numpy and the standard library only. Angles become those of Live Link Face.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UserError
from ..expression_names import EXPRESSION_NAMES
from .live_link import LONGEST
from .timecodes import at_constant_rate, capture_rate

_UNITY = np.array([[-1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""From Unity's axes (right, up, forward) to the face's (its left, back, up)."""
_MEDIAPIPE = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""From MediaPipe's axes (the person's left, up, towards the camera) to the face's."""
_VRM = {"blink": ("eyeBlinkLeft", "eyeBlinkRight"), "a": ("jawOpen",), "o": ("mouthFunnel",)} | {
    "u": ("mouthPucker",), "blink_l": ("eyeBlinkLeft",), "blink_r": ("eyeBlinkRight",),
}  # fmt: skip
"""Expressions of VRM avatars that ARKit has too; they count where a recording has no ARKit names."""
_OSC_LINE = re.compile(r"^\s*(\S+)\s+(/\S+)\s+([sfdihTFN]*)\s*(.*)$")
_OSC_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')


@dataclass(frozen=True)
class ForeignTake:
    """Curves of another program at a constant rate.

    Attributes:
        fps: frames a second.
        names: of the columns, as the program spells them.
        values: (T, C) float32, 0 neutral, 1 full.
        head: (T, 9) float32 radians, as `curve_file.HEAD_NAMES`.
        notes: sentences for the user.
    """

    fps: float
    names: tuple[str, ...]
    values: np.ndarray
    head: np.ndarray
    notes: tuple[str, ...] = ()


def read_foreign_text(path: object, text: str) -> ForeignTake | None:
    """Returns the curves of a text that is FaceCap's or a list of VMC messages; None for another.

    Raises:
        UserError: the text begins as one of them and cannot be read.
    """
    head = text.lstrip()[:4000]
    if re.match(r"(info|bs|k),", head):
        return _checked(path, "FaceCap", _facecap, text)
    if "/VMC/Ext/" in head:
        return _checked(path, "VMC", _vmc, text)
    return None


def read_foreign_json(path: object, document: Any) -> ForeignTake | None:
    """Returns the curves of a JSON document that is MediaPipe's or a list of VMC messages; None for another.

    Raises:
        UserError: the document begins as one of them and cannot be read.
    """
    rows = document
    if isinstance(document, dict):
        rows = next((document[key] for key in ("frames", "results", "messages") if key in document), None)
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
        return None
    if str(rows[0].get("address", "")).startswith("/VMC/"):
        messages = [(float(row["time"]), str(row["address"]), list(row["args"])) for row in rows]
        return _checked(path, "VMC", _vmc_take, messages)
    fps = float(document.get("fps", 0) or 0) if isinstance(document, dict) else 0.0
    if any(_categories(row) is not None for row in rows[:50]):
        return _checked(path, "MediaPipe", lambda given: _mediapipe(given, fps), rows)
    return None


def _checked(path: object, program: str, read: Callable[[Any], ForeignTake], given: Any) -> ForeignTake:
    try:
        take = read(given)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise UserError(
            f"{path}: not a recording of {program} that can be read.", "Record or export it again."
        ) from error
    if not np.isfinite(take.values).all() or not np.isfinite(take.head).all():
        raise UserError(f"{path}: holds values that are not finite.", "Export the curves again.")
    return take


def turns_of(matrices: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Returns yaw, pitch and roll (T, 3), radians: to the person's left, up, to their left shoulder.

    Args:
        matrices: (T, 3, 3) rotations.
        axes: (3, 3), from the rotations' axes to the face's (its left, back, up).
    """
    turned = axes @ matrices @ axes.T
    yaw = np.arctan2(turned[:, 1, 0], turned[:, 0, 0])
    roll = np.arcsin(np.clip(-turned[:, 2, 0], -1, 1))
    pitch = -np.arctan2(turned[:, 2, 1], turned[:, 2, 2])
    return np.stack([yaw, pitch, roll], 1)


def _about(axis: int, angles: np.ndarray) -> np.ndarray:
    """Returns rotations (T, 3, 3) about an axis by angles in radians."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    made = np.tile(np.eye(3), (len(angles), 1, 1))
    made[:, first, first] = made[:, second, second] = np.cos(angles)
    made[:, second, first] = np.sin(angles)
    made[:, first, second] = -np.sin(angles)
    return made


def _of_quaternions(quaternions: np.ndarray) -> np.ndarray:
    """Returns rotations (T, 3, 3) of (T, 4) quaternions x, y, z, w."""
    x, y, z, w = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def _steady(
    times: Sequence[float], names: Sequence[str], values: Any, head: Any, notes: Sequence[str] = ()
) -> ForeignTake:
    """Returns rows at their times as a take at a constant rate.

    Raises:
        ValueError: there is no row, or shapes disagree.
    """
    seconds, first = np.unique(np.asarray(times, float), return_index=True)
    table = np.asarray(values, np.float32).reshape(len(times), len(names))
    turns = np.asarray(head, np.float32).reshape(len(times), 9)
    if not len(seconds) or not len(names):
        raise ValueError("no rows")
    turns = np.unwrap(turns, axis=0)
    rate = capture_rate(seconds)
    if not (seconds[-1] - seconds[0]) * rate <= LONGEST:
        raise ValueError("too long")
    span = (float(seconds[0]), float(seconds[-1]))
    whole = np.concatenate([table, turns], 1)[first]
    made = at_constant_rate(seconds, whole, rate, span)
    return ForeignTake(rate, tuple(names), made[:, : len(names)], made[:, len(names) :], tuple(notes))


def _facecap(text: str) -> ForeignTake:
    """Reads FaceCap's text: a line "bs" of names, lines "k" of milliseconds, position, angles and weights.

    The angles are Unity's, in degrees: the head's three (about right, up, forward), then two for each eye.
    """
    names: list[str] = []
    times, values, heads, eyes = [], [], [], []
    for line in text.splitlines():
        kind, *cells = (cell.strip() for cell in line.strip().rstrip(",").split(","))
        if kind == "bs":
            names = cells
        elif kind == "k":
            numbers = [float(cell) for cell in cells]
            times.append(numbers[0] / 1000)
            heads.append(numbers[4:7])
            eyes.append(numbers[7:11])
            values.append(numbers[11 : 11 + len(names)])
    angles = np.radians(np.array(heads, float).reshape(len(times), 3))
    turned = _about(1, angles[:, 1]) @ _about(0, angles[:, 0]) @ _about(2, angles[:, 2])
    looks = np.radians(np.array(eyes, float).reshape(len(times), 4))
    head = np.zeros((len(times), 9))
    head[:, :3] = turns_of(turned, _UNITY)
    head[:, [4, 3, 7, 6]] = looks  # pitch down and yaw to the person's right are positive in Unity too
    return _steady(times, names, values, head)


def _categories(row: dict) -> dict[str, float] | None:
    """Returns the scores by name of a result of MediaPipe's face landmarker, or None."""
    found: Any = next(
        (row[key] for key in ("face_blendshapes", "faceBlendshapes", "blendshapes") if key in row), None
    )
    if isinstance(found, list) and found and isinstance(found[0], list):
        found = found[0]
    if isinstance(found, list) and found and isinstance(found[0], dict) and "categories" in found[0]:
        found = found[0]
    if isinstance(found, dict) and "categories" in found:
        found = found["categories"]
    if isinstance(found, list):
        return {
            str(entry.get("category_name", entry.get("categoryName", ""))): float(entry["score"])
            for entry in found
            if isinstance(entry, dict) and "score" in entry
        }
    if isinstance(found, dict):
        return {str(name): float(value) for name, value in found.items()}
    return None


def _matrix(row: dict) -> np.ndarray:
    """Returns the rotation (3, 3) of a result, the unit matrix where it has none."""
    keys = ("facial_transformation_matrixes", "facialTransformationMatrixes", "matrix")
    found: Any = next((row[key] for key in keys if row.get(key)), None)
    if found is None:
        return np.eye(3)
    if isinstance(found, list) and (isinstance(found[0], dict) or np.ndim(found) == 3):
        found = found[0]
    flat = isinstance(found, dict) or np.ndim(found) == 1
    values = np.asarray(found["data"] if isinstance(found, dict) else found, float).reshape(4, 4)
    if flat and np.allclose(values[:3, 3], 0):  # MediaPipe's own data stand column by column
        values = values.T
    rotation = values[:3, :3]
    return rotation / np.cbrt(np.linalg.det(rotation))


def _time(row: dict) -> float | None:
    for key, unit in (("timestamp_ms", 1e3), ("timestampMs", 1e3), ("timestamp_us", 1e6), ("time", 1.0)):
        if key in row:
            return float(row[key]) / unit
    return float(row["timestamp"]) / 1e3 if "timestamp" in row else None


def _mediapipe(rows: list[dict], fps: float) -> ForeignTake:
    """Reads results of MediaPipe's face landmarker, in Python's or JavaScript's spelling.

    Its eyes and its blend shapes are the person's own left and right. A result without a face is a gap.
    """
    notes = []
    clock = [_time(row) for row in rows]
    if any(time is None for time in clock):
        fps = fps or 30.0
        notes.append(f"the file tells no times; its rows count as {fps:g} a second")
        clock = [index / fps for index in range(len(rows))]
    found = [(time, _categories(row), row) for time, row in zip(clock, rows, strict=True)]
    seen = [(time, scores, row) for time, scores, row in found if scores]
    names = [name for name in seen[0][1] if name and name != "_neutral"]
    values = [[scores.get(name, 0.0) for name in names] for _, scores, _ in seen]
    head = np.zeros((len(seen), 9))
    head[:, :3] = turns_of(np.array([_matrix(row) for _, _, row in seen]), _MEDIAPIPE)
    if len(seen) < len(rows):
        notes.append(f"{len(rows) - len(seen)} rows hold no face; the rows before are held")
    return _steady([float(time or 0.0) for time, _, _ in seen], names, values, head, notes)


def _vmc(text: str) -> ForeignTake:
    """Reads VMC messages line by line: JSON objects, or what `oscdump` prints (NTP time in hexadecimals)."""
    messages = []
    for line in filter(str.strip, text.splitlines()):
        if line.lstrip().startswith("{"):
            row = json.loads(line)
            messages.append((float(row["time"]), str(row["address"]), list(row["args"])))
            continue
        match = _OSC_LINE.match(line)
        if match is None:
            raise ValueError(line)
        time, address, _, rest = match.groups()
        if re.fullmatch(r"[0-9a-fA-F]{8}\.[0-9a-fA-F]{8}", time):
            whole, part = time.split(".")
            seconds = int(whole, 16) + int(part, 16) / 2**32
        else:
            seconds = float(time)
        words = [quoted or plain for quoted, plain in _OSC_WORD.findall(rest)]
        messages.append((seconds, address, words))
    return _vmc_take(messages)


def _vmc_take(messages: Sequence[tuple[float, str, list]]) -> ForeignTake:
    """Returns the curves of messages (seconds, address, arguments).

    Source: VMC Protocol 2.x, https://protocol.vmc.info: /VMC/Ext/Blend/Val name value, /VMC/Ext/Blend/Apply,
    /VMC/Ext/Bone/Pos name p.x p.y p.z q.x q.y q.z q.w, in Unity's axes, bones against their parents.
    """
    plain = {name.lower(): name for name in EXPRESSION_NAMES}
    shown: dict[str, float] = {}
    bones: dict[str, tuple[float, float, float, float]] = {}
    for name in ("Head", "LeftEye", "RightEye", "Neck"):
        bones[name] = (0.0, 0.0, 0.0, 1.0)
    times, rows, turned = [], [], []
    for seconds, address, words in messages:
        if address == "/VMC/Ext/Blend/Val":
            shown[str(words[0])] = float(words[1])
        elif address == "/VMC/Ext/Bone/Pos" and words[0] in bones:
            x, y, z, w = (float(word) for word in words[4:8])
            bones[str(words[0])] = (x, y, z, w)
        elif address == "/VMC/Ext/Blend/Apply":
            times.append(seconds)
            rows.append(dict(shown))
            turned.append(dict(bones))
    names = [name for name in shown if name.lower() in plain]
    notes = []
    if names:
        values = [[row.get(name, 0.0) for name in names] for row in rows]
    else:
        by_arkit: dict[str, str] = {}
        for name in shown:
            by_arkit |= dict.fromkeys(_VRM.get(name.lower(), ()), name)
        names = list(by_arkit)
        values = [[row.get(by_arkit[name], 0.0) for name in names] for row in rows]
        notes.append("the recording has expressions of VRM, not ARKit's; blinks and open vowels are read")
    quaternions = {name: np.array([bone[name] for bone in turned], float).reshape(-1, 4) for name in bones}
    rotations = {name: _of_quaternions(values) for name, values in quaternions.items()}
    head = np.zeros((len(times), 9))
    head[:, :3] = turns_of(rotations["Neck"] @ rotations["Head"], _UNITY)
    for column, name in ((3, "LeftEye"), (6, "RightEye")):
        head[:, column : column + 3] = turns_of(rotations[name], _UNITY) * (-1, -1, 1)
    return _steady(times, names, values, head, notes)
