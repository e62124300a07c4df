"""Pores and the fine crosshatch between them, at rest and at every age."""

import torch
from torch import Tensor
from torch.nn import functional

from .face_chart import GRID, FaceChart

MASTER = 1024
PORE_SPACING_MM = 1.5
HATCH_SPACING_MM = 1.7


def micro_templates(chart: FaceChart, resolution: int) -> Tensor:
    """Two fields of pores and crosshatch, the same for everybody; people mix them.

    Args:
        chart: the mean face.
        resolution: R, 256, 512 or 1024; coarser ones hold the same field, averaged.

    Returns:
        (2, R, R) float32 millimetres, at most about 0.05 deep.

    Source: spacing and depth of pores and of the primary lines of the skin's micro-relief, 20-100 micrometres
    deep, up to 2 mm apart: Hashimoto 1974, "New methods for surface ultrastructure", Int. J. Dermatol. 13;
    Weiss et al. 2023, "Graph-Based Synthesis for Skin Micro Wrinkles", Computer Graphics Forum 42.
    """
    per_mm = (MASTER / chart.scale[1], MASTER / chart.scale[0])  # texels, (rows, columns)
    round_pores = _band_noise(4, PORE_SPACING_MM, per_mm, (1.0, 1.0), 11)
    long_pores = _band_noise(4, PORE_SPACING_MM, per_mm, (1.5, 0.8), 23)
    hatch = _hatch(per_mm)
    nose = _upsampled(_nose(chart))
    cheek = _upsampled(_cheeks(chart))
    forehead = _upsampled(torch.sigmoid((chart.up - 22) / 5))
    dimples = (
        0.030 * nose * _pits(round_pores[:2])
        + 0.022 * cheek * _pits(long_pores[:2])
        + 0.012 * forehead * _pits(round_pores[2:])
    )
    fields = -dimples - 0.016 * (1 - 0.6 * nose) * hatch
    return functional.interpolate(fields[None], size=(resolution, resolution), mode="area")[0]


def _pits(noise: Tensor) -> Tensor:
    """Round pits where noise is high, their mean taken out."""
    pits = functional.softplus(4 * (noise - 0.7)) / 4
    return pits - pits.mean((1, 2), keepdim=True)


def _hatch(per_mm: tuple[float, float]) -> Tensor:
    """Returns (2, M, M): a net of fine furrows, where smooth noise crosses zero."""
    noise = _band_noise(4, 2 * HATCH_SPACING_MM, per_mm, (1.0, 1.0), 41).view(2, 2, MASTER, MASTER)
    net = torch.exp(-((noise / 0.3) ** 2)).amax(1)
    return net - net.mean((1, 2), keepdim=True)


def _band_noise(
    count: int, spacing: float, per_mm: tuple[float, float], stretch: tuple[float, float], seed: int
) -> Tensor:
    """Returns (count, M, M) noise of one spacing in millimetres, unit deviation; stretched (up, across)."""
    white = torch.randn(count, MASTER, MASTER, generator=torch.Generator().manual_seed(seed))
    up = torch.fft.fftfreq(MASTER)[:, None] * per_mm[0] * stretch[0] * spacing
    across = torch.fft.rfftfreq(MASTER)[None] * per_mm[1] * stretch[1] * spacing
    radius = torch.sqrt(up**2 + across**2)
    taper = torch.exp(-0.5 * ((radius - 1) / 0.25) ** 2)
    noise = torch.fft.irfft2(torch.fft.rfft2(white) * taper, s=(MASTER, MASTER))
    return noise / noise.std((1, 2), keepdim=True)


def _upsampled(field: Tensor) -> Tensor:
    return functional.interpolate(field.view(1, 1, GRID, GRID), size=(MASTER, MASTER), mode="bilinear")[0, 0]


def _nose(chart: FaceChart) -> Tensor:
    return (
        torch.exp(-((chart.across / 17) ** 4))
        * torch.sigmoid((chart.up + 44) / 2)
        * torch.sigmoid((-8 - chart.up) / 3)
    )


def _cheeks(chart: FaceChart) -> Tensor:
    return torch.exp(-((((chart.across.abs() - 33) / 20) ** 2 + ((chart.up + 35) / 22) ** 2) ** 2))
