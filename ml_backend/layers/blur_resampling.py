"""Doubles and halves images with StyleGAN2's binomial filter [1, 3, 3, 1] against aliasing."""

import torch
from torch import Tensor
from torch.nn import functional


def double_size(x: Tensor) -> Tensor:
    """Doubles images: (B, C, H, W) -> (B, C, 2H, 2W).

    Zero insertion followed by [1, 3, 3, 1] is bilinear interpolation between texel centres.
    """
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def halve_size(x: Tensor) -> Tensor:
    """Halves images: (B, C, H, W), H and W even -> (B, C, H/2, W/2).

    Low-passed by [1, 3, 3, 1] / 8 along each axis; edges are repeated.
    """
    channels = x.shape[1]
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device) / 8
    kernel = (taps[:, None] * taps).expand(channels, 1, 4, 4)
    return functional.conv2d(
        functional.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, stride=2, groups=channels
    )


def resize_by_halving(x: Tensor, resolution: int) -> Tensor:
    """(B, C, R, R) -> (B, C, resolution, resolution), R a power of two times resolution."""
    while x.shape[-1] > resolution:
        x = halve_size(x)
    return x


def resize_by_doubling(x: Tensor, resolution: int) -> Tensor:
    """(B, C, R, R) -> (B, C, resolution, resolution), resolution a power of two times R."""
    while x.shape[-1] < resolution:
        x = double_size(x)
    return x
