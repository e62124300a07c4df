"""Trains the mapping network of reenactment: landmark displacement to W+ displacement.

Pairs are two faces of one simulated person, seen with the detector's measured errors; their latents are those
of the detail encoder. Across people nothing is learned from: a displacement holds little of a person, so the
network serves any driving face. Stages:
  regression  components of the displacements in W+, and a ridge regression on landmarks
  mapping     the perceptron on top of it; the loss is the squared distance of the driving latent from the
              source's plus the displacement (Choe 2023, Eq. 3.6 and 3.7), in those components

Writes to --out: reenactment.safetensors (weight average, float16), reenactment.md (model card), log.jsonl,
checkpoint.safetensors.

examples:
  python -m ml_backend train reenactment --config 2core --out build/reenactment --install
"""

import argparse
import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...datasets.map_set import HELD_OUT_SEED
from ...datasets.reenactment_pairs import ReenactmentPairs, displacement_errors, draw_pairs
from ...files.model_card import ModelCard, install
from ...files.network_file import write_network_file
from ...fitting.face_fit import LandmarkModel
from ...fitting.landmark_map import LandmarkMap
from ...geometry.linear_models import fit_ridge, leading_row_space
from ...models.bilinear_face import BilinearFace
from ...models.detailed_3dmm import Detailed3DMM
from ...models.reenactment import FILE, MappingConfig, ReenactmentMapping, encoder_fingerprint
from ..checkpoints import WeightAverage
from ..steps import TrainingRun
from ..training_run import add_run_arguments, read_configuration

