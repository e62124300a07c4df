"""Tucker decomposition of faces with an exact mean and a truncated vertex mode.

The modes are people x expressions x vertices.

Source: Tucker 1966; De Lathauwer et al. 2000 (HOSVD); as in Vlasic et al. 2005 and Cao et al. 2014
(FaceWarehouse).
"""

from dataclasses import dataclass

import numpy as np

from ..geometry.linear_models import leading_row_space, strongest_eigenvectors

DELTA_SHARE = 0.3
"""Weight of an expression displacement against the neutral in the identity mode; few expressions are full."""
_PEOPLE_FOR_BASIS = 150


@dataclass(frozen=True)
class Decomposition:
    """A decomposed sample of faces.

    mean (V, 3), core (1 + K, 1 + E, B), basis (B, 3 V), and the samples' identity coefficients (N, K), zero
    mean, unit deviation.
    """

    mean: np.ndarray
    core: np.ndarray
    basis: np.ndarray
    coefficients: np.ndarray


def decompose(
    neutrals: np.ndarray, deltas: np.ndarray, identity_size: int, vertex_modes: int, vertex_weight: np.ndarray
) -> Decomposition:
    """Decomposes sampled faces.

    Args:
        neutrals: (N, V, 3) faces at rest, aligned, metres; each face is followed by its mirror image, so
            that the basis holds mirror images exactly: each mode is symmetric or antisymmetric.
        deltas: (N, E, V, 3) float32 displacements of the expressions.
        identity_size: K, at most N - 1.
        vertex_modes: B, at least K.
        vertex_weight: (V,) how much an error at each vertex counts.
    """
    people, expressions = deltas.shape[:2]
    weight = np.repeat(np.sqrt(vertex_weight), 3).astype(np.float32)
    mean = neutrals.mean(axis=0)
    rest = ((neutrals - mean).reshape(people, -1) * weight).astype(np.float32)
    moves = deltas.reshape(people, expressions, -1)
    mean_moves = moves.mean(axis=0) * weight

    gram = (rest @ rest.T).astype(np.float64)
    for expression in range(expressions):
        centred = moves[:, expression] * weight - mean_moves[expression]
        moved = np.abs(centred).max(axis=0) > 1e-6
        centred = centred[:, moved]
        gram += DELTA_SHARE**2 * (centred @ centred.T)
    values, vectors = strongest_eigenvectors(gram)
    identity_size = min(identity_size, people - 1, int((values > values[0] * 1e-9).sum()))
    coefficients = vectors[:, :identity_size] * np.sqrt(people)  # (N, K), orthogonal, mean zero

    rest_rows = coefficients.T.astype(np.float32) @ rest / people  # (K, 3 V)
    rest_basis = np.linalg.qr(rest_rows.T.astype(np.float64))[0].T.astype(np.float32)  # (K, 3 V)
    pairs = np.linspace(0, people // 2 - 1, min(people, _PEOPLE_FOR_BASIS) // 2).astype(int)
    chosen = (2 * pairs[:, None] + [0, 1]).ravel()
    rows = np.concatenate(
        [mean_moves * np.sqrt(len(chosen)), (moves[chosen] * weight - mean_moves).reshape(-1, len(weight))]
    )
    rows -= (rows @ rest_basis.T) @ rest_basis
    basis = np.concatenate([rest_basis, _leading_rows(rows, min(vertex_modes - identity_size, len(rows)))])

    projected = np.empty((people, 1 + expressions, len(basis)), np.float32)
    projected[:, 0] = rest @ basis.T
    for person in range(people):
        projected[person, 1:] = (moves[person] * weight) @ basis.T
    core = np.empty((1 + identity_size, 1 + expressions, len(basis)), np.float32)
    core[0] = projected.mean(axis=0)
    core[1:] = np.tensordot(coefficients.astype(np.float32), projected, axes=(0, 0)) / people
    core[0, 0] = 0
    return Decomposition(mean, core, basis / weight, coefficients)


def _leading_rows(rows: np.ndarray, count: int) -> np.ndarray:
    """Returns the leading right singular vectors of a tall matrix (M, C).

    By a randomised range finder with one power iteration.
    """
    if count <= 0:
        return np.zeros((0, rows.shape[1]), np.float32)
    frame = leading_row_space(rows, min(count + 30, *rows.shape))
    small = (rows @ frame).astype(np.float64)
    values, vectors = strongest_eigenvectors(small.T @ small, count)
    vectors = vectors[:, values > values[0] * 1e-12]
    return np.ascontiguousarray((frame @ vectors.astype(rows.dtype)).T)


def decompose_linear(
    modes: np.ndarray, deltas: np.ndarray, vertex_modes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Core and basis of a model that is already linear in identity.

    Args:
        modes: (K, V, 3) the neutral's change per identity coefficient.
        deltas: (1 + K, E, V, 3) the mean person's expressions, and their change per coefficient.
        vertex_modes: B at most, at least K.

    Returns:
        core (1 + K, 1 + E, B) and basis (B, 3 V).
    """
    size = len(modes)
    expressions = deltas.shape[1]
    rest = modes.reshape(size, -1)
    rows = deltas.reshape((1 + size) * expressions, -1)
    rest_basis = np.linalg.qr(rest.T)[0].T
    left = rows - (rows @ rest_basis.T) @ rest_basis
    moves = _leading_rows(left, vertex_modes - size)
    basis = np.concatenate([rest_basis, moves])
    core = np.zeros((1 + size, 1 + expressions, len(basis)))
    core[1:, 0] = rest @ basis.T
    core[:, 1:] = (rows @ basis.T).reshape(1 + size, expressions, -1)
    return core.astype(np.float32), basis.astype(np.float32)
