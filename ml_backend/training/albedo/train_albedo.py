"""Trains the albedo model of skin, UVAPM, on simulated skin colour.

Stages:
  coarse       100 principal components of each channel at 256 texels
  fields       mean and principal components of the value that the coarse maps lack, at 512
  value        the autoencoder of that value, on crops
  chroma       the autoencoder of the chroma that value cannot carry, on crops
  adversarial  the value's decoder against patch discriminators, where the configuration has the stage
  sliders      traits to coefficients, by ridge regression

Loss: square, its octaves as lines and as texture, and the divergence from a normal latent; texture stands for
the paper's LPIPS, whose features of photographs know nothing of skin without light. Coarse maps of 64 and 128
take part, so that one decoder serves the ablation too.

Writes to --out: albedo.safetensors (int8), albedo_detail.safetensors (float16, fields uint8) and
skin_sliders.safetensors with a card each, log.jsonl, albedo.png (truth, coarse, with detail, with chroma),
checkpoint.safetensors; and ablation/, models that `evaluate albedo` sets beside: components at 64 and 128,
and joint ones. The maps are simulated into --data on first use; nobody of the held-out people is among them.

examples:
  python -m ml_backend train albedo --config 2core --out build/albedo --install
  python -m ml_backend train albedo --config gpu --device cuda --out build/albedo
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...datasets.colour_set import ColourSet, ColourSetSpec, make_colour_set
from ...files.image_writers import write_png
from ...files.model_card import SIMULATED, install
from ...files.network_file import write_network_file
from ...geometry.linear_models import principal_components
from ...layers.processes import own_share
from ...losses.map_reconstruction import band_losses
from ...losses.patch_adversarial import discrimination_loss, feature_matching, judged_real
from ...models.bilinear_face import BilinearFace
from ...models.patch_discriminators import PatchDiscriminators
from ...models.skin.albedo_detail import (
    ALBEDO_DETAIL_FILE,
    AlbedoDetail,
    DetailAutoencoder,
    Window,
    albedo_detail_config,
    missing_detail,
)
from ...models.skin.albedo_model import ALBEDO_FILE, AlbedoModel
from ...models.skin.skin_sliders import SKIN_SLIDERS_FILE, SLIDERS, SkinSliders
from ...simulation.pigment.pigment_chart import build_pigment_chart
from ...simulation.pigment.pigment_simulation import tone_region
from ...simulation.pigment.pigment_traits import TRAIT_NAMES
from ..steps import TrainingRun
from ..training_run import add_run_arguments, read_configuration
from .albedo_cards import coarse_card, detail_card, sliders_card
from .coarse_components import fit_coarse, low_passed
from .people_low_passed import PeopleLowPassed, training_people

STAGES = ("coarse", "fields", "value", "chroma", "adversarial", "sliders")
STEPPED = ("value", "chroma", "adversarial")
ABLATION = "ablation"
"""Folder of the models that are only compared with."""
_OFF_FACE = 0.2  # weight of what is not the face
SHOWN = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(parser, "build/albedo", holds="simulated colour maps, filled on first use")
    parser.add_argument(
        "--install",
        action="store_true",
        help="put the finished weights and cards where the package looks for them",
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    settings = read_configuration(args.config, "albedo")
    training = TrainingRun.begin(args, STEPPED)
    table = settings["sets"]["colours"]

    def report(done: int, total: int) -> None:
        print(f"  colours: {done} of {total} people simulated", file=sys.stderr, flush=True)

    colours = make_colour_set(args.data / "colours", ColourSetSpec(**table), str(training.device), report)
    torch.manual_seed(0)
    config = albedo_detail_config({**settings["network"], "resolution": table["resolution"]})
    network = AlbedoDetail(config).to(training.device)
    keeper = training.keep({"network": network}, args.resume)
    coarse = settings["coarse"]
    if not keeper.finished("coarse"):
        train_coarse(colours, coarse, args.out, training)
        keeper.finish("coarse")
    models = ablation_models(args.out, coarse["resolution"], coarse["ablation"])
    people = PeopleLowPassed(colours, models, training.device)
    if not keeper.finished("fields"):
        fit_fields(network, people, settings["fields"]["people"], training)
        keeper.finish("fields")
    for stage, part in (("value", network.value), ("chroma", network.chroma)):
        if not keeper.finished(stage):
            train_detail(stage, part, people, settings[stage], training)
            keeper.finish(stage)
    stages = tuple(stage for stage in STAGES if stage != "adversarial" or stage in settings)
    if "adversarial" in settings and not keeper.finished("adversarial"):
        train_adversarial(network.value, people, settings["adversarial"], training)
        keeper.finish("adversarial")
    network.eval()
    write_sheet(args.out / "albedo.png", network, people)
    facts = training.facts(f"python -m ml_backend train albedo --config {args.config}", stages)
    facts["maps"] = f"{table['people']} people at {table['resolution']}, tones flat over six groups"
    facts["source"] = SIMULATED
    model = AlbedoModel.read(args.out / ALBEDO_FILE)
    model.write(args.out / ALBEDO_FILE, facts)
    write_network_file(args.out / ALBEDO_DETAIL_FILE, network, config, facts)
    fit_sliders(model, colours).write(args.out / SKIN_SLIDERS_FILE, facts)
    coarse_card(model, facts).write(args.out / ALBEDO_FILE)
    sliders_card(facts).write(args.out / SKIN_SLIDERS_FILE)
    detail_card(network, facts).write(args.out / ALBEDO_DETAIL_FILE)
    if args.install:
        install(args.out, (ALBEDO_FILE, ALBEDO_DETAIL_FILE, SKIN_SLIDERS_FILE))
    return 0


def fit_sliders(model: AlbedoModel, colours: ColourSet) -> SkinSliders:
    """Learns the sliders from the traits of the people whom the training sees."""
    training = training_people(colours)
    low = low_passed(colours, model.resolution)[:training]
    coefficients = np.stack([model.project(one) for one in low])
    traits = {name: colours.traits[:training, TRAIT_NAMES.index(name)] for name in ("tone", *SLIDERS)}
    tone = traits.pop("tone")
    chart = build_pigment_chart(BilinearFace.default(), model.resolution)
    return SkinSliders.fit(coefficients, tone, traits, tone_region(chart).numpy() > 0)


def train_coarse(colours: ColourSet, settings: dict, folder: Path, run: TrainingRun) -> None:
    """Fits and writes the components of every size, and joint ones beside them.

    Args:
        colours: the set; its last people are left out.
        settings: `components` of each channel; `resolution` of the model; `ablation`, coarser resolutions.
        folder: of the run.
        run: its log receives the share of the unseen people's variance that is left.
    """
    (folder / ABLATION).mkdir(parents=True, exist_ok=True)
    training = training_people(colours)
    count = settings["components"]
    for size in (settings["resolution"], *settings["ablation"]):
        low = low_passed(colours, size)
        for kind in ("coarse", "joint"):
            model = fit_coarse(low[:training], count, colours.mask, kind == "joint")
            main = kind == "coarse" and size == settings["resolution"]
            model.write(folder / ALBEDO_FILE if main else folder / ABLATION / f"{kind}_{size}.safetensors")
            made = np.stack([model.colours(model.project(one)) for one in low[training:]])
            left = np.square((made - low[training:])[..., model.mask]).mean()
            run.write("coarse", kind=kind, size=size, unseen_mse=float(left * 255**2))


def ablation_models(folder: Path, resolution: int, others: list[int]) -> dict[int, AlbedoModel]:
    """Returns the per-channel models by resolution, that of the package's first.

    Raises:
        UserError: a file is missing or broken.
    """
    names = {size: folder / ABLATION / f"coarse_{size}.safetensors" for size in others}
    return {
        size: AlbedoModel.read(path) for size, path in {resolution: folder / ALBEDO_FILE, **names}.items()
    }


@torch.no_grad()
def fit_fields(network: AlbedoDetail, people: PeopleLowPassed, count: int, run: TrainingRun) -> None:
    """Sets the mean and the fields of both autoencoders: principal components of what coarse maps lack.

    Args:
        network: its buffers are set.
        people: who it is measured on, with the package's coarse maps.
        count: people at most.
        run: its log receives how much power the fields explain.
    """
    rows = np.linspace(0, people.training - 1, min(count, people.training)).astype(int)
    parts = [
        missing_detail(*people.whole(rows[at : at + 4], people.sizes[0])) for at in range(0, len(rows), 4)
    ]
    for name, index in (("value", 0), ("chroma", 1)):
        part = network.value if name == "value" else network.chroma
        detail = torch.cat([found[index].cpu() for found in parts])
        fields = len(part.fields) - 1
        found = principal_components(detail.flatten(1).numpy(), max(1, fields))
        shape = (-1, *detail.shape[1:])
        axes = (found.axes * found.deviations[:, None])[:fields].reshape(shape)
        inside = people.mask.cpu() > 0
        unit = detail[..., inside].std((0, 2))
        device = part.unit.device
        part.set_fields(
            torch.from_numpy(found.mean.reshape(shape[1:])).to(device),
            torch.from_numpy(axes).to(device),
            unit.to(device),
        )
        explained = float(np.square(found.deviations[:fields]).sum()) / float(
            detail.square().sum(1).mean(0).sum()
        )
        run.write("fields", part=name, unit=float(unit.mean() * 255), fields_explain=explained)


def detail_loss(
    part: DetailAutoencoder,
    truth: Tensor,
    weights: Tensor,
    window: Window,
    settings: Mapping[str, float],
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Encodes, samples, decodes and compares.

    Args:
        part: the autoencoder.
        truth: (B, C, h, w) the missing detail, sRGB.
        weights: (h, w) of the texels, mean about 1.
        window: their place.
        settings: weights `lines`, `texture` and `divergence`.

    Returns:
        The loss, its terms, and the made detail (B, C, h, w) sRGB.
    """
    mean, spread = part.encode(truth, window)
    latent = mean + torch.randn_like(mean) * torch.exp(0.5 * spread)
    made = part.decode(latent, window)
    scale = part.unit[:, None, None]
    one = (made / scale).flatten(0, 1)[:, None]
    other = (truth / scale).flatten(0, 1)[:, None]
    square = (weights * (one - other).square()).mean()
    lines, texture = band_losses(one, other, weights, 3, floor=0.02)
    divergence = 0.5 * (mean.square() + spread.exp() - 1 - spread).mean()
    loss = (
        square
        + settings["lines"] * lines
        + settings["texture"] * texture
        + settings["divergence"] * divergence
    )
    terms = {"square": square, "lines": lines, "texture": texture, "divergence": divergence}
    return loss, terms, made


