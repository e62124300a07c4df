"""Animation curves of a face and their two files: Live Link Face CSV and JSON.

numpy and the standard library only.
"""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..expression_names import EXPRESSION_NAMES
from .atomic_write import atomic_path

HEAD_NAMES: tuple[str, ...] = (
    "HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw", "RightEyePitch", "RightEyeRoll",
)  # fmt: skip
_LONGEST = 10_000_000  # frames; more is not a face's animation but a broken file


@dataclass(frozen=True)
class Animation:
    """A face's motion at a constant frame rate.

    Attributes:
        fps: frames a second.
        names: of the columns of `frames`; the 52 ARKit names.
        frames: (T, 52) float32, 0 neutral, 1 full.
        head: (T, 9) float32 radians, in the order of HEAD_NAMES (yaw to the person's left, pitch up and roll
            to the person's left
        positive).
    """

    fps: float
    names: tuple[str, ...]
    frames: np.ndarray
    head: np.ndarray

    def __post_init__(self):
        if (
            self.frames.ndim != 2
            or self.frames.shape[1] != len(self.names)
            or self.head.shape != (len(self.frames), len(HEAD_NAMES))
        ):
            raise ValueError(
                f"frames {self.frames.shape} and head {self.head.shape} do not fit {len(self.names)} names and {len(HEAD_NAMES)} rotations."
            )

    @property
    def seconds(self) -> float:
        return len(self.frames) / self.fps


def write_curves(path: str | Path, animation: Animation) -> None:
    """Writes .csv or .json, by the name.

    Raises:
        UserError: another extension, or the file cannot be written.
    """
    check_extension(path)
    try:
        (write_csv if Path(path).suffix.lower() == ".csv" else write_json)(path, animation)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}).", "Choose another folder, or make room."
        ) from error


def check_extension(path: str | Path) -> None:
    """Raises UserError unless the name ends in .csv or .json."""
    if Path(path).suffix.lower() not in {".csv", ".json"}:
        raise UserError(
            f"{path}: curves are written as .csv (Live Link Face) or .json.",
            "Give the file one of these two extensions.",
        )


def write_csv(path: str | Path, animation: Animation) -> None:
    """Writes a Live Link Face CSV.

    Columns: `Timecode,BlendShapeCount`, 52 names in PascalCase, 9 rotations; count 61; timecode
    HH:MM:SS:FF.fff.
    """
    rows = np.concatenate([animation.frames, animation.head], 1)
    with atomic_path(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            [
                "Timecode",
                "BlendShapeCount",
                *(name[0].upper() + name[1:] for name in animation.names),
                *HEAD_NAMES,
            ]
        )
        for index, row in enumerate(rows):
            writer.writerow(
                [timecode(index, animation.fps), rows.shape[1], *(f"{value:.6f}" for value in row)]
            )


def timecode(index: int, fps: float) -> str:
    """The time of a frame as HH:MM:SS:FF.fff; frames are counted within the second, at any rate."""
    seconds = index / fps
    whole = math.floor(seconds + 1e-9)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}:{max(0.0, (seconds - whole) * fps):06.3f}"


def write_json(path: str | Path, animation: Animation) -> None:
    """Writes {"fps", "names", "frames", "head_names", "head"}."""
    document = {
        "fps": animation.fps,
        "names": list(animation.names),
        "frames": np.round(animation.frames.astype(float), 6).tolist(),
        "head_names": list(HEAD_NAMES),
        "head": np.round(animation.head.astype(float), 6).tolist(),
    }
    text = json.dumps(document)
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_curves(path: str | Path) -> Animation:
    """Reads .csv or .json, by the name.

    Raises:
        UserError: see `read_csv` and `read_json`.
    """
    check_extension(path)
    return read_csv(path) if Path(path).suffix.lower() == ".csv" else read_json(path)


def read_json(path: str | Path) -> Animation:
    """Reads what `write_json` writes; names may be any subset of the 52, in any order; "head" may be missing.

    Raises:
        UserError: the file cannot be read, or is not such a document, or holds values that are not finite.
    """
    broken = UserError(f"{path}: not a curve file.", 'Expected JSON {"fps", "names", "frames"}.')
    try:
        document = json.loads(_text(path))
        fps, names = float(document["fps"]), [str(name) for name in document["names"]]
        frames = np.array(document["frames"], np.float32).reshape(-1, len(names))
        head = np.array(document.get("head", np.zeros((len(frames), 9))), np.float32)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise broken from error
    return _checked(path, fps, names, frames, head, broken)


