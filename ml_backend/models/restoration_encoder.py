"""Restores a degraded displacement map: E_deg into DNPM's W+, the input's own band, a refinement above.

E_deg is Eq. 11 of the paper. A generated map alone would throw away what a coarse map does know; here the
input keeps its own pass band and the generator supplies what lies above it: map = up(input) + G(w) -
up(down(G(w))). A small convolutional network then corrects the new band from both: the generator knows where
pores are and how deep, the input's slopes say where a crease's floor is.
"""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..asset_files import ASSETS
from ..errors import UserError
from ..files.network_file import read_network_file
from ..layers.band_limits import above, enlarge, shrink
from .displacement_generator import DisplacementGenerator

RESTORATION_FILE = "restoration.safetensors"


@dataclasses.dataclass(frozen=True)
class RestorationConfig:
    """Sizes of both networks.

    Attributes:
        resolution: texels along a side at which degraded maps are read.
        finest: of the restored map.
        widths: channels of the encoder's halvings.
        linear_resolution, linear_texels: the encoder's linear part reads so many texels of a map of this
            size.
        codes: width of the bottleneck from which W+ is a linear map; it starts as principal components of the
            detail encoder's latents.
        style_count, latent_width: of the generator.
        refiner_width, refiner_layers: channels and 3 x 3 convolutions of the refinement, at `resolution`.
    """

    resolution: int = 256
    finest: int = 1024
    widths: tuple[int, ...] = (16, 32, 48, 64, 48)
    linear_resolution: int = 128
    linear_texels: int = 6000
    codes: int = 128
    style_count: int = 18
    latent_width: int = 512
    refiner_width: int = 32
    refiner_layers: int = 6


class RestorationEncoder(nn.Module):
    """E_deg: a linear part and halving convolutions, side by side, into a bottleneck; from there W+ offsets.

    DNPM's positional constants make its map nearly linear in W+, and faces are aligned in texture space: the
    way back is nearly linear too. The convolutions see what that misses - degradation, holes - and keep
    places apart instead of averaging them.

    Source: Cao et al. 2024, "DNPM", Eq. 11; Richardson et al. 2021, "Encoding in Style" (pSp), whose role it
    has.
    """

    unit: Tensor
    code_scale: Tensor
    texels: Tensor

    def __init__(self, config: RestorationConfig):
        super().__init__()
        self.config = config
        ends = itertools.pairwise((2, *config.widths))
        self.halvings = nn.ModuleList(
            nn.Conv2d(one, after, 5 if one == 2 else 3, 2, 2 if one == 2 else 1) for one, after in ends
        )
        side = config.resolution // 2 ** len(config.widths)
        if side < 1:
            raise ValueError("more halvings than the resolution bears")
        self.code = nn.Linear(config.widths[-1] * side * side, config.codes)
        nn.init.zeros_(self.code.weight)
        nn.init.zeros_(self.code.bias)
        self.linear = nn.Linear(config.linear_texels, config.codes)
        texels = torch.zeros(config.linear_resolution**2)
        texels[: config.linear_texels] = 1
        self.register_buffer("texels", texels.view(config.linear_resolution, config.linear_resolution))
        self.to_latents = nn.Linear(config.codes, config.style_count * config.latent_width)
        self.register_buffer("unit", torch.ones(()))
        self.register_buffer("code_scale", torch.ones(config.codes))

    def codes(self, degraded: Tensor, seen: Tensor) -> Tensor:
        """(B, codes) of unit deviation; arguments as `forward`."""
        x = torch.cat([degraded / self.unit * seen, seen], 1)
        straight = self.linear(self.read_texels(x[:, :1]))
        for layer in self.halvings:
            x = functional.leaky_relu(layer(x), 0.2)
        return straight + self.code(x.flatten(1))

    def read_texels(self, maps: Tensor) -> Tensor:
        """Returns the texels that the linear part reads of maps (B, 1, r, r): (B, linear_texels)."""
        return shrink(maps, self.config.linear_resolution).flatten(1)[:, self.texels.flatten() > 0.5]

    def forward(self, degraded: Tensor, seen: Tensor) -> Tensor:
        """W+ offsets from the mean latent.

        Args:
            degraded: (B, 1, r, r) millimetres.
            seen: (B, 1, r, r) 0..1, where the map is known.

        Returns:
            (B, 18, 512).
        """
        offsets = self.to_latents(self.codes(degraded, seen) * self.code_scale)
        return offsets.unflatten(1, (self.config.style_count, self.config.latent_width))


