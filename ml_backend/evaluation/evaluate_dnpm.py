"""Measures DNPM as a generator of skin: distance from a set of true maps, repetition of its training.

The Frechet distance is taken between sets of equal size in the fixed feature space of
`evaluation/frechet_distance.py`; it is trusted only where, in the same run, it ranks damaged truth as the eye
does (`ranks_correctly`). All people are simulated and held out; the reference and the other truth share
nobody.

rows:
  truth            other people's true maps: the distance that chance leaves
  encoder          encoder + DNPM for the same people and faces as `truth`
  prior_1, prior_0.7   DNPM's prior z ~ N(0, 1) at truncation 1 and 0.7
  blurred_slightly, blurred_strongly   the truth through a Gaussian of 0.7 and 1.5 mm
  noisy_slightly, noisy_strongly       the truth with white noise of 0.25 and 0.5 of its standard deviation
  flattened_slightly, flattened_strongly   the truth at 0.8 and 0.6 of its depth
  moved_slightly, moved_strongly       the truth 4 and 8 mm lower
  alike, mean      the truth half-way to the mean map, and the mean map in place of every map
  inverted         the truth with ridges for valleys

The nearest-neighbour check: distance of a map to the nearest training map over its own root mean square, as a
share of the same for unseen people's true maps (1 = as new as they are), and the share of maps nearer than 99
in 100 of those; its own control, `copied`, are training maps with slight noise.

examples:
  python -m ml_backend evaluate dnpm --card --json
  python -m ml_backend evaluate dnpm --maps 64 --weights build/dnpm
  python -m ml_backend evaluate dnpm --curve build/dnpm/log.jsonl --picture build/dnpm/curve.png
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..asset_files import ASSETS
from ..datasets.map_set import HELD_OUT_SEED, person
from ..datasets.sampled_expressions import sample_expressions
from ..errors import UserError
from ..files.model_card import note_evaluation
from ..layers.blur_resampling import resize_by_halving
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import PRIOR_FILE, Detailed3DMM, read_prior
from ..models.displacement_generator import LatentPrior
from ..simulation.relief.skin_simulation import SkinSimulation
from ..training.training_curve import draw_training_curve
from .damaged_relief import damaged_sets, ranks_correctly
from .frechet_distance import ReliefFeatures, frechet_distance
from .nearest_neighbour import nearest_distances, novelty

RESOLUTION = 256
RENDERED = 512
"""The resolution at which true maps are simulated, as the training's are; they are then made coarser."""
EXPRESSIONS = 4  # of each person
FIRST_PERSON = HELD_OUT_SEED + 2000
TRUNCATIONS = (1.0, 0.7)
COPY_NOISE = 0.15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "--maps", type=int, default=320, help="maps in every set, a multiple of 4 (default: %(default)s)"
    )
    parser.add_argument(
        "--weights", type=Path, default=ASSETS, help="folder of the weights (default: the package's)"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("build/maps/coarse"),
        help="the set of maps that the weights were trained on; where it is missing, its first people "
        "are simulated (default: %(default)s)",
    )
    parser.add_argument(
        "--training-maps",
        type=int,
        default=1600,
        help="training maps to compare with at most (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the prior's samples and the noise (default: 0)"
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: torch's choice)")
    parser.add_argument(
        "--curve", type=Path, help="a training run's log.jsonl: draw its curves, measure nothing"
    )
    parser.add_argument(
        "--picture",
        type=Path,
        default=Path("build/training_curve.png"),
        help="where --curve draws (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--card", action="store_true", help="note the figures in dnpm_prior.md beside the weights"
    )


def run(args: argparse.Namespace) -> int:
    """Evaluates, or draws; returns the exit status."""
    if args.curve:
        args.picture.parent.mkdir(parents=True, exist_ok=True)
        draw_training_curve(args.curve, args.picture)
        print(args.picture)
        return 0
    if args.maps < 4 * EXPRESSIONS or args.maps % EXPRESSIONS:
        raise UserError(
            f"{args.maps} maps: at least {4 * EXPRESSIONS} are needed, in steps of {EXPRESSIONS}."
        )
    if args.threads:
        torch.set_num_threads(args.threads)
    figures = measure(
        Detailed3DMM.load(args.weights), read_prior(args.weights / PRIOR_FILE), args, time.monotonic()
    )
    if args.card:
        note_evaluation((args.weights / PRIOR_FILE).with_suffix(".md"), table_text(figures))
    print(json.dumps(figures) if args.json else table_text(figures))
    return 0


def _say(began: float, text: str) -> None:
    print(f"{time.monotonic() - began:7.0f} s  {text}", file=sys.stderr, flush=True)


@torch.inference_mode()
def simulated(
    simulation: SkinSimulation, first_seed: int, people: int, kind: int = 0xE
) -> tuple[Tensor, tuple[np.ndarray, ...]]:
    """True maps (P E, R, R) of people, with their identities, skins and expressions."""
    maps = []
    given = []
    for seed in range(first_seed, first_seed + people):
        identity, skin = person(simulation.face, seed)
        expressions = sample_expressions(EXPRESSIONS, np.random.default_rng([seed, kind]))
        state = simulation.prepare(torch.from_numpy(identity)[None], torch.from_numpy(skin)[None])
        full = simulation.displacement(state, torch.from_numpy(expressions)[None])[0].cpu()
        maps.append(resize_by_halving(full[:, None], RESOLUTION)[:, 0])
        given.append(
            (np.repeat(identity[None], EXPRESSIONS, 0), np.repeat(skin[None], EXPRESSIONS, 0), expressions)
        )
    return torch.cat(maps), tuple(np.concatenate(values) for values in zip(*given, strict=True))


def prior_maps(model: Detailed3DMM, prior: LatentPrior, count: int, truncation: float, seed: int) -> Tensor:
    """Returns (count, R, R) samples of DNPM's prior, noise inputs off, as the product uses them."""
    z = torch.randn(count, model.generator.config.latent_width, generator=torch.Generator().manual_seed(seed))
    prior = prior.to(model.device)
    found = []
    with torch.inference_mode():
        for part in z.split(8):
            latents = prior.latents(model.generator.mean_latent, part.to(model.device), truncation)
            found.append(torch.from_numpy(model.synthesize(latents, RESOLUTION)))
    return torch.cat(found)


def training_maps(data: Path, simulation: SkinSimulation, count: int) -> tuple[Tensor, str]:
    """Returns (M, R, R) maps that training saw, and where they are from."""
    if (data / "maps.npy").is_file():
        stored = np.load(data / "maps.npy", mmap_mode="r")
        rows = np.unique(np.linspace(0, len(stored) - 1, min(count, len(stored))).astype(int))
        parts = [
            torch.from_numpy(np.asarray(stored[rows[i : i + 32]], np.float32))
            for i in range(0, len(rows), 32)
        ]
        found = torch.cat([resize_by_halving(part[:, None], RESOLUTION)[:, 0] for part in parts])
        return found, f"{len(found)} of the {len(stored)} maps in {data}"
    people = min(60, count // EXPRESSIONS)
    return simulated(simulation, 0, people)[
        0
    ], f"{people} of the training people x {EXPRESSIONS} expressions, simulated again"


def measure(model: Detailed3DMM, prior: LatentPrior, args: argparse.Namespace, began: float) -> dict:
    """All figures."""
    simulation = SkinSimulation(BilinearFace.default(), resolution=RENDERED)
    mask = resize_by_halving(simulation.mask.cpu().float()[None, None], RESOLUTION)[0, 0] > 0.5
    scale = simulation.mean_skin.chart.scale
    features = ReliefFeatures(RESOLUTION, scale, mask)
    people = args.maps // EXPRESSIONS
    reference = simulated(simulation, FIRST_PERSON, people)[0] * mask
    truth, given = simulated(simulation, FIRST_PERSON + people, people)
    truth = truth * mask
    _say(began, f"2 x {len(truth)} true maps of 2 x {people} held-out people")
    identity, skin, faces = given
    parts = [slice(i, i + 16) for i in range(0, len(truth), 16)]
    made = [
        torch.from_numpy(model.displacement(identity[part], skin[part], faces[part], RESOLUTION))
        for part in parts
    ]
    sets = {"truth": truth, "encoder": torch.cat(made) * mask}
    for truncation in TRUNCATIONS:
        sets[f"prior_{truncation:g}"] = prior_maps(model, prior, len(truth), truncation, args.seed) * mask
    _say(began, "maps generated")
    damaged = damaged_sets(truth, mask, scale, args.seed)
    target = features(reference)
    distances = {name: frechet_distance(features(maps), target) for name, maps in {**sets, **damaged}.items()}
    _say(began, "Frechet distances")
    known, source = training_maps(args.data, simulation, args.training_maps)
    known = known * mask
    noise = (
        COPY_NOISE
        * float(truth[:, mask].std())
        * torch.randn(min(len(truth), len(known)), RESOLUTION, RESOLUTION)
    )
    sets["copied"] = (known[: len(noise)] + noise) * mask
    nearest = {name: (nearest_distances(maps, known), _energies(maps)) for name, maps in sets.items()}
    _say(began, "nearest neighbours")
    return {
        "frechet": {name: round(value, 3) for name, value in distances.items()},
        "over_truth": {name: round(value / distances["truth"], 2) for name, value in distances.items()},
        "ranks_correctly": ranks_correctly(distances),
        "nearest_neighbour": {name: novelty(*nearest[name], *nearest["truth"]) for name in sets},
        "training_maps": source,
        "depth_mm": {name: round(float(maps[:, mask].std()), 4) for name, maps in sets.items()},
        "n_maps": len(truth),
        "n_people": people,
        "resolution": RESOLUTION,
        "features": target.shape[1],
        "seed": args.seed,
        "seconds": round(time.monotonic() - began),
    }  # fmt: skip


def _energies(maps: Tensor) -> np.ndarray:
    return maps.flatten(1).double().square().mean(1).sqrt().numpy()


def table_text(figures: dict) -> str:
    """Returns the figures as a Markdown table."""
    lines = [
        f"{figures['n_maps']} maps a set, {figures['n_people']} held-out people x {EXPRESSIONS} expressions, "
        f"at {figures['resolution']}; "
        f"the distance {'ranks' if figures['ranks_correctly'] else 'DOES NOT RANK'} damaged truth correctly. "
        f"Neighbours: {figures['training_maps']}.",
        "",
        "| maps | Frechet distance | over other people's truth | novelty | copies |",
        "|---|---|---|---|---|",
    ]
    for name, value in sorted(figures["frechet"].items(), key=lambda row: row[1]):
        found = figures["nearest_neighbour"].get(name)
        beside = f"{found['ratio']:.2f} | {found['copies']:.3f}" if found else " | "
        lines.append(f"| {name} | {value:.2f} | {figures['over_truth'][name]:.2f} | {beside} |")
    copied = figures["nearest_neighbour"]["copied"]
    return "\n".join(
        [*lines, f"| copied (control) | | | {copied['ratio']:.2f} | {copied['copies']:.3f} |", ""]
    )
