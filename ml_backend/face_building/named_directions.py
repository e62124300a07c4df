"""Named directions of identity, from attributes and measured features of sampled people."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..geometry.linear_models import fit_ridge

# Of a sampled person (macro attributes): name -> (unit, least, greatest value away from the mean person)
MACROS = {
    "age": ("years", -32.0, 33.0),
    "gender": ("-1 female to 1 male", -1.0, 1.0),
    "weight": ("-1 thin to 1 heavy", -1.0, 1.0),
    "african": ("share", -0.33, 0.67),
    "asian": ("share", -0.33, 0.67),
    "caucasian": ("share", -0.33, 0.67),
}
ORIGINS = ("african", "asian", "caucasian")
ATTRIBUTE_RANGES = (
    (19.0, 84.0),
    (-1.05, 1.05),
    (-0.85, 0.85),
    (0.0, 1.0),
    (0.0, 1.0),
    (0.0, 1.0),
)  # of MACROS, for sampling
RIDGE = 1e-3


@dataclass(frozen=True)
class Directions:
    """Directions of identity, and each attribute as linear in [1, identity].

    names (D), units (D), vectors (D, K), ranges (D, 2), measures (D, 1 + K).
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    vectors: np.ndarray
    ranges: np.ndarray
    measures: np.ndarray


def measure_features(face: np.ndarray, landmarks: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Lengths of a face at rest (V, 3), millimetres by name."""

    def at(name: str) -> np.ndarray:
        return face[landmarks[name]].mean(axis=0) * 1000

    def length(one: str, other: str) -> float:
        return float(np.linalg.norm(at(one) - at(other)))

    def both(name: str) -> float:
        return length(f"{name}_left", f"{name}_right")

    eyes = (at("eye_left") + at("eye_right")) / 2
    lids = [
        np.linalg.norm(
            face[landmarks[f"lid_upper_{side}"]] - face[landmarks[f"lid_lower_{side}"]], axis=1
        ).max()
        * 1000
        for side in ("left", "right")
    ]
    eye_widths = [length(f"eye_inner_{side}", f"eye_outer_{side}") for side in ("left", "right")]
    ears = [np.ptp(face[landmarks[f"ear_rim_{side}"]][:, 2]) * 1000 for side in ("left", "right")]
    neck = face[landmarks["neck_middle"]] * 1000
    return {
        "face_width": both("cheekbone"),
        "jaw_width": both("jaw"),
        "face_height": float(at("nose_root")[2] - at("chin_bottom")[2]),
        "forehead_height": float(at("head_top")[2] - at("nose_root")[2]),
        "nose_length": float(at("nose_root")[2] - at("nose_base")[2]),
        "nose_width": both("nose_wing"),
        "nose_projection": float(at("nose_base")[1] - at("nose_tip")[1]),
        "mouth_width": both("lip_corner"),
        "lip_fullness": float(at("lip_border_upper")[2] - at("lip_border_lower")[2]),
        "eye_width": float(np.mean(eye_widths)),
        "eye_opening": float(np.mean(lids)),
        "eye_distance": both("eye"),
        "chin_length": float(at("lip_border_lower")[2] - at("chin_bottom")[2]),
        "chin_projection": float(eyes[1] - at("chin_tip")[1]),
        "ear_size": float(np.mean(ears)),
        "neck_width": float(np.ptp(neck[:, 0])),
    }


def learn_directions(
    coefficients: np.ndarray, macros: dict[str, np.ndarray], features: dict[str, np.ndarray]
) -> Directions:
    """Learns one direction an attribute.

    A macro attribute's direction is what the average person changes by per unit, the other macro attributes
    held (features follow them: a heavier face is wider). A feature's is the smallest change of the
    coefficients that changes it and, to first order, no other feature.

    Args:
        coefficients: (N, K), zero mean, unit deviation.
        macros: by name (N,), those of MACROS.
        features: by name (N,), millimetres.
    """
    centred = {name: values - values.mean() for name, values in (macros | features).items()}
    penalty = RIDGE * len(coefficients)
    fitted = fit_ridge(coefficients, np.stack(list(centred.values()), axis=1), penalty)
    slopes = dict(zip(centred, fitted.slopes.T, strict=True))

    free = [name for name in MACROS if name != ORIGINS[-1]]  # the shares add up to one
    table = np.stack([centred[name] for name in free], axis=1)
    effects = dict(zip(free, np.linalg.lstsq(table, coefficients, rcond=None)[0], strict=True))
    first = effects["african"]
    second = effects["asian"]
    effects["african"] = first - second / 2
    effects["asian"] = second - first / 2
    effects["caucasian"] = -(first + second) / 2

    stacked = np.stack([slopes[name] for name in features])
    own = np.linalg.pinv(stacked, rcond=1e-3)  # (K, features)
    names = []
    units = []
    vectors = []
    ranges = []
    measures = []
    for name, (unit, least, greatest) in MACROS.items():
        reached = float(slopes[name] @ effects[name])
        names.append(name)
        units.append(unit)
        vectors.append(effects[name] / reached)
        ranges.append((least, greatest))
    for index, name in enumerate(features):
        names.append(name)
        units.append("mm")
        vectors.append(own[:, index])
        bound = round(2.5 * float(centred[name].std()), 1)
        ranges.append((-bound, bound))
    measures = [np.concatenate([[(macros | features)[name].mean()], slopes[name]]) for name in names]
    return Directions(
        tuple(names),
        tuple(units),
        np.array(vectors, np.float32),
        np.array(ranges, np.float32),
        np.array(measures, np.float32),
    )
