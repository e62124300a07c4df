"""Animation curves of a face and their files: Live Link Face CSV and JSON, and those of other programs.

numpy and the standard library only.
"""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..expression_matching import match_columns
from ..expression_names import EXPRESSION_NAMES
from .atomic_write import atomic_path
from .foreign_curves import ForeignTake, read_foreign_json, read_foreign_text
from .live_link import LONGEST, check_twice, describe_columns, read_take
from .metahuman_curves import read_metahuman
from .text_file import read_text

CURVE_SUFFIXES = (".csv", ".json", ".jsonl", ".txt")
"""Endings of the files that `read_curves` reads."""
HEAD_NAMES: tuple[str, ...] = (
    "HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw",
    "RightEyePitch", "RightEyeRoll",
)  # fmt: skip
_LOOKS = {"Left": (3, 1.0), "Right": (6, -1.0)}
"""Each eye's column of yaw in HEAD_NAMES, and the sign of its look outward, the person's left positive."""
_FIRST_RELEASE_DEGREES = (35.0, 28.0)
"""Yaw and pitch of a full eyeLook curve, as the first release wrote them."""


@dataclass(frozen=True)
class Animation:
    """A face's motion at a constant frame rate.

    Attributes:
        fps: frames a second.
        names: of the columns of `frames`; the 52 ARKit names.
        frames: (T, 52) float32, 0 neutral, 1 full.
        head: (T, 9) float32 radians, in the order of HEAD_NAMES and with the signs of Live Link Face: the
            head's yaw and roll to the person's left and its pitch up are positive; the eyes' yaw to the
            person's right and their pitch down are positive.
        notes: sentences for the user on how the file was read.
    """

    fps: float
    names: tuple[str, ...]
    frames: np.ndarray
    head: np.ndarray
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        if (
            self.frames.ndim != 2
            or self.frames.shape[1] != len(self.names)
            or self.head.shape != (len(self.frames), len(HEAD_NAMES))
        ):
            raise ValueError(
                f"frames {self.frames.shape} and head {self.head.shape} do not fit "
                f"{len(self.names)} names and {len(HEAD_NAMES)} rotations."
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
    """Writes a Live Link Face CSV: `Timecode,BlendShapeCount`, 52 names in PascalCase and 9 rotations.

    The count is 61, the time code HH:MM:SS:FF.fff.
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
    """Returns the time of a frame as HH:MM:SS:FF.fff; frames are counted within the second."""
    seconds = index / fps
    whole = math.floor(seconds + 1e-9)
    clock = f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{clock}:{max(0.0, (seconds - whole) * fps):06.3f}"


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
    """Reads curves by the name of the file: .csv, .json, or .txt and .jsonl of other programs.

    Raises:
        UserError: see `read_csv`, `read_json` and `read_text_curves`.
    """
    suffix = Path(path).suffix.lower()
    if suffix in (".txt", ".jsonl"):
        return read_text_curves(path)
    check_extension(path)
    return read_csv(path) if suffix == ".csv" else read_json(path)


def read_text_curves(path: str | Path) -> Animation:
    """Reads a recording of FaceCap or of VMC messages.

    Raises:
        UserError: it is neither, or cannot be read.
    """
    broken = UserError(f"{path}: not a curve file.", "Expected a recording of FaceCap or of VMC messages.")
    take = read_foreign_text(path, read_text(path))
    if take is None:
        raise broken
    return _foreign(path, take, broken)


def _foreign(path: str | Path, take: ForeignTake, broken: UserError) -> Animation:
    expressions, values, notes = _by_expression(path, list(take.names), take.values)
    return _checked(path, take.fps, expressions, values, take.head, broken, (*take.notes, *notes))


def read_json(path: str | Path) -> Animation:
    """Reads what `write_json` writes, what Audio2Face exports, or what MediaPipe and VMC record.

    Names may be any subset of the 52, in any order and spelling, as `match_columns` reads them; "head" may
    be missing.

    Raises:
        UserError: the file cannot be read, or is not such a document, or holds values that are not finite.
    """
    broken = UserError(f"{path}: not a curve file.", 'Expected JSON {"fps", "names", "frames"}.')
    try:
        document = json.loads(read_text(path))
        take = read_foreign_json(path, document)
        if take is not None:
            return _foreign(path, take, broken)
        if "facsNames" in document:
            return _audio2face(path, document, broken)
        fps, names = float(document["fps"]), [str(name) for name in document["names"]]
        frames = np.array(document["frames"], np.float32).reshape(-1, len(names))
        head = np.array(document.get("head", np.zeros((len(frames), 9))), np.float32)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise broken from error
    if len(match_columns(names).known) < len(names):
        raise broken
    expressions, values, notes = _by_expression(path, names, frames)
    return _checked(path, fps, expressions, values, head, broken, notes)


def _by_expression(
    path: str | Path, names: list[str], values: np.ndarray
) -> tuple[list[str], np.ndarray, tuple[str, ...]]:
    """Returns the expressions of columns (T, C), their values (T, E), and notes on what is not read."""
    matched = match_columns(names)
    check_twice(path, matched.twice)
    means = [values[:, list(group)].mean(1) for group in matched.columns.values()]
    read = np.stack(means, 1) if means else np.zeros((len(values), 0), np.float32)
    return list(matched.columns), read, tuple(describe_columns(names, matched, matched.read))


def _audio2face(path: str | Path, document: dict, broken: UserError) -> Animation:
    """Returns the curves of an Audio2Face export: facsNames, weightMat (frames by names) and exportFps.

    Its rotations of joints are not read. Weights whose names are no expressions are passed over and noted.
    """
    names = [str(name) for name in document["facsNames"]]
    weights = np.array(document["weightMat"], np.float32).reshape(-1, len(names))
    fps = float(document.get("exportFps", 60.0))
    expressions, values, notes = _by_expression(path, names, weights)
    head = np.zeros((len(weights), len(HEAD_NAMES)), np.float32)
    return _checked(path, fps, expressions, values, head, broken, notes)


def read_csv(path: str | Path) -> Animation:
    """Reads a Live Link Face CSV, from the app or from `write_csv`, or MetaHuman's controls.

    Columns may stand in any order and spelling; missing rotations are 0. Every row stands at its time code;
    see `live_link.read_take`.

    Raises:
        UserError: the file cannot be read, lacks the columns, or holds something that is not a number.
    """
    broken = UserError(
        f"{path}: not a Live Link Face CSV.",
        "Expected Timecode, BlendShapeCount and the ARKit names in the first line.",
    )
    text = read_text(path)
    foreign = read_metahuman(path, text)
    if foreign is not None:
        return _foreign(path, foreign, broken)
    take = read_take(path, text, (*EXPRESSION_NAMES, *HEAD_NAMES))
    columns = [index for index, name in enumerate(take.names) if name in EXPRESSION_NAMES]
    head = np.zeros((len(take.values), len(HEAD_NAMES)), np.float32)
    for index, name in enumerate(take.names):
        if name in HEAD_NAMES:
            head[:, HEAD_NAMES.index(name)] = take.values[:, index]
    names = [take.names[index] for index in columns]
    return _checked(path, take.fps, names, take.values[:, columns], head, broken, take.notes)


def _checked(
    path: str | Path,
    fps: float,
    names: list[str],
    frames: np.ndarray,
    head: np.ndarray,
    broken: UserError,
    notes: tuple[str, ...] = (),
) -> Animation:
    """Returns the animation of a file's columns, all 52 of them."""
    if (
        not (0 < fps <= 1000)
        or not names
        or len(frames) > LONGEST
        or not set(names) <= set(EXPRESSION_NAMES)
        or len(set(names)) != len(names)
        or head.shape != (len(frames), 9)
    ):
        raise broken
    if not np.isfinite(frames).all() or not np.isfinite(head).all():
        raise UserError(f"{path}: holds values that are not finite.", "Export the curves again.")
    full = np.zeros((len(frames), len(EXPRESSION_NAMES)), np.float32)
    full[:, [EXPRESSION_NAMES.index(name) for name in names]] = frames
    if len(names) < len(EXPRESSION_NAMES) - 1:
        notes = (*notes, f"the file has {len(names)} of the {len(EXPRESSION_NAMES)} expressions")
    if _eyes_turn_as_before(full, head):
        head = head * np.array([1, 1, 1, -1, -1, 1, -1, -1, 1], np.float32)
    return Animation(fps, EXPRESSION_NAMES, full, head, tuple(notes))


def _eyes_turn_as_before(frames: np.ndarray, head: np.ndarray) -> bool:
    """Returns whether the eyes turn with the other sign, as this product wrote them in its first release.

    Its rotations were the eyeLook curves times an angle, so they differ from that product by little.
    """
    turns = np.zeros_like(head)
    for side, (column, outward) in _LOOKS.items():
        out, inward, up, down = (
            frames[:, EXPRESSION_NAMES.index(f"eyeLook{way}{side}")] for way in ("Out", "In", "Up", "Down")
        )
        turns[:, column] = np.radians(_FIRST_RELEASE_DEGREES[0]) * (out - inward) * outward
        turns[:, column + 1] = np.radians(_FIRST_RELEASE_DEGREES[1]) * (up - down)
    eyes = head[:, 3:]
    return bool(eyes.any()) and float(np.linalg.norm(eyes - turns[:, 3:])) < 0.3 * float(np.linalg.norm(eyes))
