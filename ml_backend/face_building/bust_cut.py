"""Cuts a body's mesh to a bust: quads within an ellipsoid, the cut's edge laid exactly on it.

All new places are weighted means of the body's vertices, so that every morph target carries over.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

_CENTRE = np.array([0.0, 0.000, -0.044])  # of the ellipsoid, metres from the head joint
_RADII = np.array([0.142, 0.170, 0.158])  # below the collar bones, over the shoulders, between the blades
_RELAXED_RINGS = 4
_RELAXING_STEPS = 30


@dataclass(frozen=True)
class Bust:
    """The cut-out part.

    quads: indices of the body's quads that are kept; loop: its edge's vertices in order, from the front
    towards the person's left; blend: (V, V) sparse, the vertices' new places as means of the old.
    """

    quads: np.ndarray
    loop: np.ndarray
    blend: sparse.csr_matrix


def cut_bust(positions: np.ndarray, quads: np.ndarray, seed: int) -> Bust:
    """Cuts the bust out.

    Args:
        positions: (V, 3) the whole mesh, metres, Blender axes, origin at the head joint.
        quads: (F, 4) the body.
        seed: a vertex of the face.

    Raises:
        ValueError: the cut's edge is not one loop.
    """
    level = (((positions - _CENTRE) / _RADII) ** 2).sum(axis=1)
    above = positions[:, 2] > _CENTRE[2]
    level = np.where(above, np.minimum(level, ((positions[:, 0] / _RADII[0]) ** 2)), level)
    kept = _grown(quads, level[quads].mean(axis=1) < 1, seed)
    kept = _without_teeth(quads, kept)
    loop = _edge_loop(positions, quads[kept])
    blend = _slide_to_cut(positions, quads, loop, level)
    return Bust(np.flatnonzero(kept), loop, _relaxed(blend, positions, quads[kept], loop))


def _neighbours(quads: np.ndarray) -> sparse.csr_matrix:
    """(F, F) quads that share an edge."""
    edges = np.sort(np.concatenate([quads[:, [k, (k + 1) % 4]] for k in range(4)]), axis=1)
    _, edge = np.unique(edges, axis=0, return_inverse=True)
    owner = np.tile(np.arange(len(quads)), 4)
    touch = sparse.csr_matrix(
        (np.ones(len(owner)), (owner, edge.ravel())), shape=(len(quads), edge.max() + 1)
    )
    shared = (touch @ touch.T).tolil()
    shared.setdiag(0)
    return shared.tocsr()


def _grown(quads: np.ndarray, allowed: np.ndarray, seed: int) -> np.ndarray:
    """(F,) bool: quads that are reached from the seed over allowed ones."""
    adjacent = _neighbours(quads)
    number, label = sparse.csgraph.connected_components(adjacent[allowed][:, allowed], directed=False)
    labels = np.full(len(quads), -1)
    labels[allowed] = label
    start = labels[(quads == seed).any(axis=1)].max()
    if number == 0 or start < 0:
        raise ValueError("the seed lies outside the cut")
    return labels == start


def _without_teeth(quads: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Takes single quads away, or adds them, until the edge has no teeth and no notches."""
    adjacent = _neighbours(quads)
    for _ in range(20):
        inside = adjacent @ kept.astype(float)
        around = np.asarray(adjacent.sum(axis=1)).ravel()
        tooth = kept & (inside <= 1) & (around > 1)
        notch = ~kept & (inside >= 3)
        if not tooth.any() and not notch.any():
            return kept
        kept = (kept & ~tooth) | notch
    return kept


def _edge_loop(positions: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Vertices of the open edge in order, from the front towards the person's left."""
    edges = np.concatenate([quads[:, [k, (k + 1) % 4]] for k in range(4)])
    _, first, count = np.unique(np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True)
    following = dict(edges[first[count == 1]].tolist())
    start = min(following, key=lambda v: (round(abs(positions[v, 0]), 6), positions[v, 1]))
    loop = [start]
    while (vertex := following.get(loop[-1], start)) != start:
        loop.append(vertex)
    if len(loop) != len(following):
        raise ValueError("the cut's edge is not one loop")
    if positions[loop[1], 0] < 0:
        loop = [loop[0], *loop[:0:-1]]
    return np.array(loop)


def _slide_to_cut(
    positions: np.ndarray, quads: np.ndarray, loop: np.ndarray, level: np.ndarray
) -> sparse.csr_matrix:
    """Moves each vertex of the edge along one of its mesh edges to where the level is 1."""
    edges = np.concatenate([quads[:, [k, (k + 1) % 4]] for k in range(4)])
    edges = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    on_loop = np.zeros(len(positions), bool)
    on_loop[loop] = True
    blend = sparse.eye(len(positions)).tolil()
    for vertex in loop:
        others = edges[edges[:, 0] == vertex, 1]
        others = others[~on_loop[others]]
        crossing = others[(level[others] - 1) * (level[vertex] - 1) < 0]
        if len(crossing):
            share = (1 - level[vertex]) / (level[crossing] - level[vertex])
            best = np.round(share, 6).argmin()
            blend[vertex, vertex] = 1 - share[best]
            blend[vertex, crossing[best]] = share[best]
    return blend.tocsr()


def _relaxed(
    blend: sparse.csr_matrix, positions: np.ndarray, quads: np.ndarray, loop: np.ndarray
) -> sparse.csr_matrix:
    """Evens out the edge along itself and the rings inside it."""
    edges = np.concatenate([quads[:, [k, (k + 1) % 4]] for k in range(4)])
    pairs = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    count = len(positions)
    degree = np.bincount(pairs[:, 0], minlength=count)
    average = sparse.csr_matrix((1 / degree[pairs[:, 0]], (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    ring = np.zeros(count, bool)
    ring[loop] = True
    inner = ring.copy()
    for _ in range(_RELAXED_RINGS):
        inner |= (average @ inner.astype(float) > 0) & (degree > 0)
    inner &= ~ring
    along = sparse.lil_matrix((count, count))
    for index, vertex in enumerate(loop):
        along[vertex, loop[index - 1]] = along[vertex, loop[(index + 1) % len(loop)]] = 0.5
    step = sparse.diags((~(ring | inner)).astype(float)) + 0.5 * sparse.diags((ring | inner).astype(float))
    step = step + 0.5 * (sparse.diags(inner.astype(float)) @ average) + 0.5 * along.tocsr()
    for _ in range(_RELAXING_STEPS):
        blend = (step @ blend).tocsr()
        blend.data[blend.data < 1e-4] = 0
        blend.eliminate_zeros()
    return sparse.diags(1 / np.asarray(blend.sum(axis=1)).ravel()) @ blend
