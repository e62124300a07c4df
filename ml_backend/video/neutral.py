"""The neutral face of a clip: from chosen frames, or from each channel's rest; and the range of the lids.

The detector errs on a person in the same way over a whole clip; unless that is known, it is read as an
expression. So the resting state of each channel is moved to 0, in the landmarks (as offsets of the model),
not in the curves: what turns with the head does not leak into the expression.
Lids are no matter of subtraction: closed eyes shall be 1, so a blink has a range, from open to closed.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..expression_names import EXPRESSION_NAMES
from ..fitting.lid_opening import lid_factors
from ..geometry.camera_view import FRONTAL
from .clip_landmarks import ClipLandmarks
from .clip_model import ClipModel
from .clip_solution import ClipSolution

_REST_QUANTILE, _LID_QUANTILE = 0.15, 0.4
"""Of a channel's values over the clip: where it rests. Eyes are open for most of the time."""
_DOUBTED, _BELIEVED = 0.2, 0.5
"""Coefficients at rest: up to the first they are an error of the detector, from the second on a real face."""
_OFFSET_SPREAD = 0.03
"""Standard deviation of the offsets, over the distance of the eyes: the detector's error on a person."""
_FRAME_SPREAD = 0.012
_INDEPENDENT = 6.0
"""Frames that many frames of one clip count as."""
_CALM = 0.35
"""Distance of an expression from that of rest at which a frame counts a quarter."""
_FIRM_TURN = 30.0
"""Degrees of the head up to which a frame says where the detector errs."""
_LEAST_PEAK, _LONGEST_BLINK = 0.2, 0.6
"""The lowest peak of a closure; seconds that an eye is closed in a blink, at half of its height."""
LID_NAMES = {"Left": "eyeBlinkLeft", "Right": "eyeBlinkRight"}


@dataclass(frozen=True)
class LidRange:
    """The blinks of an eye in a clip.

    Attributes:
        peak: median height of the blinks as solved; 1 where the clip shows none.
        blinks: their number.
    """

    peak: float
    blinks: int


def rest_of(solution: ClipSolution, usable: np.ndarray, neutral: np.ndarray | None) -> np.ndarray:
    """Returns the part of the resting expression that is no expression, (52,).

    Args:
        solution: of single frames.
        usable: (T,) bool, frames to look at.
        neutral: (T,) bool, frames that are neutral; None to find the rest of each channel.
    """
    gaze = np.array(["eyeLook" in name for name in EXPRESSION_NAMES])
    if neutral is not None and (neutral & usable).any():
        rest = np.median(solution.expression[neutral & usable], axis=0)
        return np.where(gaze, 0.0, rest)
    values = solution.expression[usable]
    lids = np.array([name.startswith("eyeBlink") for name in EXPRESSION_NAMES])
    rest = np.where(
        lids, np.quantile(values, _LID_QUANTILE, axis=0), np.quantile(values, _REST_QUANTILE, axis=0)
    )
    share = np.clip((_BELIEVED - np.abs(rest)) / (_BELIEVED - _DOUBTED), 0, 1)
    return np.where(gaze, 0.0, rest * share)


