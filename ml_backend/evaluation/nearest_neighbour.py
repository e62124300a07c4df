"""Distances of generated maps to the nearest training map: does the generator repeat its training?"""

import numpy as np
import torch
from torch import Tensor


def nearest_distances(maps: Tensor, known: Tensor, batch: int = 64) -> np.ndarray:
    """Root mean square difference of each map to the nearest of the known ones.

    Args:
        maps: (N, R, R) millimetres.
        known: (M, R, R).
        batch: known maps compared at a time.

    Returns:
        (N,) float64, millimetres.
    """
    flat = maps.flatten(1).float()
    squares = flat.square().sum(1)
    nearest = torch.full((len(flat),), torch.inf)
    for part in known.split(batch):
        other = part.flatten(1).float()
        between = squares[:, None] + other.square().sum(1)[None] - 2 * flat @ other.T
        nearest = torch.minimum(nearest, between.amin(1))
    return np.sqrt(nearest.clamp_min(0).double().numpy() / flat.shape[1])


def novelty(
    distances: np.ndarray, energies: np.ndarray, true_distances: np.ndarray, true_energies: np.ndarray
) -> dict[str, float]:
    """Compares the maps' distance to the training maps with that of unseen people's maps.

    A quiet map has quiet neighbours, so each distance is divided by the root mean square of the map itself.

    Args:
        distances: (N,) to the nearest training map.
        energies: (N,) root mean squares of the maps.
        true_distances, true_energies: (M,) those of unseen people's true maps.

    Returns:
        "ratio" of the medians, about 1 for new people, near 0 for copies; "copies", the share of maps that
        are nearer to a training map than 99 in 100 of unseen people's.
    """
    own = distances / np.maximum(energies, 1e-9)
    true = true_distances / np.maximum(true_energies, 1e-9)
    return {
        "ratio": round(float(np.median(own) / np.median(true)), 3),
        "copies": round(float((own < np.quantile(true, 0.01)).mean()), 4),
    }
