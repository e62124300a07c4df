"""The adversary of DNPM: a residual StyleGAN2 discriminator over displacement maps."""

import math

import torch
from torch import Tensor, nn

from ..layers.blur_resampling import halve_size
from ..layers.equalized_linear import EqualizedLinear
from .displacement_generator import leaky


class EqualizedConvolution(nn.Module):
    """Convolution with equalised learning rate, optional halving, bias and leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int, halve: bool = False, activate: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs)) if activate else None
        self.gain = 1 / math.sqrt(inputs * size * size)
        self.halve = halve

    def forward(self, x: Tensor) -> Tensor:
        if self.halve:
            x = halve_size(x)
        x = nn.functional.conv2d(x, (self.weight * self.gain).to(x.dtype), padding=self.weight.shape[-1] // 2)
        return x if self.bias is None else leaky(x + self.bias[:, None, None].to(x.dtype))


class ResidualBlock(nn.Module):
    """Two convolutions down to half the size, beside a 1 x 1 convolution of the halved input."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.first = EqualizedConvolution(inputs, inputs, 3)
        self.second = EqualizedConvolution(inputs, outputs, 3, halve=True)
        self.shortcut = EqualizedConvolution(inputs, outputs, 1, halve=True, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.second(self.first(x)) + self.shortcut(x)) / math.sqrt(2)


def append_deviation(x: Tensor, group: int = 4) -> Tensor:
    """Adds a channel, the features' mean standard deviation over groups of the batch.

    It shows a collapsed generator.

    Args:
        x: (B, C, H, W).
        group: samples per group; B where B is smaller or not a multiple.

    Returns:
        (B, C + 1, H, W).

    Source: Karras et al. 2018, section 3.
    """
    batch, _, height, width = x.shape
    group = group if batch % group == 0 else batch
    deviation = (
        x.float().reshape(group, -1, *x.shape[1:]).var(0, unbiased=False).add(1e-8).sqrt().mean((1, 2, 3))
    )  # (B / group)
    return torch.cat(
        [x, deviation.to(x.dtype).repeat(group)[:, None, None, None].expand(-1, 1, height, width)], 1
    )


class DisplacementDiscriminator(nn.Module):
    """Maps (B, 1, R, R), in the generator's units, to logits (B,): positive means "simulated truth".

    Args:
        resolution: R, a power of two.
        channel_base, channel_least, channel_most: channels at resolution r are channel_base / r within the
            bounds.

    Source: Karras et al. 2020 (StyleGAN2), Fig. 7 (residual discriminator).
    """

    def __init__(
        self, resolution: int, channel_base: int = 4096, channel_least: int = 8, channel_most: int = 256
    ):
        super().__init__()

        def channels(r: int) -> int:
            return max(channel_least, min(channel_most, channel_base // r))

        self.resolution = resolution
        self.from_map = EqualizedConvolution(1, channels(resolution), 1)
        sizes = [2**k for k in range(int(math.log2(resolution)), 2, -1)]
        self.blocks = nn.ModuleList(ResidualBlock(channels(r), channels(r // 2)) for r in sizes)
        self.last = EqualizedConvolution(channels(4) + 1, channels(4), 3)
        self.hidden = EqualizedLinear(channels(4) * 16, channels(4))
        self.logit = EqualizedLinear(channels(4), 1)

    def forward(self, maps: Tensor) -> Tensor:
        x = self.from_map(maps)
        for block in self.blocks:
            x = block(x)
        x = self.last(append_deviation(x))
        return self.logit(leaky(self.hidden(x.flatten(1).float())))[:, 0]