STAGES = ("regression", "mapping")
_BASIS_ROWS = 4000
_OVERSAMPLED = 8
Batch = tuple[Tensor, Tensor, Tensor]
"""Displacements (B, 2 L), codes of the sources (B, P) and coefficients of the latents (B, C)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add_run_arguments(parser, "build/reenactment", holds="nothing: the pairs are drawn anew in each run")
    parser.add_argument(
        "--install",
        action="store_true",
        help="put the finished weights and card where the package looks for them",
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    settings = read_configuration(args.config, "reenactment")
    training = TrainingRun.begin(args, STAGES[1:])
    torch.manual_seed(0)
    face = BilinearFace.default()
    landmarks = LandmarkModel.of(face, LandmarkMap.default())
    detail = Detailed3DMM.load(device=training.device)
    table = settings["pairs"]
    pairs = draw_pairs(landmarks, face, detail, table["people"], table["each"], 0)
    held = draw_pairs(landmarks, face, detail, table["held_out"], table["each"], HELD_OUT_SEED)
    generator = detail.generator.config
    config = MappingConfig(
        points=pairs.displacement.shape[1] // 2,
        styles=generator.style_count,
        latent_width=generator.latent_width,
        **settings["network"],
    )
    network = ReenactmentMapping(config)
    average = ReenactmentMapping(config)
    keeper = training.keep({"network": network, "average": average}, args.resume)
    random = np.random.default_rng(1)
    if not keeper.finished("regression"):
        fit_regression(network, pairs, landmarks, settings["regression"], random)
        average.load_state_dict(copy.deepcopy(network.state_dict()))
        keeper.finish("regression")
    network.to(training.device)
    average.to(training.device)
    held_batch = _batch(network, held, landmarks, np.arange(len(held.amount)), np.random.default_rng(2))
    held_left = _left_out(network, held)
    if not keeper.finished("mapping"):
        train_mapping(network, average, pairs, landmarks, settings["mapping"], training, held_batch)
        keeper.finish("mapping")
    figures = measure(average, held_batch, held_left)
    training.write("measured", **figures)
    facts = training.facts(f"python -m ml_backend train reenactment --config {args.config}", STAGES)
    facts["encoder"] = encoder_fingerprint()
    facts["pairs"] = f"{len(pairs.amount)} pairs of {table['people']} people"
    write_network_file(args.out / FILE, average, config, facts)
    mapping_card(average, facts, figures).write(args.out / FILE)
    if args.install:
        install(args.out, (FILE,))
    return 0


def fit_regression(
    network: ReenactmentMapping,
    pairs: ReenactmentPairs,
    landmarks: LandmarkModel,
    settings: dict[str, Any],
    random: np.random.Generator,
) -> None:
    """Fills the network's components, scales and ridge regression.

    Args:
        network: receives them.
        pairs: to learn from.
        landmarks: with the detector's errors.
        settings: `ridge`, `errors`.
        random: source of chance.
    """
    rows = random.permutation(len(pairs.amount))[:_BASIS_ROWS]
    network.basis.copy_(_axes(pairs.latents[rows].astype(np.float32), network.config.components))
    source = pairs.source[rows].astype(np.float32)
    mean = source.mean(0)
    axes = _axes(source - mean, network.config.source_components)
    codes = (source - mean) @ axes.numpy().T
    network.source_mean.copy_(torch.from_numpy(mean))
    network.source_basis.copy_(axes / torch.from_numpy(codes.std(0)[:, None]))
    noisy = np.concatenate(
        [
            pairs.displacement + displacement_errors(landmarks, pairs.amount, random)
            for _ in range(settings["errors"])
        ]
    )
    network.displacement_deviation.copy_(torch.from_numpy(noisy.std(0).clip(1e-4)))
    scaled = network.scaled(torch.from_numpy(noisy)).numpy()
    targets = np.tile(_coefficients(network, pairs), (settings["errors"], 1))
    slopes = fit_ridge(scaled, targets, settings["ridge"] * len(scaled)).slopes
    network.ridge.copy_(torch.from_numpy(slopes.astype(np.float32)))


def _axes(rows: np.ndarray, count: int) -> Tensor:
    """Returns the strongest orthonormal directions (count, P) of rows (N, P), as far as there are so many."""
    found = torch.zeros(count, rows.shape[1])
    if not count:
        return found
    width = min(count + _OVERSAMPLED, *rows.shape)
    space = leading_row_space(rows, width)
    inner = np.linalg.svd(rows @ space, full_matrices=False)[2]
    axes = (inner @ space.T)[:count]
    found[: len(axes)] = torch.from_numpy(np.ascontiguousarray(axes, np.float32))
    return found


def _coefficients(network: ReenactmentMapping, pairs: ReenactmentPairs) -> np.ndarray:
    """Returns (N, C), the pairs' displacements in W+ in the network's components."""
    basis = network.basis.cpu().numpy().T
    parts = [
        pairs.latents[start : start + 1024].astype(np.float32) @ basis
        for start in range(0, len(pairs.amount), 1024)
    ]
    return np.concatenate(parts)


def _left_out(network: ReenactmentMapping, pairs: ReenactmentPairs) -> float:
    """Returns the share of the power of the displacements in W+ that the components do not hold."""
    whole = sum(float(np.square(row.astype(np.float64)).sum()) for row in pairs.latents)
    return 1 - float(np.square(_coefficients(network, pairs).astype(np.float64)).sum()) / max(whole, 1e-12)


def _batch(
    network: ReenactmentMapping,
    pairs: ReenactmentPairs,
    landmarks: LandmarkModel,
    rows: np.ndarray,
    random: np.random.Generator,
) -> Batch:
    """Returns some pairs as the network takes them, with fresh errors of the detector."""
    device = network.basis.device
    seen = pairs.displacement[rows] + displacement_errors(landmarks, pairs.amount[rows], random)
    source = torch.from_numpy(pairs.source[rows].astype(np.float32)).to(device)
    latents = torch.from_numpy(pairs.latents[rows].astype(np.float32)).to(device)
    return torch.from_numpy(seen).to(device), network.codes(source), latents @ network.basis.T


def train_mapping(
    network: ReenactmentMapping,
    average: ReenactmentMapping,
    pairs: ReenactmentPairs,
    landmarks: LandmarkModel,
    settings: dict[str, Any],
    training: TrainingRun,
    held: Batch,
) -> None:
    """Trains the perceptron.

    Args:
        network: in training; its regression is there.
        average: receives the mean of the weights.
        pairs: to learn from.
        landmarks: with the detector's errors.
        settings: `steps`, `batch`, `rate`, `decay`, `scale`, `average_steps`, `log_steps`.
        training: log and checkpoint.
        held: pairs of other people, for the log.
    """
    random = np.random.default_rng(3)

    def measured() -> dict[str, float]:
        return measure(average, held, 0.0)

    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimisers = {"mapping": torch.optim.AdamW(parameters, settings["rate"], weight_decay=settings["decay"])}
    averages = [WeightAverage(network, average, settings["average_steps"])]
    with torch.no_grad():
        codes = torch.cat(
            [
                network.codes(torch.from_numpy(part.astype(np.float32)).to(training.device))
                for part in np.array_split(pairs.source, max(1, len(pairs.source) // 1024))
            ]
        )
    targets = torch.from_numpy(_coefficients(network, pairs)).to(training.device)
    size = network.config.styles * network.config.latent_width
    network.train()
    for step in training.steps(
        "mapping",
        optimisers,
        averages,
        settings,
        measure=lambda: measure(average, held, 0.0),
        random=[random],
    ):
        rows = random.integers(0, len(pairs.amount), settings["batch"])
        seen = pairs.displacement[rows] + displacement_errors(landmarks, pairs.amount[rows], random)
        made = network.coefficients(torch.from_numpy(seen).to(training.device), codes[rows])
        loss = settings["scale"] * (made - targets[rows]).square().sum(1).mean() / size
        step.descend(loss, clip=1.0, loss=loss)


@torch.no_grad()
def measure(network: ReenactmentMapping, held: Batch, left_out: float) -> dict[str, float]:
    """Returns the shares of the held-out displacements' power that are missed: network, ridge alone.

    Args:
        network: to measure.
        held: pairs of people that are held out.
        left_out: share of the power that the components do not hold.
    """
    displacement, codes, targets = held
    power = targets.square().sum()
    rows = {
        "missed": network.eval().coefficients(displacement, codes),
        "ridge_missed": network.scaled(displacement) @ network.ridge,
    }
    return {
        name: round(left_out + (1 - left_out) * float((made - targets).square().sum() / power), 4)
        for name, made in rows.items()
    }


def mapping_card(network: ReenactmentMapping, facts: dict[str, str], figures: dict[str, float]) -> ModelCard:
    """Returns the card of a run."""
    learned = sum(value.numel() for value in network.state_dict().values())
    return ModelCard(
        "The mapping network of reenactment",
        "Displacement of 478 landmarks, source to driving face, to displacement in DNPM's W+ space\n"
        "(`ml_backend/models/reenactment.py`; Choe 2023, section 3.3).",
        source=f"{facts['pairs']}, drawn from the face model with the detector's measured errors, and the "
        f"detail encoder's latents ({facts['encoder']}). No pictures or scans of people",
        command=facts["command"],
        device=f"{facts['device']}, {facts['training_minutes']} minutes",
        evaluation=f"Of the power of displacements in W+ of people who are held out, the network misses "
        f"{figures['missed']:.3f}, the ridge regression {figures['ridge_missed']:.3f}. Maps: "
        "`python -m ml_backend evaluate video`.",
        stages=facts["stages"],
        steps=facts.get("steps", ""),
        parameters=learned,
        config=vars(network.config),
    )
