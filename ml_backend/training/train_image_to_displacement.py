"""Trains image to displacement on simulated skin, photographed badly and unwrapped.

Maps of the stored set are shaded under random light with an albedo that has nothing to do with them
(simulation/skin_shading.py), then
made coarse, blurred, noisy and compressed (training/degraded_textures.py). Stages:
  linear       the mean map; the filters of linear shape from shading for what differs from it, by least
  squares, and where on the face
               they are to be believed
  coarse       the network of half the resolution, on half-size pictures
  whole        coarse network and enhancer together
  adversarial  the same with discriminators at two scales and feature matching

Writes to --out: image_to_displacement.safetensors (float16), image_to_displacement.md (model card),
log.jsonl, samples.png (texture's
brightness, expected, truth, estimate), checkpoint.safetensors. The maps are simulated into --data on first
use.

examples:
  python -m ml_backend train image-to-displacement --config 2core --out build/image --install
  python -m ml_backend train image-to-displacement --config gpu --device cuda --out build/image
"""

import argparse
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..datasets.degraded_maps import seen_parts
from ..datasets.degraded_textures import FULL, photograph
from ..datasets.map_set import MapSet
from ..errors import UserError
from ..files.network_file import write_network_file
from ..files.relief_sheet import write_sample_sheet
from ..layers.device import device_name
from ..losses.map_reconstruction import activity_weights, band_losses
from ..losses.patch_adversarial import discrimination_loss, feature_matching, judged_real
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import Detailed3DMM
from ..models.image_to_displacement import IMAGE_FILE, ImageToDisplacement, image_config, image_features
from ..models.patch_discriminators import PatchDiscriminators
from ..models.skin_vector import sample_skin
from ..simulation.portraits.skin_shading import (
    SkinSurface,
    sample_albedo,
    sample_light,
    shade_skin,
    skin_surface,
    smooth_shading,
)
from .model_card import SIMULATED, install
from .photo_cards import write_photo_card
from .train_dnpm import StageKeeper, open_maps
from .training_run import RunLog, Schedule, add_run_arguments, choose_device, read_configuration, set_rate

