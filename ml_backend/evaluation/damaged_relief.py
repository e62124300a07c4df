"""True maps damaged on purpose, in degrees: what a distance between sets of maps must put in order."""

import torch
from torch import Tensor

from ..simulation.relief.strain import gaussian_blur

BLUR_MM = (0.7, 1.5)
NOISE = (0.1, 0.25)
MOVED_MM = 8.0
FLATTENED = 0.6


def damaged_sets(truth: Tensor, mask: Tensor, scale: tuple[float, float], seed: int = 0) -> dict[str, Tensor]:
    """Damages maps.

    Args:
        truth: (N, R, R) millimetres, 0 outside the mask.
        mask: (R, R) bool.
        scale: millimetres per unit of u and of v.
        seed: of the noise.

    Returns:
        Sets of N maps by name.
    """
    resolution = truth.shape[-1]
    texels = resolution / scale[1], resolution / scale[0]
    blurred = [gaussian_blur(truth, (width * texels[0], width * texels[1])) * mask for width in BLUR_MM]
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed)) * float(
        truth[:, mask].std()
    )
    noisy = [(truth + share * noise) * mask for share in NOISE]
    return {
        "blurred_slightly": blurred[0],
        "blurred_strongly": blurred[1],
        "noisy_slightly": noisy[0],
        "noisy_strongly": noisy[1],
        "flattened": FLATTENED * truth,
        "moved": truth.roll(-round(MOVED_MM * texels[0]), 1) * mask,
        "inverted": -truth,
        "mean": truth.mean(0).expand_as(truth),
    }


def ranks_correctly(distances: dict[str, float]) -> bool:
    """Returns True if the distance ranks damage as it should.

    For blur and for noise: truth < slight < strong damage; these < the mean map; all damage > truth.
    """
    truth = distances["truth"]
    mean = distances["mean"]
    ordered = all(
        truth < distances[f"{kind}_slightly"] < distances[f"{kind}_strongly"] < mean
        for kind in ("blurred", "noisy")
    )
    return ordered and all(distances[name] > truth for name in ("flattened", "moved", "inverted"))
