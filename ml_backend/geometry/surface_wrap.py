"""Lays one surface over another by closest points: rigid, affine, then non-rigid steps. numpy only.

Source: Amberg et al. 2007, "Optimal Step Nonrigid ICP Algorithms for Surface Registration": stiffness is
lowered step by step; here the vertices have displacements instead of affine maps, and one affine map is taken
off first.
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
