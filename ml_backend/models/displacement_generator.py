"""DNPM: a StyleGAN2 generator of displacement maps, with positional constants at every resolution.

Face maps are aligned: a crease sits where the muscle puts it. StyleGAN2 knows position only through its
learned 4 x 4 constant; here blocks may own further learned constants at their full resolution. They are a
basis of the block's share of the map whose weights vary smoothly over the face: a coefficient from the
block's style plus a field from the coarse layers' features. The block's second convolution sees some of them.
With no positional constants the network is plain StyleGAN2.
"""

import dataclasses
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers.blur_resampling import double_size
from ..layers.equalized_linear import EqualizedLinear
from ..layers.modulated_convolution import ModulatedConvolution
from ..layers.windowed_basis import WindowedBasis, spread_to_corners
from .detail_encoder import DetailLayers, EncoderConfig


@dataclasses.dataclass(frozen=True)
class GeneratorConfig:
    """Sizes of the generator.

    Attributes:
        resolution: texels along a side of the finest map, a power of two.
        latent_width: width of a style.
        channel_base: a block of resolution R has channel_base / R channels,
        channel_least: but at least these
        channel_most: and at most these,
        channel_table: unless given here by resolution.
        constants: positional constants by resolution, e.g. {256: 96}.
        constants_seen: how many of them the block's second convolution reads.
        field_resolution: resolution of the block whose features make the weight fields, and of their grid.
    """

    resolution: int = 1024
    latent_width: int = 512
    channel_base: int = 4096
    channel_least: int = 4
    channel_most: int = 256
    channel_table: dict[int, int] = dataclasses.field(default_factory=dict)
    constants: dict[int, int] = dataclasses.field(default_factory=dict)
    constants_seen: int = 8
    field_resolution: int = 32

    @property
    def resolutions(self) -> list[int]:
        """4, 8, ... resolution."""
        return [2**k for k in range(2, int(math.log2(self.resolution)) + 1)]

    @property
    def style_count(self) -> int:
        """W+ inputs: 18 at 1024."""
        return 2 * len(self.resolutions)

    def channels(self, resolution: int) -> int:
        """Feature channels of the block of this resolution."""
        usual = max(self.channel_least, min(self.channel_most, self.channel_base // resolution))
        return self.channel_table.get(resolution, usual)


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2 that keeps the variance of a normal input."""
    return functional.leaky_relu(x, 0.2) * math.sqrt(2)


class StyledLayer(nn.Module):
    """Modulated 3 x 3 convolution, optional doubling, noise, bias, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, latent_width: int, up: bool = False):
        super().__init__()
        self.convolution = ModulatedConvolution(inputs, outputs, 3, latent_width)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.up = up

    def forward(self, x: Tensor, latent: Tensor, noise: bool) -> Tensor:
        x = self.convolution(x, latent)
        if self.up:
            x = double_size(x)
        if noise:
            x = x + self.noise_strength * torch.randn(
                x.shape[0], 1, *x.shape[2:], device=x.device, dtype=x.dtype
            )
        return leaky(x + self.bias[:, None, None])


class SynthesisBlock(nn.Module):
    """One resolution: features up, features refined, this resolution's share of the map."""

    def __init__(self, config: GeneratorConfig, resolution: int):
        super().__init__()
        width, channels = config.latent_width, config.channels(resolution)
        count = config.constants.get(resolution, 0)
        self.resolution, self.count = resolution, count
        self.seen = min(config.constants_seen, count)
        if resolution == 4:
            self.constant = nn.Parameter(torch.randn(1, channels, 4, 4))
        else:
            self.up = StyledLayer(config.channels(resolution // 2), channels, width, up=True)
        self.refine = StyledLayer(channels + self.seen, channels, width)
        self.to_map = ModulatedConvolution(channels, 1, 1, width, demodulate=False)
        self.map_bias = nn.Parameter(torch.zeros(()))
        if count:
            self.basis = WindowedBasis(count, resolution, config.field_resolution)
            self.coefficient = EqualizedLinear(width, count)
            self.field = ModulatedConvolution(
                config.channels(config.field_resolution), count, 1, width, demodulate=False
            )
            nn.init.zeros_(self.field.weight)

    def forward(
        self, x: Tensor | None, coarse: Tensor | None, latents: Tensor, noise: bool
    ) -> tuple[Tensor, Tensor]:
        """Args:
            x: (B, C', R/2, R/2) features of the block below, none at 4 x 4.
            coarse: (B, C, G, G) features that make the weight fields, none below that block.
            latents: (B, 3, W): styles of the up layer, the refining layer and the map layer.
            noise: whether the noise inputs are on.

        Returns:
            (B, C, R, R) features and (B, 1, R, R) share of the map.
        """
        y = (
            self.constant.expand(latents.shape[0], -1, -1, -1)
            if x is None
            else self.up(x, latents[:, 0], noise)
        )
        share = self.map_bias
        if self.count and coarse is not None:
            weights = self.field(coarse, latents[:, 2]) + self.coefficient(latents[:, 2])[
                :, :, None, None
            ].to(coarse.dtype)
            share = share + self.basis(spread_to_corners(weights))[:, None]
            y = torch.cat([y, self.basis.images(self.seen).to(y.dtype).expand(len(y), -1, -1, -1)], 1)
        y = self.refine(y, latents[:, 1], noise)
        return y, share + self.to_map(y, latents[:, 2])


class DisplacementGenerator(nn.Module):
    """Synthesis blocks from 4 x 4 up, and the mean latent; `LatentPrior` is its mapping network.

    Maps inside are in units of `millimetres` (a buffer): the network's output times it is the displacement.

    Source: Karras et al. 2020 (StyleGAN2), Fig. 7 (skip generator); Cao et al. 2024, "DNPM", Eq. 1.
    """

    mean_latent: Tensor
    millimetres: Tensor

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        if any(resolution <= config.field_resolution for resolution in config.constants):
            raise ValueError("positional constants must be finer than the weight fields")
        self.config = config
        self.blocks = nn.ModuleList(SynthesisBlock(config, resolution) for resolution in config.resolutions)
        self.register_buffer("mean_latent", torch.zeros(config.style_count, config.latent_width))
        self.register_buffer("millimetres", torch.ones(()))

    @property
    def synthesis_blocks(self) -> list[SynthesisBlock]:
        """The blocks, coarsest first."""
        return [block for block in self.blocks if isinstance(block, SynthesisBlock)]

    def maps(self, latents: Tensor, resolution: int | None = None, noise: bool = False) -> dict[int, Tensor]:
        """The skip sum after every block.

        Args:
            latents: (B, S, W) W+.
            resolution: the finest wanted, default the generator's.
            noise: whether random noise enters.

        Returns:
            Maps by resolution R, (B, 1, R, R), in units of `millimetres`.
        """
        x, coarse, total, found = None, None, None, {}
        for index, block in enumerate(self.synthesis_blocks):
            if resolution is not None and block.resolution > resolution:
                break
            own = latents[:, [max(0, 2 * index - 1), 2 * index, 2 * index + 1]]
            x, share = block(x, coarse, own, noise)
            if block.resolution == self.config.field_resolution:
                coarse = x
            total = share if total is None else double_size(total) + share
            found[block.resolution] = total
        return found

    def forward(self, latents: Tensor, resolution: int | None = None, noise: bool = False) -> Tensor:
        """W+ latents (B, S, W) -> displacement (B, R, R), millimetres."""
        resolution = resolution or self.config.resolution
        return self.maps(latents, resolution, noise)[resolution][:, 0].float() * self.millimetres


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