def _missing(people: PeopleLowPassed, settings: dict, numbers: np.random.Generator, index: int) -> tuple:
    """Draws missing detail (B, C, h, w), its coarse map, its weights (h, w) and its window."""
    truth, coarse, window = people.draw(settings["crop"], settings["batch"], settings["shares"], numbers)
    truth, coarse = own_share(truth), own_share(coarse)
    weights = people.mask[window] * (1 - _OFF_FACE) + _OFF_FACE
    return missing_detail(truth, coarse)[index], coarse, weights, window


def train_detail(
    stage: str, part: DetailAutoencoder, people: PeopleLowPassed, settings: dict, run: TrainingRun
) -> None:
    """Trains one autoencoder on crops.

    Args:
        stage: "value" or "chroma".
        part: trained in place.
        people: truth and coarse maps.
        settings: those of `TrainingRun.steps` and `detail_loss`; `batch`, `crop` (texels), `shares` of the
            coarse maps' sizes.
        run: log, checkpoint and device.
    """
    index = 0 if stage == "value" else 1
    optimisers = {stage: torch.optim.Adam(part.parameters(), betas=(0.9, 0.99))}
    numbers = np.random.default_rng(1 + index)

    def measure() -> dict[str, float]:
        return unseen_error(part, people, index)

    part.train()
    for step in run.steps(stage, optimisers, [], settings, measure=measure, random=[numbers]):
        truth, _, weights, window = _missing(people, settings, numbers, index)
        loss, terms, _ = detail_loss(part, truth, weights, window, settings)
        step.descend(loss, clip=1.0, **terms)
    part.eval()


