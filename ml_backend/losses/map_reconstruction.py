"""Losses between displacement maps that neither blur nor ignore sparse wrinkles."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..layers.blur_resampling import double_size, halve_size


def percentile_span(maps: np.ndarray, mask: np.ndarray) -> float:
    """Returns the span of the 0.1 to 99.9 percentiles of maps: the peak of PSNR and SSIM.

    Args:
        maps: (N, R, R).
        mask: (R, R), above 0 where texels count.

    Returns:
        In the maps' unit.
    """
    low, high = np.percentile(np.asarray(maps)[:, mask > 0], [0.1, 99.9])
    return float(high - low)


def activity_weights(truth: Tensor, mask: Tensor, window: int, floor: float = 0.15) -> Tensor:
    """Weights that follow where the truth has wrinkles.

    Most texels of a simulated map are almost flat; with equal weights a blank map is a good answer.

    Args:
        truth: (B, 1, R, R) in the generator's units.
        mask: (R, R), 1 inside the face.
        window: texels over which activity is averaged, odd.
        floor: weight of flat skin.

    Returns:
        (B, 1, R, R), mean 1 over batch and mask.
    """
    local = functional.avg_pool2d(truth.abs(), window, 1, window // 2, count_include_pad=False)
    weights = (floor + (local / truth.abs().mean().clamp_min(1e-6)).clamp(max=4.0)) * mask
    return weights / (weights.sum() / (mask.sum() * len(truth))).clamp_min(1e-6)


def weighted_square(generated: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Mean squared error under the weights, a scalar."""
    return (weights * (generated - truth).square()).mean()


def bands(maps: Tensor, levels: int) -> list[Tensor]:
    """Returns a Laplacian pyramid: `levels` bands, finest first. maps (B, 1, R, R)."""
    found = []
    for _ in range(levels):
        low = halve_size(maps)
        found.append(maps - double_size(low))
        maps = low
    return found


def band_losses(
    generated: Tensor, truth: Tensor, mask: Tensor, levels: int, window: int = 9, floor: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Returns the perceptual part: every octave counts alike, as lines and as texture.

    Args:
        generated, truth: (B, 1, R, R) in the generator's units.
        mask: (R, R), 1 inside the face.
        levels: octaves compared, finest first.
        window: texels over which a band's energy is averaged, odd.
        floor: an octave counts as at least this share of the truth's whole power, so that one which is nearly
            empty does not rule.

    Returns:
        lines: per octave squared error relative to the truth's power, averaged over octaves;
        texture: per octave squared difference of the local amplitude (root of the local mean square),
            likewise relative.
        A blurred map pays in `texture` even where the exact line cannot be known.
    """
    lines = generated.new_zeros(())
    texture = generated.new_zeros(())
    inside = mask[None, None]
    least = max(1e-8, floor * float((truth.square() * inside).mean()))
    for own, wanted in zip(bands(generated, levels), bands(truth, levels), strict=True):
        if inside.shape[-1] != own.shape[-1]:
            inside = halve_size(inside)
        power = (wanted.square() * inside).mean().clamp_min(least)
        lines = lines + ((own - wanted).square() * inside).mean() / power
        own_local, wanted_local = (
            functional.avg_pool2d(band.square(), window, 2, window // 2) + 1e-4 * power
            for band in (own, wanted)
        )
        texture = texture + (own_local.sqrt() - wanted_local.sqrt()).square().mean() / power
    return lines / levels, texture / levels


def power_loss(generated: Tensor, truth: Tensor, longest: float = 16.0) -> Tensor:
    """Compares the batch's power spectrum with the truth's: 0.053 where every ring is one decibel off.

    A regression that cannot know a line leaves it faint; here faint lines cost as much as wrong ones.

    Args:
        generated, truth: (B, 1, R, R), 0 outside the face.
        longest: wavelengths from 2 texels to so many are compared, in rings of half an octave.

    Returns:
        The squared logarithm of power over the truth's, averaged over rings; a scalar.
    """
    size = generated.shape[-1]
    along = torch.fft.rfftfreq(size, device=generated.device)
    radius = torch.sqrt(torch.fft.fftfreq(size, device=generated.device)[:, None] ** 2 + along**2)
    ring = torch.floor(
        2 * torch.log2(0.5 / radius.clamp_min(1e-6))
    ).long()  # 0: 2 to 2.8 texels, 1: to 4, ...
    count = int(2 * math.log2(longest / 2))
    inside = (ring >= 0) & (ring < count)
    powers = []
    for maps in (generated, truth):
        power = torch.fft.rfft2(maps[:, 0].float()).abs().square().sum(0)[inside]
        powers.append(torch.zeros(count, device=power.device).index_add(0, ring[inside], power))
    floor = 1e-4 * powers[1] + 1e-12
    return torch.log((powers[0] + floor) / (powers[1] + floor)).square().mean()


def seen_skin_loss(
    heights: Tensor, truth: Tensor, confidence: Tensor, inside: Tensor, expected: Tensor | None = None
) -> tuple[Tensor, dict[str, float]]:
    """Returns the loss of heights against the truth where the skin is seen, and its parts by name.

    Args:
        heights, truth: (B, 1, R, R).
        confidence: (B, 1, R, R).
        inside: (R, R).
        expected: (B, 1, R, R), what was known before; where it is wrong counts too, or wrinkles that are
            expected and not there would cost little.
    """
    seen = confidence * inside
    active = truth if expected is None else truth.abs() + (truth - expected).abs()
    weights = activity_weights(active * inside, inside, max(3, truth.shape[-1] // 28) | 1) * (
        0.05 + 0.95 * confidence
    )
    pixel = (weights * (heights - truth).abs()).mean()
    square = (weights * (heights - truth).square()).mean()
    lines, texture = band_losses(heights * seen, truth * seen, inside, 4, floor=0.02)
    loss = pixel + square + 0.2 * lines + 0.2 * texture
    return loss, {
        "pixel": float(pixel.detach()),
        "lines": float(lines.detach()),
        "texture": float(texture.detach()),
    }


def change_loss(heights: Tensor, truth: Tensor, confidence: Tensor, inside: Tensor) -> Tensor:
    """Returns the loss of what changes between two looks at one person, a scalar.

    What stays in both (spots, stubble, the form) is not part of it: only the picture tells the change.

    Args:
        heights, truth: (B, 1, R, R); rows 2 i and 2 i + 1 are one person, B is even.
        confidence: (B, 1, R, R).
        inside: (R, R).
    """
    found, real = (maps[0::2] - maps[1::2] for maps in (heights, truth))
    seen = confidence[0::2] * confidence[1::2]
    weights = activity_weights(real * inside, inside, max(3, truth.shape[-1] // 28) | 1) * seen
    away = found - real
    return (weights * (away.abs() + away.square())).mean()
