"""Pores, crossing fine lines and soft lumps: the skin's micro-relief, at rest and at every age."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from .crease_fields import noise_field
from .face_chart import GRID, FaceChart
from .strain import gaussian_blur

MASTER = 1024
FIELDS = 2
ORIENTATIONS = 6
CROSSING = math.radians(36)  # half the angle between the two families of a lozenge
LINE_LENGTH = 2.0  # of a fine line, in spacings
PRIMARY_MM, SECONDARY_MM = 2.2, 1.05
LUMP_MM, GRAIN_MM = 2.9, 1.25
WOBBLE, WOBBLE_MM = 0.3, 5.0  # deviation of the lines' angle, radians, and over how far it turns
SMALL_PORES, LARGE_PORES = (1.05, 0.17), (1.7, 0.28)  # spacing and radius of a pit, millimetres
SPLAT = 4  # texels from a pit's middle to where it is cut off


def micro_templates(chart: FaceChart, resolution: int) -> Tensor:
    """Two fields of pores, lozenges of fine lines and lumps, the same for everybody; people mix them.

    Lozenges are two crossing families of broken, nearly straight furrows, 36 degrees to either side of the
    skin's own lines (level on forehead, lids, chin and neck, slanting on the cheeks), in a coarse and a fine
    generation. Pores are pits at scattered points. How strong each is differs by region.

    Args:
        chart: the mean face.
        resolution: R, 256, 512 or 1024; coarser ones hold the same field, averaged.

    Returns:
        (2, R, R) float32 millimetres, root mean square about 0.05 on cheek, forehead and nose.

    Source: primary and secondary lines of the micro-relief and their crossing: Hashimoto 1974, "New methods
    for surface ultrastructure", Int. J. Dermatol. 13; Weiss et al. 2023, "Graph-Based Synthesis for Skin
    Micro Wrinkles", Computer Graphics Forum 42. Power by octave: `benchmarks.skin_spectrum`, a real scan's.
    """
    per_mm = (MASTER / chart.scale[1], MASTER / chart.scale[0])  # texels, (rows, columns)
    weights = _orientation_weights(chart)
    strength = {name: _upsampled(field) for name, field in _strengths(chart).items()}
    fields = strength["lumps"] * _unit(_band(LUMP_MM, per_mm, 71))
    grain = functional.softplus(2 * _unit(_band(GRAIN_MM, per_mm, 73)) - 0.6)
    fields = fields - strength["grain"] * _unit(grain)
    fields = fields + strength["primary"] * _unit(_lozenges(PRIMARY_MM, per_mm, weights, 41))
    fields = fields + strength["secondary"] * _unit(_lozenges(SECONDARY_MM, per_mm, weights, 43))
    fields = fields + strength["small"] * _unit(_pores(*SMALL_PORES, per_mm, 11))
    fields = fields + strength["large"] * _unit(_pores(*LARGE_PORES, per_mm, 23))
    return functional.interpolate(fields[None], size=(resolution, resolution), mode="area")[0]


def _strengths(chart: FaceChart) -> dict[str, Tensor]:
    """Root mean square of each component over the chart's grid, (G, G) millimetres."""
    nose, cheek = _nose(chart), _cheeks(chart)
    forehead = torch.sigmoid((chart.up - 22) / 5) * torch.sigmoid((72 - chart.up) / 5)
    lids = torch.exp(-((((chart.across.abs() - 29) / 20) ** 2 + (chart.up / 12) ** 2) ** 2))
    rest = (1 - nose) * (1 - cheek) * (1 - forehead)
    bare = (1 - 0.9 * chart.lips) * (1 - 0.55 * lids)

    def by_region(on_nose: float, on_cheek: float, on_forehead: float, elsewhere: float) -> Tensor:
        return (on_nose * nose + on_cheek * cheek + on_forehead * forehead + elsewhere * rest) * bare

    return {
        "lumps": by_region(0.048, 0.038, 0.026, 0.028),
        "grain": by_region(0.030, 0.030, 0.030, 0.026),
        "primary": by_region(0.014, 0.016, 0.018, 0.014),
        "secondary": by_region(0.014, 0.018, 0.024, 0.016),
        "small": by_region(0.026, 0.020, 0.026, 0.013) * (1 - lids),
        "large": by_region(0.047, 0.020, 0.010, 0.006) * (1 - lids),
    }


def _unit(fields: Tensor) -> Tensor:
    fields = fields - fields.mean((1, 2), keepdim=True)
    return fields / fields.std((1, 2), keepdim=True)


