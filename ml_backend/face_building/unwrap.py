"""Unwraps the skin of a head into one chart that fills the unit square.

The seam is at the back, the face is large, and no triangle is flipped.

The chart's outline (the bust's cut and the seam) is fixed on the square. Inside, a harmonic map with positive
weights (Tutte; bijective) is the start; then the symmetric Dirichlet energy against the surface, shrunk away
from the face, is lowered by Laplacian-preconditioned L-BFGS whose line search never lets a triangle flip.
Sources: Floater 1997; Smith and Schaefer 2015, "Bijective Parameterization with Free Boundaries"; Kovalsky et
al. 2016 for the preconditioner.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import dijkstra
from scipy.sparse.linalg import splu

from ..geometry.texture_space import signed_areas, triangles_of


@dataclass(frozen=True)
class Chart:
    """A chart of the skin.

    uv (U, 2) float64; polygons (F, 4) int32 into uv; vertex (U,) the mesh vertex of each texture coordinate.
    """

    uv: np.ndarray
    polygons: np.ndarray
    vertex: np.ndarray


def unwrap_head(
    positions: np.ndarray,
    polygons: np.ndarray,
    cut_loop: np.ndarray,
    scale: np.ndarray,
    iterations: int = 400,
) -> Chart:
    """Unwraps a symmetric head, cut below the collar bones.

    Args:
        positions: (V, 3) metres, Blender axes; symmetric about x = 0.
        polygons: (F, 4) int32, the skin.
        cut_loop: (N,) the cut's vertices in order, from the front towards the person's left.
        scale: (V,) how large the surface is to be drawn at each vertex, relative.
        iterations: of the optimiser.
    """
    seam = _seam(positions, polygons, cut_loop)
    cut, vertex = _cut_open(positions, polygons, seam)
    copies = {int(mesh): len(positions) + index for index, mesh in enumerate(vertex[len(positions) :])}
    outline, place = _outline(positions, cut_loop, seam, copies)
    triangles, _ = triangles_of(cut)
    used = np.unique(triangles)
    compact = np.full(len(vertex), -1)
    compact[used] = np.arange(len(used))
    triangles = compact[triangles]
    rest = positions[vertex[used]]
    start = _tutte(triangles, len(used), compact[outline], place)
    uv = _optimise(start, rest, triangles, scale[vertex[used]], compact[outline], iterations)
    return Chart(uv, np.where(cut >= 0, compact[cut], -1).astype(np.int32), vertex[used])


def _seam(positions: np.ndarray, polygons: np.ndarray, cut_loop: np.ndarray) -> list[int]:
    """Returns the midline from the back of the cut to the top of the head."""
    middle = np.abs(positions[:, 0]) < 1e-6
    edges = triangles_of(polygons)[0][:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    edges = edges[middle[edges].all(axis=1)]
    lengths = np.linalg.norm(positions[edges[:, 0]] - positions[edges[:, 1]], axis=1)
    graph = sparse.coo_matrix((lengths, (edges[:, 0], edges[:, 1])), shape=(len(positions),) * 2).tocsr()
    on_cut = cut_loop[middle[cut_loop]]
    back = on_cut[positions[on_cut, 1].argmax()]
    skin = np.unique(polygons[polygons >= 0])
    top = skin[np.where(middle[skin], positions[skin, 2] + 0.15 * positions[skin, 1], -np.inf).argmax()]
    before = dijkstra(graph, directed=False, indices=back, return_predecessors=True)[1]
    path = [int(top)]
    while path[-1] != back:
        path.append(int(before[path[-1]]))
    return path[::-1]


def _cut_open(positions: np.ndarray, polygons: np.ndarray, seam: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Gives the polygons on the person's left copies of the seam's vertices, its upper end excepted."""
    vertex = np.concatenate([np.arange(len(positions)), seam[:-1]])
    copy = np.arange(len(positions))
    copy[seam[:-1]] = len(positions) + np.arange(len(seam) - 1)
    left = positions[polygons[:, :3], 0].mean(axis=1) > 0
    cut = np.where(left[:, None] & (polygons >= 0), copy[polygons], polygons)
    return cut, vertex


