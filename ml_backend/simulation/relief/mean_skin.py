"""The mean face's skin, solved once: where each muscle compresses it, its canonical creases, its folds."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...expression_names import EXPRESSION_NAMES
from ...models.bilinear_face import BilinearFace
from .crease_templates import (
    CreasePatch,
    GroupField,
    contraction_matrix,
    fold_geometry,
    group_field,
    solve_patch,
)
from .face_chart import GRID, FaceChart, build_chart
from .muscle_groups import FOLDS, GROUPS, Fold, front_of_face
from .strain import displacement_gradients, tangent_frames


@dataclass(frozen=True)
class LaidFold:
    """A fold on one side of the mean face.

    Attributes:
        fold: its shape and response.
        source: index of its field.
        side: -1 right, 1 left, 0 both.
        distance: (G, G) signed millimetres from its line.
        region: (G, G) 0..1, where it may lie.
    """

    fold: Fold
    source: int
    side: int
    distance: Tensor
    region: Tensor


@dataclass(frozen=True)
class MeanSkin:
    """Everything that hangs on the face model alone.

    Attributes:
        chart: the mean face in texture space.
        fields: of the muscle groups, then of the folds.
        patches: canonical creases.
        folds: on both sides.
    """

    chart: FaceChart
    fields: tuple[GroupField, ...]
    patches: tuple[CreasePatch, ...]
    folds: tuple[LaidFold, ...]


def unit_gradients(face: BilinearFace, identity: np.ndarray, chart: FaceChart) -> Tensor:
    """Returns (52, 6, G, G) displacement gradients of a person's units, smoothed; identity (K,)."""
    neutral, deltas = face.shapes(identity)
    corners = np.asarray(neutral, np.float64)[chart.corners]
    frames, _ = tangent_frames(corners, chart.corner_uv)
    gradients = displacement_gradients(corners, np.asarray(deltas)[:, chart.corners], frames)
    return chart.raster.smooth(torch.from_numpy(gradients).flatten(0, 1)).view(
        len(EXPRESSION_NAMES), 6, GRID, GRID
    )


def solve_mean_skin(face: BilinearFace) -> MeanSkin:
    """Measures the muscles on the mean face and solves their creases; about ten seconds on one core."""
    chart = build_chart(face)
    gradients = unit_gradients(face, np.zeros(face.identity_size, np.float32), chart)
    fields: list[GroupField] = []
    patches: list[CreasePatch] = []
    folds: list[LaidFold] = []
    for index, group in enumerate(GROUPS):
        guide = group.guide(chart) if group.guide else None
        region = group.region(chart) * (
            chart.visible * front_of_face(chart) if group.name != "platysma" else 1
        )
        field = group_field(group, chart, gradients, contraction_matrix(group.contractions), region, guide)
        fields.append(field)
        for level in range(len(group.levels)):
            patches += [
                solve_patch(index, group, level, side, field, chart)
                for side in ((-1, 1) if group.paired else (0,))
            ]
    for fold in FOLDS:
        distance, along, angle = fold_geometry(fold, chart)
        near = chart.visible * along * torch.exp(-((distance / (2.2 * fold.bulge_width)) ** 4))
        fields.append(group_field(fold, chart, gradients, contraction_matrix(fold.contractions), near, angle))
        for side in (-1, 1) if fold.paired else (0,):
            region = near if side == 0 else near * torch.sigmoid(chart.across * side / 1.5)
            folds.append(LaidFold(fold, len(fields) - 1, side, distance, region))
    return MeanSkin(chart, tuple(fields), tuple(patches), tuple(folds))
