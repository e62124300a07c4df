"""Trains the restoration of degraded displacement maps against the generator as it is.

Stages:
  latents   E_deg's bottleneck: principal components of the detail encoder's latents; its linear part by ridge
  regression to them
  maps      E_deg through the generator: 10 x pixels + 0.2 x perception + 0.1 x identity (Eq. 15)
  refine    the network that corrects what lies above the input's band, on crops of full maps at 1/4 and 1/8

Pixels are absolute differences weighted to where the truth has wrinkles; perception compares octave bands as
lines and as texture;
identity is the local amplitude of five octaves (losses/relief_identity.py): features of photographs know
nothing of relief.

Writes to --out: restoration.safetensors (float16), restoration.md (model card), log.jsonl, sheets of truth,
input and restored maps,
checkpoint.safetensors. The maps are simulated into --data on first use; nobody of the held-out people is
among them.

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
from ..datasets.degraded_maps import degrade, seen_parts
from ..datasets.map_set import MapSet
from ..errors import UserError
from ..files.network_file import write_network_file
from ..files.relief_sheet import write_sample_sheet
from ..layers.band_limits import shrink
from ..layers.device import device_name
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
from .model_card import SIMULATED, install
from .photo_cards import write_photo_card
from .train_dnpm import StageKeeper, open_maps
from .training_run import RunLog, Schedule, add_run_arguments, choose_device, read_configuration, set_rate

PIXEL, PERCEPTUAL, IDENTITY = 10.0, 0.2, 0.1
TRAINING_SHARE = 0.92
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
    device = choose_device(args)
    log = RunLog(args.out, args.resume)
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
    keeper = StageKeeper(args.out / "checkpoint.safetensors", {"network": network}, args.resume)
    if not keeper.finished("latents"):
        wanted = start_codes(network, model, low)
        fit_linear(network, low, wanted, settings["latents"], log, device)
        keeper.finish("latents")
    if not keeper.finished("maps"):
        train_maps(network, model.generator, low, settings["maps"], log, device)
        keeper.finish("maps")
    if not keeper.finished("refine"):
        train_refiner(network, model.generator, fine, settings["refine"], log, device)
        keeper.finish("refine")
    write_sheet(args.out / "restoration.png", network, model.generator, fine, device)
    table = settings["sets"]["coarse"]
    facts = {
        "command": f"python -m ml_backend train restoration --config {args.config}",
        "stages": "latents, "
        + ", ".join(
            f"{name} ({settings[name].get('minutes', 'no')} minutes at most)" for name in ("maps", "refine")
        ),
        "device": f"{device.type}, {torch.get_num_threads()} threads"
        if device.type == "cpu"
        else device_name(device),
        "training_minutes": f"{log.minutes:.0f}",
        "maps": f"{len(low)} maps of {table['people']} people at {table['resolution']} for E_deg, "
        f"{len(fine)} at {config.finest} of others for the refinement",
        "source": SIMULATED,
    }
    sha256 = write_network_file(args.out / RESTORATION_FILE, network, config, facts)
    count = sum(parameter.numel() for parameter in network.parameters())
    write_photo_card(args.out / RESTORATION_FILE, dataclasses.asdict(config), count, facts, sha256)
    if args.install:
        install(args.out, (RESTORATION_FILE,))
    return 0


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
    mean = some.mean(0)
    _, directions = torch.linalg.eigh((some - mean) @ (some - mean).T)
    axes = directions.flip(1)[:, :count].T @ (some - mean)
    axes = axes / axes.norm(dim=1, keepdim=True)
    found = torch.cat(
        [
            (offsets(rows) - mean) @ axes.T
            for rows in np.array_split(np.arange(len(maps)), len(maps) // 64 + 1)
        ]
    )
    scale = found.std(0).clamp_min(1e-6)
    encoder = network.encoder
    encoder.to_latents.weight.copy_(axes.T)
    encoder.to_latents.bias.copy_(mean)
    encoder.code_scale.copy_(scale)
    rows = np.linspace(0, len(maps) - 1, min(256, len(maps))).astype(int)
    encoder.unit.fill_(float(np.asarray(maps.maps[rows], np.float32).std()))
    return found / scale


def _batch(
    maps: MapSet, count: int, random: np.random.Generator, device: torch.device
) -> tuple[Tensor, np.ndarray]:
    """(B, 1, r, r) millimetres inside the face, and their rows."""
    rows = random.integers(int(len(maps) * TRAINING_SHARE), size=count)
    inside = torch.from_numpy(maps.mask).to(device)
    return maps.batch(rows, device)[0] * inside, rows


@torch.no_grad()
def fit_linear(
    network: RestorationNetwork,
    maps: MapSet,
    wanted: Tensor,
    settings: dict,
    log: RunLog,
    device: torch.device,
) -> None:
    """The linear part by ridge regression from degraded maps to codes; the ridge is chosen on people that the fit leaves out.

    It reads the texels of most variance. More texels than maps: solved over maps.
    """
    encoder, config = network.encoder, network.config
    inside, size = torch.from_numpy(maps.mask).to(device), maps.maps.shape[-1]
    variance = shrink(
        torch.from_numpy(np.asarray(maps.maps, np.float32).var(0))[None, None], config.linear_resolution
    ).flatten()
    encoder.texels.zero_().view(-1)[variance.to(device).topk(config.linear_texels).indices] = 1
    random, found, codes = torch.Generator(device).manual_seed(0), [], []
    for _ in range(settings["degradations"]):
        for rows in np.array_split(np.arange(len(maps)), len(maps) // 32 + 1):
            truth = maps.batch(rows, device)[0] * inside
            seen = seen_parts(len(truth), size, random, device)
            found.append(encoder.read_texels(degrade(truth, random) / encoder.unit * seen))
            codes.append(wanted[rows].to(device))
    x, y, count = torch.cat(found), torch.cat(codes), len(maps)
    training = torch.arange(len(x), device=device) % count < int(count * TRAINING_SHARE)
    mean, target = x[training].mean(0), y[training].mean(0)
    x, y = x - mean, y - target
    gram = x[training] @ x[training].T
    scale, errors = gram.diagonal().mean(), {}
    weights = encoder.code_scale.square()

    def solved(ridge: float) -> Tensor:
        shifted = gram + ridge * scale * torch.eye(len(gram), device=device)
        return x[training].T @ torch.cholesky_solve(y[training], torch.linalg.cholesky(shifted))

    for ridge in settings["ridges"]:
        error = (weights * (x[~training] @ solved(ridge) - y[~training]).square()).mean()
        errors[ridge] = float(error / (weights * y[~training].square()).mean())
        log.write("latents", ridge=float(ridge), unseen_share=errors[ridge])
    slopes = solved(min(errors, key=lambda ridge: errors[ridge]))
    encoder.linear.weight.copy_(slopes.T)
    encoder.linear.bias.copy_(target - mean @ slopes)


def restoration_loss(generated: Tensor, truth: Tensor, inside: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Eq. 15 over maps (B, 1, R, R) in the generator's units, 0 outside `inside` (R, R), and its three parts by name."""
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
    log: RunLog,
    device: torch.device,
) -> None:
    """E_deg through the frozen generator."""
    encoder = network.encoder
    optimiser = torch.optim.Adam(
        [
            {"params": [*encoder.halvings.parameters(), *encoder.code.parameters()], "scale": 1.0},
            {"params": encoder.to_latents.parameters(), "scale": settings["head_scale"]},
            {
                "params": encoder.linear.parameters(),
                "scale": 32 * settings["head_scale"] / network.config.linear_texels,
            },
        ],
        betas=(0.9, 0.99),
    )
    schedule = Schedule(settings["steps"], settings.get("minutes", 0.0))
    inside, size = torch.from_numpy(maps.mask).to(device), maps.maps.shape[-1]
    numbers, random = np.random.default_rng(1), torch.Generator(device).manual_seed(1)
    while schedule.progress < 1:
        set_rate(optimiser, schedule.rate(settings["rate"]))
        truth, _ = _batch(maps, settings["batch"], numbers, device)
        offsets = encoder(degrade(truth, random), seen_parts(len(truth), size, random, device))
        generated = generator.maps(offsets + generator.mean_latent, size)[size].float()
        loss, parts = restoration_loss(generated * inside, truth / generator.millimetres, inside)
        _step(optimiser, loss)
        schedule.done += 1
        if schedule.done % settings.get("log_steps", 50) == 0 or schedule.progress >= 1:
            log.write(
                "maps",
                step=schedule.done,
                loss=float(loss.detach()),
                **parts,
                minutes_left=schedule.minutes_left,
            )