def _outline(
    positions: np.ndarray, cut_loop: np.ndarray, seam: list[int], copies: dict[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the chart's boundary vertices and their places on the square.

    The cut lies along the bottom, the seam along both sides up to the top's middle.
    """
    back = list(cut_loop).index(seam[0])
    around = np.concatenate(
        [cut_loop[back:], cut_loop[:back], cut_loop[back : back + 1]]
    )  # from the back, by the right, to the back
    fraction = _arc_length(positions[around])
    bottom = np.stack([fraction, np.zeros(len(fraction))], axis=1)
    climb = 1.5 * _arc_length(positions[seam])
    side = np.stack([np.maximum(climb - 1, 0), np.minimum(climb, 1)], axis=1)
    corner = np.abs(climb - 1).argmin()
    side[corner] = (0, 1)
    other = side * (-1, 1) + (1, 0)
    outline = [*around[:-1], copies[seam[0]], *[copies[v] for v in seam[1:-1]], *seam[1:]]
    place = np.concatenate([bottom[:-1], [[1, 0]], other[1:-1], side[1:]])
    return np.array(outline), place


def _arc_length(points: np.ndarray) -> np.ndarray:
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    return length / length[-1]


def _tutte(triangles: np.ndarray, count: int, outline: np.ndarray, place: np.ndarray) -> np.ndarray:
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    graph = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count)).tocsr()
    graph = ((graph + graph.T) > 0).astype(float)
    laplacian = sparse.diags(np.asarray(graph.sum(axis=1)).ravel()) - graph
    inner = np.setdiff1d(np.arange(count), outline)
    uv = np.zeros((count, 2))
    uv[outline] = place
    laplacian = laplacian.tocsr()[inner]
    uv[inner] = splu(laplacian[:, inner].tocsc()).solve(-(laplacian[:, outline] @ place))
    return uv


class _Distortion:
    """The symmetric Dirichlet energy of a map from scaled rest triangles to the plane, and its gradient."""

    def __init__(self, rest: np.ndarray, triangles: np.ndarray, scale: np.ndarray):
        self.triangles = triangles
        a, b, c = (rest[triangles[:, corner]] for corner in range(3))
        factor = scale[triangles].mean(axis=1)
        first = np.linalg.norm(b - a, axis=1)
        along = ((c - a) * (b - a)).sum(axis=1) / first
        height = np.sqrt(np.maximum(((c - a) ** 2).sum(axis=1) - along**2, (0.02 * first) ** 2))
        area = 0.5 * first * height * factor**2
        unit = 1 / np.sqrt(area.sum())  # the whole chart has area one
        first = first * factor * unit
        along = along * factor * unit
        height = height * factor * unit
        self.area = area * unit**2
        zero = np.zeros_like(first)
        self.inverse = np.stack(
            [np.stack([1 / first, -along / (first * height)], 1), np.stack([zero, 1 / height], 1)], 1
        )  # (T, 2, 2)

    def jacobians(self, uv: np.ndarray) -> np.ndarray:
        a, b, c = (uv[self.triangles[:, corner]] for corner in range(3))
        return np.stack([b - a, c - a], axis=2) @ self.inverse

    def value(self, uv: np.ndarray) -> float:
        if (signed_areas(uv, self.triangles) <= 0).any():
            return np.inf
        jacobian = self.jacobians(uv)
        determinant = np.linalg.det(jacobian)
        norm = (jacobian**2).sum(axis=(1, 2))
        return float((self.area * norm * (1 + 1 / determinant**2)).sum())

    def gradient(self, uv: np.ndarray) -> np.ndarray:
        jacobian = self.jacobians(uv)
        determinant = np.linalg.det(jacobian)[:, None, None]
        norm = (jacobian**2).sum(axis=(1, 2))[:, None, None]
        cofactor = np.stack(
            [
                np.stack([jacobian[:, 1, 1], -jacobian[:, 1, 0]], 1),
                np.stack([-jacobian[:, 0, 1], jacobian[:, 0, 0]], 1),
            ],
            1,
        )
        by_jacobian = self.area[:, None, None] * (
            2 * jacobian * (1 + 1 / determinant**2) - 2 * norm / determinant**3 * cofactor
        )
        by_edges = by_jacobian @ self.inverse.transpose(
            0, 2, 1
        )  # (T, 2, 2): columns are the edges b - a and c - a
        gradient = np.zeros_like(uv)
        np.add.at(gradient, self.triangles[:, 1], by_edges[:, :, 0])
        np.add.at(gradient, self.triangles[:, 2], by_edges[:, :, 1])
        np.add.at(gradient, self.triangles[:, 0], -by_edges.sum(axis=2))
        return gradient

    def laplacian(self) -> sparse.csr_matrix:
        """Returns the Hessian's simple relative: the Laplacian of the rest triangles."""
        slopes = np.stack(
            [-self.inverse.sum(axis=1), self.inverse[:, 0], self.inverse[:, 1]], axis=1
        )  # (T, 3, 2)
        local = self.area[:, None, None] * (slopes @ slopes.transpose(0, 2, 1))
        rows = np.repeat(self.triangles, 3, axis=1).ravel()
        columns = np.tile(self.triangles, (1, 3)).ravel()
        count = self.triangles.max() + 1
        return sparse.csr_matrix((local.ravel(), (rows, columns)), shape=(count, count))


def _optimise(
    uv: np.ndarray,
    rest: np.ndarray,
    triangles: np.ndarray,
    scale: np.ndarray,
    outline: np.ndarray,
    iterations: int,
) -> np.ndarray:
    energy = _Distortion(rest, triangles, scale)
    inner = np.setdiff1d(np.arange(len(uv)), outline)
    solve = splu((energy.laplacian()[inner][:, inner] + 1e-9 * sparse.eye(len(inner))).tocsc()).solve
    value = energy.value(uv)
    gradient = energy.gradient(uv)[inner]
    history: list[tuple[np.ndarray, np.ndarray]] = []
    fresh = False
    for _ in range(iterations):
        direction = -_two_loops(gradient, history, solve)
        direction *= min(1.0, 0.2 / np.abs(direction).max())
        step = np.zeros_like(uv)
        step[inner] = direction
        length = min(1.0, 0.8 * _longest_step(uv, step, triangles))
        slope = float((direction * gradient).sum())
        while (trial := energy.value(uv + length * step)) > value + 1e-4 * length * slope and length > 1e-12:
            length *= 0.5
        if length <= 1e-12:
            if not history:
                break
            history.clear()
            continue
        uv = uv + length * step
        new_gradient = energy.gradient(uv)[inner]
        change = new_gradient - gradient
        if (change * direction).sum() > 0:
            history = [*history[-7:], (length * direction, change)]
        converged = value - trial < 1e-7 * value
        value = trial
        gradient = new_gradient
        if converged and fresh:
            break
        fresh = converged  # a stale memory also ends in small steps: once more from the preconditioner alone
        if converged:
            history.clear()
    return uv


def _two_loops(gradient: np.ndarray, history: list[tuple[np.ndarray, np.ndarray]], solve) -> np.ndarray:
    """Returns the L-BFGS product of the inverse Hessian with a gradient, started from the preconditioner."""
    direction = gradient.copy()
    factors = []
    for step, change in reversed(history):
        factors.append((step * direction).sum() / (step * change).sum())
        direction = direction - factors[-1] * change
    direction = solve(direction)
    for (step, change), factor in zip(history, reversed(factors), strict=True):
        direction = direction + step * (factor - (change * direction).sum() / (step * change).sum())
    return direction


def _longest_step(uv: np.ndarray, step: np.ndarray, triangles: np.ndarray) -> float:
    """Returns the smallest positive step at which a triangle's area vanishes: a quadratic per triangle."""
    a = uv[triangles[:, 1]] - uv[triangles[:, 0]]
    b = uv[triangles[:, 2]] - uv[triangles[:, 0]]
    da = step[triangles[:, 1]] - step[triangles[:, 0]]
    db = step[triangles[:, 2]] - step[triangles[:, 0]]
    constant = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    linear = a[:, 0] * db[:, 1] + da[:, 0] * b[:, 1] - a[:, 1] * db[:, 0] - da[:, 1] * b[:, 0]
    square = da[:, 0] * db[:, 1] - da[:, 1] * db[:, 0]
    root = np.sqrt(np.maximum(linear**2 - 4 * square * constant, 0))
    real = linear**2 >= 4 * square * constant
    with np.errstate(divide="ignore", invalid="ignore"):
        roots = np.stack([2 * constant / (-linear + root), 2 * constant / (-linear - root)])
    roots = np.where(real & np.isfinite(roots) & (roots > 0), roots, np.inf)
    return float(roots.min())
