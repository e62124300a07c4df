"""Registers a template to a scan without rigidity: one affine map a vertex, stiffness lowered step by step.

Source: Amberg, Romdhani and Vetter 2007, "Optimal Step Nonrigid ICP Algorithms for Surface Registration".
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from ..geometry.surface_wrap import triangle_normals
from .closest_point import ClosestOnMesh

NORMALS_AGREE = 0.4  # cosine
_STEPS_A_STIFFNESS = 3
# Stiffness, weight of the landmarks, reach of the closest points in metres.
_SCHEDULE = (
    (200.0, 20.0, 0.03), (80.0, 20.0, 0.025), (30.0, 15.0, 0.02), (12.0, 10.0, 0.015), (5.0, 7.0, 0.01),
    (2.0, 5.0, 0.008), (0.8, 4.0, 0.006), (0.4, 3.0, 0.005), (0.2, 3.0, 0.004),
)  # fmt: skip


@dataclass(frozen=True)
class Landmarks:
    """Points of the template and where they belong.

    rows: (L, V) sparse, weights of the template's vertices; goals: (L, 3); weights: (L,).
    """

    rows: sparse.csr_matrix
    goals: np.ndarray
    weights: np.ndarray


def register(
    positions: np.ndarray,
    triangles: np.ndarray,
    follows: np.ndarray,
    target: ClosestOnMesh,
    landmarks: Landmarks,
    progress: Callable[[str], None] = lambda _: None,
) -> np.ndarray:
    """Lays the template on the target.

    Args:
        positions: (V, 3) the template, roughly in place, metres.
        triangles: (T, 3) its skin, counter-clockwise from outside.
        follows: (V,) bool, vertices that are not drawn to the target but follow their neighbours.
        target: the scan's surface; its open edges draw nothing.
        landmarks: pairs that hold from the start.
        progress: told the residuals of each stiffness.

    Returns:
        (V, 3) float64; vertices without a triangle stay where they are.
    """
    used = np.unique(triangles)
    local = np.full(len(positions), -1)
    local[used] = np.arange(len(used))
    triangles = local[triangles]
    rest = np.asarray(positions, np.float64)[used]
    rows = landmarks.rows[:, used]
    follows = follows[used]
    edge_places = open_edge_triangles(target)
    count = len(used)
    scale = 10.0  # decimetres: keeps affine parts and shifts of one size
    homogeneous = np.column_stack([scale * rest, np.ones(count)])
    design = sparse.csr_matrix(
        (homogeneous.ravel(), (np.repeat(np.arange(count), 4), np.arange(4 * count))),
        shape=(count, 4 * count),
    )
    stiff = _stiffness(triangles, count)
    marks = rows @ design
    placed = rest
    for stiffness, pull, reach in _SCHEDULE:
        for _ in range(_STEPS_A_STIFFNESS):
            goals, trust = _closest(placed, triangles, target, edge_places, reach)
            trust[follows] = 0
            system = (
                stiffness * stiff
                + design.T @ sparse.diags(trust) @ design
                + marks.T @ sparse.diags(pull * landmarks.weights) @ marks
            )
            side = design.T @ (trust[:, None] * goals) + marks.T @ (
                (pull * landmarks.weights)[:, None] * landmarks.goals
            )
            affine = splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
            placed = design @ affine.solve(scale * side) / scale
        gap = np.linalg.norm(goals - placed, axis=1)[trust > 0] * 1000
        apart = np.linalg.norm(rows @ placed - landmarks.goals, axis=1) * 1000
        progress(
            f"stiffness {stiffness:g}: surface {gap.mean():.2f} mm mean, {np.quantile(gap, 0.95):.2f} p95; "
            f"landmarks {apart.mean():.2f} mean, {np.quantile(apart, 0.95):.2f} p95"
        )
    result = np.array(positions, np.float64)
    result[used] = placed
    return result


def _stiffness(triangles: np.ndarray, count: int) -> sparse.csr_matrix:
    """(4 V, 4 V): squared differences of the affine maps along edges."""
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    edge = np.arange(len(pairs))
    difference = sparse.csr_matrix(
        (np.repeat([-1.0, 1.0], len(pairs)), (np.tile(edge, 2), pairs.T.ravel())), shape=(len(pairs), count)
    )
    return sparse.csr_matrix(sparse.kron(difference.T @ difference, sparse.eye(4)))


def _closest(
    placed: np.ndarray, triangles: np.ndarray, target: ClosestOnMesh, edge_places: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    places = target(placed)
    agree = (target.normals(places) * triangle_normals(placed, triangles)).sum(axis=1)
    trust = (places.distance < reach) & (agree > NORMALS_AGREE) & ~edge_places[places.triangle]
    return target.points(places), trust.astype(float)


def open_edge_triangles(target: ClosestOnMesh) -> np.ndarray:
    """(T,) bool: triangles with a vertex on an open edge."""
    pairs = target.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    edges, count = np.unique(np.sort(pairs, axis=1), axis=0, return_counts=True)
    on_edge = np.zeros(len(target.positions), bool)
    on_edge[edges[count == 1]] = True
    return on_edge[target.triangles].any(axis=1)