class BandRefiner(nn.Module):
    """The refinement above the input's pass band; starts at zero.

    It reads the input and the generator's own fine band.
    """

    def __init__(self, config: RestorationConfig):
        super().__init__()
        self.step = config.finest // config.resolution
        sub, width = self.step**2, config.refiner_width
        self.first = nn.Conv2d(sub + 3, width, 3, padding=1)
        self.hidden = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1) for _ in range(config.refiner_layers - 2)
        )
        self.last = nn.Conv2d(width, sub, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(torch.as_tensor(self.last.bias))

    def forward(self, known: Tensor, generated: Tensor, fine: Tensor, coarse: Tensor) -> Tensor:
        """All maps in units of the encoder.

        Args:
            known: (B, 1, r, r) the input, brought to the network's grid.
            generated: (B, 1, r, r) the generator's map there.
            fine: (B, 1, R, R) the generator's map above the input's pass band.
            coarse: (B,) octaves by which the input is coarser than the network's grid.

        Returns:
            (B, 1, R, R).
        """
        flag = coarse.view(-1, 1, 1, 1).expand_as(known)
        x = functional.leaky_relu(
            self.first(
                torch.cat(
                    [known, known - generated, flag, 4 * functional.pixel_unshuffle(fine, self.step)], 1
                )
            ),
            0.2,
        )
        for layer in self.hidden:
            x = x + functional.leaky_relu(layer(x), 0.2)
        return functional.pixel_shuffle(self.last(x), self.step)


class RestorationNetwork(nn.Module):
    """E_deg and the refinement, as they are stored."""

    def __init__(self, config: RestorationConfig):
        super().__init__()
        self.config = config
        self.encoder = RestorationEncoder(config)
        self.refiner = BandRefiner(config)


def restoration_config(table: dict[str, Any]) -> RestorationConfig:
    """A configuration from JSON or TOML, where tuples are lists."""
    return RestorationConfig(**{**table, "widths": tuple(table.get("widths", RestorationConfig.widths))})


class Restoration:
    """A degraded map in, a clean one and its latent out.

    Args:
        network: E_deg and the refinement.
        generator: DNPM.
    """

    def __init__(self, network: RestorationNetwork, generator: DisplacementGenerator):
        config = network.config
        made = (generator.config.style_count, generator.config.latent_width, generator.config.resolution)
        if made != (config.style_count, config.latent_width, config.finest):
            raise UserError(
                "The restoration and the generator do not fit each other.",
                "Train the restoration for this generator.",
            )
        self.network, self.generator = network.eval(), generator.eval()

    @classmethod
    def load(cls, generator: DisplacementGenerator, folder: str | Path = ASSETS) -> "Restoration":
        """Reads the networks that the repository carries, or those of a folder.

        Raises:
            UserError: the file is missing, broken, or made for another generator.
        """
        path = Path(folder) / RESTORATION_FILE
        network = read_network_file(
            path, lambda config: RestorationNetwork(restoration_config(config)), "restoration network"
        )
        return cls(network.to(generator.mean_latent.device), generator)

    @torch.inference_mode()
    def latents(self, degraded: Tensor, seen: Tensor | None = None) -> Tensor:
        """Returns W+ (B, 18, 512) of degraded maps (B, r, r), millimetres, any r.

        `seen` (B, r, r) 0..1 is the confidence in each texel.
        """
        size = self.network.config.resolution
        fitted = _resample(degraded[:, None], size)
        known = torch.ones_like(fitted) if seen is None else _resample(seen[:, None], size).clamp(0, 1)
        return self.network.encoder(fitted, known) + self.generator.mean_latent

    @torch.inference_mode()
    def generated(self, degraded: Tensor) -> Tensor:
        """Eq. 11 alone: G(E_deg(degraded) + mean latent), (B, R, R) millimetres."""
        return self.generator(self.latents(degraded), self.network.config.finest)

    @torch.inference_mode()
    def restore(self, degraded: Tensor) -> tuple[Tensor, Tensor]:
        """Clean maps that agree with maps which are coarse, but right where they speak.

        Args:
            degraded: (B, r, r) millimetres, r at most a quarter of the restored resolution.

        Returns:
            (B, R, R) millimetres and W+ (B, 18, 512).

        Raises:
            ValueError: r is finer than the networks take.
        """
        config = self.network.config
        if degraded.shape[-1] > config.resolution:
            raise ValueError(f"a degraded map of {degraded.shape[-1]} texels: at most {config.resolution}")
        latents = self.latents(degraded)
        generated = self.generator(latents, config.finest)[:, None]
        restored = refined(self.network, degraded[:, None], generated)
        low = degraded.shape[-1]
        restored = restored + enlarge(degraded[:, None] - shrink(restored, low), config.finest)
        return restored[:, 0], latents

    @torch.inference_mode()
    def blend(self, estimate: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
        """Returns clean maps from maps that may be wrong.

        They are the generator's, moved towards the estimate where that is trusted.

        Args:
            estimate: (B, r, r) millimetres, noisy and blurred.
            trust: (B, r, r) 0..1; 0 leaves the generator's map, which continues the face where nothing was
                seen.

        Returns:
            (B, R, R) millimetres and W+ (B, 18, 512).
        """
        config = self.network.config
        latents = self.latents(estimate, trust)
        generated = self.generator(latents, config.finest)[:, None]
        low = min(estimate.shape[-1], config.finest)
        difference = (estimate[:, None] - shrink(generated, low)) * trust[:, None]
        return (generated + enlarge(difference, config.finest))[:, 0], latents


def refined(network: RestorationNetwork, degraded: Tensor, generated: Tensor) -> Tensor:
    """up(input) + the generator's map above the input's band + the refinement; differentiable.

    Args:
        network: both networks.
        degraded: (B, 1, r, r) millimetres.
        generated: (B, 1, R, R) millimetres.

    Returns:
        (B, 1, R, R) millimetres; crops go as well as whole maps.
    """
    unit, step = network.encoder.unit, network.refiner.step
    finest, low = generated.shape[-1], degraded.shape[-1]
    grid = finest // step
    fine = above(generated, low)
    coarse = torch.full((len(degraded),), grid / low, device=degraded.device).log2()
    addition = network.refiner(
        enlarge(degraded, grid) / unit, shrink(generated, grid) / unit, fine / unit, coarse
    )
    return enlarge(degraded, finest) + fine + addition * unit


def _resample(maps: Tensor, size: int) -> Tensor:
    return shrink(maps, size) if maps.shape[-1] > size else enlarge(maps, size)
