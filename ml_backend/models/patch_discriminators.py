"""The adversary of image to displacement: patches of map and photograph together, at several scales."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers.blur_resampling import halve_size


class PatchDiscriminator(nn.Module):
    """Convolutions that halve; the features of every layer and the patches' logits."""

    def __init__(self, inputs: int, widths: tuple[int, ...]):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(one, after, 4, 2, 1) for one, after in itertools.pairwise((inputs, *widths))
        )
        self.logits = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, x: Tensor) -> list[Tensor]:
        found = []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), 0.2)
            found.append(x)
        return [*found, self.logits(x)]


class PatchDiscriminators(nn.Module):
    """The same network at several scales, each with weights of its own.

    Args:
        condition: channels of what the maps are judged beside.
        scales: how many, each at half the size of the one before.
        widths: channels of each network.

    Source: Wang et al. 2018, pix2pixHD, section 3.2 (multi-scale discriminators).
    """

    def __init__(self, condition: int, scales: int = 2, widths: tuple[int, ...] = (16, 32, 64)):
        super().__init__()
        self.networks = nn.ModuleList(PatchDiscriminator(condition + 1, widths) for _ in range(scales))

    def forward(self, maps: Tensor, condition: Tensor) -> list[list[Tensor]]:
        """Returns, for each scale, finest first, the features of each layer and last the logits.

        Args:
            maps: (B, 1, R, R).
            condition: (B, C, R, R).
        """
        x, found = torch.cat([maps, condition], 1), []
        for network in self.networks:
            found.append(network(x))
            x = halve_size(x)
        return found
