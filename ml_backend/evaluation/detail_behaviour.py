"""The behaviour of wrinkle maps over expressions and people.

Right place, right direction, local, persistent, smooth, and different between people.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..expression_names import EXPRESSION_NAMES
from ..geometry.texture_space import rasterise, triangles_of
from ..models.bilinear_face import BilinearFace
from ..simulation.relief.face_chart import GRID, FaceChart
from ..simulation.relief.skin_simulation import SkinState
from ..simulation.relief.strain import green_strain, principal_compression

REGIONS = ("forehead", "glabella", "crows_feet", "nasolabial", "chin", "cheeks")
Maker = Callable[[np.ndarray], Tensor]
"""Expressions (E, 52) of one person -> maps (E, R, R), millimetres."""


def region_weights(face: BilinearFace, resolution: int) -> dict[str, Tensor]:
    """Returns the metrics' regions as (R, R) weights in 0..1."""
    skin = np.asarray(face.polygon_part) == 0
    corners, _ = triangles_of(np.asarray(face.polygons)[skin])
    uv_corners, _ = triangles_of(np.asarray(face.uv_polygons)[skin])
    lookup = rasterise(np.asarray(face.uv, np.float64), uv_corners, corners, resolution)
    return {
        name: torch.from_numpy(lookup.spread(np.asarray(face.regions[name], np.float32))) for name in REGIONS
    }


