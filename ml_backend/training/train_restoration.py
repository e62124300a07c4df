"""Trains the restoration of degraded displacement maps against the generator as it is.

Stages:
  latents   E_deg's bottleneck: principal components of the detail encoder's latents; its linear part by ridge
  regression to them
  maps      E_deg through the generator: 10 x pixels + 0.2 x perception + 0.1 x identity (Eq. 15)
  refine    the network that corrects what lies above the input's band, on crops of full maps at 1/4 and 1/8

Pixels are absolute differences weighted to where the truth has wrinkles; perception compares octave bands as
lines and as texture; identity is the local amplitude of five octaves (losses/relief_identity.py): features of
photographs know nothing of relief.

Writes to --out: restoration.safetensors (float16), restoration.md (model card), log.jsonl, sheets of truth,
input and restored maps, checkpoint.safetensors. The maps are simulated into --data on first use; nobody of
the held-out people is among them.

examples:
  python -m ml_backend train restoration --config 2core --out build/restoration --install
  python -m ml_backend train restoration --config gpu --device cuda --out build/restoration
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..asset_files import ASSETS
from ..datasets.degraded_maps import TRAINING_SHARE, degrade, draw_crops, seen_parts
from ..datasets.map_set import MapSet
from ..errors import UserError
from ..files.model_card import SIMULATED, ModelCard, install
from ..files.network_file import write_network_file
from ..files.relief_sheet import write_sample_sheet
from ..geometry.linear_models import fit_ridge, held_out_shares, principal_components
from ..layers.band_limits import shrink
from ..layers.processes import own_share
from ..losses.map_reconstruction import activity_weights, band_losses
from ..losses.relief_identity import identity_loss
from ..models.detailed_3dmm import Detailed3DMM
from ..models.displacement_generator import DisplacementGenerator
from ..models.restoration_encoder import (
    RESTORATION_FILE,
    Restoration,
    RestorationNetwork,
    refined,
    restoration_config,
)
from .steps import TrainingRun
from .training_run import add_run_arguments, open_maps, read_configuration

STAGES = ("latents", "maps", "refine")
PIXEL, PERCEPTUAL, IDENTITY = 10.0, 0.2, 0.1  # Eq. 15
COMPONENT_MAPS = 3000
SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(parser, "build/restoration")
    parser.add_argument(
        "--weights",
        type=Path,
        default=ASSETS,
        help="folder of dnpm.safetensors and detail_encoder.safetensors (default: the package's)",
    )
    parser.add_argument(
        "--install",
        action="store_true",
        help="put the finished weights and card where the package looks for them",
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    settings = read_configuration(args.config, "restoration")
    training = TrainingRun.begin(args, STAGES[1:])
    device = training.device
    sets = open_maps(args.data, settings["sets"], device)
    model = Detailed3DMM.load(args.weights, device)
    torch.manual_seed(0)
    sizes = {
        "style_count": model.generator.config.style_count,
        "latent_width": model.generator.config.latent_width,
    }
    config = restoration_config({**settings["network"], **sizes, "finest": model.generator.config.resolution})
    network = RestorationNetwork(config).to(device)
    low = sets["coarse"].thinned(settings["used"]["maps"]).seen_at(config.resolution)
    fine = sets["photo_fine"].thinned(settings["used"]["pairs"])
    keeper = training.keep({"network": network}, args.resume)
    if not keeper.finished("latents"):
        codes = start_codes(network, model, low)
        fit_linear(network, low, codes, settings["latents"], training)
        keeper.finish("latents")
    if not keeper.finished("maps"):
        train_maps(network, model.generator, low, settings["maps"], training)
        keeper.finish("maps")
    if not keeper.finished("refine"):
        train_refiner(network, model.generator, fine, settings["refine"], training)
        keeper.finish("refine")
    write_sheet(args.out / "restoration.png", network, model.generator, fine, device)
    facts = training.facts(f"python -m ml_backend train restoration --config {args.config}", STAGES)
    table = settings["sets"]["coarse"]
    facts["maps"] = (
        f"{len(low)} maps of {table['people']} people at {table['resolution']} for E_deg, "
        f"{len(fine)} at {config.finest} of others for the refinement"
    )
    facts["source"] = SIMULATED
    write_network_file(args.out / RESTORATION_FILE, network, config, facts)
    restoration_card(network, facts).write(args.out / RESTORATION_FILE)
    if args.install:
        install(args.out, (RESTORATION_FILE,))
    return 0


def restoration_card(network: RestorationNetwork, facts: dict[str, str]) -> ModelCard:
    """Returns the model card; `facts` as `TrainingRun.facts` gives them, with "maps" and "source"."""
    return ModelCard(
        "Restoration of degraded displacement maps",
        "E_deg (Cao et al. 2024, Eq. 11), a small convolutional encoder from a degraded displacement map "
        "into W+ of\n"
        "DNPM, and a refinement that keeps what the input knows and corrects what the generator adds "
        "above it.\n"
        "Output: millimetres, row 0 is v = 0.",
        source=f"{facts['source']}. {facts['maps']}",
        command=facts["command"],
        device=f"{facts['device']}; {facts['training_minutes']} minutes with what had to be simulated",
        evaluation="`python -m ml_backend evaluate photo` prints the table of restoration.",
        stages=facts["stages"],
        steps=facts.get("steps", ""),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        config=dataclasses.asdict(network.config),
    )


@torch.no_grad()
def start_codes(network: RestorationNetwork, model: Detailed3DMM, maps: MapSet) -> Tensor:
    """Sets the bottleneck to principal components of the detail encoder's latents of the set's people.

    Returns:
        (N, codes) of unit deviation: what E_deg has to find for each map.

    Raises:
        UserError: there are fewer maps than codes.
    """
    count = network.config.codes
    if len(maps) <= count:
        raise UserError(
            f"{len(maps)} maps for {count} codes.", "Simulate more people, or lower network.codes."
        )
    given = maps.identity, maps.skin, maps.expression

    def offsets(rows: np.ndarray) -> Tensor:
        return (model.latent(*(values[rows] for values in given)) - model.generator.mean_latent).flatten(1)

    some = offsets(np.linspace(0, len(maps) - 1, min(COMPONENT_MAPS, len(maps))).astype(int))
    components = principal_components(some.cpu().numpy(), count)
    mean = torch.from_numpy(components.mean).to(some.device)
    axes = torch.from_numpy(components.axes).to(some.device)
    codes = torch.cat(
        [
            (offsets(rows) - mean) @ axes.T
            for rows in np.array_split(np.arange(len(maps)), len(maps) // 64 + 1)
        ]
    )
    scale = codes.std(0).clamp_min(1e-6)
    encoder = network.encoder
    encoder.to_latents.weight.copy_(axes.T)
    encoder.to_latents.bias.copy_(mean)
    encoder.code_scale.copy_(scale)
    rows = np.linspace(0, len(maps) - 1, min(256, len(maps))).astype(int)
    encoder.unit.fill_(float(np.asarray(maps.maps[rows], np.float32).std()))
    return codes / scale


def _batch(
    maps: MapSet, count: int, random: np.random.Generator, device: torch.device
) -> tuple[Tensor, np.ndarray]:
    """(B, 1, r, r) millimetres inside the face, and their rows."""
    rows = random.integers(int(len(maps) * TRAINING_SHARE), size=count)
    inside = torch.from_numpy(maps.mask).to(device)
    return maps.batch(rows, device)[0] * inside, rows


@torch.no_grad()
def fit_linear(
    network: RestorationNetwork, maps: MapSet, codes: Tensor, settings: dict, run: TrainingRun
) -> None:
    """Fits the linear part by ridge regression from degraded maps to codes.

    It reads the texels of most variance; the ridge is chosen on people that the fit leaves out.

    Args:
        network: its encoder is changed.
        maps: (N) people and expressions.
        codes: (N, codes), from `start_codes`.
        settings: `degradations` of each map, `ridges` to try.
        run: its log receives the error of each ridge.
    """
    encoder = network.encoder
    config = network.config
    device = run.device
    inside = torch.from_numpy(maps.mask).to(device)
    size = maps.maps.shape[-1]
    variance = torch.from_numpy(np.asarray(maps.maps, np.float32).var(0))[None, None]
    variance = shrink(variance, config.linear_resolution).flatten().to(device)
    encoder.texels.zero_().view(-1)[variance.topk(config.linear_texels).indices] = 1
    random = torch.Generator(device).manual_seed(0)
    texels = []
    order = []
    for _ in range(settings["degradations"]):
        for rows in np.array_split(np.arange(len(maps)), len(maps) // 32 + 1):
            truth = maps.batch(rows, device)[0] * inside
            seen = seen_parts(len(truth), size, random, device)
            texels.append(encoder.read_texels(degrade(truth, random) / encoder.unit * seen).cpu().numpy())
            order.append(rows)
    inputs = np.concatenate(texels)
    targets = codes.cpu().numpy()[np.concatenate(order)]
    training = np.arange(len(inputs)) % len(maps) < int(len(maps) * TRAINING_SHARE)
    power = encoder.code_scale.square().cpu().numpy()
    errors = held_out_shares(
        inputs, targets, settings["ridges"], ~training, intercept=True, relative=True, target_weights=power
    )
    for ridge, share in errors.items():
        run.write("latents", ridge=ridge, unseen_share=share)
    best = min(errors, key=lambda ridge: errors[ridge])
    model = fit_ridge(inputs[training], targets[training], best, intercept=True, relative=True)
    encoder.linear.weight.copy_(torch.from_numpy(model.slopes.T))
    encoder.linear.bias.copy_(torch.from_numpy(model.offset))


def restoration_loss(generated: Tensor, truth: Tensor, inside: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Returns Eq. 15 and its three parts by name.

    Args:
        generated, truth: (B, 1, R, R) in the generator's units, 0 outside `inside`.
        inside: (R, R).
    """
    weights = activity_weights(truth, inside, max(3, truth.shape[-1] // 28) | 1)
    pixel = (weights * (generated - truth).abs()).mean()
    lines, texture = band_losses(generated, truth, inside, 4, floor=0.02)
    same = identity_loss(generated, truth)
    return PIXEL * pixel + PERCEPTUAL * (lines + texture) + IDENTITY * same, {
        "pixel": float(pixel.detach()),
        "lines": float(lines.detach()),
        "texture": float(texture.detach()),
        "identity": float(same.detach()),
    }


def train_maps(
    network: RestorationNetwork,
    generator: DisplacementGenerator,
    maps: MapSet,
    settings: dict,
    run: TrainingRun,
) -> None:
    """Trains E_deg through the frozen generator.

    Args:
        network: its encoder is trained in place.
        generator: of the same latents.
        maps: truth.
        settings: those of `TrainingRun.steps`; batch, head_scale (factor on the rate of the last layers).
        run: log, checkpoint and device.
    """
    encoder = network.encoder
    device = run.device
    head = settings["head_scale"]
    groups = [
        {"params": [*encoder.halvings.parameters(), *encoder.code.parameters()], "scale": 1.0},
        {"params": encoder.to_latents.parameters(), "scale": head},
        {"params": encoder.linear.parameters(), "scale": 32 * head / network.config.linear_texels},
    ]
    optimisers = {"encoder": torch.optim.Adam(groups, betas=(0.9, 0.99))}
    inside = torch.from_numpy(maps.mask).to(device)
    size = maps.maps.shape[-1]
    numbers = np.random.default_rng(1)
    random = torch.Generator(device).manual_seed(1)
    settings = {"log_steps": 50, **settings}
    for step in run.steps("maps", optimisers, [], settings, random=[numbers, random]):
        truth = own_share(_batch(maps, settings["batch"], numbers, device)[0])
        offsets = encoder(degrade(truth, random), seen_parts(len(truth), size, random, device))
        generated = generator.maps(offsets + generator.mean_latent, size)[size].float()
        loss, parts = restoration_loss(generated * inside, truth / generator.millimetres, inside)
        step.descend(loss, loss=loss, **parts)


@torch.inference_mode()
def generated_pairs(
    network: RestorationNetwork,
    generator: DisplacementGenerator,
    maps: MapSet,
    factor: int,
    device: torch.device,
) -> Tensor:
    """Returns the maps that E_deg and the generator make of the maps at 1/factor.

    Returns:
        (N, R, R) float16 millimetres on the CPU.
    """
    maps_made, restoration = [], Restoration(network, generator)
    inside = torch.from_numpy(maps.mask).to(device)
    for rows in np.array_split(np.arange(len(maps)), max(1, len(maps) // 4)):
        truth = maps.batch(rows, device)[0] * inside
        maps_made.append(restoration.generated(shrink(truth, truth.shape[-1] // factor)[:, 0]).half().cpu())
    return torch.cat(maps_made)


def train_refiner(
    network: RestorationNetwork,
    generator: DisplacementGenerator,
    maps: MapSet,
    settings: dict,
    run: TrainingRun,
) -> None:
    """Trains the refinement, on crops inside the face of maps whose generated counterparts are made first.

    Args:
        network: its refiner is trained in place.
        generator: of the same latents.
        maps: truth, at the network's finest resolution.
        settings: those of `TrainingRun.steps`; batch, crop (texels), weights square, lines, texture.
        run: log, checkpoint and device.
    """
    generated = {factor: generated_pairs(network, generator, maps, factor, run.device) for factor in (4, 8)}
    run.write("refine", step=0, pairs=2 * len(maps))
    crop = settings["crop"]
    unit = network.encoder.unit
    optimisers = {"refiner": torch.optim.Adam(network.refiner.parameters(), betas=(0.9, 0.99))}
    numbers = np.random.default_rng(2)
    kept = slice(crop // 16, -(crop // 16))
    settings = {"log_steps": 50, **settings}
    network.train()
    for step in run.steps("refine", optimisers, [], settings, random=[numbers]):
        factor = int(numbers.choice([4, 8]))
        truth, coarse = draw_crops(maps, generated[factor], crop, settings["batch"], numbers)
        truth, coarse = own_share(truth).to(run.device), own_share(coarse).to(run.device)
        refinement = refined(network, shrink(truth, crop // factor), coarse)[..., kept, kept] / unit
        target = truth[..., kept, kept] / unit
        square = (refinement - target).square().mean()
        everywhere = torch.ones(target.shape[-2:], device=run.device)
        lines, texture = band_losses(refinement, target, everywhere, 3, floor=0.002)
        loss = settings["square"] * square + settings["lines"] * lines + settings["texture"] * texture
        step.descend(loss, factor=factor, square=square, lines=lines, texture=texture)
    network.eval()


@torch.inference_mode()
def write_sheet(
    path: Path,
    network: RestorationNetwork,
    generator: DisplacementGenerator,
    maps: MapSet,
    device: torch.device,
) -> None:
    """Writes truth, the input at 1/8, the generator's map for it and the restored one, of held-out people."""
    restoration = Restoration(network, generator)
    rows = np.linspace(int(len(maps) * TRAINING_SHARE), len(maps) - 1, min(SHOWN, len(maps))).astype(int)
    inside = torch.from_numpy(maps.mask).to(device)
    truth = maps.batch(rows, device)[0] * inside
    size = truth.shape[-1]
    low = shrink(truth, size // 8)
    up = torch.nn.functional.interpolate(low, size=(size, size), mode="bicubic")
    rows_shown = (
        truth[:, 0],
        up[:, 0] * inside,
        restoration.generated(low[:, 0]) * inside,
        restoration.restore(low[:, 0])[0] * inside,
    )
    write_sample_sheet(path, [row.cpu().numpy() for row in rows_shown], tile=512)