def train_adversarial(
    part: DetailAutoencoder, people: PeopleLowPassed, settings: dict, run: TrainingRun
) -> None:
    """Trains the value's autoencoder on with an adversary that sees patches beside the coarse map.

    Args:
        part: trained in place.
        people: truth and coarse maps.
        settings: as `train_detail`; weights `adversarial` and `features`.
        run: log, checkpoint and device.
    """
    adversary = PatchDiscriminators(1).to(run.device)
    optimisers = {
        "value": torch.optim.Adam(part.parameters(), betas=(0.5, 0.99)),
        "adversary": torch.optim.Adam(adversary.parameters(), betas=(0.5, 0.99)),
    }
    numbers = np.random.default_rng(3)
    kept = {"adversary": adversary}
    for step in run.steps(
        "adversarial", optimisers, [], settings, measure=lambda: unseen_error(part, people, 0), kept=kept,
        random=[numbers],
    ):  # fmt: skip
        truth, coarse, weights, window = _missing(people, settings, numbers, 0)
        beside = coarse.amax(1, keepdim=True)
        loss, terms, made = detail_loss(part, truth, weights, window, settings)
        scale = part.unit[:, None, None]
        true_seen = adversary(truth / scale, beside)
        fooled = adversary(made / scale, beside)
        judged = judged_real(fooled)
        matched = feature_matching(fooled, true_seen)
        loss = loss + settings["adversarial"] * judged + settings["features"] * matched
        step.descend(loss, "value", clip=1.0, judged=judged, matched=matched, **terms)
        told = discrimination_loss(adversary(truth / scale, beside), adversary(made.detach() / scale, beside))
        step.descend(told, "adversary", clip=1.0, told=told)
    part.eval()


