"""A tracked performance on disk: a curve file that every program reads, with the raw solve beside it.

take.json is the JSON of `curve_file.py` ({"fps", "names", "frames", "head_names", "head"}) with one more
entry, "take": raw curves at the video's own time stamps, confidence, head, camera, identity. take.csv is Live
Link Face's and holds the curves alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..expression_names import EXPRESSION_NAMES
from .atomic_write import write_text_whole
from .curve_file import HEAD_NAMES, Animation, check_extension, write_curves
from .timecodes import at_constant_rate, capture_rate

FORMAT = "detailed3dmm-take-1"


@dataclass(frozen=True)
class Take:
    """A tracked performance.

    Attributes:
        seconds: (T,) float64 time stamps from the first frame on.
        raw: (T, 52) float32 curves as solved.
        head: (T, 9) float32 radians, as `Animation.head`.
        confidence: (T, 52) float32, 0..1.
        rotation: (T, 3, 3) from the face's axes to the camera's.
        translation: (T, 3) metres, the face's origin in the camera's axes (right, down, away).
        marks: (T,) "seen", "doubtful" or "held".
        not_seen: channels that cannot be seen, left at 0.
        camera: focal length and optical axis in pixels, width and height of the picture.
        identity: (K,) float32 standard deviations.
        face_model: fingerprint of the model that the identity belongs to.
        shots: first frame of each shot.
        notes: sentences for the user.
        source: name of the video.
        latent_change: (T, C) float32, how landmarks move the wrinkles' latent from that of the face at rest,
            in the components of the mapping network; None where the curves make the wrinkles.
    """

    seconds: np.ndarray
    raw: np.ndarray
    head: np.ndarray
    confidence: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    marks: tuple[str, ...]
    not_seen: tuple[str, ...]
    camera: dict[str, float]
    identity: np.ndarray
    face_model: str
    shots: tuple[int, ...]
    notes: tuple[str, ...]
    source: str
    latent_change: np.ndarray | None = None

    def animation(self, curves: np.ndarray | None = None, head: np.ndarray | None = None) -> Animation:
        """Returns curves (T, 52) and head (T, 9) at a constant rate; the raw ones where none are given."""
        curves = self.raw if curves is None else curves
        head = self.head if head is None else head
        rate = capture_rate(self.seconds)
        span = (float(self.seconds[0]), float(self.seconds[-1]))
        frames = at_constant_rate(self.seconds, curves.astype(np.float32), rate, span)
        turns = _turns_at_constant_rate(self.seconds, head, len(frames), rate)
        return Animation(rate, EXPRESSION_NAMES, np.clip(frames, 0, 1).astype(np.float32), turns)


def _turns_at_constant_rate(seconds: np.ndarray, head: np.ndarray, count: int, rate: float) -> np.ndarray:
    grid = seconds[0] + np.arange(count) / rate
    if count == len(seconds) and np.abs(seconds - grid).max() < 0.25 / rate:
        return head.astype(np.float32)
    columns = [np.interp(grid, seconds, column) for column in head.T]
    return np.stack(columns, 1).astype(np.float32)


def write_take(path: str | Path, take: Take, animation: Animation, smoothing: dict[str, float]) -> None:
    """Writes a take, complete or not at all: .json with everything, .csv the curves alone.

    Args:
        path: of the file.
        take: the performance.
        animation: its curves at a constant rate, smoothed as wanted.
        smoothing: the dials that were used, by group.

    Raises:
        UserError: another extension, or the file cannot be written.
    """
    check_extension(path)
    if Path(path).suffix.lower() == ".csv":
        write_curves(path, animation)
        return
    document = {
        "fps": animation.fps,
        "names": list(animation.names),
        "frames": np.round(animation.frames.astype(float), 5).tolist(),
        "head_names": list(HEAD_NAMES),
        "head": np.round(animation.head.astype(float), 6).tolist(),
        "take": _described(take) | {"smoothing": smoothing},
    }
    try:
        write_text_whole(path, json.dumps(document))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}).", "Choose another folder, or make room."
        ) from error


def _described(take: Take) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "source": take.source,
        **_latent_change(take),
        "seconds": np.round(take.seconds, 6).tolist(),
        "raw": np.round(take.raw.astype(float), 5).tolist(),
        "raw_head": np.round(take.head.astype(float), 6).tolist(),
        "confidence": np.round(take.confidence.astype(float), 3).tolist(),
        "rotation": np.round(take.rotation.reshape(-1, 9), 6).tolist(),
        "translation": np.round(take.translation, 6).tolist(),
        "marks": list(take.marks),
        "not_seen": list(take.not_seen),
        "camera": take.camera,
        "identity": np.round(take.identity.astype(float), 6).tolist(),
        "face_model": take.face_model,
        "shots": list(take.shots),
        "notes": list(take.notes),
    }


def _latent_change(take: Take) -> dict[str, Any]:
    if take.latent_change is None:
        return {}
    return {"latent_change": np.round(take.latent_change.astype(float), 5).tolist()}


def take_parts(take: Take) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Returns a take as JSON values and arrays: for the pipe from worker to Blender, and for the scene."""
    values = {
        "marks": list(take.marks),
        "not_seen": list(take.not_seen),
        "camera": dict(take.camera),
        "face_model": take.face_model,
        "shots": list(take.shots),
        "notes": list(take.notes),
        "source": take.source,
    }
    arrays = {
        "seconds": take.seconds.astype(np.float64),
        "raw": take.raw.astype(np.float32),
        "raw_head": take.head.astype(np.float32),
        "confidence": take.confidence.astype(np.float32),
        "rotation": take.rotation.astype(np.float64),
        "translation": take.translation.astype(np.float64),
        "identity": take.identity.astype(np.float32),
    }
    if take.latent_change is not None:
        arrays["latent_change"] = take.latent_change.astype(np.float32)
    return values, arrays


