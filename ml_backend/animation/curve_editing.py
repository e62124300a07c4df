"""Edits of curves: gain by group, offset, smoothing, fewer keys; closed lips stay closed. Numpy only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from ..errors import UserError
from ..expression_names import EXPRESSION_NAMES
from ..files.curve_file import Animation
from ..models.bilinear_face import BilinearFace

GAIN_GROUPS: dict[str, str] = {
    "jaw": "Jaw", "lips": "Lips", "tongue": "Tongue", "cheeks": "Cheeks and Nose", "brows": "Brows",
    "eyes": "Eyes", "head": "Head",
}  # fmt: skip
"""Labels by identifier; `eyes` are lids and gaze, `head` the rotations; mouthClose belongs to the jaw."""
CLOSED_MM = 1.0
"""Distance of the inner lips, over that at rest, up to which they count as closed."""
OPEN_MM = 2.5
"""Distance from which they count as open."""
_UNSEEN_MM = 0.04
"""Distance that cannot be seen."""
_EYE_DEGREES = {"side": 35.0, "up": 28.0}
"""Turn of an eye at which its eyeLook coefficients are 1."""
Motion = tuple[np.ndarray, np.ndarray]
"""(T, 52) expressions and (T, 9) radians of head and eyes."""


@dataclass(frozen=True)
class CurveEdit:
    """The changes to apply.

    Attributes:
        gains: factor by group of GAIN_GROUPS, 0 to 3; groups that are missing keep 1.
        smoothing: standard deviation of the Gaussian along time, seconds, 0 to 0.5.
        offset: seconds by which the motion comes later, -5 to 5.
    """

    gains: Mapping[str, float] = field(default_factory=dict)
    smoothing: float = 0.0
    offset: float = 0.0


def group_of(name: str) -> str:
    """Returns the gain group of an expression."""
    if name.startswith("jaw") or name == "mouthClose":
        return "jaw"
    starts = {
        "mouth": "lips",
        "tongue": "tongue",
        "cheek": "cheeks",
        "nose": "cheeks",
        "brow": "brows",
        "eye": "eyes",
    }
    return next(group for start, group in starts.items() if name.startswith(start))


@cache
def lip_steps() -> np.ndarray:
    """Returns the millimetres by which a unit of each expression parts the inner lips.

    (52,) float64, at the middle of the mean face's lips.
    """
    face = BilinearFace.default()
    _, deltas = face.shapes(np.zeros(face.identity_size, np.float32))
    upper = face.landmarks["lip_upper_inner"]
    lower = face.landmarks["lip_lower_inner"]
    middle = slice(len(upper) // 4, len(upper) - len(upper) // 4)
    steps = (deltas[:, upper[middle], 2] - deltas[:, lower[middle], 2]).mean(1) * 1e3
    return steps[[face.expression_names.index(name) for name in EXPRESSION_NAMES]].astype(float)


def lip_gap(frames: np.ndarray) -> np.ndarray:
    """Returns the distance of the mean face's inner lips over that at rest.

    (T, 52) -> (T,) millimetres, below 0 where the lips are pressed.
    """
    return frames @ lip_steps()


def open_share(frames: np.ndarray) -> np.ndarray:
    """Returns (T,) in 0..1: 0 where the lips are closed, 1 where they are clearly open."""
    share = np.clip((lip_gap(frames) - CLOSED_MM) / (OPEN_MM - CLOSED_MM), 0, 1)
    return share * share * (3 - 2 * share)


def keep_lips_closed(frames: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Closes lips again that a change opened.

    Args:
        frames: (T, 52) as changed.
        before: (T, 52) as they were.

    Returns:
        (T, 52): `frames` with as much more mouthClose, where the lips were closed before, as brings them
        back.
    """
    close = EXPRESSION_NAMES.index("mouthClose")
    opened = np.maximum(0, lip_gap(frames) - np.maximum(lip_gap(before), 0) - _UNSEEN_MM) * (
        1 - open_share(before)
    )
    kept = frames.copy()
    kept[:, close] += opened / -lip_steps()[close]
    return kept


def edit_layers(fps: float, layers: Mapping[str, Motion], edit: CurveEdit) -> dict[str, Motion]:
    """Edits speech or a capture together with what is added to it.

    Args:
        fps: frames a second.
        layers: the first is the base; the others are made by rule and smooth as they are, so only the base is
            smoothed.
        edit: what to change.

    Returns:
        The same layers; their sum has closed lips wherever the given base has.

    Raises:
        UserError: a group is unknown, or a value is out of its range.
    """
    _check(edit)
    gains = {group: float(edit.gains.get(group, 1.0)) for group in GAIN_GROUPS}
    factors = np.array([gains[group_of(name)] for name in EXPRESSION_NAMES], np.float32)
    turns = np.array([gains["head"]] * 3 + [gains["eyes"]] * 6, np.float32)
    edited = {name: (frames * factors, head * turns) for name, (frames, head) in layers.items()}
    base, (given, _) = next(iter(layers.items()))
    frames, head = edited[base]
    if edit.smoothing > 0:
        smooth = _smoothed(frames, edit.smoothing * fps)
        lower = np.array([group_of(name) in ("jaw", "lips", "tongue") for name in EXPRESSION_NAMES])
        smooth[:, lower] = (frames + open_share(given)[:, None] * (smooth - frames))[:, lower]
        frames = smooth
        head = _smoothed(head, edit.smoothing * fps)
    added = (
        np.sum([frames for name, (frames, _) in edited.items() if name != base], 0)
        if len(edited) > 1
        else np.zeros_like(frames)
    )
    edited[base] = keep_lips_closed(frames + added, given) - added, head
    if edit.offset:
        edited = {
            name: (_shifted(frames, edit.offset * fps), _shifted(head, edit.offset * fps))
            for name, (frames, head) in edited.items()
        }
    return {
        name: (frames.astype(np.float32), head.astype(np.float32)) for name, (frames, head) in edited.items()
    }


