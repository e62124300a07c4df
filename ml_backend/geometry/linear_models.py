"""Linear models for every room: ridge regression and principal components. numpy only: Blender imports it.

Sums are made in double precision; results have the precision of the data.

Source: Hoerl and Kennard 1970, "Ridge Regression"; Saunders et al. 1998 for the dual form; Halko et al. 2011,
"Finding structure with randomness", algorithm 4.4, for the randomised row space.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_NEGLIGIBLE = 1e-12
"""Share of the strongest component's deviation under which a direction is rounding error."""


@dataclass(frozen=True)
class LinearModel:
    """An affine map: targets = inputs @ slopes + offset.

    Attributes:
        slopes: (C, F), or (C,) for a single target.
        offset: (F,), or () for a single target; zero without an intercept.
    """

    slopes: np.ndarray
    offset: np.ndarray

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Predicts the targets: (N, C) -> (N, F), or (N,) for a single target."""
        return inputs @ self.slopes + self.offset


def solve_ridge(gram: np.ndarray, moments: np.ndarray, penalty: float | np.ndarray) -> np.ndarray:
    """Solves the normal equations (gram + diag(penalty)) @ slopes = moments.

    For sums that a caller accumulates over batches; `fit_ridge` takes the rows themselves.

    Args:
        gram: (C, C), inputs.T @ inputs.
        moments: (C, F) or (C,), inputs.T @ targets.
        penalty: at least 0, one number or (C,).

    Returns:
        The slopes, as moments in shape, float64.

    Raises:
        numpy.linalg.LinAlgError: the equations are singular.
    """
    stiff = np.array(gram, np.float64)
    stiff.flat[:: len(stiff) + 1] += penalty
    return np.linalg.solve(stiff, np.asarray(moments, np.float64))


def fit_ridge(
    inputs: np.ndarray,
    targets: np.ndarray,
    penalty: float | np.ndarray,
    *,
    weights: np.ndarray | None = None,
    intercept: bool = False,
    relative: bool = False,
) -> LinearModel:
    """Fits targets by inputs, least squares plus penalty * slopes ** 2.

    Solved over the columns, or over the rows where there are fewer of them and every penalty is positive.

    Args:
        inputs: (N, C).
        targets: (N, F) or (N,).
        penalty: at least 0, one number or (C,), in units of inputs ** 2 summed over the rows.
        weights: (N,) at least 0, factors of the rows' squared errors; 1 each by default.
        intercept: True: an offset is fitted, which costs nothing. False: it is zero.
        relative: True: the penalty counts in mean sums of squares of a (centred) column of inputs.

    Returns:
        The model, in the data's precision.

    Raises:
        numpy.linalg.LinAlgError: the penalty is 0 and the columns depend on one another.
    """
    problem = _RidgeProblem(inputs, targets, weights, intercept)
    return problem.solve(penalty, relative)


def held_out_shares(
    inputs: np.ndarray,
    targets: np.ndarray,
    penalties: Sequence[float] | np.ndarray,
    held_out: np.ndarray,
    *,
    intercept: bool = False,
    relative: bool = False,
    target_weights: np.ndarray | None = None,
) -> dict[float, float]:
    """Tries penalties: fits the rows that are not held out and predicts those that are.

    Args:
        inputs: (N, C).
        targets: (N, F) or (N,).
        penalties: to try, each as `fit_ridge` takes it.
        held_out: (N,) bool, True for the rows to predict.
        intercept, relative: as `fit_ridge` takes them.
        target_weights: (F,) factors of the targets' squared errors; 1 each by default.

    Returns:
        By penalty the share of the held-out power that the prediction leaves; the power is measured from the
        fitted rows' mean where there is an intercept, else from zero.
    """
    problem = _RidgeProblem(inputs[~held_out], targets[~held_out], None, intercept)
    factors = 1.0 if target_weights is None else target_weights
    truth = targets[held_out]
    centre = targets[~held_out].mean(0) if intercept else 0.0
    power = max(float((factors * np.square(truth - centre)).sum()), 1e-20)
    shares = {}
    for penalty in penalties:
        predicted = problem.solve(penalty, relative)(inputs[held_out])
        shares[float(penalty)] = float((factors * np.square(truth - predicted)).sum()) / power
    return shares


class _RidgeProblem:
    """The sums of one regression, to be solved under several penalties."""

    def __init__(self, inputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None, intercept: bool):
        self.precision = np.result_type(inputs, targets, np.float32)
        self.target_shape = targets.shape[1:]
        x = np.asarray(inputs, np.float64)
        y = np.asarray(targets, np.float64).reshape(len(targets), -1)
        self.x_mean = np.zeros(x.shape[1])
        self.y_mean = np.zeros(y.shape[1])
        if intercept:
            self.x_mean = np.average(x, axis=0, weights=weights)
            self.y_mean = np.average(y, axis=0, weights=weights)
            x = x - self.x_mean
            y = y - self.y_mean
        if weights is not None:
            root = np.sqrt(np.asarray(weights, np.float64))[:, None]
            x = x * root
            y = y * root
        self.x = x
        self.y = y
        self.column_power = float(np.square(x).sum()) / max(x.shape[1], 1)
        self._primal: tuple[np.ndarray, np.ndarray] | None = None
        self._dual: np.ndarray | None = None

    def solve(self, penalty: float | np.ndarray, relative: bool) -> LinearModel:
        """Returns the model under one penalty; arguments as `fit_ridge` takes them."""
        rows, columns = self.x.shape
        strength = np.broadcast_to(np.asarray(penalty, np.float64), (columns,))
        if relative:
            strength = strength * self.column_power
        if rows < columns and np.ndim(penalty) == 0 and strength[0] > 0:
            if self._dual is None:
                self._dual = self.x @ self.x.T
            slopes = self.x.T @ solve_ridge(self._dual, self.y, strength[0])
        elif rows < columns and strength.min() > 0:
            loose = self.x / strength
            slopes = loose.T @ solve_ridge(loose @ self.x.T, self.y, 1.0)
        else:
            if self._primal is None:
                self._primal = self.x.T @ self.x, self.x.T @ self.y
            slopes = solve_ridge(*self._primal, strength)
        offset = self.y_mean - self.x_mean @ slopes
        return LinearModel(
            slopes.reshape(columns, *self.target_shape).astype(self.precision),
            offset.reshape(self.target_shape).astype(self.precision),
        )


@dataclass(frozen=True)
class PrincipalComponents:
    """An affine space of rows, its axes ordered by how much the rows vary along them.

    Attributes:
        mean: (P,) the space's origin.
        axes: (K, P), orthonormal; a row is zero where the data vary along fewer than K directions.
        deviations: (K,) root mean square of the rows' coordinates along each axis, falling.
    """

    mean: np.ndarray
    axes: np.ndarray
    deviations: np.ndarray

    def project(self, rows: np.ndarray) -> np.ndarray:
        """Returns the coordinates of rows: (N, P) -> (N, K)."""
        return (rows - self.mean) @ self.axes.T

    def reconstruct(self, coordinates: np.ndarray) -> np.ndarray:
        """Returns the rows with these coordinates: (N, K) -> (N, P)."""
        return self.mean + coordinates @ self.axes


def principal_components(
    rows: np.ndarray, count: int | None = None, *, mean: np.ndarray | None = None
) -> PrincipalComponents:
    """Fits principal components, at the cost of the shorter side of the data.

    Args:
        rows: (N, P), N at least 1.
        count: components; at most, and by default, the smaller of N and P.
        mean: (P,) the origin instead of the rows' mean.

    Returns:
        The components, in the data's precision.
    """
    precision = np.result_type(rows, np.float32)
    origin = rows.mean(0, dtype=np.float64) if mean is None else np.asarray(mean, np.float64)
    centred = rows - origin
    count = min(rows.shape) if count is None else min(count, *rows.shape)
    if len(rows) <= rows.shape[1]:
        _, vectors = strongest_eigenvectors(centred @ centred.T, count)
        axes = vectors.T @ centred
        lengths = np.linalg.norm(axes, axis=1)
        axes /= np.maximum(lengths, np.finfo(np.float64).tiny)[:, None]
    else:
        _, vectors = strongest_eigenvectors(centred.T @ centred, count)
        axes = np.ascontiguousarray(vectors.T)
        lengths = np.linalg.norm(centred @ vectors, axis=0)
    varies = lengths > _NEGLIGIBLE * lengths.max(initial=0)
    axes[~varies] = 0
    deviations = np.where(varies, lengths, 0) / np.sqrt(len(rows))
    return PrincipalComponents(origin.astype(precision), axes.astype(precision), deviations.astype(precision))


def strongest_eigenvectors(gram: np.ndarray, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Returns the largest eigenvalues (K,), falling and at least 0, and their eigenvectors (M, K), float64.

    Args:
        gram: (M, M), symmetric, positive but for rounding.
        count: K; by default M.
    """
    values, vectors = np.linalg.eigh(np.asarray(gram, np.float64))
    kept = slice(None, count)
    return np.maximum(values[::-1][kept], 0), vectors[:, ::-1][:, kept]


def leading_row_space(rows: np.ndarray, width: int, steps: int = 2, seed: int = 0) -> np.ndarray:
    """Returns an orthonormal basis (P, width) of the directions along which rows (N, P) are strongest.

    Randomised subspace iteration from a start that the seed decides; the rows are not centred.

    Args:
        rows: (N, P), float32 or float64.
        width: of the basis, at most the smaller of N and P; a few more than the directions needed.
        steps: passes over the rows.
        seed: of the random start.
    """
    random = np.random.default_rng(seed)
    basis = random.standard_normal((rows.shape[1], width)).astype(rows.dtype)
    for _ in range(steps):
        basis = np.linalg.qr(rows.T @ (rows @ basis))[0]
    return basis