def read_csv(path: str | Path) -> Animation:
    """Reads a Live Link Face CSV, from the app or from `write_csv`.

    Columns may stand in any order; missing rotations are 0. The rate is found from the timecodes: the frame
    number wraps at it each second.

    Raises:
        UserError: the file cannot be read, lacks the columns, or holds something that is not a number.
    """
    broken = UserError(
        f"{path}: not a Live Link Face CSV.",
        "Expected Timecode, BlendShapeCount and the ARKit names in the first line.",
    )
    try:
        rows = [row for row in csv.reader(_text(path).splitlines()) if row]
    except csv.Error as error:
        raise broken from error
    if len(rows) < 2 or rows[0][:1] != ["Timecode"] or len(rows) > _LONGEST:
        raise broken
    titles = [title.strip() for title in rows[0]]
    rows = [row for row in rows[1:] if len(row) == len(titles)]
    names = {name[0].upper() + name[1:]: name for name in EXPRESSION_NAMES}
    columns = [index for index, title in enumerate(titles) if title in names]
    try:
        values = np.array([[float(cell) for cell in row[2:]] for row in rows], np.float32)
        fps = _rate([row[0] for row in rows])
    except (ValueError, IndexError) as error:
        raise broken from error
    if not rows or not columns or min(columns) < 2:
        raise broken
    head = np.zeros((len(rows), len(HEAD_NAMES)), np.float32)
    for index, name in enumerate(HEAD_NAMES):
        if name in titles[2:]:
            head[:, index] = values[:, titles.index(name) - 2]
    return _checked(
        path, fps, [names[titles[i]] for i in columns], values[:, [i - 2 for i in columns]], head, broken
    )


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not a text file.", "Expected curves as Live Link Face CSV or JSON."
        ) from error


def _rate(timecodes: list[str]) -> float:
    """Returns the frames a second of timecodes.

    They follow from the seconds and the frames between the first and last change of the second, else from the
    frame numbers.
    """
    parts = [code.split(":") for code in timecodes]
    seconds = [int(h) * 3600 + int(m) * 60 + int(s) for h, m, s, _ in parts]
    frames = [float(part[3]) for part in parts]
    changes = [i for i in range(1, len(seconds)) if seconds[i] != seconds[i - 1]]
    if len(changes) > 1 and seconds[changes[-1]] > seconds[changes[0]]:
        rate = (changes[-1] - changes[0]) / (seconds[changes[-1]] - seconds[changes[0]])
        offset = frames[changes[0]] - frames[changes[-1]]
        rate += offset / (seconds[changes[-1]] - seconds[changes[0]])
    elif changes:
        rate = max(frames) + 1
    else:  # less than a second: nothing tells the rate; the app records 30 or 60
        return next((common for common in (30.0, 60.0, 120.0) if max(frames) < common), max(frames) + 1)
    nearest = min(
        (23.976, 24.0, 25.0, 29.97, 30.0, 48.0, 50.0, 59.94, 60.0, 120.0),
        key=lambda common: abs(common - rate),
    )
    return nearest if abs(nearest - rate) < 0.02 else rate


def _checked(
    path, fps: float, names: list[str], frames: np.ndarray, head: np.ndarray, broken: UserError
) -> Animation:
    if (
        not (0 < fps <= 1000)
        or not set(names) <= set(EXPRESSION_NAMES)
        or len(set(names)) != len(names)
        or head.shape != (len(frames), 9)
    ):
        raise broken
    if not np.isfinite(frames).all() or not np.isfinite(head).all():
        raise UserError(f"{path}: holds values that are not finite.", "Export the curves again.")
    full = np.zeros((len(frames), len(EXPRESSION_NAMES)), np.float32)
    full[:, [EXPRESSION_NAMES.index(name) for name in names]] = frames
    return Animation(fps, EXPRESSION_NAMES, full, head)
