"""Trains image to displacement on simulated skin, photographed badly and unwrapped.

Maps of the stored set are shaded on the people's own smooth faces, with colours of the pigment simulation
that have nothing to do with them, in soft and hard light (simulation/portraits/skin_shading.py), then made
coarse, blurred, noisy and compressed (datasets/degraded_textures.py). Each person is seen twice with the same
skin in the same light, and mostly both are expected to look alike. `start = "installed"` in a
configuration goes on from the weights in the models' folder. Stages:
  linear       the filters of linear shape from shading for what differs from the expected map, by least
               squares, and a gain for each part of the face
  coarse       the network of half the resolution, on half-size pictures
  whole        coarse network and enhancer together
  adversarial  the same with discriminators at two scales and feature matching

Writes to --out: image_to_displacement.safetensors (float16), image_to_displacement.md (model card),
log.jsonl, samples.png (texture's brightness, expected, truth, estimate), checkpoint.safetensors and the
colours. The maps are simulated into --data on first use.

examples:
  python -m ml_backend train image-to-displacement --config 2core --out build/image --install
  python -m ml_backend train image-to-displacement --config 2core-further --out build/image
  python -m ml_backend train image-to-displacement --config gpu --device cuda --out build/image
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..datasets.colour_set import ColourSetSpec, make_colour_set
from ..datasets.degraded_textures import FULL
from ..datasets.map_set import MapSet
from ..datasets.photographed_skin import TRAINING_SHARE, PhotographedSkin, PoorlyFitted
from ..errors import UserError
from ..files.model_card import SIMULATED, ModelCard, install
from ..files.network_file import write_network_file
from ..files.relief_sheet import write_sample_sheet
from ..geometry.linear_models import solve_ridge
from ..layers.processes import own_share
from ..losses.map_reconstruction import change_loss, seen_skin_loss
from ..losses.patch_adversarial import discrimination_loss, feature_matching, judged_real
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import Detailed3DMM
from ..models.image_to_displacement import (
    IMAGE_FILE,
    ImageToDisplacement,
    ImageToDisplacementConfig,
    image_config,
    read_image_to_displacement,
)
from ..models.patch_discriminators import PatchDiscriminators
from ..simulation.portraits.skin_shading import skin_surface
from ..simulation.portraits.smooth_faces import SmoothFaces, people_openness
from .steps import Step, TrainingRun
from .training_run import add_run_arguments, open_maps, read_configuration

STAGES = ("linear", "coarse", "whole", "adversarial")
JUDGED = 3  # of the features: brightness and both slopes' effect
SHOWN, MEASURED = 5, 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(parser, "build/image")
    parser.add_argument(
        "--install",
        action="store_true",
        help="put the finished weights and card where the package looks for them",
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    settings = read_configuration(args.config, "image-to-displacement")
    training = TrainingRun.begin(args, STAGES[1:])
    device = training.device
    maps = open_maps(args.data, settings["sets"], device)["photographed"]
    torch.manual_seed(0)
    config = image_config(settings["network"])
    network = begin_with(settings.get("start", ""), config).to(device)
    judges = PatchDiscriminators(JUDGED, **settings.get("discriminators", {})).to(device)
    rows = np.linspace(0, len(maps) - 1, min(128, len(maps))).astype(int)
    unit = float(np.asarray(maps.maps[rows], np.float32).std())
    network.unit.fill_(unit)
    face = BilinearFace.default()
    model = Detailed3DMM.load(device=device)
    colours = None
    if "colours" in settings:
        colours = make_colour_set(
            args.data / "colours", ColourSetSpec(**settings["colours"]), str(device)
        ).maps

    openness = people_openness(face)

    def source(resolution: int, seed: int) -> PhotographedSkin:
        low = maps
        if maps.maps.shape[-1] != resolution:
            low = maps.thinned(settings["used"]["maps"]).seen_at(resolution)
        faces = SmoothFaces.of(face, resolution, openness)
        return photographed(low, seed, unit, model, faces, colours)

    keeper = training.keep({"network": network, "judges": judges}, args.resume)
    stages = [stage for stage in STAGES if stage in settings]
    for stage in stages:
        if keeper.finished(stage):
            continue
        resolution = config.resolution // 2 if stage in STAGES[:2] else config.resolution
        drawn = source(resolution, STAGES.index(stage))
        if stage == "linear":
            fit_linear(network, drawn, settings[stage], training)
        else:
            train_stage(stage, network, judges, drawn, settings[stage], training)
        keeper.finish(stage)
    whole = source(config.resolution, 100)
    figures = measure(network, whole, device)
    training.write(
        "measured", **{f"{name} {key}": value for name, row in figures.items() for key, value in row.items()}
    )
    write_samples(args.out / "samples.png", network, whole, device)
    facts = training.facts(f"python -m ml_backend train image-to-displacement --config {args.config}", stages)
    table = settings["sets"]["photographed"]
    shown = f"{table['people']} people x {table['expressions']} expressions at {table['resolution']}"
    facts["maps"] = f"{shown}, shaded anew for every step"
    if "colours" in settings:
        facts["maps"] += f", with {settings['colours']['people']} skins of the pigment simulation"
    if settings.get("start"):
        facts["maps"] += "; it began with the weights of the version before"
    facts["source"] = SIMULATED
    facts["measured"] = figures_text(figures)
    write_network_file(args.out / IMAGE_FILE, network, config, facts)
    image_card(network, facts).write(args.out / IMAGE_FILE)
    if args.install:
        check_worth(figures)
        install(args.out, (IMAGE_FILE,))
    return 0


def begin_with(start: str, config: ImageToDisplacementConfig) -> ImageToDisplacement:
    """Returns the network to train.

    Args:
        start: "installed" goes on from the weights in the models' folder, "" begins anew.
        config: the configuration's sizes.

    Raises:
        UserError: the weights are missing, or of other sizes.
    """
    if not start:
        return ImageToDisplacement(config)
    if start != "installed":
        raise UserError(f'start = "{start}": no weights.', 'Write start = "installed", or leave it out.')
    network = read_image_to_displacement().requires_grad_(True)
    if network.config != config:
        raise UserError(
            "The installed image-to-displacement weights have other sizes than the configuration.",
            "Take the sizes from the card, or leave start out of the configuration.",
        )
    return network


def photographed(
    maps: MapSet,
    seed: int,
    unit: float,
    model: Detailed3DMM,
    faces: SmoothFaces,
    colours: np.ndarray | None = None,
) -> PhotographedSkin:
    """Returns a source of pairs from maps at their resolution, which is that of the faces.

    The seed decides its draws; `colours` as `PhotographedSkin` has them.
    """
    return PhotographedSkin(
        maps,
        skin_surface(faces.face, maps.maps.shape[-1]),
        PoorlyFitted(maps, model, faces.face),
        unit,
        np.random.default_rng(seed),
        torch.Generator().manual_seed(seed),
        colours,
        faces,
    )


def image_card(network: ImageToDisplacement, facts: dict[str, str]) -> ModelCard:
    """Returns the model card; `facts` as `TrainingRun.facts` gives them, with maps, source and measured."""
    return ModelCard(
        "Image to displacement, in texture space",
        "A coarse-to-fine convolutional network (the role of pix2pixHD, Wang et al. 2018) from the "
        "unwrapped\n"
        "photograph, how sure each texel is, the fitted light, and the map that the detail encoder "
        "expects of the\n"
        "fitted face to a displacement map: the photograph says which of the expected wrinkles are there. "
        "Output:\n"
        "millimetres, row 0 at the bottom.",
        source=f"{facts['source']}. {facts['maps']}",
        command=facts["command"],
        device=f"{facts['device']}; {facts['training_minutes']} minutes with what had to be simulated",
        evaluation="Its figures on simulated skin of people that training left out are in the last line of\n"
        "`image_to_displacement.log.jsonl`. The detail encoder, though, learned from these people among\n"
        "others. The expected map is the\n"
        f"encoder's, of an identity that a fit knows to a cosine of 0.3 to 0.95.\n\n{facts['measured']}",
        stages=facts["stages"],
        steps=facts.get("steps", ""),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        config=dataclasses.asdict(network.config),
    )


@torch.no_grad()
def fit_linear(
    network: ImageToDisplacement, drawn: PhotographedSkin, settings: dict, run: TrainingRun
) -> None:
    """Fits filters by ridge regression to the truth's difference from the expected map, and each cell's gain.

    Args:
        network: its linear part is changed.
        drawn: pairs; the texels are drawn where the truth has wrinkles.
        settings: maps, texels of each, gains (maps that the gains are fitted to), ridge (share of the mean
            diagonal).
        run: its log receives the share of the difference that is missed.
    """
    linear = network.coarse.linear
    side = network.config.filter_size
    size = linear.CHANNELS * side * side
    gram = torch.zeros(size, size)
    sums = torch.zeros(size)
    pairs = []
    for _ in range(settings["maps"]):
        features, expected, truth, confidence = drawn.training_pair(1)
        windows, places = drawn.wrinkle_windows(
            linear.channels(features), truth, confidence, side, settings["texels"]
        )
        gram += windows.T @ windows
        sums += windows.T @ (truth - expected).flatten()[places]
        pairs.append((features, truth - expected, confidence))
    penalty = settings["ridge"] * float(gram.diagonal().mean())
    weights = torch.from_numpy(solve_ridge(gram.numpy(), sums.numpy(), penalty))
    linear.filters.weight.copy_(weights.view(1, linear.CHANNELS, side, side))
    above = torch.zeros_like(linear.gain)
    below = torch.zeros_like(linear.gain)
    pool = torch.nn.functional.adaptive_avg_pool2d
    for features, difference, confidence in pairs[: settings["gains"]]:
        estimate = linear.filters(linear.channels(features.to(linear.gain.device)))
        seen = (confidence * drawn.inside).to(estimate.device)
        above += pool(seen * estimate * difference.to(estimate.device), above.shape[-1])
        below += pool(seen * estimate.square(), above.shape[-1])
    middle = below[below > 0].median()
    linear.gain.copy_(((above + 0.05 * middle) / (below + 0.1 * middle)).clamp(0, 2))
    missed = 0.0
    total = 0.0
    for features, difference, confidence in pairs[-settings["gains"] // 3 :]:
        seen = confidence * drawn.inside
        estimate = linear(features.to(linear.gain.device)).cpu()
        missed += float((seen * (estimate - difference).square()).sum())
        total += float((seen * difference.square()).sum())
    gain = float(linear.gain.mean())
    run.write("linear", maps=settings["maps"], gain=gain, missed_share=missed / max(total, 1e-9))


def train_stage(
    stage: str,
    network: ImageToDisplacement,
    judges: PatchDiscriminators,
    drawn: PhotographedSkin,
    settings: dict,
    run: TrainingRun,
) -> None:
    """Trains one stage with the losses of `seen_skin_loss`, the last one also against the discriminators.

    Args:
        stage: "coarse", "whole" or "adversarial".
        network: trained in place; the coarse stage trains its coarse part alone.
        judges: the discriminators, trained in place.
        drawn: pairs at the stage's resolution.
        settings: those of `TrainingRun.steps`; batch, bfloat16, and the weights change (of what differs
            between two looks at a person, `change_loss`), deceive and match.
        run: log, checkpoint and device.
    """
    trained = network.coarse if stage == "coarse" else network
    optimisers: dict[str, torch.optim.Optimizer] = {
        "network": torch.optim.Adam(trained.parameters(), betas=(0.9, 0.99))
    }
    if stage == "adversarial":
        optimisers["judges"] = torch.optim.Adam(judges.parameters(), betas=(0.5, 0.99))
    inside = drawn.inside.to(run.device)
    half = settings.get("bfloat16", False)
    layout = torch.channels_last if half else torch.contiguous_format  # twice as fast with bfloat16 on CPUs
    settings = {"log_steps": 20, **settings}
    network.to(memory_format=layout).train()  # pyright: ignore[reportCallIssue]
    for step in run.steps(stage, optimisers, [], settings, random=[drawn.numbers, drawn.random]):
        features, expected, truth, confidence = (
            own_share(part).to(run.device, memory_format=layout)
            for part in drawn.training_pair(settings["batch"])
        )
        with torch.autocast(run.device.type, torch.bfloat16, enabled=half):
            heights = (
                network.coarse(features, expected)[0] if stage == "coarse" else network(features, expected)
            )
        heights = heights.float()
        loss, terms = seen_skin_loss(heights, truth, confidence, inside, expected)
        if settings.get("change") and len(heights) % 2 == 0:
            changed = change_loss(heights, truth, confidence, inside)
            loss = loss + settings["change"] * changed
            terms["changed"] = float(changed.detach())
        if stage == "adversarial":
            seen = confidence * inside
            loss = loss + adversarial_terms(step, judges, heights, truth, seen, features, settings)
        step.descend(loss, "network", loss=loss, **terms)
    network.to(memory_format=torch.contiguous_format).eval()  # pyright: ignore[reportCallIssue]


def adversarial_terms(
    step: Step,
    judges: PatchDiscriminators,
    heights: Tensor,
    truth: Tensor,
    seen: Tensor,
    features: Tensor,
    settings: dict,
) -> Tensor:
    """Trains the discriminators for one step; returns the network's loss against them.

    Args:
        step: of the stage.
        judges: the discriminators.
        heights, truth: (B, 1, R, R).
        seen: (B, 1, R, R), 0 where the skin is not seen.
        features: (B, 9, R, R).
        settings: the weights deceive and match.
    """
    condition = features[:, [0, 3, 4]]
    real = judges(truth * seen, condition)
    wrong = discrimination_loss(real, judges(heights.detach() * seen, condition))
    step.descend(wrong, "judges", wrong=wrong)
    generated = judges(heights * seen, condition)
    matched = feature_matching(generated, real)
    deceived = judged_real(generated)
    step.note(deceived=deceived, matched=matched)
    return settings["deceive"] * deceived + settings["match"] * matched


@torch.inference_mode()
def measure(
    network: ImageToDisplacement, drawn: PhotographedSkin, device: torch.device
) -> dict[str, dict[str, float]]:
    """Measures correlation and PSNR inside the seen face, at three degrees of coarseness.

    A blank map, the training people's mean and the expected map stand beside it.

    Returns:
        By "1/2", "1/4" and "1/8" of a texture of 1024 (the network's own resolution where that is coarser):
        "correlation" and "psnr_db" of the estimate, "zero_db", "mean_db", "expected_db", "n"; "beyond_mean"
        and "expected_beyond_mean", the correlation of what the estimate and the expected map say beyond the
        mean map with what is true of it.
    """
    first = int(len(drawn.maps) * TRAINING_SHARE)
    rows = np.linspace(first, len(drawn.maps) - 1, min(MEASURED, len(drawn.maps) - first)).astype(int)
    mean = drawn.mean_map()
    figures = {}
    for name, coarser in (("1/2", 2), ("1/4", 4), ("1/8", 8)):
        factor = max(1.0, coarser * network.config.resolution / FULL)
        estimates, truths, usual, given = [], [], [], []
        for row in rows:
            features, expected, truth, confidence = drawn.pair(np.array([row]), factor)
            seen = (confidence * drawn.inside)[0, 0] > 0.5
            estimates.append(network(features.to(device), expected.to(device)).cpu()[0, 0][seen])
            given.append(expected[0, 0][seen])
            truths.append(truth[0, 0][seen])
            usual.append(mean[seen])
        estimate, true, average, before = (torch.cat(parts) for parts in (estimates, truths, usual, given))
        peak = float(np.subtract(*np.percentile(true.numpy(), [99.9, 0.1])))

        def decibels(error: Tensor, peak: float = peak) -> float:
            return round(20 * float(np.log10(peak / max(float(error.square().mean().sqrt()), 1e-9))), 2)

        figures[name] = {
            "correlation": _correlation(estimate, true),
            "psnr_db": decibels(estimate - true),
            "zero_db": decibels(true),
            "mean_db": decibels(average - true),
            "expected_db": decibels(before - true),
            "n": len(rows),
            "beyond_mean": _correlation(estimate - average, true - average),
            "expected_beyond_mean": _correlation(before - average, true - average),
        }
    return figures


def _correlation(one: Tensor, other: Tensor) -> float:
    return round(float(torch.corrcoef(torch.stack([one, other]))[0, 1]), 3)


def check_worth(figures: dict[str, dict[str, float]]) -> None:
    """Refuses a network that takes nothing from the photograph.

    Pores are alike on everybody, so the mean map is near any truth; an estimate as deep as skin cannot be
    much nearer. What it says beyond the mean map has to be true more often than what the expected map says.

    Raises:
        UserError: at one degree of coarseness it is not.
    """
    for name, row in figures.items():
        if row["psnr_db"] <= row["expected_db"] or row["beyond_mean"] <= row["expected_beyond_mean"]:
            raise UserError(
                f"At {name} the estimate has {row['psnr_db']} dB, the expected map {row['expected_db']} dB; "
                f"beyond the mean map they correlate by {row['beyond_mean']} and "
                f"{row['expected_beyond_mean']} with the truth. The weights stay where they are.",
                "Raise the steps in the configuration.",
            )


def figures_text(figures: dict[str, dict[str, float]]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| texture at | correlation with the truth | PSNR dB | blank map | mean map | expected map | "
        "held-out maps | beyond the mean map | expected, beyond it |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in figures.items():
        shown = [str(value) for value in row.values()]
        lines.append("| " + " | ".join([name, *shown]) + " |")
    return "\n".join(lines)


@torch.inference_mode()
def write_samples(
    path: Path, network: ImageToDisplacement, drawn: PhotographedSkin, device: torch.device
) -> None:
    """Writes a sheet of people that training left out.

    Its rows: the texture's brightness as if it were relief, the expected map, the truth and the estimate.
    """
    rows = np.linspace(int(len(drawn.maps) * TRAINING_SHARE), len(drawn.maps) - 1, SHOWN).astype(int)
    features, expected, truth, _ = drawn.pair(rows, 1.0)
    estimate = network(features.to(device), expected.to(device)).cpu()
    shown = [
        part[:, 0].numpy()
        for part in (
            0.2 * features,
            expected * drawn.unit,
            truth * drawn.unit,
            estimate * drawn.unit * drawn.inside,
        )
    ]
    write_sample_sheet(path, shown, tile=512)
