"""The adversarial stage of DNPM."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...datasets.map_set import MapSet
from ...files.relief_sheet import write_sample_sheet
from ...layers.processes import own_share, process_count
from ...losses.adversarial import discriminator_loss, generator_loss, gradient_penalty, path_length_penalty
from ...models.displacement_discriminator import DisplacementDiscriminator
from ...models.displacement_generator import DisplacementGenerator, LatentPrior
from ..checkpoints import WeightAverage
from ..pair_training import Pair, parameter_groups, reconstruction_loss
from ..steps import Step, TrainingRun
from .adaptive_augmentation import AdaptiveAugmentation
from .fit_prior import PriorInTraining

_PENALTY_STEPS = 16
_PATH_STEPS = 8


class AdversarialStage:
    """The losses of StyleGAN2-ADA, from scratch or from a generator trained on pairs.

    Half of each batch of generated maps comes from the prior (z, with style mixing), half from the encoder,
    where the reconstruction loss holds creases in their places; with `paired = 0` it is the plain method of
    the paper.

    Args:
        pair: the generator is trained; the encoder only gives latents.
        prior: trained; gives the latents of random maps.
        discriminator: trained, its resolution is the maps'.
        maps: real maps.
        settings: batch, paired (weight of the reconstruction loss), its terms, penalty (R1), path (weight),
            mixing (probability), target and span of the augmentation.
        device: where to train.

    Attributes:
        augmentation: of real and generated maps.
        mean_length: running mean of the path length.
        random: numpy's source of randomness.
    """

    def __init__(
        self,
        pair: Pair,
        prior: LatentPrior,
        discriminator: DisplacementDiscriminator,
        maps: MapSet,
        settings: dict,
        device: torch.device,
    ):
        self.pair = pair
        self.prior = prior
        self.discriminator = discriminator
        self.maps = maps
        self.settings = settings
        self.device = device
        self.paired = settings.get("paired", 0.0)
        self.augmentation = AdaptiveAugmentation(settings.get("target", 0.6), settings.get("span", 500_000))
        self.mean_length = torch.zeros((), device=device)
        self.random = np.random.default_rng(3)
        self.mask = torch.from_numpy(maps.mask).to(device)

    def state_dict(self) -> dict[str, Any]:
        """The running figures, as tensors."""
        probability = torch.tensor(self.augmentation.probability, dtype=torch.double)
        return {"augmentation": probability, "mean_length": self.mean_length}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Restores what `state_dict` returned."""
        self.augmentation.probability = float(state_dict["augmentation"])
        self.mean_length = state_dict["mean_length"].to(self.device)

    def generated(self, latents: Tensor) -> Tensor:
        """Maps (B, 1, R, R) of latents in the generator's units, with noise."""
        with torch.autocast(self.device.type, enabled=self.device.type == "cuda", dtype=torch.bfloat16):
            resolution = self.discriminator.resolution
            return self.pair.generator.maps(latents, resolution, noise=True)[resolution]

    def prior_latents(self, count: int) -> Tensor:
        """W+ latents (B, S, W) of the prior, some of two styles."""
        generator = self.pair.generator
        whole = torch.randn(count * process_count(), 2, generator.config.latent_width, device=self.device)
        z, mix = own_share(whole).unbind(1)
        crossed = self.random.random() < self.settings.get("mixing", 0.5)
        crossover = int(self.random.integers(1, generator.config.style_count))
        return self.prior.latents(generator.mean_latent, z, mix=mix if crossed else None, crossover=crossover)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Draws real maps in the generator's units, and latents.

        The latents are of the same faces first, then of the prior.
        """
        rows = own_share(np.sort(self.random.integers(0, len(self.maps), self.settings["batch"])))
        batch = len(rows)
        truth, *given = self.maps.batch(rows, self.device)
        real = truth / self.pair.generator.millimetres * self.mask
        if not self.paired:
            return real, self.prior_latents(batch)
        count = batch // 2
        with torch.no_grad():
            offsets = self.pair.encoder(*(values[:count] for values in given))
        latents = offsets + self.pair.generator.mean_latent
        return real, torch.cat([latents, self.prior_latents(batch - count)])

    def train_discriminator(self, step: Step) -> None:
        """Takes the discriminator's step, every sixteenth time with the R1 penalty."""
        self.discriminator.requires_grad_(True)
        real, latents = self.draw()
        with torch.no_grad():
            fake = self.generated(latents).float() * self.mask
        real_seen = self.augmentation(real)
        penalise = step.number % _PENALTY_STEPS == 0
        if penalise:
            real_seen = real_seen.detach().requires_grad_(True)
        real_logits = self.discriminator(real_seen)
        loss = discriminator_loss(real_logits, self.discriminator(self.augmentation(fake)))
        step.note(discriminator=loss)
        if penalise:
            penalty = gradient_penalty(real_logits, real_seen)
            loss = loss + _PENALTY_STEPS * self.settings["penalty"] * penalty
        step.descend(loss, "discriminator")
        self.augmentation.update(real_logits)
        step.note(augmentation=self.augmentation.probability)

    def train_generator(self, step: Step) -> None:
        """Takes the generator's step, every eighth time a second one for the path length."""
        self.discriminator.requires_grad_(False)
        real, latents = self.draw()
        maps = self.generated(latents)
        loss = generator_loss(self.discriminator(self.augmentation(maps.float() * self.mask)))
        step.note(generator=loss)
        if self.paired:
            count = self.settings["batch"] // 2
            truth = real[:count] * self.pair.generator.millimetres
            held, _ = reconstruction_loss(self.pair.generator, maps[:count], truth, self.mask, self.settings)
            step.note(held=held)
            loss = loss + self.paired * held
        step.descend(loss, "generator")
        weight = self.settings.get("path", 0.0)
        if step.number % _PATH_STEPS == 0 and weight > 0:
            self._shorten_paths(step, weight)

    def _shorten_paths(self, step: Step, weight: float) -> None:
        resolution = self.discriminator.resolution
        latents = self.prior_latents(max(1, self.settings["batch"] // 2)).detach().requires_grad_(True)
        image = self.pair.generator.maps(latents, resolution, noise=True)[resolution]
        penalty, self.mean_length = path_length_penalty(image, latents, self.mean_length)
        step.descend(_PATH_STEPS * weight * penalty, "generator", path=self.mean_length)


def train_adversarially(
    pair: Pair,
    prior: PriorInTraining,
    discriminator: DisplacementDiscriminator,
    maps: MapSet,
    settings: dict,
    run: TrainingRun,
) -> None:
    """Trains the generator and its prior against a discriminator.

    Args:
        pair: generator trained in place; the encoder only gives latents.
        prior: trained in place.
        discriminator: trained in place, its resolution is the maps'.
        maps: real maps.
        settings: those of `AdversarialStage` and `TrainingRun.steps`; average_steps, from_resolution and
            scales as for `parameter_groups`; `prior_scale` (0.1).
        run: log, checkpoint and device.
    """
    groups = parameter_groups(pair, {**settings, "encoder_scale": 0.0})
    scale = settings.get("prior_scale", 0.1)
    groups.append({"params": list(prior.network.parameters()), "scale": scale, "weight_decay": 0.0})
    optimisers: dict[str, torch.optim.Optimizer] = {
        "generator": torch.optim.Adam(groups, betas=(0.0, 0.99)),
        "discriminator": torch.optim.Adam(discriminator.parameters(), betas=(0.0, 0.99)),
    }
    half_life = settings.get("average_steps", 500)
    averages = [
        WeightAverage(pair.generator, pair.generator_average, half_life),
        WeightAverage(prior.network, prior.average, half_life),
    ]
    stage = AdversarialStage(pair, prior.network, discriminator, maps, settings, run.device)
    pair.encoder.eval()
    settings = {"log_steps": 50, **settings}
    for step in run.steps(
        "adversarial", optimisers, averages, settings, kept={"stage": stage}, random=[stage.random]
    ):
        stage.train_discriminator(step)
        stage.train_generator(step)
    pair.keep_average()
    prior.network.load_state_dict(prior.average.state_dict())
    if run.log:
        path = run.folder / "adversarial.png"
        write_prior_sheet(path, pair.generator, prior.network, maps, discriminator.resolution, run.device)


@torch.inference_mode()
def write_prior_sheet(
    path: Path,
    generator: DisplacementGenerator,
    prior: LatentPrior,
    maps: MapSet,
    resolution: int,
    device: torch.device,
) -> None:
    """Writes simulated maps above maps of the prior at truncation 0.7."""
    z = torch.randn(6, generator.config.latent_width, generator=torch.Generator().manual_seed(0)).to(device)
    latents = prior.latents(generator.mean_latent, z, truncation=0.7)
    generated = generator(latents, resolution).cpu().numpy() * maps.mask
    rows = np.linspace(0, len(maps) - 1, 6).astype(int)
    real = maps.batch(rows, torch.device("cpu"))[0][:, 0].numpy() * maps.mask
    write_sample_sheet(path, [real, generated])
