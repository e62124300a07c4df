"""Adaptive discriminator augmentation, with transformations that aligned displacement maps bear."""

import math

import torch
from torch import Tensor
from torch.nn import functional


class AdaptiveAugmentation:
    """Augments real and generated maps alike with probability p.

    It moves p so that the discriminator does not overfit.

    Each transformation is applied to a sample with probability p: mirror; shift, turn and scale by a little
    (maps are aligned, so large motions teach nothing); gain; texel noise; a blank square.

    Args:
        target: wanted mean sign of the discriminator's logits on real maps.
        span: number of real maps over which p may go from 0 to 1.
        start: p at the beginning.

    Source: Karras et al. 2020, "Training generative adversarial networks with limited data", section 3.
    """

    def __init__(self, target: float = 0.6, span: float = 500_000, start: float = 0.0):
        self.target, self.span, self.probability = target, span, start

    def update(self, real_logits: Tensor) -> None:
        """Moves p after the discriminator saw these logits (B,) of real maps."""
        overfit = float(real_logits.detach().sign().mean())
        step = math.copysign(len(real_logits) / self.span, overfit - self.target)
        self.probability = min(max(self.probability + step, 0.0), 0.85)

    def __call__(self, maps: Tensor) -> Tensor:
        """(B, 1, R, R) -> the same shape, differentiable once in the maps."""
        if self.probability <= 0:
            return maps
        batch, size = len(maps), maps.shape[-1]

        def chosen() -> Tensor:
            return (torch.rand(batch, device=maps.device) < self.probability).to(maps.dtype)

        def normal(deviation: float) -> Tensor:
            return torch.randn(batch, device=maps.device, dtype=maps.dtype) * deviation * chosen()

        mirror = 1 - 2 * chosen() * (torch.rand(batch, device=maps.device) < 0.5).to(maps.dtype)
        angle, scale = normal(0.03), torch.exp(normal(0.03))
        cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
        motion = torch.stack(
            [
                torch.stack([cosine * mirror, -sine, normal(0.02)], 1),
                torch.stack([sine * mirror, cosine, normal(0.02)], 1),
            ],
            1,
        )  # (B, 2, 3)
        maps = functional.grid_sample(
            maps,
            functional.affine_grid(motion, list(maps.shape), align_corners=False),
            align_corners=False,
            padding_mode="zeros",
        )
        maps = maps * torch.exp(normal(0.2))[:, None, None, None]
        maps = maps + torch.randn_like(maps) * (normal(0.05).abs())[:, None, None, None]
        corner = torch.rand(batch, 2, device=maps.device)
        at = (torch.arange(size, device=maps.device) + 0.5) / size
        inside = [(at[None] - corner[:, axis, None]).abs() < 0.125 for axis in (0, 1)]
        hole = (inside[0][:, :, None] & inside[1][:, None, :]).to(maps.dtype) * chosen()[:, None, None]
        return maps * (1 - hole[:, None])
