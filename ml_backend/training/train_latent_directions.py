"""Learns directions in W+ that carry the names of the skin simulation's parameters.

The detail encoder's latents of random people under random expressions are regressed, with a small ridge, on
the people's parameters; a slope is the direction. Those people are independent draws, so what a slope holds
is that parameter's own share. Takes seconds.

Directions and their units:
  age          decades; the simulation's age, of geometry and skin together
  tendency     standard deviations of the tendency to wrinkle
  thickness    standard deviations of the thickness of the skin: longer wavelengths
  asymmetry    standard deviations; positive deepens the person's left
  upper        standard deviations; positive deepens the upper face and relieves the lower
  pores        standard deviations of the pores' depth, in the styles of the finest maps alone: coarser
  wrinkles stay

Writes to --out: latent_directions.safetensors, latent_directions.md.

examples:
  python -m ml_backend train latent-directions --install
  python -m ml_backend train latent-directions --weights build/dnpm --out build/directions
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from ..asset_files import ASSETS
from ..datasets.map_set import HELD_OUT_SEED, person
from ..datasets.sampled_expressions import sample_expressions
from ..errors import UserError
from ..files.model_card import ModelCard, install
from ..geometry.linear_models import fit_ridge
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import Detailed3DMM
from ..models.latent_directions import LatentDirections
from ..models.saved_latent import weights_fingerprint
from ..simulation.relief.skin_simulation import person_traits

FILE = "latent_directions.safetensors"
UNITS = {
    "age": "decades",
    "tendency": "standard deviations",
    "thickness": "standard deviations",
    "asymmetry": "standard deviations",
    "upper": "standard deviations",
    "pores": "standard deviations",
}
FINEST_BLOCKS = 2  # whose styles the pores may move
_RIDGE = 1e-3
_ROWS_AT_ONCE = 512


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "--weights",
        type=Path,
        default=ASSETS,
        help="folder of generator and encoder (default: the package's)",
    )
    parser.add_argument(
        "--people", type=int, default=4000, help="random people to learn from, at least 100 (default: 4000)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/directions"),
        help="folder for the results (default: %(default)s)",
    )
    parser.add_argument(
        "--install", action="store_true", help="put the file and its card where the package looks for them"
    )


def simulation_parameters(
    face: BilinearFace, identity: np.ndarray, skin: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the parameters by direction, in their units.

    Args:
        face: the face model.
        identity: (N, K).
        skin: (N, 16).

    Returns:
        (N,) each.
    """
    years = np.array([face.age_years(person) for person in identity])
    pores = person_traits(torch.from_numpy(years), torch.from_numpy(skin))["pores"].numpy()
    return {
        "age": (years + 9 * skin[:, 0]) / 10,
        "tendency": skin[:, 1] / 0.5,
        "thickness": skin[:, 2] / 0.5,
        "asymmetry": skin[:, 11],
        "upper": skin[:, 12],
        "pores": (pores - pores.mean()) / max(float(pores.std()), 1e-9),
    }


def ridge_slopes(parameters: np.ndarray, latents: np.ndarray) -> tuple[np.ndarray, float]:
    """Fits slopes of latents on parameters.

    Args:
        parameters: (N, D).
        latents: (N, M).

    Returns:
        (D, M) per unit of each parameter, and the share of the latents' power that all of them explain.
    """
    mean, deviation = parameters.mean(0), parameters.std(0)
    x = (parameters - mean) / np.maximum(deviation, 1e-9)
    y = latents - latents.mean(0)
    slopes = fit_ridge(x, y, _RIDGE * len(x)).slopes
    explained = 1 - np.square(y - x @ slopes).sum() / max(np.square(y).sum(), 1e-20)
    return slopes / np.maximum(deviation, 1e-9)[:, None], float(explained)


def fit_directions(
    model: Detailed3DMM, face: BilinearFace, people: int, weights: str
) -> tuple[LatentDirections, float]:
    """Fits directions to random people; returns also the share of the latents' power that they explain."""
    pairs = [person(face, seed) for seed in range(people)]
    identity, skin = (np.stack(values).astype(np.float32) for values in zip(*pairs, strict=True))
    expression = sample_expressions(people, np.random.default_rng(0xD1))
    parts = [slice(start, start + _ROWS_AT_ONCE) for start in range(0, people, _ROWS_AT_ONCE)]
    latents = np.concatenate(
        [model.latent(identity[p], skin[p], expression[p]).cpu().numpy() for p in parts]
    ).astype(np.float64)
    parameters = simulation_parameters(face, identity, skin)
    coarse = [name for name in UNITS if name != "pores"]
    slopes, explained = ridge_slopes(
        np.stack([parameters[name] for name in coarse], 1), latents.reshape(people, -1)
    )
    pores, _ = ridge_slopes(parameters["pores"][:, None], latents.reshape(people, -1))
    vectors = np.concatenate([slopes, pores]).reshape(-1, *latents.shape[1:])
    vectors[-1, : -2 * FINEST_BLOCKS] = 0
    names = (*coarse, "pores")
    return LatentDirections(
        names, tuple(UNITS[name] for name in names), vectors.astype(np.float32), weights
    ), explained


def run(args: argparse.Namespace) -> int:
    """Learns the directions; returns the exit status."""
    if not 100 <= args.people <= HELD_OUT_SEED:
        raise UserError(f"--people {args.people} is not 100 to {HELD_OUT_SEED}.")
    args.out.mkdir(parents=True, exist_ok=True)
    weights = weights_fingerprint(args.weights)
    directions, explained = fit_directions(
        Detailed3DMM.load(args.weights), BilinearFace.default(), args.people, weights
    )
    path = args.out / FILE
    directions.save(path, {"people": str(args.people)})
    listed = "\n".join(f"- {name}: {unit}" for name, unit in UNITS.items())
    ModelCard(
        "Latent directions",
        "Directions in DNPM's W+ space that carry the names of the skin simulation's parameters\n"
        f"(`ml_backend/training/train_latent_directions.py`).\n\n{listed}",
        source=f"the detail encoder's latents (weights {weights}) of {args.people} random simulated "
        "people. No scans "
        "of people",
        command=f"python -m ml_backend train latent-directions --people {args.people}",
        device="a CPU, in seconds",
        evaluation=f"Share of the latents' power that the directions explain together: {explained:.3f}; "
        "the rest is "
        "expression and where creases run.",
    ).write(path)
    print(f"{path}: {', '.join(directions.names)}; they explain {explained:.3f} of the latents' power")
    if args.install:
        install(args.out, (FILE,))
    return 0
