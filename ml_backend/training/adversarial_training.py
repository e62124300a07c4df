"""The prior over W+ and the adversarial stage of DNPM."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..datasets.map_set import MapSet
from ..datasets.sampled_expressions import LATENT_SIZE, expressions_from_normal
from ..files.relief_sheet import write_sample_sheet
from ..losses.adversarial import discriminator_loss, generator_loss, gradient_penalty, path_length_penalty
from ..models.displacement_discriminator import DisplacementDiscriminator
from ..models.displacement_generator import DisplacementGenerator
from .adaptive_augmentation import AdaptiveAugmentation
from .checkpoints import WeightAverage
from .pair_training import Pair, parameter_groups, reconstruction_loss
from .training_run import RunLog, Schedule, set_rate


def conditions_from_normal(z: Tensor, identity_size: int, skin_size: int) -> list[Tensor]:
    """Identity, skin and expression as functions of z (B, W) ~ N(0, 1): the first coefficients of z, and rectified ones."""
    identity = z[:, :identity_size]
    skin = z[:, identity_size : identity_size + skin_size].clone()
    skin[:, :3] *= 0.5
    rest = z[:, identity_size + skin_size :][:, :LATENT_SIZE]
    if rest.shape[1] < LATENT_SIZE:
        raise ValueError(
            f"a latent of width {z.shape[1]} cannot hold {identity_size} + {skin_size} + {LATENT_SIZE} numbers"
        )
    return [identity, skin, torch.from_numpy(expressions_from_normal(rest.cpu().numpy())).to(z.device)]


def fit_prior(pair: Pair, settings: dict, log: RunLog, device: torch.device) -> None:
    """Starts the mapping network so that z ~ N(0, 1) gives the latents that the encoder gives to random people.

    Args:
        pair: the generator's mapping network is trained in place.
        settings: steps, minutes, batch, rate.
        log: receives the squared error relative to the latents' variance.
        device: where to train.
    """
    mapping, config = pair.generator.mapping, pair.encoder.config
    mapping.requires_grad_(True)
    scaled = [
        {
            "params": mapping.layers.parameters(),
            "scale": 100.0,
        },  # weights of learning rate multiplier 0.01 are 100 times larger
        {"params": [mapping.spread_in, mapping.spread_out, mapping.spread_bias], "scale": 1.0},
    ]
    optimiser = torch.optim.Adam(scaled, betas=(0.9, 0.99))
    schedule = Schedule(settings["steps"], settings.get("minutes", 0.0))
    pair.encoder.eval()
    with torch.no_grad():
        usual = mapping(torch.randn(1024, config.latent_width, device=device)).mean(0)
        mapping.spread_bias += pair.generator.mean_latent - usual
    while schedule.progress < 1:
        set_rate(optimiser, schedule.rate(settings["rate"]))
        z = torch.randn(settings["batch"], config.latent_width, device=device)
        with torch.no_grad():
            offsets = pair.encoder(*conditions_from_normal(z, config.identity_size, config.skin_size))
        wanted = offsets + pair.generator.mean_latent
        loss = (mapping(z) - wanted).square().mean() / offsets.var(0).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.done += 1
        if schedule.done % 200 == 0 or schedule.progress >= 1:
            log.write(
                "prior", step=schedule.done, missed=float(loss.detach()), minutes_left=schedule.minutes_left
            )
    pair.restart_average()


def train_adversarially(
    pair: Pair,
    discriminator: DisplacementDiscriminator,
    maps: MapSet,
    settings: dict,
    log: RunLog,
    device: torch.device,
    save: Callable[[dict[str, torch.optim.Optimizer], Schedule], None],
    resume: Callable[[dict[str, torch.optim.Optimizer], Schedule], None],
) -> None:
    """StyleGAN2-ADA training of the generator, from scratch or from one trained on pairs.

    Half of each batch of generated maps comes from the prior (z, with style mixing), half from the encoder,
    where the
    reconstruction loss holds creases in their places; with `paired = 0` it is the plain method of the paper.

    Args:
        pair: generator trained in place; the encoder only gives latents.
        discriminator: trained in place, its resolution is the maps'.
        maps: real maps.
        settings: steps, minutes, batch, rate, paired (weight of the reconstruction loss), its terms, penalty
            (R1), path (weight),
            mixing (probability), target and span of the augmentation, from_resolution and scales as for
            `parameter_groups`.
        log: receives losses and sheets.
        device: where to train.
        save: writes a checkpoint, called with the optimisers and the schedule.
        resume: restores optimisers and schedule if this stage was interrupted.
    """
    resolution, batch, paired = discriminator.resolution, settings["batch"], settings.get("paired", 0.0)
    groups = parameter_groups(pair, {**settings, "encoder_scale": 0.0})
    pair.generator.mapping.requires_grad_(True)
    groups.append({"params": list(pair.generator.mapping.parameters()), "scale": 1.0, "weight_decay": 0.0})
    optimisers: dict[str, torch.optim.Optimizer] = {
        "generator": torch.optim.Adam(groups, betas=(0.0, 0.99)),
        "discriminator": torch.optim.Adam(discriminator.parameters(), betas=(0.0, 0.99)),
    }
    schedule = Schedule(settings["steps"], settings.get("minutes", 0.0))
    resume(optimisers, schedule)
    average = WeightAverage(pair.generator, pair.generator_average, settings.get("average_steps", 500))
    augmentation = AdaptiveAugmentation(settings.get("target", 0.6), settings.get("span", 500_000))
    random, mask = np.random.default_rng(3 + schedule.done), torch.from_numpy(maps.mask).to(device)
    mean_length = torch.zeros((), device=device)
    pair.encoder.eval()
    half = torch.autocast(device.type, enabled=device.type == "cuda", dtype=torch.bfloat16)

    def prior_latents(count: int) -> Tensor:
        z, mix = torch.randn(2, count, pair.generator.config.latent_width, device=device)
        crossed = random.random() < settings.get("mixing", 0.5)
        crossover = int(random.integers(1, pair.generator.config.style_count))
        return pair.generator.sample_latents(z, mix=mix if crossed else None, crossover=crossover)

    def draw() -> tuple[Tensor, Tensor]:
        """Real maps in the generator's units, and W+ latents: of the same people and faces first, then of the prior."""
        truth, *given = maps.batch(np.sort(random.integers(0, len(maps), batch)), device)
        count = batch // 2 if paired else 0
        with torch.no_grad():
            own = (
                pair.encoder(*(values[:count] for values in given)) + pair.generator.mean_latent
                if count
                else None
            )
        prior = prior_latents(batch - count)
        return truth / pair.generator.millimetres * mask, prior if own is None else torch.cat([own, prior])

    while schedule.progress < 1:
        rate = schedule.rate(settings["rate"])
        for optimiser in optimisers.values():
            set_rate(optimiser, rate)
        figures: dict[str, float] = {}

        discriminator.requires_grad_(True)
        real, latents = draw()
        with torch.no_grad(), half:
            fake = pair.generator.maps(latents, resolution, noise=True)[resolution].float() * mask
        real_seen = augmentation(real)
        penalise = schedule.done % 16 == 0
        if penalise:
            real_seen = real_seen.detach().requires_grad_(True)
        real_logits = discriminator(real_seen)
        loss = discriminator_loss(real_logits, discriminator(augmentation(fake)))
        figures["discriminator"] = float(loss.detach())
        if penalise:
            loss = loss + 16 * settings["penalty"] * gradient_penalty(real_logits, real_seen)
        _step(optimisers["discriminator"], loss)
        augmentation.update(real_logits)

        discriminator.requires_grad_(False)
        real, latents = draw()
        with half:
            found = pair.generator.maps(latents, resolution, noise=True)
        loss = generator_loss(discriminator(augmentation(found[resolution].float() * mask)))
        figures["generator"] = float(loss.detach())
        if paired:
            held, _ = reconstruction_loss(
                pair.generator,
                found[resolution][: batch // 2],
                real[: batch // 2] * pair.generator.millimetres,
                mask,
                settings,
            )
            figures["held"] = float(held.detach())
            loss = loss + paired * held
        _step(optimisers["generator"], loss)
        if schedule.done % 8 == 0 and settings.get("path", 0.0) > 0:
            latents = prior_latents(max(1, batch // 2)).detach().requires_grad_(True)
            image = pair.generator.maps(latents, resolution, noise=True)[resolution]
            penalty, mean_length = path_length_penalty(image, latents, mean_length)
            _step(optimisers["generator"], 8 * settings["path"] * penalty)
            figures["path"] = float(mean_length)
        average.update()
        schedule.done += 1
        if schedule.done % settings.get("log_steps", 50) == 0 or schedule.progress >= 1:
            log.write(
                "adversarial",
                step=schedule.done,
                augmentation=augmentation.probability,
                minutes_left=schedule.minutes_left,
                **figures,
            )
            save(optimisers, schedule)
    pair.keep_average()
    write_prior_sheet(log, pair.generator, maps, resolution, device)


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


@torch.inference_mode()
def write_prior_sheet(
    log: RunLog, generator: DisplacementGenerator, maps: MapSet, resolution: int, device: torch.device
) -> None:
    """Simulated maps above maps of the prior at truncation 0.7."""
    z = torch.randn(6, generator.config.latent_width, generator=torch.Generator().manual_seed(0)).to(device)
    own = generator(generator.sample_latents(z, truncation=0.7), resolution).cpu().numpy() * maps.mask
    real = (
        maps.batch(np.linspace(0, len(maps) - 1, 6).astype(int), torch.device("cpu"))[0][:, 0].numpy()
        * maps.mask
    )
    write_sample_sheet(log.folder / "adversarial.png", [real, own])
