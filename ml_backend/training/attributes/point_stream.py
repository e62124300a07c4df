"""An unlimited stream of landmarks as the detector sees them, with the codes of shape, expression and pose.

People, expressions and cameras are drawn. The detector's errors are, in turns, those of the calibration as in
`datasets/simulated_clips.py`, and those that it made on portraits of the set, at nearly the same pose.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...datasets.coded_portraits import StoredPortrait
from ...datasets.sampled_expressions import sample_expressions
from ...datasets.simulated_clips import EXPRESSION_ERROR, RESPONSE, TURN_ERROR, WHITE
from ...expression_names import EXPRESSION_NAMES
from ...fitting.attributes.levelled_face import levelled_place, levelled_points
from ...fitting.face_fit import LandmarkModel
from ...fitting.landmarks import level_frame
from ...models.attribute_encoder import COLOUR
from ...models.bilinear_face import BilinearFace
from ...models.face_codes import SIZES, FaceCodes
from ...models.face_renderer import camera_of
from ...simulation.portraits.coded_portrait import SIZE, draw_pose
from ...simulation.portraits.painted_face import sample_expression

_FREE = 0.3
"""Share of expressions that are combinations of sliders rather than those of portraits."""
_NEAR = 24
"""Portraits of nearly the same pose, of which one lends its errors."""
_STAYS = 0.9 / 1.3


@dataclass(frozen=True)
class PointBatch:
    """Landmarks and what the encoder's first trunk should say, not yet in deviations.

    Attributes:
        points: (B, 960); codes: shape, expression, rotation and translation (levelled), each (B, n).
    """

    points: Tensor
    codes: dict[str, Tensor]

    def rows(self, rows: np.ndarray) -> "PointBatch":
        """Returns some rows."""
        return PointBatch(self.points[rows], {name: value[rows] for name, value in self.codes.items()})

    def beside(self, other: "PointBatch") -> "PointBatch":
        """Returns both one after the other."""
        codes = {name: torch.cat([value, other.codes[name]]) for name, value in self.codes.items()}
        return PointBatch(torch.cat([self.points, other.points]), codes)


def batch_of(faces: list[tuple[np.ndarray, FaceCodes, float]]) -> PointBatch:
    """Levels landmarks (478, 2), with their codes and focal lengths, of square pictures of `SIZE`."""
    points, table = [], {name: [] for name in ("shape", "expression", "rotation", "translation")}
    for seen, codes, focal in faces:
        face = levelled_points(seen, focal, SIZE, SIZE)
        rotation, translation = levelled_place(face, codes, SIZE, SIZE)
        points.append(face.points)
        for name, value in (("shape", codes.shape), ("expression", codes.expression), ("rotation", rotation),
                            ("translation", translation)):  # fmt: skip
            table[name].append(value)
    codes = {name: torch.from_numpy(np.stack(rows).astype(np.float32)) for name, rows in table.items()}
    return PointBatch(torch.from_numpy(np.stack(points)), codes)


class PointStream:
    """Draws batches.

    Args:
        model: the face model at the landmarks, with the detector's calibrated errors.
        face: the same whole.
        portraits: detected ones, whose errors are borrowed; none is allowed.
        first: seed of the first person.
    """

    def __init__(self, model: LandmarkModel, face: BilinearFace, portraits: list[StoredPortrait], first: int):
        self.model, self.face, self.first = model, face, first
        self.flat = model.core.reshape(len(model.core), -1).astype(np.float32)
        errors, poses = [], []
        for portrait in portraits:
            truth = self.project(portrait.codes, portrait.codes.expression, portrait.focal)
            turn, unit = level_frame(truth)
            errors.append((portrait.points - truth) @ turn.T / unit)
            poses.append(portrait.codes.rotation)
        self.errors, self.poses = np.array(errors, np.float32), np.array(poses)

    def project(
        self, codes: FaceCodes, expression: np.ndarray, focal: float, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Returns landmarks (478, 2) in pixels without errors; rows (53, 3 L) of the person, if known."""
        if rows is None:
            rows = (np.append(1, codes.shape).astype(np.float32) @ self.flat).reshape(1 + len(expression), -1)
        place = self.model.mean + np.append(1, expression) @ rows
        return camera_of(codes, focal, SIZE, SIZE).project(place.reshape(-1, 3))[0]

    def batch(self, people: int, each: int, random: np.random.Generator) -> PointBatch:
        """Draws `people` people, `each` pictures of each."""
        return batch_of(self.drawn(people, each, random))

    def drawn(
        self, people: int, each: int, random: np.random.Generator
    ) -> list[tuple[np.ndarray, FaceCodes, float]]:
        """Draws landmarks (478, 2) of `people` people, `each` pictures of each, with codes and focal
        lengths."""
        seeds = random.integers(0, 40_000, people)
        shapes = np.stack([self.face.sample_identity(self.first + int(seed)) for seed in seeds])
        ones = np.ones((people, 1), np.float32)
        rows = (np.concatenate([ones, shapes], 1).astype(np.float32) @ self.flat).reshape(people, 53, -1)
        unknown = {name: np.zeros(SIZES[name], np.float32) for name in COLOUR}
        faces = []
        for person in range(people):
            for _ in range(each):
                rotation, translation, focal = draw_pose(self.face, random)
                free = random.random() < _FREE
                expression = (
                    sample_expressions(1, random)[0] if free else sample_expression(self.face, random)
                )
                known = {"shape": shapes[person], "expression": expression, "rotation": rotation}
                codes = FaceCodes.of(unknown | known | {"translation": translation})
                faces.append((self._seen(codes, focal, rows[person], random), codes, focal))
        return faces

    def _seen(
        self, codes: FaceCodes, focal: float, rows: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """Returns the detector's points (478, 2)."""
        borrowed = len(self.errors) and random.random() < 0.6
        expression = codes.expression
        if not borrowed:
            factors = np.ones(len(expression))
            for start, limits in RESPONSE.items():
                factors[[name.startswith(start) for name in EXPRESSION_NAMES]] = random.uniform(*limits)
            expression = expression * factors
        truth = self.project(codes, expression, focal, rows)
        turn, unit = level_frame(truth)
        if borrowed:
            near = np.argpartition(
                np.abs(self.poses - codes.rotation).sum(1), min(_NEAR, len(self.poses) - 1)
            )
            error = self.errors[near[random.integers(min(_NEAR, len(self.poses)))]]
            error = error + WHITE * random.standard_normal(error.shape)
        else:
            error = self._drawn_error(codes, random)
        return truth + error @ turn * unit

    def _drawn_error(self, codes: FaceCodes, random: np.random.Generator) -> np.ndarray:
        """Draws an error (478, 2) by the calibration, inter-ocular distances."""
        errors = self.model.map
        usual = np.sqrt((errors.own**2).mean())
        common = errors.factors @ random.standard_normal(errors.factors.shape[1])
        shape = (common + errors.own * random.standard_normal(len(errors.own))).reshape(-1, 2) / usual
        angle = (np.abs(codes.rotation[:2]).max() / 40) ** 1.3
        size = np.sqrt(
            (_STAYS * usual) ** 2 + (TURN_ERROR * angle) ** 2
            + (EXPRESSION_ERROR * 2 * np.linalg.norm(codes.expression)) ** 2
        )  # fmt: skip
        return errors.mean.reshape(-1, 2) + size * shape + WHITE * random.standard_normal(shape.shape)