def _check(edit: CurveEdit) -> None:
    unknown = sorted(set(edit.gains) - set(GAIN_GROUPS))
    if unknown:
        raise UserError(f"{unknown[0]}: no such group of curves.", f"Choose of {', '.join(GAIN_GROUPS)}.")
    for what, value, low, high in (
        *((f"gain of {group}", gain, 0, 3) for group, gain in edit.gains.items()),
        ("smoothing in seconds", edit.smoothing, 0, 0.5),
        ("offset in seconds", edit.offset, -5, 5),
    ):
        if not low <= value <= high:
            raise UserError(f"A {what} of {value}.", f"Choose {low} to {high}.")


def _smoothed(values: np.ndarray, deviation: float) -> np.ndarray:
    reach = max(1, int(np.ceil(4 * deviation)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, index], kernel, "valid") for index in range(values.shape[1])], 1)


def _shifted(values: np.ndarray, steps: float) -> np.ndarray:
    at = np.clip(np.arange(len(values)) - steps, 0, len(values) - 1)
    low = np.minimum(at.astype(int), max(0, len(values) - 2))
    share = (at - low)[:, None]
    return values[low] * (1 - share) + values[np.minimum(low + 1, len(values) - 1)] * share


def resampled(animation: Animation, fps: float) -> Animation:
    """Returns the same motion at another frame rate, by straight lines between its frames."""
    if abs(animation.fps - fps) < 1e-6 or not len(animation.frames):
        return animation
    count = max(1, round(len(animation.frames) / animation.fps * fps))
    at = np.arange(count) * (animation.fps / fps)
    source = np.arange(len(animation.frames))

    def sampled(values: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(at, source, column) for column in values.T], 1).astype(np.float32)

    return Animation(
        fps, animation.names, sampled(animation.frames), sampled(animation.head), animation.notes
    )


def reduce_keys(values: np.ndarray, tolerance: float | np.ndarray) -> np.ndarray:
    """Chooses the keys that straight lines need to stay near the curves.

    Args:
        values: (T,) one curve, or (T, C) several that share their keys.
        tolerance: the most that a line may be off; one number, or (C,).

    Returns:
        (K,) rising indices of the frames to key, the first and the last among them; all of them where the
        tolerance is 0.

    Source: Ramer 1972; Douglas and Peucker 1973.
    """
    columns = np.asarray(values, float).reshape(len(values), -1)
    limit = np.broadcast_to(np.asarray(tolerance, float), columns.shape[1:])
    if len(columns) < 3 or (limit <= 0).any():
        return np.arange(len(columns))
    columns = columns / limit
    kept = np.zeros(len(columns), bool)
    kept[[0, -1]] = True
    spans = [(0, len(columns) - 1)]
    while spans:
        low, high = spans.pop()
        if high - low < 2:
            continue
        share = (np.arange(low + 1, high) - low)[:, None] / (high - low)
        line = columns[low] + share * (columns[high] - columns[low])
        off = np.abs(columns[low + 1 : high] - line).max(1)
        worst = int(off.argmax())
        if off[worst] > 1:
            kept[low + 1 + worst] = True
            spans += [(low, low + 1 + worst), (low + 1 + worst, high)]
    return np.flatnonzero(kept)


def keyed_error(values: np.ndarray, keys: np.ndarray) -> float:
    """Returns the largest distance of a (T,) curve from straight lines between the chosen keys."""
    return float(
        np.abs(np.interp(np.arange(len(values)), keys, np.asarray(values, float)[keys]) - values).max()
    )


def look_from_eyes(head: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the eight eyeLook coefficients of the eyes' rotations.

    Args:
        head: (T, 9) radians as `curve_file.HEAD_NAMES`; yaw to the person's right, pitch down positive.

    Returns:
        (T,) float32 in 0..1 by name.
    """
    looks = {}
    for side, column, outward in (("Left", 3, -1.0), ("Right", 6, 1.0)):
        yaw = np.degrees(head[:, column]) * outward / _EYE_DEGREES["side"]
        pitch = np.degrees(head[:, column + 1]) / _EYE_DEGREES["up"]
        turned = {"Out": yaw, "In": -yaw, "Up": -pitch, "Down": pitch}
        looks |= {
            f"eyeLook{way}{side}": np.clip(value, 0, 1).astype(np.float32) for way, value in turned.items()
        }
    return looks


def eyes_from_look(frames: np.ndarray) -> np.ndarray:
    """Returns the eyes' rotations of the eyeLook coefficients.

    Args:
        frames: (T, 52) coefficients.

    Returns:
        (T, 6) float32 radians, left yaw, pitch, roll, then right, with Live Link Face's signs: yaw to the
        person's right and pitch down are positive.
    """
    turns = np.zeros((len(frames), 6), np.float32)
    for side, column, outward in (("Left", 0, -1.0), ("Right", 3, 1.0)):
        out, inward, up, down = (
            frames[:, EXPRESSION_NAMES.index(f"eyeLook{way}{side}")] for way in ("Out", "In", "Up", "Down")
        )
        turns[:, column] = np.radians((out - inward) * outward * _EYE_DEGREES["side"])
        turns[:, column + 1] = np.radians((down - up) * _EYE_DEGREES["up"])
    return turns
