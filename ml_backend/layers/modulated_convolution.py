"""Convolution whose kernel is scaled by a style, and by default scaled back to unit output variance."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .equalized_linear import EqualizedLinear


class ModulatedConvolution(nn.Module):
    """A square convolution with kernel s_i W_oi, demodulated to unit norm over inputs i and taps.

    The scales are applied to activations before and after one shared convolution, which equals per-sample
    kernels and is faster where a batch shares memory bandwidth.

    Args:
        inputs: channels in.
        outputs: channels out.
        size: kernel width in texels, odd.
        latent_width: width of w.
        demodulate: whether the output's scale is normalised; not in the layers that emit the map.

    Source: Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN", Eq. 1 and 3.
    """

    def __init__(self, inputs: int, outputs: int, size: int, latent_width: int, demodulate: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.style = EqualizedLinear(latent_width, inputs, bias=1.0)
        self.gain = 1 / math.sqrt(inputs * size * size)
        self.demodulate = demodulate

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """x (B, inputs, H, W), latent (B, latent_width) -> (B, outputs, H, W)."""
        style = self.style(latent)  # (B, I)
        weight = self.weight * self.gain
        if len(x) == 1 and not torch.is_grad_enabled():  # one kernel of its own is cheaper than scaling maps
            weight = weight * style[0, :, None, None]
            if self.demodulate:
                weight = weight * torch.rsqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8)
            return functional.conv2d(x, weight.to(x.dtype), padding=weight.shape[-1] // 2)
        y = functional.conv2d(
            x * style[:, :, None, None].to(x.dtype), weight.to(x.dtype), padding=weight.shape[-1] // 2
        )
        if self.demodulate:
            norm = torch.rsqrt(style.square() @ weight.square().sum((2, 3)).T + 1e-8)  # (B, O)
            y = y * norm[:, :, None, None].to(y.dtype)
        return y
