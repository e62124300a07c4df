"""Displacement maps as a poor photograph leaves them: coarse, blurred, noisy, quantised, seen in part."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..layers.band_limits import enlarge, shrink
from .map_set import MapSet

CLEAN_SHARE = 0.4
HOLE_SHARE = 0.3
NOISE_MM, STEP_MM = 0.02, 0.03
TRAINING_SHARE = 0.92  # of a set's maps, the first ones


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


def draw_crops(
    maps: MapSet, generated: Tensor, crop: int, count: int, numbers: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Draws crops around points inside the face.

    Args:
        maps: truth (N, R, R).
        generated: (N, R, R), of the same people.
        crop: edge in texels.
        count: crops.
        numbers: source of randomness.

    Returns:
        Truth, 0 outside the face, and generated maps: (count, 1, crop, crop) millimetres each.
    """
    mask = torch.from_numpy(maps.mask)
    inside = torch.nonzero(mask > 0, as_tuple=True)
    size = mask.shape[-1]
    truths = []
    coarse = []
    for row in numbers.integers(int(len(maps) * TRAINING_SHARE), size=count):
        centre = numbers.integers(len(inside[0]))
        place = [int(part[centre]) - crop // 2 for part in inside]
        top, left = (min(max(0, at), size - crop) // 8 * 8 for at in place)
        window = slice(top, top + crop), slice(left, left + crop)
        truths.append(torch.from_numpy(np.asarray(maps.maps[row][window], np.float32)) * mask[window])
        coarse.append(generated[row][window].float())
    return torch.stack(truths)[:, None], torch.stack(coarse)[:, None]
