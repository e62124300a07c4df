"""Carries expressions from one face to another of the same mesh by their deformation gradients.

Source: Sumner and Popovic 2004, "Deformation Transfer for Triangle Meshes", in the gradient form of Botsch et
al. 2006: the target's coordinate gradients are multiplied by the source's deformation gradients and
integrated by a Poisson equation, one factorisation a person. A weak pull towards the source's displacements
(a screened Poisson equation) keeps what is at rest in the source at rest.
"""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

SCREENING_LENGTH = 0.03  # metres beyond which the pull outweighs the gradients


class ExpressionSource:
    """The source face's expressions as deformation gradients.

    Args:
        neutral: (V, 3) the source at rest.
        deltas: (E, V, 3) its expressions' displacements.
        triangles: (T, 3).
        still: (V,) bool, vertices that never move (at least three).
        reach: (E, V) 0..1, how far an expression may move a vertex: 0 where it does nothing to the source.
    """

    def __init__(
        self,
        neutral: np.ndarray,
        deltas: np.ndarray,
        triangles: np.ndarray,
        still: np.ndarray,
        reach: np.ndarray,
    ):
        self.triangles = triangles
        self.free = np.flatnonzero(~still)
        self.reach = reach
        self._deltas = deltas.transpose(1, 0, 2)
        frames = np.linalg.inv(_frames(neutral, triangles))
        corners = triangles.ravel()
        self._to_vertices = sparse.csc_matrix(
            (np.ones(len(corners)), (corners, np.arange(len(corners)))), shape=(len(neutral), len(corners))
        )
        self._moved = []
        self._change = []
        for delta in deltas:
            moved = np.flatnonzero(np.abs(delta[triangles]).max(axis=(1, 2)) > 1e-7)
            bent = _frames(neutral + delta, triangles[moved])
            self._moved.append(moved)
            self._change.append(bent @ frames[moved] - np.eye(3))

    def _gather(self, triangles: np.ndarray) -> sparse.csc_matrix:
        """(V, 3 n): adds values at the corners of n triangles up at their vertices."""
        return self._to_vertices[:, (3 * triangles[:, None] + np.arange(3)).ravel()]

    def transfer(self, neutral: np.ndarray) -> np.ndarray:
        """Returns the expressions' displacements (E, V, 3) on a target at rest (V, 3)."""
        gradients, area = _hat_gradients(neutral, self.triangles)  # (T, 3, 3): corner, axis
        count = len(neutral)
        rows = np.repeat(self.triangles, 3, axis=1).ravel()
        columns = np.tile(self.triangles, (1, 3)).ravel()
        local = area[:, None, None] * (gradients @ gradients.transpose(0, 2, 1))
        laplacian = sparse.coo_matrix((local.ravel(), (rows, columns)), shape=(count, count)).tocsr()
        mass = np.bincount(self.triangles.ravel(), np.repeat(area / 3, 3), count) / SCREENING_LENGTH**2
        system = (laplacian + sparse.diags(mass)).tocsr()[self.free][:, self.free]
        surface = neutral[self.triangles].transpose(0, 2, 1) @ gradients  # (T, 3, 3): coordinate, axis
        sides = mass[:, None, None] * self._deltas
        for index, (moved, change) in enumerate(zip(self._moved, self._change, strict=True)):
            wanted = area[moved, None, None] * (
                gradients[moved] @ (change @ surface[moved]).transpose(0, 2, 1)
            )  # (T, corner, coordinate)
            sides[:, index] += self._gather(moved) @ wanted.reshape(-1, 3)
        deltas = np.zeros((count, len(self._moved), 3))
        solved = splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(
            sides[self.free].reshape(len(self.free), -1)
        )
        deltas[self.free] = solved.reshape(len(self.free), -1, 3)
        return deltas.transpose(1, 0, 2) * self.reach[:, :, None]


def _frames(positions: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Returns (T, 3, 3): two edges and the unit normal scaled by the area's root, as columns."""
    first = positions[triangles[:, 1]] - positions[triangles[:, 0]]
    second = positions[triangles[:, 2]] - positions[triangles[:, 0]]
    normal = np.cross(first, second)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    return np.stack([first, second, normal / np.sqrt(np.maximum(length, 1e-12))], axis=2)


def _hat_gradients(positions: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (T, 3, 3) the gradients of the corners' linear hat functions, and (T,) areas.

    Slivers are treated as if a little fatter.
    """
    a, b, c = (positions[triangles[:, corner]] for corner in range(3))
    normal = np.cross(b - a, c - a)
    longest = np.maximum(np.maximum(((b - a) ** 2).sum(1), ((c - a) ** 2).sum(1)), ((c - b) ** 2).sum(1))
    double = np.maximum(np.linalg.norm(normal, axis=1), 0.02 * longest)
    normal = normal / np.linalg.norm(normal, axis=1, keepdims=True).clip(1e-18)
    gradients = (
        np.stack([np.cross(normal, edge) for edge in (c - b, a - c, b - a)], axis=1) / double[:, None, None]
    )
    return gradients, double / 2
