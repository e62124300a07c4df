"""Groups of strands that share a card: clusters, and means and quantiles of their values. numpy alone."""

import numpy as np

from .shaping import clump_guides, nearest

_ROUNDS = 3


def grouped(features: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Returns (N,) int: the group of each strand, numbered without gaps.

    Args:
        features: (N, D) float32, whose distances tell how unlike two strands are.
        count: groups at most.
        random: its state moves on.

    Source: Lloyd's algorithm, from randomly chosen strands.
    """
    features = features.astype(np.float32)
    leaders = clump_guides(features, -(-len(features) // max(count, 1)), random)
    _, group = np.unique(leaders, return_inverse=True)
    for _ in range(_ROUNDS):
        group = nearest(features, group_mean(features, group))
        _, group = np.unique(group, return_inverse=True)
    return group.astype(np.int64)


def group_mean(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Returns (C, ...) float32: the means of values (N, ...) by group (N,)."""
    order, starts, sizes = _runs(group)
    flat = values.reshape(len(values), -1)[order]
    mean = np.add.reduceat(flat, starts, axis=0, dtype=np.float64) / sizes[:, None]
    return mean.reshape(len(starts), *values.shape[1:]).astype(np.float32)


def group_quantiles(values: np.ndarray, group: np.ndarray, count: int, *shares: float) -> np.ndarray:
    """Returns (len(shares), count): quantiles of values (N,) by group (N,); not a number for empty groups."""
    order = np.lexsort((values, group))
    sizes = np.bincount(group, minlength=count)
    starts = np.cumsum(sizes) - sizes
    found = np.full((len(shares), count), np.nan, np.float32)
    filled = sizes > 0
    for row, share in enumerate(shares):
        place = starts + np.round(share * (sizes - 1)).astype(np.int64)
        found[row, filled] = values[order[place[filled]]]
    return found


def group_members(group: np.ndarray, each: int) -> np.ndarray:
    """Returns (C, each) int: members of each group (N,), spread over it; small groups repeat theirs."""
    order, starts, sizes = _runs(group)
    steps = ((np.arange(each) + 0.5) / each * sizes[:, None]).astype(np.int64)
    return order[starts[:, None] + steps]


def main_direction(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Returns (C, 3): the unit direction in which the members of each group (N,) of points (N, 3) lie."""
    apart = values - group_mean(values, group)[group]
    spread = group_mean(apart[:, :, None] * apart[:, None, :], group)
    return np.linalg.eigh(spread.astype(np.float64))[1][:, :, 2].astype(np.float32)


def _runs(group: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the members sorted by group, and where each group begins and how large it is."""
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group)
    return order, np.cumsum(sizes) - sizes, sizes
