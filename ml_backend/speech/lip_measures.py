"""What the lips do, in millimetres on the bilinear face: how far they are apart, how wide the mouth is, how far they stand out."""

from dataclasses import dataclass

import numpy as np

from ..models.bilinear_face import BilinearFace


def inner_lip_pairs(face: BilinearFace) -> tuple[np.ndarray, np.ndarray]:
    """The middle half of the inner-lip landmarks, (P,) upper and (P,) lower vertices: the corners stay together whatever the mouth does."""
    upper, lower = face.landmarks["lip_upper_inner"], face.landmarks["lip_lower_inner"]
    quarter = len(upper) // 4
    return upper[quarter : len(upper) - quarter], lower[quarter : len(lower) - quarter]


@dataclass(frozen=True)
class LipMeasures:
    """Measures over time, each (T,) float, millimetres.

    Attributes:
        gap: mean height of the opening between the inner lips, above that of the resting face; 0 where they touch.
        pressed_gap: the same, negative where the lips are pressed together or rolled in further than at rest.
        width: distance of the lip corners, less that of the resting face.
        protrusion: how far the lips' middle stands out, more than at rest.
        lower_lip_to_teeth: how far the lower inner lip's middle is below the place where it covers the last millimetre of the upper
            front teeth, less that of the resting face.
    """

    gap: np.ndarray
    pressed_gap: np.ndarray
    width: np.ndarray
    protrusion: np.ndarray
    lower_lip_to_teeth: np.ndarray


class LipRuler:
    """Measures curves on the mean face."""

    def __init__(self, face: BilinearFace):
        neutral, deltas = face.shapes(np.zeros(face.identity_size, np.float32))
        upper, lower = inner_lip_pairs(face)
        corners = np.concatenate([face.landmarks["lip_corner_left"], face.landmarks["lip_corner_right"]])
        middle = np.array([upper[len(upper) // 2], lower[len(lower) // 2]])
        teeth = neutral[face.vertex_part == face.part_names.index("teeth_upper")]
        near = np.abs(teeth[:, 0]) < 0.012
        self._covered = 1000 * teeth[near, 2].min() + 1  # height at which the lip covers the edges of the upper front teeth
        chosen = np.concatenate([upper, lower, corners, middle])
        self._neutral, self._deltas = neutral[chosen] * 1000, deltas[:, chosen] * 1000
        self._pairs = len(upper)
        self._rest = self._raw(np.zeros((1, 52), np.float32))

    def measure(self, curves: np.ndarray) -> LipMeasures:
        """Args: curves (T, 52). Returns: the measures."""
        gap, width, protrusion, teeth = (value - rest for value, rest in zip(self._raw(curves), self._rest, strict=True))
        return LipMeasures(np.maximum(gap, 0), gap, width, protrusion, teeth)

    def _raw(self, curves: np.ndarray) -> tuple[np.ndarray, ...]:
        places = self._neutral + np.tensordot(curves, self._deltas, (1, 0))  # (T, V, 3)
        upper, lower = places[:, : self._pairs], places[:, self._pairs : 2 * self._pairs]
        left, right, upper_middle, lower_middle = (places[:, 2 * self._pairs + i] for i in range(4))
        return (
            (upper[..., 2] - lower[..., 2]).mean(1),
            np.linalg.norm(left - right, axis=1),
            -(upper_middle[:, 1] + lower_middle[:, 1]) / 2,
            np.maximum(self._covered - lower_middle[:, 2], 0),
        )
