"""Canonical creases of the mean face: patches of texture space with a few solved patterns each.

People's creases are mixed from these patterns.
"""

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...expression_names import EXPRESSION_NAMES
from .crease_fields import noise_field, smooth_along, solve_creases
from .face_chart import GRID, FaceChart
from .muscle_groups import CreaseLevel, Fold, MuscleGroup
from .strain import compression_across, gaussian_blur, green_strain, principal_compression

TEMPLATES = 3
CELLS_PER_WAVELENGTH = 9.0
STRIPE_AMPLITUDE = 0.66
ALIGNMENT_FLOOR = 0.01  # compression below which its direction is the mesh's noise
LEAST_REFERENCE = 0.04  # full contraction compresses at least so much; less is the mesh's noise
GATE_SOFTNESS = 0.03  # compression over which a muscle that is still lets no crease form
FOLD_SLOPE = 1.15  # millimetres along the skin per millimetre seen from the front, where folds run


@dataclass(frozen=True)
class GroupField:
    """A muscle group on the mean face, over the chart's grid.

    Attributes:
        angle: (G, G) of its creases from tangent 1, radians.
        region: (G, G) 0..1.
        support: (G, G) 0..1, whose strain is the muscle's; a little wider than the region.
        reference: compression across its creases at full contraction, the 90th percentile inside its region.
        contractions: (C, 52) expressions of full contraction.
        spread: standard deviations (rows, columns), texels.
        slack: of `spread_compression`.
        drive: (52,) compression that each unit makes by itself where the mesh does not show it.
        choosy: 0..1, how much less compression counts that runs mainly along its creases; 0 for a fold, whose
            line is given.
        acts: (2, 52) of the muscle on the right and on the left, how much each unit makes it act; None where
            compression alone tells.
        left: (G, G) 0..1, 1 on the left half of the face.
    """

    angle: Tensor
    region: Tensor
    support: Tensor
    reference: float
    contractions: Tensor
    spread: tuple[float, float]
    slack: float
    drive: Tensor
    choosy: float
    acts: Tensor | None
    left: Tensor


@dataclass(frozen=True)
class CreasePatch:
    """Solved patterns of one level of a group, on one side of the face or over both.

    Attributes:
        group: index of the group.
        side: -1 right, 1 left, 0 both.
        level: wavelength, depth and response.
        region: (G, G) 0..1, where its creases may lie.
        low, high: the rectangle in texture space, (u, v).
        size_mm: its width and height on the mean face.
        templates: (TEMPLATES, h, w) stripes of unit amplitude.
        irregularity: (2, h, w) fields of unit deviation, long along the creases.
    """

    group: int
    side: int
    level: CreaseLevel
    region: Tensor
    low: tuple[float, float]
    high: tuple[float, float]
    size_mm: tuple[float, float]
    templates: Tensor
    irregularity: Tensor


def contraction_matrix(contractions: tuple[dict[str, float], ...]) -> Tensor:
    """Returns (C, 52) from named expressions."""
    rows = torch.zeros(len(contractions), len(EXPRESSION_NAMES))
    for row, units in zip(rows, contractions, strict=True):
        for unit, weight in units.items():
            row[EXPRESSION_NAMES.index(unit)] = weight
    return rows


def group_field(
    group: MuscleGroup | Fold,
    chart: FaceChart,
    gradients: Tensor,
    contractions: Tensor,
    region: Tensor,
    guide: Tensor | None,
) -> GroupField:
    """Measures where a group compresses the mean face and along which lines it creases.

    Args:
        group: the group or fold.
        chart: the mean face.
        gradients: (52, 6, G, G) of the mean face's units, smoothed.
        contractions: (C, 52).
        region: (G, G) 0..1.
        guide: (G, G) anatomical angle of the creases, or None.
    """
    strains = green_strain((contractions @ gradients.flatten(1)).view(-1, 6, GRID, GRID))
    weight = getattr(group, "guide_weight", 1.0) if guide is not None else 0.0
    compression, normal = principal_compression(strains)
    lines = 2 * normal + math.pi  # doubled angle of the creases
    lean = torch.stack([(compression * torch.cos(lines)).sum(0), (compression * torch.sin(lines)).sum(0)]) * (
        region + 0.02
    )
    lean = lean / lean.norm(dim=0).flatten().quantile(0.95).clamp_min(1e-6)
    lean = gaussian_blur(lean, chart.texels(5.0))
    lean = (1 - weight) * lean / (lean.norm(dim=0) + 0.03)
    if guide is not None:
        lean = lean + weight * torch.stack([torch.cos(2 * guide), torch.sin(2 * guide)])
    angle = 0.5 * torch.atan2(lean[1], lean[0])
    drive = contraction_matrix((getattr(group, "drive", {}),))[0]
    spread = chart.texels(*group.spread)
    slack = (0.08 if group.acts else 0.25) if isinstance(group, Fold) else 0.6
    support = (4 * region).clamp(0, 1) * chart.raster.covered + 1e-4
    choosy = 0.0 if isinstance(group, Fold) else 1.0
    left = torch.sigmoid(chart.across / 1.5)
    field = GroupField(angle, region, support, 1.0, contractions, spread, slack, drive, choosy, None, left)
    across = crease_load(strains, compression, contractions * 0, field).amax(0)
    strong = across[region > 0.4] if (region > 0.4).any() else across
    reference = max(float(strong.quantile(0.9)), LEAST_REFERENCE)
    return dataclasses.replace(field, reference=reference, acts=_acts(group))