@torch.inference_mode()
def generated_pairs(
    network: RestorationNetwork,
    generator: DisplacementGenerator,
    maps: MapSet,
    factor: int,
    device: torch.device,
) -> Tensor:
    """(N, R, R) float16 millimetres on the CPU: what E_deg and the generator make of the maps at 1/factor."""
    found, restoration = [], Restoration(network, generator)
    inside = torch.from_numpy(maps.mask).to(device)
    for rows in np.array_split(np.arange(len(maps)), max(1, len(maps) // 4)):
        truth = maps.batch(rows, device)[0] * inside
        found.append(restoration.generated(shrink(truth, truth.shape[-1] // factor)[:, 0]).half().cpu())
    return torch.cat(found)


def train_refiner(
    network: RestorationNetwork,
    generator: DisplacementGenerator,
    maps: MapSet,
    settings: dict,
    log: RunLog,
    device: torch.device,
) -> None:
    """The refinement, on crops inside the face of maps whose generated counterparts are made first."""
    config, refiner = network.config, network.refiner
    made = {factor: generated_pairs(network, generator, maps, factor, device) for factor in (4, 8)}
    log.write("refine", step=0, pairs=2 * len(maps))
    crop, unit = settings["crop"], network.encoder.unit
    mask = torch.from_numpy(maps.mask)
    rows_inside, columns_inside = torch.nonzero(mask > 0, as_tuple=True)
    optimiser = torch.optim.Adam(refiner.parameters(), betas=(0.9, 0.99))
    schedule = Schedule(settings["steps"], settings.get("minutes", 0.0))
    numbers = np.random.default_rng(2)
    border = crop // 16
    network.train()
    while schedule.progress < 1:
        set_rate(optimiser, schedule.rate(settings["rate"]))
        factor, truths, owns = int(numbers.choice([4, 8])), [], []
        for row in numbers.integers(int(len(maps) * TRAINING_SHARE), size=settings["batch"]):
            centre = numbers.integers(len(rows_inside))
            place = [int(part[centre]) - crop // 2 for part in (rows_inside, columns_inside)]
            high, left = (min(max(0, at), config.finest - crop) // 8 * 8 for at in place)
            window = slice(high, high + crop), slice(left, left + crop)
            truths.append(torch.from_numpy(np.asarray(maps.maps[row][window], np.float32)) * mask[window])
            owns.append(made[factor][row][window].float())
        truth, own = (torch.stack(parts)[:, None].to(device) for parts in (truths, owns))
        found = refined(network, shrink(truth, crop // factor), own)
        kept = slice(border, -border)
        error, wanted = (found - truth)[..., kept, kept] / unit, truth[..., kept, kept] / unit
        everywhere = torch.ones(wanted.shape[-2:], device=device)
        lines, texture = band_losses(found[..., kept, kept] / unit, wanted, everywhere, 3, floor=0.002)
        loss = (
            settings["square"] * error.square().mean()
            + settings["lines"] * lines
            + settings["texture"] * texture
        )
        _step(optimiser, loss)
        schedule.done += 1
        if schedule.done % settings.get("log_steps", 50) == 0 or schedule.progress >= 1:
            log.write(
                "refine", step=schedule.done, factor=factor, square=float(error.detach().square().mean()), lines=float(lines.detach()),
                texture=float(texture.detach()), minutes_left=schedule.minutes_left,
            )  # fmt: skip
    network.eval()


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


@torch.inference_mode()
def write_sheet(
    path: Path,
    network: RestorationNetwork,
    generator: DisplacementGenerator,
    maps: MapSet,
    device: torch.device,
) -> None:
    """Truth, the input at 1/8, the generator's map for it, the restored one, of people that training left out."""
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
