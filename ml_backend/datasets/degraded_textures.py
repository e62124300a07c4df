"""Unwrapped photographs as they come: few pixels, out of focus, noisy, compressed, seen in part."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from ..layers.band_limits import enlarge, shrink

FULL, COARSEST = 1024, 12.0  # texels of a full texture, and by how much the poorest photograph is coarser
BLOCK = 8


def cosine_basis(device: torch.device) -> Tensor:
    """(8, 8) orthonormal DCT-II, rows are frequencies."""
    at = torch.arange(BLOCK, device=device, dtype=torch.float32)
    basis = torch.cos(math.pi / BLOCK * (at[None] + 0.5) * at[:, None]) * math.sqrt(2 / BLOCK)
    basis[0] /= math.sqrt(2)
    return basis


def compress(images: Tensor, step: float) -> Tensor:
    """Quantises blocks of 8 x 8 as JPEG does, coarser the higher the frequency.

    Args:
        images: (B, C, H, W), 0..1, encoded.
        step: of the lowest frequency.
    """
    height, width = images.shape[-2:]
    padded = functional.pad(images, (0, -width % BLOCK, 0, -height % BLOCK), mode="replicate")
    basis = cosine_basis(images.device)
    blocks = padded.unfold(2, BLOCK, BLOCK).unfold(3, BLOCK, BLOCK)  # (B, C, h, w, 8, 8)
    at = torch.arange(BLOCK, device=images.device, dtype=torch.float32)
    steps = step * (1 + 0.6 * (at[:, None] + at[None]))
    spectrum = torch.round(basis @ blocks @ basis.T / steps) * steps
    blocks = basis.T @ spectrum @ basis
    return blocks.permute(0, 1, 2, 4, 3, 5).reshape(padded.shape)[..., :height, :width]


def photograph(linear: Tensor, random: torch.Generator, factor: float | None = None) -> Tensor:
    """Takes a poor photograph of shaded skin and unwraps it again, each in its own way.

    Args:
        linear: (B, 3, R, R) linear light.
        random: on the CPU.
        factor: by how much every one is coarser, None to draw it.

    Returns:
        (B, 3, R, R) linear, 0..1.
    """
    size, photographs = linear.shape[-1], []
    for single in linear.split(1):
        draw = torch.rand(7, generator=random).tolist()
        coarser = max(1.0, COARSEST * size / FULL) ** (draw[0] ** 2) if factor is None else factor
        low = shrink(single.clamp(0, 1), max(16, round(size / coarser))).clamp(0, 1) ** (1 / 2.2)
        if draw[1] < 0.4:
            low = functional.avg_pool2d(functional.pad(low, (1, 1, 1, 1), mode="replicate"), 3, 1) * draw[
                2
            ] + low * (1 - draw[2])
        if draw[3] < 0.7:
            low = low + 0.025 * draw[4] * torch.randn(low.shape, generator=random).to(low.device)
        if draw[5] < 0.6:
            low = compress(low, 0.005 + 0.08 * draw[6] ** 2)
        photographs.append(enlarge(low, size).clamp(0, 1) ** 2.2)
    return torch.cat(photographs)
