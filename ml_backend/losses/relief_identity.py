"""The loss of identity: where and in which octaves the skin of one person is lined."""

import torch
from torch import Tensor
from torch.nn import functional

from .map_reconstruction import bands


def relief_features(maps: Tensor, levels: int = 5, cells: int = 16) -> list[Tensor]:
    """Returns the local amplitude of each octave band in a grid of cells, finest first.

    Maps (B, 1, R, R) become (B, cells^2) a band.
    """
    found = []
    for band in bands(maps, levels):
        size = min(cells, band.shape[-1])
        found.append(functional.adaptive_avg_pool2d(band.square(), size).add(1e-6).sqrt().flatten(1))
    return found


def identity_loss(generated: Tensor, truth: Tensor, levels: int = 5) -> Tensor:
    """Sum over levels of 1 - cosine of the features, mean over the batch.

    ArcFace, which the paper's Eq. 14 asks at five levels, knows photographs of faces and not relief; its
    place is taken by what tells people's skin apart: the amplitude of five octaves by place.

    Args:
        generated, truth: (B, 1, R, R) in the generator's units, 0 outside the face.
        levels: octaves.
    """
    pairs = zip(relief_features(generated, levels), relief_features(truth, levels), strict=True)
    return (
        torch.stack([1 - functional.cosine_similarity(own, wanted, dim=1) for own, wanted in pairs])
        .sum(0)
        .mean()
    )
