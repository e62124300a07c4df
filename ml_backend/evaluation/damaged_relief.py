"""True maps damaged on purpose, in degrees: what a distance between sets of maps must put in order."""

import torch
from torch import Tensor

from ..simulation.relief.strain import gaussian_blur

BLUR_MM = (0.7, 1.5)
NOISE = (0.25, 0.5)
FLATTENED = (0.8, 0.6)
MOVED_MM = (4.0, 8.0)
ALIKE = 0.5
DEGREES = {
    "blurred": ("blurred_slightly", "blurred_strongly"),
    "noisy": ("noisy_slightly", "noisy_strongly"),
    "flattened": ("flattened_slightly", "flattened_strongly"),
    "moved": ("moved_slightly", "moved_strongly"),
    "alike": ("alike", "mean"),
}
"""Slight and strong damage of each kind."""


def damaged_sets(truth: Tensor, mask: Tensor, scale: tuple[float, float], seed: int = 0) -> dict[str, Tensor]:
    """Damages maps: blurred, noisy, too shallow, in the wrong place, too much alike, inverted.

    Noise of a tenth of the maps' deviation is no damage: it passes for pores.

    Args:
        truth: (N, R, R) millimetres, 0 outside the mask.
        mask: (R, R) bool.
        scale: millimetres per unit of u and of v.
        seed: of the noise.

    Returns:
        Sets of N maps by name: those of `DEGREES`, and `inverted`.
    """
    resolution = truth.shape[-1]
    texels = resolution / scale[1], resolution / scale[0]
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed)) * float(
        truth[:, mask].std()
    )
    mean = truth.mean(0)
    made = {
        "blurred": [gaussian_blur(truth, (width * texels[0], width * texels[1])) * mask for width in BLUR_MM],
        "noisy": [(truth + share * noise) * mask for share in NOISE],
        "flattened": [share * truth for share in FLATTENED],
        "moved": [truth.roll(-round(way * texels[0]), 1) * mask for way in MOVED_MM],
        "alike": [mean + ALIKE * (truth - mean), mean.expand_as(truth)],
    }
    named = {
        name: maps for kind, names in DEGREES.items() for name, maps in zip(names, made[kind], strict=True)
    }
    return {**named, "inverted": -truth}


def ranks_correctly(distances: dict[str, float]) -> bool:
    """Returns True if the distance ranks damage as it should.

    Of every kind: truth < slight < strong damage. Inverted maps are further than the truth too. Kinds are not
    compared with each other: maps without pores may be further than one mean map, which keeps those that all
    people share.
    """
    truth = distances["truth"]
    ordered = all(truth < distances[slight] < distances[strong] for slight, strong in DEGREES.values())
    return ordered and distances["inverted"] > truth
