"""Finds where a vertex of a face lies on another face by how both move under expressions. numpy only.

Closest points alone let a surface slide over the other; a lid, a lip or a brow is known by its movement.
Source: the idea of matching by deformation signatures is that of Sun et al. 2009, "A Concise and Provably
Informative Multi-Scale Signature Based on Heat Diffusion"; the signature here is the movement itself.
"""

import numpy as np

_COMPONENTS = 24
_NEIGHBOURS = 6
_NEAR = 0.5
"""Weight of a squared distance in space beside a squared distance of the signatures, both metres."""
_SOFT = 0.0015
"""Metres: candidates about that much worse than the best count too."""
_DOUBT = 0.012
"""Metres: distance of the signatures at which a match is trusted half."""


class MovementGuide:
    """Goals for the vertices of one face on another by signatures of movement.

    Args:
        positions: (V, 3) ours at rest, metres.
        moved: (E, V, 3) ours, the movement under each expression, metres.
        edges: (K, 2) of our mesh, to know how fast the signature changes.
        their_positions: (N, 3), roughly in our place and size.
        their_moved: (E, N, 3), the same expressions.
    """

    def __init__(
        self,
        positions: np.ndarray,
        moved: np.ndarray,
        edges: np.ndarray,
        their_positions: np.ndarray,
        their_moved: np.ndarray,
    ):
        sizes = [np.sqrt((each**2).sum(2).max(1) + 1e-16) for each in (moved, their_moved)]
        ours, theirs = (
            (each / size[:, None, None]).transpose(1, 0, 2).reshape(each.shape[1], -1).astype(np.float32)
            for each, size in zip((moved, their_moved), sizes, strict=True)
        )
        axes = np.linalg.svd(ours.T @ ours)[0][:, :_COMPONENTS]
        ours, theirs = ours @ axes, theirs @ axes
        way = np.linalg.norm(positions[edges[:, 0]] - positions[edges[:, 1]], axis=1)
        change = np.linalg.norm(ours[edges[:, 0]] - ours[edges[:, 1]], axis=1)
        metres = np.float32(way.sum() / max(change.sum(), 1e-9))
        self._places = their_positions.astype(np.float32)
        self._apart = metres**2 * _squared(ours, theirs)
        self._moves = np.clip(metres * np.linalg.norm(ours, axis=1) / _DOUBT, 0, 1)

    def __call__(self, placed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns goals (V, 3) for our vertices, which lie at `placed` (V, 3) now, and trust (V,) 0 to 1."""
        cost = self._apart + np.float32(_NEAR) * _squared(placed.astype(np.float32), self._places)
        count = min(_NEIGHBOURS, cost.shape[1])
        best = np.argpartition(cost, count - 1, axis=1)[:, :count]
        costs = np.take_along_axis(cost, best, 1)
        weights = np.exp(-(costs - costs.min(1, keepdims=True)) / _SOFT**2)
        weights /= weights.sum(1, keepdims=True)
        goals = (weights[:, :, None] * self._places[best]).sum(1)
        apart = (weights * np.take_along_axis(self._apart, best, 1)).sum(1)
        return goals.astype(np.float64), self._moves / (1 + apart / _DOUBT**2)


def _squared(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns (V, N): squared distances of rows (V, C) and (N, C)."""
    return np.maximum((first**2).sum(1)[:, None] + (second**2).sum(1)[None] - 2 * first @ second.T, 0)
