"""Statistics of the inputs of detail networks: the reach of identities, the strain of expressions."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..datasets.map_set import MapSet
from ..models.bilinear_face import BilinearFace
from ..models.detail_encoder import DetailEncoder
from ..models.distilled_detail import InputScaling
from ..models.strain_gate import GATE_GRID
from ..simulation.relief.face_chart import build_chart
from ..simulation.relief.mean_skin import unit_gradients
from ..simulation.relief.strain import gaussian_blur, green_strain

IDENTITY_SHARE = 0.6  # of the coefficient that moves the face most
EXPRESSION_SHARE = 0.6
SMOOTHING_MM = 6.0  # a muscle's creases reach a little beyond the skin that the mesh strains


def unit_activity(face: BilinearFace) -> Tensor:
    """Measures where each expression unit strains the mean face.

    Returns:
        (E, 64, 64) for `StrainGate.activity`: the sum of the absolute components of the Green strain with
        each unit at 1; row 0 at the bottom.
    """
    chart = build_chart(face)
    strain = green_strain(unit_gradients(face, np.zeros(face.identity_size, np.float32), chart)).abs().sum(1)
    width = chart.texels(SMOOTHING_MM)
    covered = chart.raster.covered
    smooth = gaussian_blur(strain * covered, width) / gaussian_blur(covered[None], width).clamp_min(1e-3)
    return functional.adaptive_avg_pool2d(smooth[None], GATE_GRID)[0]


def identity_influence(face: BilinearFace) -> tuple[np.ndarray, np.ndarray, float]:
    """Measures how far each identity coefficient moves the face, and how it changes the age.

    Returns:
        (K,) relative to the coefficient that moves the face most; age in decades from 45 as weights (K,) and
        an offset.
    """
    size = face.identity_size
    middle = face.neutral(np.zeros(size, np.float32))
    units = np.eye(size, dtype=np.float32) * 0.5
    moved = np.array([np.sqrt(np.mean((face.neutral(unit) - middle) ** 2)) for unit in units])
    age = face.age_years(np.zeros(size, np.float32))
    weights = np.array([(face.age_years(unit) - age) / 0.5 for unit in units]) / 10
    return moved / moved.max(), weights, (age - 45) / 10


@torch.no_grad()
def set_input_statistics(
    encoder: DetailEncoder, maps: MapSet, influence: tuple[np.ndarray, np.ndarray, float]
) -> None:
    """Centres and scales the encoder's inputs.

    Args:
        encoder: changed in place.
        maps: people and expressions.
        influence: from `identity_influence`.
    """
    moved, weights, offset = influence
    encoder.age_weights.copy_(torch.from_numpy(weights))
    encoder.age_offset.fill_(offset)
    age = (maps.identity @ weights + offset)[:, None]
    inputs = np.concatenate([maps.identity, age, maps.skin], 1).astype(np.float32)
    scale = np.concatenate(
        [np.clip(IDENTITY_SHARE * moved, 0.05, None), np.ones(1 + maps.skin.shape[1])]
    ).astype(np.float32)
    encoder.condition_mean.copy_(torch.from_numpy(inputs.mean(0)))
    encoder.condition_deviation.copy_(torch.from_numpy(inputs.std(0).clip(0.05) / scale))
    encoder.expression_mean.copy_(torch.from_numpy(maps.expression.mean(0)))
    encoder.expression_deviation.copy_(torch.from_numpy(maps.expression.std(0).clip(0.05) / EXPRESSION_SHARE))


def input_scaling(maps: MapSet, influence: tuple[np.ndarray, np.ndarray, float]) -> InputScaling:
    """Centres and scales the inputs as the detail encoder's are.

    The identity counts by how far each coefficient moves the face.
    """
    moved, weights, offset = influence
    condition = np.concatenate([maps.identity, (maps.identity @ weights + offset)[:, None], maps.skin], 1)
    share = np.concatenate([np.clip(IDENTITY_SHARE * moved, 0.05, None), np.ones(1 + maps.skin.shape[1])])
    values = (
        weights,
        np.asarray(offset),
        condition.mean(0),
        condition.std(0).clip(0.05) / share,
        maps.expression.mean(0),
        maps.expression.std(0).clip(0.05) / EXPRESSION_SHARE,
    )
    return InputScaling(*(np.asarray(value, np.float32) for value in values))
