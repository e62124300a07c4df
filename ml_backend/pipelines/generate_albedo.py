"""Makes a map of skin colour for a person: tone, traits and a seed through the albedo model."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ..asset_files import ASSETS
from ..geometry.map_resampling import resample
from ..models.skin.albedo_detail import BLOCK, CELL, AlbedoDetail, load_albedo_detail
from ..models.skin.albedo_model import ALBEDO_FILE, AlbedoModel
from ..models.skin.skin_sliders import SKIN_SLIDERS_FILE, SkinSliders
from ..simulation.pigment.pigment_traits import sample_traits


@dataclass(frozen=True)
class GenerateAlbedoRequest:
    """A person's skin colour.

    Attributes:
        seed: who it is, at least 0: every trait that is not given, and what is the person's own.
        resolution: texels along a side, 256, 512, 1024 or 2048.
        tone: individual typology angle, degrees, 70 (very light) to -60; None: the seed's.
        traits: by name (`SLIDERS`), in the units of `PigmentTraits`; the seed's where it has none.
        detail: False: the coarse map alone.
    """

    seed: int
    resolution: int = 1024
    tone: float | None = None
    traits: Mapping[str, float] = field(default_factory=dict)
    detail: bool = True


def generate_albedo(request: GenerateAlbedoRequest, weights: Path = ASSETS) -> np.ndarray:
    """Makes the map.

    Args:
        request: the person.
        weights: folder of the albedo model, its detail and its sliders.

    Returns:
        (3, R, R) float32 sRGB in 0..1, row 0 at v = 0.

    Raises:
        UserError: weights are missing or broken.
        KeyError: a trait has no slider.
    """
    model = AlbedoModel.read(weights / ALBEDO_FILE)
    sliders = SkinSliders.read(weights / SKIN_SLIDERS_FILE)
    person = dataclasses.asdict(sample_traits(request.seed, tone=request.tone))
    traits = {name: person[name] for name in sliders.names} | dict(request.traits)
    coarse = model.colours(sliders.person(person["tone"], traits, request.seed))
    colours = coarse
    if request.detail:
        network = load_albedo_detail(weights)
        size = max(request.resolution, network.config.resolution)
        enlarged = torch.from_numpy(resample(coarse, size))[None]
        colours = network.detailed(enlarged, random_latent(network, request.seed, size))[0].numpy()
    colours = sliders.with_tone(resample(colours, request.resolution), person["tone"], model)
    return np.clip(colours, 0, 1)


def random_latent(network: AlbedoDetail, seed: int, resolution: int) -> torch.Tensor:
    """Draws a latent of the value whose even part, the weights of the fields, is normal; nothing is local.

    Returns:
        (1, latent, resolution / 16, resolution / 16), the same weights for a seed at every resolution.
    """
    channels = network.config.latent
    drawn = np.random.default_rng([seed, 0xDE7]).standard_normal((1, channels, BLOCK, BLOCK))
    cells = resolution // CELL // BLOCK
    return torch.from_numpy(np.tile(drawn, (1, 1, cells, cells)).astype(np.float32))
