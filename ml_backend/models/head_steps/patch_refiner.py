"""Betters the codes of a face's geometry by small pieces of the picture where those codes put the face.

A detector of landmarks draws faces towards the usual one, so that its points say little of a person's form.
Pieces of the picture at places of the face show how far each place is from where it should be: filters of
its own for each place give features and that offset, which training knows, then a network gives all codes.
Two such steps follow each other, the second with finer pieces.

Source: Xiong and De la Torre 2013, "Supervised descent method and its applications to face alignment": a
cascade of learned steps, each on features at the places that the step before it found. Ours gives the codes
of a face model in place of landmarks.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

OFFSET = 0.03
"""Of half the crop's side: how far places usually are from where they should be."""
KEPT = 4
_LEAST_CONTRAST = 0.05
_GAIN = 3.0


class PatchRefiner(nn.Module):
    """One step.

    Args:
        places: P; codes: numbers that are bettered.
        spacing: of a piece's samples, shares of half the crop's side.
        samples: along a side of a piece.
        features: of each piece, the first `KEPT` of which go on.
        width: of the network.
        dropout: in it, and of places, as if something were before them.
    """

    grid: Tensor

    def __init__(
        self,
        places: int,
        codes: int,
        spacing: float,
        samples: int,
        features: int,
        width: int,
        dropout: float,
    ):
        super().__init__()
        steps = (torch.arange(samples) - (samples - 1) / 2) * spacing
        grid = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), 2).view(1, 1, -1, 2)
        self.register_buffer("grid", grid, persistent=False)
        values = 3 * samples**2
        self.filters = nn.Parameter(torch.randn(places, values, features) / values**0.5)
        self.levels = nn.Parameter(torch.zeros(places, features))
        self.to_offsets = nn.Parameter(torch.randn(places, features, 2) * (0.1 / features) ** 0.5)
        self.first = nn.Linear(places * (KEPT + 2) + codes, width)
        self.dropout = dropout
        self.block = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
        )
        self.last = nn.Linear(width, codes)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, codes: Tensor, places: Tensor, crop: Tensor) -> tuple[Tensor, Tensor]:
        """Betters codes.

        Args:
            codes: (B, C) in deviations.
            places: (B, P, 2) in the crop, -1 to 1.
            crop: (B, 3, S, S) sRGB in 0..1.

        Returns:
            Codes (B, C), and how far each place is believed to be from where it should be, (B, P, 2) in
            `OFFSET` of half the crop's side.
        """
        pieces = functional.grid_sample(
            crop, places[:, :, None] + self.grid, align_corners=False, padding_mode="border"
        )  # (B, 3, P, N)
        pieces = pieces.permute(0, 2, 3, 1).flatten(2)
        contrast = crop[:, :, ::8, ::8].flatten(1).std(1)[:, None, None] + _LEAST_CONTRAST
        pieces = (pieces - pieces.mean(2, keepdim=True)) * (_GAIN / contrast)
        seen = functional.gelu(torch.einsum("bpn,pnf->bpf", pieces, self.filters) + self.levels)
        offsets = torch.einsum("bpf,pfc->bpc", seen, self.to_offsets)
        known = torch.cat([offsets, seen[:, :, :KEPT]], 2)
        if self.training:
            known = known * (torch.rand(known.shape[:2])[..., None] >= self.dropout)
        hidden = functional.gelu(self.first(torch.cat([known.flatten(1), codes], 1)))
        return codes + self.last(hidden + self.block(hidden)), offsets