def person_strain(state: SkinState, expressions: np.ndarray) -> Tensor:
    """Green strain of one prepared person: (E, 52) -> (E, 3, G, G)."""
    gradients = state.gradients[0].cpu()
    return green_strain((torch.from_numpy(expressions) @ gradients).view(len(expressions), 6, GRID, GRID))


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson correlation of two flat tensors; 0 where one is constant."""
    a = a.double() - a.double().mean()
    b = b.double() - b.double().mean()
    return float((a * b).sum() / (a.norm() * b.norm()).clamp_min(1e-12))


def placement(changes: Tensor, strain: Tensor, regions: dict[str, Tensor]) -> dict[str, float]:
    """Per region, over expressions: correlation of wrinkle energy with compressive strain.

    Args:
        changes: (E, R, R) maps less the neutral map, millimetres.
        strain: (E, 3, G, G).
        regions: (R, R) weights.

    Returns:
        By region, -1 to 1.
    """
    compression, _ = principal_compression(strain)
    found = {}
    for name, weight in regions.items():
        small = functional.adaptive_avg_pool2d(weight[None, None], GRID)[0, 0]
        energy = ((changes.square() * weight).sum((1, 2)) / weight.sum().clamp_min(1e-6)).sqrt()
        squeezed = (compression * small).sum((1, 2)) / small.sum().clamp_min(1e-6)
        found[name] = correlation(energy, squeezed)
    return found


def relief_tensor(maps: Tensor, chart: FaceChart) -> Tensor:
    """Structure tensor of maps (E, R, R) over the strain's cells, in the tangent frame: (E, G, G, 2, 2).

    It is averaged in texture axes, then carried to the tangent frame.
    """
    slope_v, slope_u = torch.gradient(maps, dim=(1, 2))
    to_uv = torch.linalg.inv(chart.jacobian.permute(2, 3, 0, 1))  # d(uv) / d(tangent mm)
    cells = functional.adaptive_avg_pool2d
    products = [
        cells(product[:, None], GRID)[:, 0]
        for product in (slope_u * slope_u, slope_u * slope_v, slope_v * slope_v)
    ]
    tensor = torch.stack(
        [torch.stack([products[0], products[1]], -1), torch.stack([products[1], products[2]], -1)], -2
    )
    return to_uv.transpose(-1, -2) @ tensor @ to_uv


def line_angles(maps: Tensor, neutral: Tensor, strain: Tensor, chart: FaceChart) -> Tensor:
    """Returns the angles between forming wrinkle lines and the strongest compression, degrees in 0..90.

    Only places count where both are strong.

    Where an expression stretches the skin across a crease of the face at rest, the crease flattens and the
    map changes strongly along it, but no wrinkle forms: only cells whose relief is steeper than at rest
    count.

    Args:
        maps: (E, R, R), one person's.
        neutral: (R, R) at rest.
        strain: (E, 3, G, G).
        chart: for the step from texture axes to the tangent frame.
    """
    tensor = relief_tensor(maps - neutral, chart)
    across = 0.5 * torch.atan2(
        2 * tensor[..., 0, 1], tensor[..., 0, 0] - tensor[..., 1, 1]
    )  # of the gradient
    strength = tensor[..., 0, 0] + tensor[..., 1, 1]
    full = relief_tensor(maps, chart)
    rest = relief_tensor(neutral[None], chart)
    forming = (full[..., 0, 0] + full[..., 1, 1]) > (rest[..., 0, 0] + rest[..., 1, 1])
    compression, direction = principal_compression(strain)
    strong = (
        (strength > strength.flatten(1).quantile(0.95, 1)[:, None, None]) & (compression > 0.05) & forming
    )
    line = across + np.pi / 2
    difference = torch.remainder(line - direction, np.pi)
    return torch.rad2deg(torch.minimum(difference, np.pi - difference))[strong]


def locality(maps: Tensor, strain: Tensor, regions: dict[str, Tensor], still: float = 0.003) -> list[float]:
    """RMS change in regions that a unit leaves alone, millimetres.

    Args:
        maps: (53, R, R): neutral, then every unit at 1.
        strain: (53, 3, G, G).
        regions: (R, R) weights.
        still: mean absolute strain below which a region counts as left alone.
    """
    changes = maps[1:] - maps[:1]
    found = []
    for weight in regions.values():
        small = functional.adaptive_avg_pool2d(weight[None, None], GRID)[0, 0]
        moved = (strain[1:].abs().sum(1) * small).sum((1, 2)) / small.sum().clamp_min(1e-6)
        rms = ((changes.square() * weight).sum((1, 2)) / weight.sum().clamp_min(1e-6)).sqrt()
        found.extend(float(value) for value in rms[moved < still])
    return found


def persistence(maps: Tensor, neutral: Tensor, truth_changes: Tensor, mask: Tensor) -> list[float]:
    """Correlation with the neutral map where the truth says that nothing changes.

    Args:
        maps: (E, R, R).
        neutral: (R, R) of the same person, made the same way.
        truth_changes: (E, R, R) true maps less the true neutral map, millimetres.
        mask: (R, R) bool.
    """
    found = []
    for own, change in zip(maps, truth_changes, strict=True):
        still = mask & (functional.avg_pool2d(change.abs()[None, None], 9, 1, 4)[0, 0] < 0.004)
        if int(still.sum()) > 1000:
            found.append(correlation(own[still], neutral[still]))
    return found


def smoothness(make: Maker, expression: np.ndarray, steps: int = 24) -> float:
    """Returns the largest map change per step over the mean step.

    The path is straight, from neutral to (52,) `expression`.
    """
    path = np.linspace(0, 1, steps + 1, dtype=np.float32)[:, None] * expression
    maps = make(path)
    change = (maps[1:] - maps[:-1]).square().mean((1, 2)).sqrt()
    return float(change.max() / change.mean().clamp_min(1e-9))


def variety(changes: list[Tensor], mask: Tensor) -> float:
    """Mean correlation of people's wrinkles under the same expression.

    Args:
        changes: per person (E, R, R): maps less the neutral map, the same expressions for all.
        mask: (R, R) bool.
    """
    found = []
    for first in range(len(changes)):
        for second in range(first + 1, len(changes)):
            for a, b in zip(changes[first], changes[second], strict=True):
                strong = mask & ((a.abs() + b.abs()) > 0.25 * (a.abs() + b.abs())[mask].std())
                found.append(correlation(a[strong], b[strong]))
    return float(np.mean(found)) if found else 0.0


def single_units() -> np.ndarray:
    """Returns (53, 52): neutral, then every unit at 1."""
    return np.concatenate([np.zeros((1, len(EXPRESSION_NAMES))), np.eye(len(EXPRESSION_NAMES))]).astype(
        np.float32
    )