def _acts(group: MuscleGroup | Fold) -> Tensor | None:
    """Returns (2, 52) weights of the units that act on the right and on the left; None without any."""
    if not group.acts:
        return None
    rows = torch.zeros(2, len(EXPRESSION_NAMES))
    for row, side in zip(rows, ("Right", "Left"), strict=True):
        for unit, weight in group.acts.items():
            row[EXPRESSION_NAMES.index(unit + side)] = weight
    return rows


def spread_compression(
    across: Tensor, support: Tensor, spread: tuple[float, float], slack: float = 1.0
) -> Tensor:
    """Spreads compression over the length of the muscle that causes it.

    Args:
        across: (N, G, G) compression, negative where stretched, in units of full contraction.
        support: (G, G) how much each texel's strain belongs to the muscle.
        spread: standard deviations (rows, columns), texels.
        slack: how much of a stretch counts; below 1 skin that is stretched beside a crease hardly opens it.

    Returns:
        (N, G, G), the weighted mean around each texel.
    """
    if slack < 1:
        soft = 0.08
        across = slack * across + (1 - slack) * soft * (
            torch.nn.functional.softplus(across / soft) - math.log(2)
        )
    return gaussian_blur(across * support, spread) / gaussian_blur(support[None], spread).clamp_min(1e-5)


def crease_load(strain: Tensor, strongest: Tensor, expression: Tensor, field: "GroupField") -> Tensor:
    """Compression that a group's creases feel, in units of its full contraction.

    A film buckles across its strongest compression: what compresses the skin mainly along a crease hardly
    deepens it.

    Args:
        strain: (N, 3, G, G) Green strain.
        strongest: (N, G, G) its principal compression.
        expression: (N, 52) that caused it.
        field: the group.

    Returns:
        (N, G, G), negative where the skin is stretched.
    """
    across = compression_across(strain, field.angle)
    pressed = across.clamp_min(0)
    aligned = (pressed + ALIGNMENT_FLOOR) / (strongest + ALIGNMENT_FLOOR)
    across = across.clamp_max(0) + pressed * (1 - field.choosy + field.choosy * aligned)
    load = spread_compression(across / field.reference, field.support, field.spread, field.slack)
    load = load + (expression @ field.drive)[:, None, None]
    if field.acts is None:
        return load
    effort = torch.tanh(1.8 * (expression @ field.acts.T).clamp_min(0))[:, :, None, None]
    effort = effort[:, 0] + (effort[:, 1] - effort[:, 0]) * field.left
    creasing = GATE_SOFTNESS * torch.nn.functional.softplus(load / GATE_SOFTNESS)
    return load + (effort - 1) * (creasing - GATE_SOFTNESS * math.log(2)).clamp_min(0)


def solve_patch(
    index: int, group: MuscleGroup, level_index: int, side: int, field: GroupField, chart: FaceChart
) -> CreasePatch:
    """Solves the canonical patterns of one level of a group over the rectangle that holds its region."""
    level = group.levels[level_index]
    region = field.region if side == 0 else field.region * (chart.across * side > -3)
    rows, columns = torch.nonzero((region > 0.03) & (chart.raster.covered > 0), as_tuple=True)
    weight = region * chart.raster.covered
    scale = [float((chart.jacobian[axis, axis].abs() * weight).sum() / weight.sum()) for axis in (0, 1)]
    low = [
        max(0.0, float(axis.min()) / GRID - 1.5 * level.wavelength / s)
        for axis, s in ((columns, scale[0]), (rows, scale[1]))
    ]
    high = [
        min(1.0, float(axis.max() + 1) / GRID + 1.5 * level.wavelength / s)
        for axis, s in ((columns, scale[0]), (rows, scale[1]))
    ]
    size = [(high[axis] - low[axis]) * scale[axis] for axis in (0, 1)]
    cells = min(CELLS_PER_WAVELENGTH / level.wavelength, 360 / max(size))
    width, height = (max(16, round(extent * cells)) for extent in size)
    direction = _patch_directions(field.angle, chart, low, high, (height, width), scale)
    seed = 7919 * (index + 1) + 101 * level_index + (side + 1)
    wavelength = max(4.0, level.wavelength * cells)
    start = 0.25 * noise_field(seed, (TEMPLATES, height, width), (0.2 * wavelength, 0.35 * wavelength))
    stripes = (
        solve_creases(start, direction.expand(TEMPLATES, -1, -1, -1), wavelength, group.anisotropy)
        / STRIPE_AMPLITUDE
    )
    wander = noise_field(seed + 31, (2, height, width), (1.1 * wavelength, 1.6 * wavelength)) * (
        0.13 * wavelength
    )
    rough = noise_field(seed + 57, (2, height, width), (0.35 * wavelength, 0.35 * wavelength))
    shown = field.region if side == 0 else field.region * torch.sigmoid(chart.across * side / 1.5)
    irregularity = smooth_along(rough, direction.expand(2, -1, -1, -1), 1.6 * wavelength)
    return CreasePatch(
        index, side, level, shown, (low[0], low[1]), (high[0], high[1]), (size[0], size[1]),
        _displaced(stripes, wander), irregularity,
    )  # fmt: skip