def with_offsets(
    model: ClipModel, clip: ClipLandmarks, indices: np.ndarray, solution: ClipSolution, rest: np.ndarray
) -> ClipModel:
    """Returns the model with the places where this clip's detector sees the points of the neutral face.

    Args:
        model: as the frames were solved.
        clip: the landmarks.
        indices: frames of the solution, those that show a face well.
        solution: of these frames.
        rest: (52,) what is no expression, see `rest_of`.

    Frames whose expression is near that of rest count most: elsewhere the model's own faults in an expression
    would be taken for faults of the detector, and weaken it.
    """
    calm = _calmness(solution)
    count = len(model.rest)
    curve = np.tile(np.eye(3) / (_OFFSET_SPREAD * model.unit) ** 2, (count, 1, 1))
    slope = np.zeros((count, 3))
    # one frame's errors are like its neighbours': many frames count as few
    each = _INDEPENDENT / max(float(calm.sum()), _INDEPENDENT)
    for place, index in enumerate(indices):
        pose = solution.poses[place]
        cosine = float(np.clip((FRONTAL.T @ pose.rotation)[1, 1], -1, 1))
        turn = np.degrees(np.arccos(cosine))
        share = each * calm[place] * np.clip(1.5 - turn / _FIRM_TURN, 0, 1) * solution.weight[place]
        if share <= 0:
            continue
        places = model.places(solution.expression[place][model.free])
        pixels, by_place, _ = model.linearised(pose, places)
        wrong = np.asarray(clip.points[index], np.float64) - pixels  # [L, 2]
        unit = model.scale(pose)
        believed = model.weights(pose, places) / (1 + (wrong**2).sum(1) / (0.1 * unit) ** 2) ** 2
        scaled = share * believed / (_FRAME_SPREAD * unit) ** 2
        curve += scaled[:, None, None] * (by_place.transpose(0, 2, 1) @ by_place)
        slope += scaled[:, None] * (by_place.transpose(0, 2, 1) @ wrong[..., None])[..., 0]
    offset = np.linalg.solve(curve, slope[..., None])[..., 0]
    seen = model.rest + offset + model.shapes @ rest[model.free]
    return replace(model, rest=seen, shapes=model.shapes * lid_factors(model.rest, seen)[:, None, None])


def _calmness(solution: ClipSolution) -> np.ndarray:
    """Returns (T,) in 0..1: near 1 in frames whose expression is that of rest."""
    still = np.array(
        [name.startswith(("jaw", "mouth", "cheek", "nose", "brow")) for name in EXPRESSION_NAMES]
    )
    values = solution.expression[:, still]
    away = np.clip(values - np.quantile(values, _REST_QUANTILE, axis=0), 0, None)
    distance = np.linalg.norm(away, axis=1)
    return 1 / (1 + (distance / _CALM) ** 2) ** 2


def lid_ranges(seconds: np.ndarray, expression: np.ndarray) -> dict[str, LidRange]:
    """Finds the blinks of each eye: fast closures that open again.

    Args:
        seconds: (T,).
        expression: (T, 52).
    """
    ranges = {}
    both = np.mean([expression[:, EXPRESSION_NAMES.index(name)] for name in LID_NAMES.values()], axis=0)
    events = closures(seconds, both, _LEAST_PEAK)
    for side, name in LID_NAMES.items():
        values = expression[:, EXPRESSION_NAMES.index(name)]
        peaks = [float(values[max(0, top - 1) : top + 2].max()) for top in events]
        peaks = [peak for peak in peaks if peak > _LEAST_PEAK]
        ranges[side] = LidRange(float(np.quantile(peaks, 0.6)) if peaks else 1.0, len(peaks))
    return ranges


def closures(seconds: np.ndarray, values: np.ndarray, least: float) -> list[int]:
    """Returns the frames of the highest values of short rises and falls of a curve (T,) above `least`."""
    found = []
    above = np.concatenate([[False], values > least, [False]])
    starts = np.flatnonzero(above[1:] & ~above[:-1])
    ends = np.flatnonzero(~above[1:] & above[:-1])
    for start, end in zip(starts, ends, strict=True):
        top = start + int(values[start:end].argmax())
        half = values[start:end] > 0.5 * values[top]
        length = float(seconds[min(start + int(np.flatnonzero(half)[-1]), len(values) - 1)] - seconds[start])
        inside = start > 0 and end < len(values)
        if inside and length <= _LONGEST_BLINK:
            found.append(top)
    return found


def close_lids(expression: np.ndarray, ranges: dict[str, LidRange]) -> np.ndarray:
    """Returns expressions (T, 52) whose blinks close the eye: 1 at the clip's own usual peak."""
    result = expression.copy()
    for side, name in LID_NAMES.items():
        column = EXPRESSION_NAMES.index(name)
        result[:, column] = np.clip(result[:, column] / ranges[side].peak, 0.0, 1.0)
    return result
