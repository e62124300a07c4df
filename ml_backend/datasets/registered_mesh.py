"""Identity and expression coefficients of a mesh that shares the face model's vertices."""

from pathlib import Path

import numpy as np
from scipy.optimize import lsq_linear

from ..errors import UserError
from ..models.bilinear_face import BilinearFace

LARGEST_IDENTITY = 4.0
_PRIOR_MM = 0.03  # a coefficient of 1 costs as much as all vertices lying off by so much
_FIT_VERTICES = 3000
_ROUNDS = 6
_LEAST_MOVE_MM, _UNIT_PRIOR = 0.1, 0.05
_METRES = 3.0  # a head larger than this is in millimetres


def read_obj_vertices(path: Path, count: int) -> np.ndarray:
    """Reads the vertices of a Wavefront OBJ.

    Returns:
        (count, 3) float64 in metres; files in millimetres are recognised by their size.

    Raises:
        UserError: the file cannot be read, or has another number of vertices.
    """
    try:
        rows = [
            line.split()[1:4]
            for line in path.read_text("utf-8", errors="replace").splitlines()
            if line.startswith("v ")
        ]
        vertices = np.array(rows, np.float64).reshape(-1, 3)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a mesh that can be read ({error}).", "Give a Wavefront OBJ.") from error
    if len(vertices) != count or not np.isfinite(vertices).all():
        raise UserError(
            f"{path}: {len(vertices)} vertices, the face model has {count}.",
            "Identities are fitted to meshes registered to the face model; build the model of your meshes "
            "with build-face-model.",
        )
    return vertices / 1000 if np.ptp(vertices, 0).max() > _METRES else vertices


def rigid_onto(points: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Points (V, 3) turned and moved, not scaled, to lie nearest to the target.

    Source: Kabsch 1976, "A solution for the best rotation to relate two sets of vectors".
    """
    weights = weights[:, None] / weights.sum()
    one, other = (weights * points).sum(0), (weights * target).sum(0)
    left, _, right = np.linalg.svd((points - one).T @ (weights * (target - other)))
    sign = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    return (points - one) @ ((left * sign) @ right) + other


def _chosen(face: BilinearFace) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of the face's skin to fit, at most 3,000, and their weights."""
    weights = (
        np.asarray(face.regions["face"], np.float64) if "face" in face.regions else np.ones(face.vertex_count)
    )
    found = np.flatnonzero(weights > 0.1)
    found = found[:: max(1, len(found) // _FIT_VERTICES)]
    return found, weights[found]


def fit_identity(face: BilinearFace, vertices: np.ndarray) -> tuple[np.ndarray, float]:
    """Coefficients of a face at rest.

    Args:
        face: the model.
        vertices: (V, 3) metres, in the model's vertex order, any position.

    Returns:
        (K,) float32 and the root mean square distance of the fit, millimetres.

    Position and shape are solved together, the position by its small turns and shifts.

    Source: regularised least squares with a Gaussian prior, Blanz and Vetter 1999.
    """
    chosen, weights = _chosen(face)
    columns = (3 * chosen[:, None] + np.arange(3)).ravel()
    modes = (face.core[1:, 0] @ face.basis[:, columns]).astype(
        np.float64
    ) * 1000  # (K, 3 n) mm per standard deviation
    mean = np.asarray(face.neutral(np.zeros(face.identity_size, np.float32)), np.float64)[chosen] * 1000
    root = np.sqrt(np.repeat(weights, 3))
    prior = np.diag(np.r_[np.full(len(modes), _PRIOR_MM * np.sqrt(len(chosen))), np.zeros(6)])
    found, points = np.zeros(len(modes) + 6), vertices[chosen] * 1000
    for _ in range(_ROUNDS):
        points = rigid_onto(points, mean + (found[:-6] @ modes).reshape(-1, 3), weights)
        known = np.concatenate([modes, _small_motions(points)]) * root
        found = np.linalg.solve(
            known @ known.T + prior**2 + 1e-9 * np.eye(len(known)), known @ ((points - mean).ravel() * root)
        )
    identity = found[:-6].clip(-LARGEST_IDENTITY, LARGEST_IDENTITY)
    shape = mean + (identity @ modes).reshape(-1, 3)
    missed = rigid_onto(points, shape, weights) - shape
    return identity.astype(np.float32), float(np.sqrt((missed**2).sum(1).mean()))


def _small_motions(points: np.ndarray) -> np.ndarray:
    """(6, 3 n): how points (n, 3) move under small turns about their centre and under shifts."""
    arms = points - points.mean(0)
    return np.stack(
        [np.cross(axis, arms).ravel() for axis in np.eye(3)]
        + [np.tile(axis, len(points)) for axis in np.eye(3)]
    )


def fit_expression(face: BilinearFace, identity: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """ARKit coefficients 0..1 of a person's face: (52,) float32; arguments as `fit_identity`.

    Position and units are solved together, the position by its small turns and shifts; units that hardly move
    the skin stay at 0.
    """
    chosen, weights = _chosen(face)
    neutral, deltas = face.shapes(identity)
    rest, units = (
        np.asarray(neutral, np.float64)[chosen] * 1000,
        np.asarray(deltas, np.float64)[:, chosen] * 1000,
    )
    moving = np.flatnonzero(np.sqrt((units**2).sum(2).mean(1)) > _LEAST_MOVE_MM)
    flat, root = units[moving].reshape(len(moving), -1), np.sqrt(np.repeat(weights, 3))
    prior = np.diag(np.r_[np.full(len(moving), _UNIT_PRIOR * np.sqrt(len(chosen))), np.zeros(6)])
    low, high = (
        np.r_[np.zeros(len(moving)), np.full(6, -np.inf)],
        np.r_[np.ones(len(moving)), np.full(6, np.inf)],
    )
    found, points = np.zeros(len(moving) + 6), vertices[chosen] * 1000
    for _ in range(_ROUNDS):
        points = rigid_onto(points, rest + (found[:-6] @ flat).reshape(-1, 3), weights)
        columns = np.concatenate([flat, _small_motions(points)]) * root
        missed = np.concatenate([(points - rest).ravel() * root, np.zeros(len(found))])
        found = lsq_linear(np.concatenate([columns.T, prior]), missed, (low, high)).x
    expression = np.zeros(len(units), np.float32)
    expression[moving] = found[:-6]
    return np.where(expression < 0.02, 0, expression).astype(np.float32)