def _patch_directions(
    angle: Tensor,
    chart: FaceChart,
    low: list[float],
    high: list[float],
    shape: tuple[int, int],
    scale: list[float],
) -> Tensor:
    """Returns (1, 2, h, w) unit vectors along the creases in the patch's own cells."""
    inverse = torch.linalg.inv(chart.jacobian.permute(2, 3, 0, 1))
    tangent = torch.stack([torch.cos(angle), torch.sin(angle)], -1)
    uv = (inverse @ tangent[..., None])[..., 0] * torch.tensor(scale)  # cells are square on average
    doubled = torch.atan2(uv[..., 1], uv[..., 0]) * 2
    field = torch.stack([torch.cos(doubled), torch.sin(doubled)])[None]
    v = low[1] + (torch.arange(shape[0]) + 0.5) / shape[0] * (high[1] - low[1])
    u = low[0] + (torch.arange(shape[1]) + 0.5) / shape[1] * (high[0] - low[0])
    grid = torch.stack([(2 * u - 1).expand(shape[0], -1), (2 * v - 1)[:, None].expand(-1, shape[1])], -1)[
        None
    ]
    sampled = torch.nn.functional.grid_sample(field, grid, align_corners=False, padding_mode="border")[0]
    half = 0.5 * torch.atan2(sampled[1], sampled[0])
    return torch.stack([torch.cos(half), torch.sin(half)])[None]


def _displaced(fields: Tensor, shift: Tensor) -> Tensor:
    """Samples (N, h, w) at positions moved by (2, h, w) cells (columns, rows)."""
    height, width = fields.shape[1:]
    x = (torch.arange(width) + 0.5 + shift[0]) / width * 2 - 1
    y = ((torch.arange(height) + 0.5)[:, None] + shift[1]) / height * 2 - 1
    grid = torch.stack([x, y], -1)[None]
    return torch.nn.functional.grid_sample(
        fields[None], grid, mode="bicubic", align_corners=False, padding_mode="border"
    )[0]


def fold_geometry(fold: Fold, chart: FaceChart) -> tuple[Tensor, Tensor, Tensor]:
    """Lays a fold's line on the mean face.

    Returns:
        (G, G) signed millimetres from the line, positive on its left, measured on the left half and mirrored,
            shrunk where it flares;
        (G, G) 0..1, 1 along the line, 0 beyond its ends and on the back of the head; (G, G) angle of the line
        from tangent 1, radians.
    """
    side = chart.across.abs() if fold.paired else chart.across
    points = fold.points(chart) if callable(fold.points) else fold.points
    curve = _spline(torch.tensor(points), 64)  # (S, 2)
    flat = torch.stack([side, chart.up])
    gap = ((flat[:, :, :, None] - curve.T[:, None, None, :]) ** 2).sum(0) + 4e3 * (
        chart.behind > fold.behind
    )[..., None]  # (G, G, S)
    tangent = torch.gradient(curve, dim=0)[0]
    tangent = tangent / tangent.norm(dim=1, keepdim=True)
    soft = torch.softmax(-gap / 18, -1)  # a smooth choice of the nearest point
    along = soft @ tangent
    foot = soft @ curve
    offset = flat.permute(1, 2, 0) - foot
    signed = FOLD_SLOPE * (along[..., 0] * offset[..., 1] - along[..., 1] * offset[..., 0])
    position = (soft @ torch.arange(64.0)) / 63
    length = float((curve[1:] - curve[:-1]).norm(dim=1).sum())
    beyond = (offset * along).sum(-1).abs()
    first, last = fold.fade
    ends = torch.sigmoid((position * length - 0.5 * first) / (0.22 * first))
    ends = ends * torch.sigmoid(((1 - position) * length - 0.5 * last) / (0.22 * last))
    ends = ends * torch.exp(-((beyond / (first + (last - first) * position).clamp_max(9.0)) ** 2))
    angle = torch.atan2(along[..., 1], along[..., 0] * (torch.sign(chart.across) if fold.paired else 1))
    signed = signed / (1 + fold.flare * position)
    return signed, ends * torch.sigmoid((fold.behind - chart.behind) / 4), angle


def _spline(points: Tensor, count: int) -> Tensor:
    """Catmull-Rom curve through (N, 2) points, (count, 2) samples."""
    padded = torch.cat([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    at = torch.linspace(0, len(points) - 1 - 1e-4, count)
    i = at.long()
    t = (at - at.long())[:, None]
    a, b, c, d = (padded[i + k] for k in range(4))
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
