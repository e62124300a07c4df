"""Lays one surface over another by closest points: rigid, affine, then non-rigid steps. numpy only.

Source: Amberg et al. 2007, "Optimal Step Nonrigid ICP Algorithms for Surface Registration": stiffness is
lowered step by step; here the vertices have displacements instead of affine maps, and one affine map is taken
off first. Closest points alone let a surface slide; a lip is known by its movement (`MovementGuide`).
The idea of matching by signatures is that of Sun et al. 2009, "A Concise and Provably Informative Multi-Scale
Signature Based on Heat Diffusion"; the signature here is the movement itself.
"""

from collections.abc import Callable

import numpy as np

from .linear_models import fit_ridge
from .similarity import fit_similarity

Guide = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Points (V, 3) -> (places on the target that belong to them (V, 3), trust in each (V,) 0..1)."""
Closest = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(points (N, 3), their normals (N, 3)) -> (closest places on the target (N, 3), trust in each (N,) 0..1)."""
STIFFNESS = (60.0, 20.0, 6.0, 2.0, 0.6)
_SIMILARITY_STEPS = 12
_AFFINE_STEPS = 6
_STEPS_A_STIFFNESS = 3
_GUIDED_STIFFNESS = 6.0
"""Steps that are at least so stiff follow the guide too."""
_SOLVER_STEPS = 200
_SOLVED = 1e-5
_COMPONENTS = 24
_NEIGHBOURS = 6
_NEAR = 0.5
"""Weight of a squared distance in space beside a squared distance of the signatures, both metres."""
_SOFT = 0.0015
"""Metres: candidates about that much worse than the best count too."""
_DOUBT = 0.012
"""Metres: distance of the signatures at which a match is trusted half."""


def wrap_surface(
    positions: np.ndarray,
    triangles: np.ndarray,
    closest: Closest,
    counts: np.ndarray,
    guide: Guide | None = None,
) -> np.ndarray:
    """Lays a surface that is roughly in place over a target.

    Args:
        positions: (V, 3), in the target's space.
        triangles: (T, 3), counter-clockwise seen from outside.
        closest: finds places on the target.
        counts: (V,) 0..1, how much a vertex is to be drawn to the target; others follow their neighbours.

        guide: knows places on the target by other means; surfaces slide over each other without it.

    Returns:
        (V, 3) float64.
    """

    def goals_of(placed: np.ndarray, guided: bool = True) -> tuple[np.ndarray, np.ndarray]:
        goals, trust = closest(placed, triangle_normals(placed, triangles))
        trust = trust * counts
        if guide is None or not guided:
            return goals, trust
        others, known = guide(placed)
        total = trust + known
        share = (known / np.maximum(total, 1e-9))[:, None]
        return (1 - share) * goals + share * others, np.maximum(trust, known)

    placed = np.asarray(positions, np.float64)
    for _ in range(_SIMILARITY_STEPS):
        goals, trust = goals_of(placed)
        placed = fit_similarity(placed, goals, trust + 1e-9)(placed)
    for _ in range(_AFFINE_STEPS):
        goals, trust = goals_of(placed)
        placed = _fit_affine(placed, goals, trust)
    edges = triangle_edges(triangles)
    for stiffness in STIFFNESS:
        for _ in range(_STEPS_A_STIFFNESS):
            goals, trust = goals_of(placed, stiffness >= _GUIDED_STIFFNESS)
            placed = placed + _smooth_steps(goals - placed, trust, edges, stiffness)
    return placed


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


def triangle_normals(positions: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals at the vertices (V, 3)."""
    a, b, c = (positions[triangles[:, corner]] for corner in range(3))
    face = np.cross(b - a, c - a)
    total = np.stack(
        [np.bincount(triangles.ravel(), np.repeat(face[:, axis], 3), len(positions)) for axis in range(3)], 1
    )
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-30)


def _fit_affine(source: np.ndarray, goals: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Source moved by the affine map that brings it nearest to the goals, held a little to what it is."""
    middle = source.mean(0)
    local = np.concatenate([source - middle, np.ones((len(source), 1))], 1)
    penalty = 0.05 * weights.sum() * np.array([*(local[:, :3] ** 2).mean(0), 0.0]) + 1e-12
    return source + fit_ridge(local, goals - source, penalty, weights=weights)(local)


def triangle_edges(triangles: np.ndarray) -> np.ndarray:
    """Returns (K, 2): each edge of triangles (T, 3) once."""
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def _smooth_steps(wanted: np.ndarray, weights: np.ndarray, edges: np.ndarray, stiffness: float) -> np.ndarray:
    """Returns the steps (V, 3) nearest to the goals whose differences along edges are small.

    Conjugate gradients on the normal equations.
    """
    count = len(wanted)
    first, second = edges.T
    degree = np.bincount(edges.ravel(), minlength=count)[:, None]
    pull = weights[:, None] + 1e-6

    def apply(steps: np.ndarray) -> np.ndarray:
        around = np.stack(
            [
                np.bincount(first, steps[second, axis], count)
                + np.bincount(second, steps[first, axis], count)
                for axis in range(3)
            ],
            1,
        )
        return pull * steps + stiffness * (degree * steps - around)

    diagonal = pull + stiffness * degree
    found = np.zeros_like(wanted)
    left = weights[:, None] * wanted
    direction = left / diagonal
    energy = (left * direction).sum(0)
    goal = np.maximum(energy * _SOLVED**2, 1e-30)
    for _ in range(_SOLVER_STEPS):
        applied = apply(direction)
        step = energy / np.maximum((direction * applied).sum(0), 1e-30)
        found += step * direction
        left = left - step * applied
        scaled = left / diagonal
        fresh = (left * scaled).sum(0)
        if (fresh <= goal).all():
            break
        direction = scaled + fresh / np.maximum(energy, 1e-30) * direction
        energy = fresh
    return found


def _squared(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns (V, N): squared distances of rows (V, C) and (N, C)."""
    return np.maximum((first**2).sum(1)[:, None] + (second**2).sum(1)[None] - 2 * first @ second.T, 0)
