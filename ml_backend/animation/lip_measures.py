"""Measures of the lips on the bilinear face, in millimetres: distance, width, protrusion."""

from dataclasses import dataclass

import numpy as np

from ..models.bilinear_face import BilinearFace


def inner_lip_pairs(face: BilinearFace) -> tuple[np.ndarray, np.ndarray]:
    """Returns the middle half of the inner-lip landmarks, (P,) upper and (P,) lower vertices.

    The corners stay together whatever the mouth does.
    """
    upper = face.landmarks["lip_upper_inner"]
    lower = face.landmarks["lip_lower_inner"]
    quarter = len(upper) // 4
    return upper[quarter : len(upper) - quarter], lower[quarter : len(lower) - quarter]


def incisor_edges(face: BilinearFace, neutral: np.ndarray) -> np.ndarray:
    """Returns points on the lowest 1.5 mm of the upper front teeth, (N, 3) metres.

    They lie up to 8 mm to either side of the middle and stand with the skull.
    """
    corners, weights = _points_on(face, "teeth_upper")
    places = np.einsum("nk,nkx->nx", weights, neutral[corners])
    front = places[(np.abs(places[:, 0]) < 0.008) & (places[:, 1] < places[:, 1].min() + 0.005)]
    return front[front[:, 2] < front[:, 2].min() + 0.0015]


def lower_lip_surface(face: BilinearFace, neutral: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns points over the middle 24 mm of the lower lip: (N, 3) vertices, (N, 3) weights."""
    line = neutral[face.landmarks["lip_lower_inner"][len(face.landmarks["lip_lower_inner"]) // 2]]
    corners, weights = _points_on(face, "skin")
    places = np.einsum("nk,nkx->nx", weights, neutral[corners])
    below = line[2] - places[:, 2]
    near = (
        (np.abs(places[:, 0]) < 0.012) & (below > 0.0001) & (below < 0.014) & (places[:, 1] < line[1] + 0.014)
    )
    return corners[near], weights[near]


def _points_on(face: BilinearFace, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns 6 points on each triangle of a part: (N, 3) vertices, (N, 3) weights."""
    polygons = face.polygons[face.polygon_part == face.part_names.index(part)]
    triangles = np.concatenate([polygons[:, :3], polygons[polygons[:, 3] >= 0][:, [0, 2, 3]]])
    steps = np.array([(i, j, 2 - i - j) for i in range(3) for j in range(3 - i)]) / 2
    return np.repeat(triangles, len(steps), 0), np.tile(steps, (len(triangles), 1))


@dataclass(frozen=True)
class LipMeasures:
    """Measures over time, each (T,) float, millimetres.

    Attributes:
        gap: mean height of the opening between the inner lips, above that of the resting face; 0 where they
            touch.
        pressed_gap: the same, negative where the lips are pressed together or rolled in further than at rest.
        width: distance of the lip corners, less that of the resting face.
        protrusion: how far the lips' middle stands out, more than at rest.
        lower_lip_to_teeth: distance of the lower lip's surface from the lowest 1.5 mm of the upper incisors,
            mean over these; that of the resting face is not taken off.
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
        chosen = np.concatenate([upper, lower, corners, middle])
        self._neutral = neutral[chosen] * 1000
        self._deltas = deltas[:, chosen] * 1000
        self._pairs = len(upper)
        self._rest = self._raw(np.zeros((1, 52), np.float32))
        self._incisors = incisor_edges(face, neutral).astype(np.float32) * 1000
        corners, weights = lower_lip_surface(face, neutral)
        self._lip = np.einsum("nk,nkx->nx", weights, neutral[corners]).astype(np.float32) * 1000
        self._lip_deltas = np.einsum("nk,cnkx->cnx", weights, deltas[:, corners]).astype(np.float32) * 1000

    def measure(self, curves: np.ndarray) -> LipMeasures:
        """Returns the measures of curves (T, 52)."""
        gap, width, protrusion = (
            value - rest for value, rest in zip(self._raw(curves), self._rest, strict=True)
        )
        return LipMeasures(np.maximum(gap, 0), gap, width, protrusion, self._to_teeth(curves))

    def _to_teeth(self, curves: np.ndarray) -> np.ndarray:
        lip = self._lip + np.tensordot(curves.astype(np.float32), self._lip_deltas, (1, 0))  # (T, N, 3)
        return np.mean([np.sqrt(np.square(lip - point).sum(2).min(1)) for point in self._incisors], 0)

    def _raw(self, curves: np.ndarray) -> tuple[np.ndarray, ...]:
        places = self._neutral + np.tensordot(curves, self._deltas, (1, 0))  # (T, V, 3)
        upper = places[:, : self._pairs]
        lower = places[:, self._pairs : 2 * self._pairs]
        left, right, upper_middle, lower_middle = (places[:, 2 * self._pairs + i] for i in range(4))
        return (
            (upper[..., 2] - lower[..., 2]).mean(1),
            np.linalg.norm(left - right, axis=1),
            -(upper_middle[:, 1] + lower_middle[:, 1]) / 2,
        )
