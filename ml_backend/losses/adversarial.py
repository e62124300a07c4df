"""The losses of StyleGAN2: non-saturating logistic, gradient penalty on real maps, path length."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def generator_loss(fake_logits: Tensor) -> Tensor:
    """-log sigmoid(D(G(w))), mean over the batch."""
    return functional.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-log sigmoid(D(x)) - log(1 - sigmoid(D(G(w)))), mean over the batch."""
    return functional.softplus(-real_logits).mean() + functional.softplus(fake_logits).mean()


def gradient_penalty(real_logits: Tensor, real_maps: Tensor) -> Tensor:
    """R1: half the squared norm of dD/dx at real maps, mean over the batch.

    Args:
        real_logits: (B,).
        real_maps: (B, 1, R, R) that require gradients.

    Source: Mescheder et al. 2018, "Which training methods for GANs do actually converge?", Eq. 9.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real_maps, create_graph=True)
    return 0.5 * gradient.square().sum((1, 2, 3)).mean()


def path_length_penalty(
    maps: Tensor, latents: Tensor, mean_length: Tensor, decay: float = 0.01
) -> tuple[Tensor, Tensor]:
    """Asks that a step in W changes the map by the same amount everywhere.

    Args:
        maps: (B, 1, R, R), computed from the latents.
        latents: (B, S, W) that require gradients.
        mean_length: scalar, the running mean of the length.
        decay: how fast the running mean follows.

    Returns:
        The penalty, and the new running mean (detached).

    Source: Karras et al. 2020 (StyleGAN2), Eq. 4.
    """
    noise = torch.randn_like(maps) / math.sqrt(maps.shape[2] * maps.shape[3])
    (gradient,) = torch.autograd.grad((maps * noise).sum(), latents, create_graph=True)
    lengths = gradient.square().sum(2).mean(1).sqrt()  # (B,)
    mean_length = mean_length + decay * (lengths.detach().mean() - mean_length)
    return (lengths - mean_length).square().mean(), mean_length
