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
from .clip_model import TURN_FEATURES, ClipModel, turn_features
from .clip_solution import ClipSolution

_REST_QUANTILE, _LID_QUANTILE = 0.15, 0.4
"""Of a channel's values over the clip: where it rests. Eyes are open for most of the time."""
_DOUBTED, _BELIEVED = 0.2, 0.5
"""Coefficients at rest: up to the first they are an error of the detector, from the second on a real face."""
_GAZE_DOUBTED, _GAZE_BELIEVED = 0.15, 0.35
"""The same of the usual direction of the eyes."""
_OFFSET_SPREAD = 0.03
"""Standard deviation of the offsets, over the distance of the eyes: the detector's error on a person."""
_TURNED_SPREAD = 0.03
"""The same of what a turn of 40 degrees adds."""
_LEAK_SPREAD, _LEAK_ERROR, _LEAK_OUTLIER = 0.1, 0.05, 0.12
"""Standard deviations of what a turn of 40 degrees adds to a channel, and of a resting channel about it; its
distance from it at which a frame counts a quarter."""
_FRAME_SPREAD = 0.012
_INDEPENDENT = 6.0
"""Frames that many frames of one clip count as."""
_FRAMES_A_PIECE = 24.0
"""Frames for each of them: in a short clip a motion and a turn go together by chance."""
_CALM = 0.35
"""Distance of an expression from that of rest at which a frame counts a quarter."""
_FIRM_TURN = 40.0
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


def rest_of(
    solution: ClipSolution, usable: np.ndarray, turned_rest: np.ndarray, neutral: np.ndarray | None
) -> np.ndarray:
    """Returns the part of the resting expression that is no expression, (52,).

    Args:
        solution: of single frames.
        usable: (T,) bool, frames to look at.
        turned_rest: (3, 52), see `turned_rest_of`.
        neutral: (T,) bool, frames that are neutral; None to find the rest of each channel.
    """
    gaze = np.array(["eyeLook" in name for name in EXPRESSION_NAMES])
    expression = solution.expression - _turns(solution) @ turned_rest
    if neutral is not None and (neutral & usable).any():
        values = expression[neutral & usable]
        return np.where(gaze, _resting_gaze(values), np.median(values, axis=0))
    values = expression[usable]
    lids = np.array([name.startswith("eyeBlink") for name in EXPRESSION_NAMES])
    rest = np.where(
        lids, np.quantile(values, _LID_QUANTILE, axis=0), np.quantile(values, _REST_QUANTILE, axis=0)
    )
    share = np.clip((_BELIEVED - np.abs(rest)) / (_BELIEVED - _DOUBTED), 0, 1)
    return np.where(gaze, _resting_gaze(values), rest * share)


def _resting_gaze(values: np.ndarray) -> np.ndarray:
    """Returns (52,), the usual look of expressions (T, 52) as far as it is taken for an error.

    Eyes that look almost straight ahead for most of a clip are taken to look straight ahead; a look that is
    farther aside is believed.
    """
    rest = np.zeros(len(EXPRESSION_NAMES))
    for side in ("Left", "Right"):
        for one, other in (("In", "Out"), ("Up", "Down")):
            pair = [EXPRESSION_NAMES.index(f"eyeLook{way}{side}") for way in (one, other)]
            usual = float(np.median(values[:, pair[0]] - values[:, pair[1]]))
            share = np.clip((_GAZE_BELIEVED - abs(usual)) / (_GAZE_BELIEVED - _GAZE_DOUBTED), 0, 1)
            rest[pair] = share * np.clip([usual, -usual], 0, None)
    return rest