def _frequencies(per_mm: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Cycles a millimetre of a transformed master field, (M, 1) upwards and (1, M / 2 + 1) across."""
    return torch.fft.fftfreq(MASTER)[:, None] * per_mm[0], torch.fft.rfftfreq(MASTER)[None] * per_mm[1]


def _white(seed: int) -> Tensor:
    white = torch.randn(FIELDS, MASTER, MASTER, generator=torch.Generator().manual_seed(seed))
    return torch.fft.rfft2(white)


def _band(wavelength: float, per_mm: tuple[float, float], seed: int) -> Tensor:
    """Returns (FIELDS, M, M): noise around one wavelength, millimetres, the same in all directions."""
    up, across = _frequencies(per_mm)
    octaves = torch.log2(torch.sqrt(up**2 + across**2).clamp_min(1e-4) * wavelength)
    return torch.fft.irfft2(_white(seed) * torch.exp(-0.5 * (octaves / 0.5) ** 2), s=(MASTER, MASTER))


def _lozenges(spacing: float, per_mm: tuple[float, float], weights: Tensor, seed: int) -> Tensor:
    """Returns (FIELDS, M, M): broken furrows along the orientations that weigh at each place, (K, M, M)."""
    up, across = _frequencies(per_mm)
    white = _white(seed)
    total = torch.zeros(FIELDS, MASTER, MASTER)
    for number, weight in enumerate(weights):
        angle = math.pi * number / ORIENTATIONS
        along = (across * math.cos(angle) + up * math.sin(angle)) * spacing * LINE_LENGTH
        beside = (up * math.cos(angle) - across * math.sin(angle)).abs() * spacing
        taper = torch.exp(-0.5 * ((beside - 1) / 0.28) ** 2 - 0.5 * (along / 0.5) ** 2)
        noise = torch.fft.irfft2(white * taper, s=(MASTER, MASTER))
        noise = noise / noise.std((1, 2), keepdim=True)
        total -= weight * functional.softplus(3 * (noise - 0.4))
    return total


def _pores(spacing: float, radius: float, per_mm: tuple[float, float], seed: int) -> Tensor:
    """Returns (FIELDS, M, M): pits of unlike depth and size, one in each cell of a jittered grid."""
    random = torch.Generator().manual_seed(seed)
    steps = [round(MASTER / (spacing * per_mm[axis])) for axis in (0, 1)]
    offset = torch.arange(1 - SPLAT, SPLAT + 1)
    fields = []
    for _ in range(FIELDS):
        jitter, traits = (torch.rand(2, *steps, generator=random) for _ in range(2))
        rows = (torch.arange(steps[0])[:, None] + jitter[0]) * (MASTER / steps[0])
        columns = (torch.arange(steps[1])[None] + jitter[1]) * (MASTER / steps[1])
        depth = (0.25 + 1.1 * traits[0] ** 2).flatten()[:, None, None]
        size = (radius * (0.75 + 0.5 * traits[1])).flatten()[:, None, None]
        row, column = rows.floor().long().flatten(), columns.floor().long().flatten()
        up = (row[:, None] + offset - rows.flatten()[:, None]) / per_mm[0]
        across = (column[:, None] + offset - columns.flatten()[:, None]) / per_mm[1]
        pits = depth * torch.exp(-0.5 * (up[:, :, None] ** 2 + across[:, None, :] ** 2) / size**2)
        at = ((row[:, None] + offset) % MASTER)[:, :, None] * MASTER
        at = at + ((column[:, None] + offset) % MASTER)[:, None, :]
        fields.append(-torch.zeros(MASTER * MASTER).index_add_(0, at.flatten(), pits.flatten()))
    return torch.stack(fields).view(FIELDS, MASTER, MASTER)


def _orientation_weights(chart: FaceChart) -> Tensor:
    """Returns (K, M, M): how much furrows of each orientation show, two crossing families everywhere."""
    slant = torch.exp(-((((chart.across.abs() - 42) / 26) ** 2 + ((chart.up + 42) / 30) ** 2) ** 2))
    lines = -0.9 * slant * torch.tanh(chart.across / 8)  # the skin's own lines, anatomical angle
    lines = lines + WOBBLE * noise_field(83, (1, GRID, GRID), chart.texels(WOBBLE_MM / 2))[0]
    # into the axes of the map, whose cells are a millimetre
    tangent = torch.stack([torch.cos(lines), torch.sin(lines)], -1)
    steps = torch.linalg.solve(chart.jacobian.permute(2, 3, 0, 1) + 1e-3 * torch.eye(2), tangent)
    angle = torch.atan2(steps[..., 1] * chart.scale[1], steps[..., 0] * chart.scale[0])
    doubled = gaussian_blur(torch.stack([torch.cos(2 * angle), torch.sin(2 * angle)]), (1.5, 1.5))
    angle = 0.5 * torch.atan2(doubled[1], doubled[0])
    grid = math.pi / ORIENTATIONS
    weights = []
    for number in range(ORIENTATIONS):
        both = torch.zeros_like(angle)
        for family in (-CROSSING, CROSSING):
            away = torch.remainder(angle + family - number * grid + math.pi / 2, math.pi) - math.pi / 2
            both = both + torch.cos((away / grid).clamp(-1, 1) * (math.pi / 2))
        weights.append(both)
    return torch.stack([_upsampled(weight) for weight in weights])


def _upsampled(field: Tensor) -> Tensor:
    return functional.interpolate(field.view(1, 1, GRID, GRID), size=(MASTER, MASTER), mode="bilinear")[0, 0]


def _nose(chart: FaceChart) -> Tensor:
    return (
        torch.exp(-(((chart.across / 17) ** 2) ** 1.5))
        * torch.sigmoid((chart.up + 47) / 3)
        * torch.sigmoid((-12 - chart.up) / 5)
    )


def _cheeks(chart: FaceChart) -> Tensor:
    return torch.exp(-((((chart.across.abs() - 38) / 24) ** 2 + ((chart.up + 38) / 24) ** 2) ** 2))