TRAINING_SHARE = 0.95
STAGES = ("linear", "coarse", "whole", "adversarial")
JUDGED = 3  # of the features: brightness and both slopes' effect
SHOWN, MEASURED = 5, 10
_ERROR_OF_LIGHT = 0.06
_KNOWN, _ROUGH = (0.3, 0.95), 0.3
"""How much of an identity a fit knows, as a cosine, and by how much it mistakes expressions, as a deviation of their logarithm."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(parser, "build/image")
    parser.add_argument(
        "--install",
        action="store_true",
        help="put the finished weights and card where the package looks for them",
    )


@dataclass
class PhotographedSkin:
    """Draws pairs of what the network reads and what it shall make.

    Attributes:
        maps: truth, at the resolution of the pairs.
        surface: the smooth face there.
        expect: rows of `maps` and a source of randomness to the maps (B, 1, R, R), millimetres, that the
            encoder makes of what a fit
            might say of these people.
        unit: millimetres per unit of the network.
        numbers, random: sources of randomness.
    """

    maps: MapSet
    surface: SkinSurface
    expect: Callable[[np.ndarray, np.random.Generator], Tensor]
    unit: float
    numbers: np.random.Generator
    random: torch.Generator

    @property
    def inside(self) -> Tensor:
        """(R, R) 1 inside the face."""
        return torch.from_numpy(self.maps.mask)

    def pair(self, rows: np.ndarray, factor: float | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features (B, 9, R, R), expected and true heights (B, 1, R, R) in units, confidence (B, 1, R, R), on the CPU."""
        count, size = len(rows), self.surface.mask.shape[-1]
        truth = self.maps.batch(rows, torch.device("cpu"))[0] * self.inside
        light = sample_light(count, self.random)
        drawn = shade_skin(
            self.surface, truth, sample_albedo(self.surface, count, self.random), light, self.random
        )
        confidence = seen_parts(count, size, self.random, torch.device("cpu")) * self.surface.mask
        texture = photograph(drawn, self.random, factor) * confidence
        fitted = light + _ERROR_OF_LIGHT * torch.randn(light.shape, generator=self.random)
        expected = self.expect(rows, self.numbers) * self.inside
        features = image_features(texture, confidence, *smooth_shading(self.surface, fitted))
        return features, expected / self.unit, truth / self.unit, confidence

    def training_pair(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """A random pair of people that are not measured."""
        return self.pair(self.numbers.integers(int(len(self.maps) * TRAINING_SHARE), size=count))


@dataclass(frozen=True)
class PoorlyFitted:
    """The encoder's maps of people as a fit to a photograph knows them: a share of their identity, the rest as if of somebody else, their
    expression roughly, their skin not at all.

    Attributes:
        maps: the people; model: makes the maps; face: draws identities.
    """

    maps: MapSet
    model: Detailed3DMM
    face: BilinearFace

    def __call__(self, rows: np.ndarray, numbers: np.random.Generator) -> Tensor:
        """(B, 1, R, R) millimetres of the maps' rows."""
        found = []
        for row in rows:
            share = numbers.uniform(*_KNOWN)
            other = self.face.sample_identity(int(numbers.integers(2**31)))
            identity = share * self.maps.identity[row] + np.sqrt(1 - share**2) * other
            expression = self.maps.expression[row] * np.exp(
                _ROUGH * numbers.standard_normal(self.maps.expression.shape[1])
            )
            given = (identity[None], sample_skin(0)[None], expression.clip(0, 1)[None])
            found.append(self.model.displacement(*given, self.maps.maps.shape[-1]))
        return torch.from_numpy(np.stack(found))


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    settings = read_configuration(args.config, "image-to-displacement")
    device = choose_device(args)
    log = RunLog(args.out, args.resume)
    maps = open_maps(args.data, settings["sets"], device)["photographed"]
    torch.manual_seed(0)
    config = image_config(settings["network"])
    network = ImageToDisplacement(config).to(device)
    judges = PatchDiscriminators(JUDGED, **settings.get("discriminators", {})).to(device)
    rows = np.linspace(0, len(maps) - 1, min(128, len(maps))).astype(int)
    unit = float(np.asarray(maps.maps[rows], np.float32).std())
    network.unit.fill_(unit)
    face, model = BilinearFace.default(), Detailed3DMM.load(device=device)

    def source(resolution: int, seed: int) -> PhotographedSkin:
        low = (
            maps
            if maps.maps.shape[-1] == resolution
            else maps.thinned(settings["used"]["maps"]).seen_at(resolution)
        )
        expect = PoorlyFitted(low, model, face)
        random = torch.Generator().manual_seed(seed)
        return PhotographedSkin(
            low, skin_surface(face, resolution), expect, unit, np.random.default_rng(seed), random
        )

    keeper = StageKeeper(
        args.out / "checkpoint.safetensors", {"network": network, "judges": judges}, args.resume
    )
    for number, stage in enumerate(STAGES):
        if keeper.finished(stage) or stage not in settings:
            continue
        drawn = source(config.resolution // 2 if stage in STAGES[:2] else config.resolution, number)
        if stage == "linear":
            fit_linear(network, drawn, settings[stage], log)
        else:
            train_stage(stage, network, judges, drawn, settings[stage], log, device)
        keeper.finish(stage)
    whole = source(config.resolution, 100)
    figures = measure(network, whole, device)
    log.write(
        "measured", **{f"{name} {key}": value for name, row in figures.items() for key, value in row.items()}
    )
    write_samples(args.out / "samples.png", network, whole, device)
    table = settings["sets"]["photographed"]
    facts = {
        "command": f"python -m ml_backend train image-to-displacement --config {args.config}",
        "stages": ", ".join(
            f"{name} ({settings[name].get('minutes', 'no')} minutes at most)"
            for name in STAGES
            if name in settings
        ),
        "device": f"{device.type}, {torch.get_num_threads()} threads"
        if device.type == "cpu"
        else device_name(device),
        "training_minutes": f"{log.minutes:.0f}",
        "maps": f"{table['people']} people x {table['expressions']} expressions at {table['resolution']}, shaded anew for every step",
        "source": SIMULATED,
        "measured": figures_text(figures),
    }
    sha256 = write_network_file(args.out / IMAGE_FILE, network, config, facts)
    count = sum(parameter.numel() for parameter in network.parameters())
    write_photo_card(args.out / IMAGE_FILE, dataclasses.asdict(config), count, facts, sha256)
    if args.install:
        check_worth(figures)
        install(args.out, (IMAGE_FILE,))
    return 0


@torch.no_grad()
def fit_linear(network: ImageToDisplacement, drawn: PhotographedSkin, settings: dict, log: RunLog) -> None:
    """Filters by ridge regression for what the expected map lacks, at texels drawn where the truth has wrinkles, and each cell's gain."""
    linear, side = network.coarse.linear, network.config.filter_size
    size = linear.CHANNELS * side * side
    gram, sums, kept = torch.zeros(size, size), torch.zeros(size), []
    for _ in range(settings["maps"]):
        features, expected, truth, confidence = drawn.training_pair(1)
        channels = linear.channels(features)
        local = torch.nn.functional.avg_pool2d(truth.abs(), 9, 1, 4)[0, 0]
        chance = (local + 0.2) * drawn.inside * (confidence[0, 0] > 0.5)
        places = torch.multinomial(chance.flatten(), settings["texels"], generator=drawn.random)
        width = truth.shape[-1]
        padded = torch.nn.functional.pad(channels, (side // 2,) * 4)[0]
        windows = padded.unfold(1, side, 1).unfold(2, side, 1)[
            :, places // width, places % width
        ]  # (C, n, side, side)
        rows = windows.permute(1, 0, 2, 3).flatten(1)
        gram += rows.T @ rows
        sums += rows.T @ (truth - expected).flatten()[places]
        kept.append((features, truth - expected, confidence))
    ridge = settings["ridge"] * gram.diagonal().mean() * torch.eye(size)
    weights = torch.linalg.solve(gram + ridge, sums)
    linear.filters.weight.copy_(weights.view(1, linear.CHANNELS, side, side))
    above, below = torch.zeros_like(linear.gain), torch.zeros_like(linear.gain)
    pool = torch.nn.functional.adaptive_avg_pool2d
    for features, truth, confidence in kept[: settings["gains"]]:
        found = linear.filters(linear.channels(features.to(linear.gain.device)))
        seen = (confidence * drawn.inside).to(found.device)
        above += pool(seen * found * truth.to(found.device), above.shape[-1])
        below += pool(seen * found.square(), above.shape[-1])
    middle = below[below > 0].median()
    linear.gain.copy_(((above + 0.05 * middle) / (below + 0.1 * middle)).clamp(0, 2))
    missed, whole = 0.0, 0.0
    for features, truth, confidence in kept[-settings["gains"] // 3 :]:
        seen = confidence * drawn.inside
        missed += float((seen * (linear(features.to(linear.gain.device)).cpu() - truth).square()).sum())
        whole += float((seen * truth.square()).sum())
    log.write(
        "linear",
        maps=settings["maps"],
        gain=float(linear.gain.mean()),
        missed_share=missed / max(whole, 1e-9),
    )


def mean_map(drawn: PhotographedSkin) -> Tensor:
    """(1, 1, R, R) mean of the people that are not measured, in units."""
    rows = np.linspace(0, int(len(drawn.maps) * TRAINING_SHARE) - 1, min(200, len(drawn.maps))).astype(int)
    return (
        torch.from_numpy(np.asarray(drawn.maps.maps[rows], np.float32).mean(0)) * drawn.inside / drawn.unit
    )[None, None]


def train_stage(
    stage: str,
    network: ImageToDisplacement,
    judges: PatchDiscriminators,
    drawn: PhotographedSkin,
    settings: dict,
    log: RunLog,
    device: torch.device,
) -> None:
    """One stage: the paper's L1 weighted to where wrinkles are, octave bands as lines and texture, and in the last the adversary."""
    made = network.coarse if stage == "coarse" else network
    optimiser = torch.optim.Adam(made.parameters(), betas=(0.9, 0.99))
    against = torch.optim.Adam(judges.parameters(), betas=(0.5, 0.99))
    schedule = Schedule(settings["steps"], settings.get("minutes", 0.0))
    inside = drawn.inside.to(device)
    network.train()
    while schedule.progress < 1:
        set_rate(optimiser, schedule.rate(settings["rate"]))
        features, expected, truth, confidence = (
            part.to(device) for part in drawn.training_pair(settings["batch"])
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.get("bfloat16", False)):
            heights = (
                network.coarse(features, expected)[0] if stage == "coarse" else network(features, expected)
            )
        heights = heights.float()
        loss, figures = reconstruction(heights, truth, confidence, inside)
        if stage == "adversarial":
            condition, seen = features[:, [0, 3, 4]], confidence * inside
            set_rate(against, schedule.rate(settings["rate"]))
            true = judges(truth * seen, condition)
            wrong = discrimination_loss(true, judges(heights.detach() * seen, condition))
            _step(against, wrong)
            own = judges(heights * seen, condition)
            matched = feature_matching(own, true)
            deceived = judged_real(own)
            loss = loss + settings["deceive"] * deceived + settings["match"] * matched
            figures |= {
                "wrong": float(wrong.detach()),
                "deceived": float(deceived.detach()),
                "matched": float(matched.detach()),
            }
        _step(optimiser, loss)
        schedule.done += 1
        if schedule.done % settings.get("log_steps", 20) == 0 or schedule.progress >= 1:
            log.write(
                stage,
                step=schedule.done,
                loss=float(loss.detach()),
                **figures,
                minutes_left=schedule.minutes_left,
            )
    network.eval()


def reconstruction(
    heights: Tensor, truth: Tensor, confidence: Tensor, inside: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Loss of heights against the truth, (B, 1, R, R) both, where the skin is seen; and its parts by name."""
    seen = confidence * inside
    weights = activity_weights(truth * inside, inside, max(3, truth.shape[-1] // 28) | 1) * (
        0.05 + 0.95 * confidence
    )
    pixel = (weights * (heights - truth).abs()).mean()
    square = (weights * (heights - truth).square()).mean()
    lines, texture = band_losses(heights * seen, truth * seen, inside, 4, floor=0.02)
    loss = pixel + square + 0.2 * lines + 0.2 * texture
    return loss, {
        "pixel": float(pixel.detach()),
        "lines": float(lines.detach()),
        "texture": float(texture.detach()),
    }


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


@torch.inference_mode()
def measure(
    network: ImageToDisplacement, drawn: PhotographedSkin, device: torch.device
) -> dict[str, dict[str, float]]:
    """Correlation and PSNR inside the seen face, at three degrees of coarseness, beside a blank map, the training people's mean and the
    expected map.

    Returns:
        By "1/2", "1/4" and "1/8" of a texture of 1024 (the network's own resolution where that is coarser):
        "correlation" and "psnr_db" of the estimate, "zero_db", "mean_db", "expected_db", "n".
    """
    first = int(len(drawn.maps) * TRAINING_SHARE)
    rows = np.linspace(first, len(drawn.maps) - 1, min(MEASURED, len(drawn.maps) - first)).astype(int)
    mean = mean_map(drawn)[0, 0]
    found = {}
    for name, coarser in (("1/2", 2), ("1/4", 4), ("1/8", 8)):
        factor = max(1.0, coarser * network.config.resolution / FULL)
        own, wanted, usual, given = [], [], [], []
        for row in rows:
            features, expected, truth, confidence = drawn.pair(np.array([row]), factor)
            seen = (confidence * drawn.inside)[0, 0] > 0.5
            own.append(network(features.to(device), expected.to(device)).cpu()[0, 0][seen])
            given.append(expected[0, 0][seen])
            wanted.append(truth[0, 0][seen])
            usual.append(mean[seen])
        one, true, average, before = (torch.cat(parts) for parts in (own, wanted, usual, given))
        peak = float(np.subtract(*np.percentile(true.numpy(), [99.9, 0.1])))

        def decibels(error: Tensor, peak: float = peak) -> float:
            return round(20 * float(np.log10(peak / max(float(error.square().mean().sqrt()), 1e-9))), 2)

        found[name] = {
            "correlation": round(float(torch.corrcoef(torch.stack([one, true]))[0, 1]), 3),
            "psnr_db": decibels(one - true), "zero_db": decibels(true), "mean_db": decibels(average - true),
            "expected_db": decibels(before - true), "n": len(rows),
        }  # fmt: skip
    return found


def check_worth(figures: dict[str, dict[str, float]]) -> None:
    """Refuses a network that says less than the mean map or the expected one, which know no photograph.

    Raises:
        UserError: at one degree of coarseness one of them is at least as near to the truth.
    """
    for name, row in figures.items():
        for rival in ("mean", "expected"):
            if row["psnr_db"] <= row[f"{rival}_db"]:
                known = row[f"{rival}_db"]
                raise UserError(
                    f"At {name} the estimate has {row['psnr_db']} dB, the {rival} map {known} dB; the weights stay where they are.",
                    "Train longer, or on a machine that is less busy.",
                )


def figures_text(figures: dict[str, dict[str, float]]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| texture at | correlation with the truth | PSNR dB | blank map | mean map | expected map | held-out maps |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in figures.items():
        shown = [
            str(row[key]) for key in ("correlation", "psnr_db", "zero_db", "mean_db", "expected_db", "n")
        ]
        lines.append("| " + " | ".join([name, *shown]) + " |")
    return "\n".join(lines)


@torch.inference_mode()
def write_samples(
    path: Path, network: ImageToDisplacement, drawn: PhotographedSkin, device: torch.device
) -> None:
    """The texture's brightness as if it were relief, the expected map, the truth and the estimate, for people that training left out."""
    rows = np.linspace(int(len(drawn.maps) * TRAINING_SHARE), len(drawn.maps) - 1, SHOWN).astype(int)
    features, expected, truth, _ = drawn.pair(rows, 1.0)
    own = network(features.to(device), expected.to(device)).cpu()
    shown = [
        part[:, 0].numpy()
        for part in (
            0.2 * features,
            expected * drawn.unit,
            truth * drawn.unit,
            own * drawn.unit * drawn.inside,
        )
    ]
    write_sample_sheet(path, shown, tile=512)
