"""Encoders from vertices of the coarse face into W+, of the paper's Table I: baselines, never shipped."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class VertexEncoder(nn.Module):
    """The detail encoder's shape with sampled vertices of V_p in place of coefficients.

    The skin vector enters beside them.

    Args:
        vertices: how many vertices it reads.
        skin_size: width of the skin vector.
        hidden: width of the five fully connected layers.
        latent_width: width of one style.
        styles: styles read from the 3rd, 4th and 5th layer.

    Source: Cao et al. 2024, "DNPM", section IV-D, E_1700 and E_5000.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, vertices: int, skin_size: int, hidden: int, latent_width: int, styles: tuple[int, ...]
    ):
        super().__init__()
        self.latent_width = latent_width
        self.first = nn.Linear(3 * vertices + skin_size, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.deep = nn.ModuleList(nn.Linear(hidden, hidden) for _ in styles)
        self.heads = nn.ModuleList(nn.Linear(hidden, count * latent_width) for count in styles)
        self.register_buffer("mean", torch.zeros(3 * vertices))
        self.register_buffer("deviation", torch.ones(()))

    def forward(self, vertices: Tensor, skin: Tensor) -> Tensor:
        """Vertices (B, 3 V) metres and skin (B, 16) -> offsets from the mean latent (B, S, W)."""
        x = functional.relu(self.first(torch.cat([(vertices - self.mean) / self.deviation, skin], 1)))
        x = functional.relu(self.second(x))
        found = []
        for layer, head in zip(self.deep, self.heads, strict=True):
            x = functional.relu(layer(x))
            found.append(head(x).unflatten(-1, (-1, self.latent_width)))
        return torch.cat(found, 1)
