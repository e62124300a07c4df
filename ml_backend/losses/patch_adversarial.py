"""Least-squares adversarial losses over patches at several scales, and feature matching."""

import torch
from torch import Tensor


def judged_real(scales: list[list[Tensor]]) -> Tensor:
    """Returns the distance of patches from being taken for true, a scalar.

    `scales` come from `PatchDiscriminators`.

    Source: Mao et al. 2017, "Least squares generative adversarial networks", Eq. 9.
    """
    return torch.stack([(features[-1] - 1).square().mean() for features in scales]).mean()


def discrimination_loss(true: list[list[Tensor]], made: list[list[Tensor]]) -> Tensor:
    """Returns the discriminators' loss: true patches are to be 1, made ones 0."""
    return (
        0.5 * judged_real(true)
        + 0.5 * torch.stack([features[-1].square().mean() for features in made]).mean()
    )


def feature_matching(made: list[list[Tensor]], true: list[list[Tensor]]) -> Tensor:
    """Mean absolute difference of the discriminators' features, without gradient into those of the truth.

    Source: Wang et al. 2018, pix2pixHD, Eq. 4.
    """
    parts = [
        (own - wanted.detach()).abs().mean()
        for own_scale, true_scale in zip(made, true, strict=True)
        for own, wanted in zip(own_scale[:-1], true_scale[:-1], strict=True)
    ]
    return torch.stack(parts).mean()