def take_of_parts(values: Mapping[str, Any], arrays: Mapping[str, Any]) -> Take:
    """Returns the take of `take_parts`; arrays may have lost their shapes.

    Raises:
        ValueError: an entry is missing or has another length, or a number is not finite.
    """
    try:
        count = len(arrays["seconds"])
        take = Take(
            np.array(arrays["seconds"], np.float64),
            np.array(arrays["raw"], np.float32).reshape(count, len(EXPRESSION_NAMES)),
            np.array(arrays["raw_head"], np.float32).reshape(count, len(HEAD_NAMES)),
            np.array(arrays["confidence"], np.float32).reshape(count, len(EXPRESSION_NAMES)),
            np.array(arrays["rotation"], np.float64).reshape(count, 3, 3),
            np.array(arrays["translation"], np.float64).reshape(count, 3),
            tuple(str(mark) for mark in values["marks"]),
            tuple(str(name) for name in values["not_seen"]),
            {str(name): float(value) for name, value in values["camera"].items()},
            np.array(arrays["identity"], np.float32),
            str(values["face_model"]),
            tuple(int(index) for index in values["shots"]),
            tuple(str(note) for note in values["notes"]),
            str(values["source"]),
            None
            if "latent_change" not in arrays
            else np.array(arrays["latent_change"], np.float32).reshape(count, -1),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("an entry of the take is missing, or no number") from error
    numbers = (take.seconds, take.raw, take.head, take.confidence, take.rotation, take.translation)
    if not count or len(take.marks) != count or not all(np.isfinite(array).all() for array in numbers):
        raise ValueError("the take has no frames, no mark for one, or a number that is not finite")
    return take


def read_take(path: str | Path) -> Take:
    """Reads a take.json.

    Raises:
        UserError: the file cannot be read, or is no take.
    """
    broken = UserError(f"{path}: not a take of a video.", "Make it with: python -m ml_backend track.")
    try:
        content = json.loads(Path(path).read_text("utf-8"))["take"]
        if content["format"] != FORMAT:
            raise broken
        return take_of_parts(content, content)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).", "Check the path.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise broken from error