@torch.inference_mode()
def unseen_error(
    part: DetailAutoencoder, people: PeopleLowPassed, index: int, count: int = 8
) -> dict[str, float]:
    """Measures on people of the set whom training does not see.

    Returns:
        `unseen`: the share of the missing detail's power inside the face that is still missing.
    """
    training = part.training
    part.eval()
    last = len(people.colours) - 1
    rows = np.unique(np.linspace(people.training, last, min(count, last + 1 - people.training)).astype(int))
    missed = power = 0.0
    for row in rows:
        truth = missing_detail(*people.whole(np.array([row]), people.sizes[0]))[index]
        made = part.decode(part.encode(truth)[0])
        missed += float(((made - truth).square() * people.mask).sum())
        power += float((truth.square() * people.mask).sum())
    part.train(training)
    return {"unseen": missed / max(power, 1e-12)}


@torch.inference_mode()
def write_sheet(path: Path, network: AlbedoDetail, people: PeopleLowPassed) -> None:
    """Writes truth, coarse map, with detail, with detail and chroma of unseen people, a row each.

    Below them the cheek and nose of the same, enlarged.
    """
    last = len(people.colours) - 1
    rows = np.unique(np.linspace(people.training, last, min(SHOWN, last + 1 - people.training)).astype(int))
    columns = []
    for row in rows:
        truth, coarse = people.whole(np.array([row]), people.sizes[0])
        value, chroma = network.latents(truth, coarse)
        columns.append(
            torch.cat(
                [truth, coarse, network.detailed(coarse, value), network.detailed(coarse, value, chroma)]
            ).cpu()
        )
    shown = torch.stack(columns)  # (N, 4, 3, R, R)
    size = shown.shape[-1]
    near = shown[..., 3 * size // 8 : 5 * size // 8, size // 4 : size // 2]
    near = functional.interpolate(near.flatten(0, 1), size=(size // 2, size // 2), mode="nearest")
    small = functional.interpolate(shown.flatten(0, 1), size=(size // 2, size // 2), mode="area")
    tiles = torch.cat([small.view(-1, 4, *small.shape[1:]), near.view(-1, 4, *near.shape[1:])], 1)
    picture = tiles.permute(1, 3, 0, 4, 2).flip(0).reshape(8 * (size // 2), len(rows) * (size // 2), 3)
    write_png(path, np.round(picture.clamp(0, 1).numpy() * 255).astype(np.uint8))
