"""Displacement maps as a poor photograph leaves them: coarse, blurred, noisy, quantised, seen in part."""

import torch
from torch import Tensor
from torch.nn import functional

from ..layers.band_limits import enlarge, shrink

CLEAN_SHARE = 0.4
HOLE_SHARE = 0.3
NOISE_MM, STEP_MM = 0.02, 0.03


def degrade(maps: Tensor, random: torch.Generator) -> Tensor:
    """Degrades maps, each in its own way; a share is only coarser.

    Args:
        maps: (B, 1, r, r) millimetres; r is a quarter of the full resolution, so that an untouched map is one
            at 1/4.
        random: on the maps' device.

    Returns:
        (B, 1, r, r): brought back to r by bicubic interpolation.
    """
    size, degraded = maps.shape[-1], []
    for single in maps.split(1):
        draw = torch.rand(7, generator=random, device=maps.device).tolist()
        factor = 1 if draw[0] < 0.4 else 2 if draw[0] < 0.85 else 4
        low = shrink(single, size // factor)
        if draw[1] > CLEAN_SHARE:
            if draw[2] < 0.6:
                low = _blurred(low, 0.4 + 1.6 * draw[3])
            if draw[4] < 0.6:
                low = low + NOISE_MM * draw[5] * torch.randn(low.shape, generator=random, device=maps.device)
            if draw[6] < 0.5:
                step = STEP_MM * (0.1 + 2 * draw[6])
                low = torch.round(low / step) * step
        degraded.append(enlarge(low, size))
    return torch.cat(degraded)


def seen_parts(count: int, size: int, random: torch.Generator, device: torch.device) -> Tensor:
    """Draws confidences (B, 1, size, size) in 0..1.

    Everything is seen, or for a share of the maps all but one side or one smooth patch.
    """
    at = torch.linspace(-1, 1, size, device=device)
    confidence = torch.ones(count, 1, size, size, device=device)
    for single in confidence:
        draw = torch.rand(5, generator=random, device=device).tolist()
        if draw[0] >= HOLE_SHARE:
            continue
        if draw[1] < 0.5:
            side = at[None, :] * (1 if draw[2] < 0.5 else -1)
            single[0] = torch.sigmoid((side + 0.6 * draw[3]) / 0.08).expand(size, size)
        else:
            radius = torch.hypot(at[None, :] - (2 * draw[2] - 1), at[:, None] - (2 * draw[3] - 1))
            single[0] = torch.sigmoid((radius - 0.2 - 0.4 * draw[4]) / 0.05)
    return confidence


def _blurred(maps: Tensor, sigma: float) -> Tensor:
    radius = max(1, round(2.5 * sigma))
    at = torch.arange(-radius, radius + 1, dtype=maps.dtype, device=maps.device)
    taps = torch.exp(-0.5 * (at / sigma) ** 2)
    taps = taps / taps.sum()
    padded = functional.pad(maps, (radius,) * 4, mode="replicate")
    return functional.conv2d(functional.conv2d(padded, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))
