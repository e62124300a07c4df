"""A fully connected layer with equalised learning rate."""

import math

import torch
from torch import Tensor, nn


class EqualizedLinear(nn.Module):
    """A linear layer y = x (W g)^T + b m, with W ~ N(0, 1) / m and g = m / sqrt(inputs).

    Every weight has the same dynamic range for Adam.

    Args:
        inputs: width of x.
        outputs: width of y.
        bias: starting value of b.
        learning_rate_multiplier: m; 0.01 in the mapping network.

    Source: Karras et al. 2018, "Progressive growing of GANs", section 4.1; Karras et al. 2019, appendix C.
    """

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, learning_rate_multiplier: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / learning_rate_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / learning_rate_multiplier))
        self.gain = learning_rate_multiplier / math.sqrt(inputs)
        self.multiplier = learning_rate_multiplier

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight * self.gain, self.bias * self.multiplier)  # (..., outputs)