def turned_rest_of(solution: ClipSolution, usable: np.ndarray) -> np.ndarray:
    """Returns (3, 52), what of the expression comes and goes with the head's turn, by `turn_features`.

    A neutral face that turns is seen to smile or squint a little, the same each time. Frames whose expression
    is near that of rest tell how much; a motion of its own is far from the line, and counts little. Eyes that
    stay on the camera turn against the head: that is no error.

    Args:
        solution: of single frames.
        usable: (T,) bool, frames to look at.
    """
    features = _turns(solution)[usable]
    values = solution.expression[usable]
    rows = np.column_stack([np.ones(len(features)), features])
    calm = np.repeat(_calmness(solution)[usable, None], values.shape[1], 1)
    pieces = min(_INDEPENDENT, len(values) / _FRAMES_A_PIECE)
    prior = np.diag(1 / np.array([1.0, *[_LEAK_SPREAD] * len(TURN_FEATURES)]) ** 2)
    blinks = np.array([name.startswith("eyeBlink") for name in EXPRESSION_NAMES])
    outlier = np.where(blinks, 0.5, 1.0) * _LEAK_OUTLIER  # blinks are short, but many
    line = np.zeros((rows.shape[1], values.shape[1]))
    line[0] = np.quantile(values, _REST_QUANTILE, axis=0)
    for _ in range(4):
        believed = calm / (1 + ((values - rows @ line) / outlier) ** 2) ** 2
        believed *= pieces / np.maximum(believed.sum(0), pieces) / _LEAK_ERROR**2
        curve = np.einsum("tc,tf,tg->cfg", believed, rows, rows) + prior
        slope = np.einsum("tc,tf,tc->cf", believed, rows, values)
        line = np.linalg.solve(curve, slope[..., None])[..., 0].T
    slopes = line[1:]
    for feature, ways in enumerate((("In", "Out"), ("Up", "Down"), ("In", "Out"))):
        with_head = [name.startswith("eyeLook") and name[7:].startswith(ways) for name in EXPRESSION_NAMES]
        slopes[feature, with_head] = 0.0
    return slopes


def _turns(solution: ClipSolution) -> np.ndarray:
    """Returns (T, 3), `turn_features` of each frame."""
    return np.array([turn_features(pose) for pose in solution.poses])


def with_offsets(
    model: ClipModel,
    clip: ClipLandmarks,
    indices: np.ndarray,
    solution: ClipSolution,
    rest: np.ndarray,
    turned_rest: np.ndarray,
) -> ClipModel:
    """Returns the model with the places where this clip's detector sees the points of the neutral face.

    Args:
        model: as the frames were solved.
        clip: the landmarks.
        indices: frames of the solution, those that show a face well.
        solution: of these frames.
        rest: (52,) what is no expression, see `rest_of`.
        turned_rest: (3, 52) what the head's turn adds to it, see `turned_rest_of`.

    Frames whose expression is near that of rest count most: elsewhere the model's own faults in an expression
    would be taken for faults of the detector, and weaken it.
    """
    calm = _calmness(solution)
    count = len(model.rest)
    # what stays, and what comes with the turn: 3 numbers each of every point
    size = 3 * (1 + len(TURN_FEATURES))
    with_turn = _TURNED_SPREAD * np.sqrt(min(1.0, len(indices) / _FRAMES_A_PIECE / _INDEPENDENT))
    spread = np.repeat([_OFFSET_SPREAD, *[with_turn] * len(TURN_FEATURES)], 3)
    curve = np.tile(np.diag(1 / (spread * model.unit) ** 2), (count, 1, 1))
    slope = np.zeros((count, size))
    # one frame's errors are like its neighbours': many frames count as few
    each = _INDEPENDENT / max(float(calm.sum()), _INDEPENDENT)
    for place, index in enumerate(indices):
        pose = solution.poses[place]
        cosine = float(np.clip((FRONTAL.T @ pose.rotation)[1, 1], -1, 1))
        turn = np.degrees(np.arccos(cosine))
        share = each * calm[place] * np.clip(1.5 - turn / _FIRM_TURN, 0, 1) * solution.weight[place]
        if share <= 0:
            continue
        places = model.places(solution.expression[place][model.free], pose)
        pixels, by_place, _ = model.linearised(pose, places)
        wrong = np.asarray(clip.points[index], np.float64) - pixels  # [L, 2]
        unit = model.scale(pose)
        believed = model.weights(pose, places) / (1 + (wrong**2).sum(1) / (0.1 * unit) ** 2) ** 2
        scaled = share * believed / (_FRAME_SPREAD * unit) ** 2
        factors = np.concatenate([[1.0], turn_features(pose)])
        rows = (factors[:, None] * by_place[:, :, None]).reshape(count, 2, size)
        curve += scaled[:, None, None] * (rows.transpose(0, 2, 1) @ rows)
        slope += scaled[:, None] * (rows.transpose(0, 2, 1) @ wrong[..., None])[..., 0]
    found = np.linalg.solve(curve, slope[..., None])[..., 0].reshape(count, -1, 3)
    seen = model.rest + found[:, 0] + model.shapes @ rest[model.free]
    turned = model.turned + found[:, 1:].transpose(1, 0, 2)
    turned = turned + np.einsum("lac,fc->fla", model.shapes, turned_rest[:, model.free])
    shapes = model.shapes * lid_factors(model.rest, seen)[:, None, None]
    return replace(model, rest=seen, turned=turned, shapes=shapes)


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
