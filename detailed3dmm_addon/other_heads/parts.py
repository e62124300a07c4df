"""Connected parts of a surface, and parts that belong together though their vertices are doubled."""

import numpy as np

_SEWN = 0.3
"""Least share of a part's open border along which another part is sewn to it; others only touch."""


def connected_parts(groups: np.ndarray, count: int) -> np.ndarray:
    """Numbers the connected parts of a surface.

    Args:
        groups: (G, K) indices; the elements of a row are connected.
        count: N, of elements.

    Returns:
        (N,) the number of each element's part, counted from 0.
    """
    label = np.arange(count)
    while True:
        least = label[groups].min(1)
        fresh = label.copy()
        for column in groups.T:
            np.minimum.at(fresh, column, least)
        fresh = fresh[fresh]
        if np.array_equal(fresh, label):
            return np.unique(label, return_inverse=True)[1]
        label = fresh


def sewn_vertices(triangles: np.ndarray, one_place: np.ndarray) -> np.ndarray:
    """Finds the vertices at which a surface was cut open.

    They lie along an edge with one triangle on each side, and a good part of their own part's border is cut:
    a tear that touches the lid with a few vertices stays apart.

    Args:
        triangles: (T, 3).
        one_place: (N,) the first vertex at each vertex's place.

    Returns:
        (N,) the first vertex at the place of those, and the vertex itself of all others.
    """
    own = np.arange(len(one_place))
    if (one_place == own).all():
        return own
    raw = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, number = np.unique(np.sort(one_place[raw], axis=1), axis=0, return_inverse=True)
    number = number.ravel()
    sides, side_edge = np.unique(np.column_stack([number, raw]), axis=0, return_inverse=True)
    there = np.bincount(number)
    cut = (there == 2) & (np.bincount(sides[:, 0], minlength=len(edges)) == 2)
    sewn = np.isin(one_place, edges[cut]) & ~np.isin(one_place, edges[there > 2])
    border = np.zeros(len(one_place), bool)
    border[sides[np.bincount(side_edge.ravel()) == 1, 1:]] = True
    part = connected_parts(triangles, len(one_place))
    share = np.bincount(part, sewn & border) / np.maximum(np.bincount(part, border), 1)
    largest = np.bincount(part[triangles[:, 0]]).argmax()
    loose = (share < _SEWN) & (np.arange(len(share)) != largest)
    kept = sewn & ~np.isin(one_place, one_place[sewn & loose[part]])
    return np.where(kept, one_place, own)
