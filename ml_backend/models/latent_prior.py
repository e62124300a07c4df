"""The prior of DNPM: from normal numbers to W+ latents, without a person or a face being given."""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..files.network_file import read_network_file
from .detail_encoder import DetailLayers, EncoderConfig

PRIOR_FILE = "dnpm_prior.safetensors"


@dataclasses.dataclass(frozen=True)
class PriorConfig:
    """Sizes of the prior.

    Attributes:
        encoder: those of its layers and styles, as the detail encoder's.
        rank: numbers that each of the last three layers gives its styles.
    """

    encoder: EncoderConfig
    rank: int = 128

    @property
    def normal_size(self) -> int:
        """Normal numbers that are read: identity, skin, two for each unit of expression."""
        return self.encoder.identity_size + self.encoder.skin_size + 2 * self.encoder.expression_size


class LatentPrior(nn.Module):
    """Mapping network: z ~ N(0, 1) to offsets from the generator's mean latent.

    Its first layer is fixed: numbers of z are identity and skin, further ones, rectified, the units of
    expression. The layers after it have the detail encoder's form, whose latents they learn; the styles of a
    layer share a bottleneck of `rank` numbers.

    Args:
        config: sizes.

    Attributes:
        skin_scale: buffer (16,), standard deviations of the skin vector.
        unit_weights: buffer (52, 104), from normal numbers to the units before rectification.
        unit_offsets: buffer (52,), added to them.

    Raises:
        ValueError: z is too narrow.
    """

    skin_scale: Tensor
    unit_weights: Tensor
    unit_offsets: Tensor

    def __init__(self, config: PriorConfig):
        super().__init__()
        self.config = config
        sizes = config.encoder
        if sizes.latent_width < config.normal_size:
            raise ValueError(
                f"a latent of width {sizes.latent_width} cannot hold {sizes.identity_size} + "
                f"{sizes.skin_size} + {2 * sizes.expression_size} numbers"
            )
        self.layers = DetailLayers(sizes)
        rank, width = min(config.rank, sizes.hidden), sizes.latent_width
        self.bottlenecks = nn.ModuleList(nn.Linear(sizes.hidden, rank, bias=False) for _ in sizes.styles)
        self.heads = nn.ModuleList(nn.Linear(rank, count * width) for count in sizes.styles)
        self.register_buffer("skin_scale", torch.ones(sizes.skin_size))
        self.register_buffer("unit_weights", torch.zeros(sizes.expression_size, 2 * sizes.expression_size))
        self.register_buffer("unit_offsets", torch.zeros(sizes.expression_size))

    def people(self, z: Tensor) -> list[Tensor]:
        """z (B, W) -> identity (B, K), skin (B, 16), expression (B, 52) in 0..1."""
        sizes = self.config.encoder
        identity, skin, rest = z[:, : self.config.normal_size].split(
            [sizes.identity_size, sizes.skin_size, 2 * sizes.expression_size], 1
        )
        expression = (rest @ self.unit_weights.T + self.unit_offsets).clamp(0, 1)
        return [identity, skin * self.skin_scale, expression]

    def forward(self, z: Tensor) -> Tensor:
        """z (B, W) -> offsets from the mean latent (B, S, W)."""
        features = self.layers.features(*self.people(z))
        offsets = [
            head(bottleneck(x)).unflatten(-1, (-1, self.config.encoder.latent_width))
            for x, bottleneck, head in zip(features, self.bottlenecks, self.heads, strict=True)
        ]
        return torch.cat(offsets, 1)

    def latents(
        self,
        mean_latent: Tensor,
        z: Tensor,
        truncation: float = 1.0,
        mix: Tensor | None = None,
        crossover: int = 0,
    ) -> Tensor:
        """W+ latents (B, S, W) of random maps.

        Args:
            mean_latent: (S, W), the generator's.
            z: (B, W) ~ N(0, 1).
            truncation: 1 keeps the latents, 0 gives the mean latent.
            mix: (B, W) a second z whose styles are used from `crossover` on (style mixing).
            crossover: first style of the second z.
        """
        offsets = self(z)
        if mix is not None:
            offsets = torch.cat([offsets[:, :crossover], self(mix)[:, crossover:]], 1)
        return mean_latent + truncation * offsets


def read_prior(path: Path) -> LatentPrior:
    """Reads the prior.

    Raises:
        UserError: the file is missing, broken or of another kind.
    """

    def build(config: dict[str, Any]) -> LatentPrior:
        sizes = {**config["encoder"], "styles": tuple(config["encoder"]["styles"])}
        return LatentPrior(PriorConfig(EncoderConfig(**sizes), config["rank"]))

    return read_network_file(path, build, "prior of latents")
