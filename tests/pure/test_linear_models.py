"""Ridge regression and principal components against their definitions and numpy's own solvers."""

import numpy as np
import pytest

from ml_backend.geometry.linear_models import (
    fit_ridge,
    held_out_shares,
    leading_row_space,
    principal_components,
    solve_ridge,
    strongest_eigenvectors,
)


def problem(rows: int, columns: int, targets: int = 3):
    random = np.random.default_rng(rows * 1000 + columns)
    inputs = random.normal(size=(rows, columns)) + random.normal(size=columns)
    truth = random.normal(size=(columns, targets))
    return random, inputs, truth


def stacked(inputs, targets, penalty, weights):
    """Ridge regression as ordinary least squares on data with one more row a column."""
    root = np.sqrt(weights)[:, None]
    rows = np.concatenate([inputs * root, np.diag(np.sqrt(np.broadcast_to(penalty, inputs.shape[1])))])
    goals = np.concatenate([targets * root, np.zeros((inputs.shape[1], targets.shape[1]))])
    return np.linalg.lstsq(rows, goals, rcond=None)[0]


@pytest.mark.parametrize("shape", [(60, 7), (7, 60), (20, 20)])
@pytest.mark.parametrize("per_column", [False, True])
def test_ridge_agrees_with_augmented_least_squares(shape, per_column):
    random, inputs, truth = problem(*shape)
    targets = inputs @ truth + random.normal(size=(shape[0], 3))
    weights = random.uniform(0.1, 2, shape[0])
    penalty = random.uniform(0.1, 3, shape[1]) if per_column else 0.7
    fitted = fit_ridge(inputs, targets, penalty, weights=weights)
    np.testing.assert_allclose(fitted.slopes, stacked(inputs, targets, penalty, weights), atol=1e-9)
    assert not fitted.offset.any()


@pytest.mark.parametrize("shape", [(60, 7), (7, 60)])
def test_ridge_with_an_intercept_makes_the_gradient_zero(shape):
    random, inputs, truth = problem(*shape)
    targets = inputs @ truth + 5 + random.normal(size=(shape[0], 3))
    weights = random.uniform(0, 2, shape[0])
    fitted = fit_ridge(inputs, targets, 0.3, weights=weights, intercept=True)
    missed = weights[:, None] * (targets - fitted(inputs))
    np.testing.assert_allclose(inputs.T @ missed, 0.3 * fitted.slopes, atol=1e-9)
    np.testing.assert_allclose(missed.sum(0), 0, atol=1e-9)


def test_ridge_without_penalty_is_least_squares_and_recovers_exact_data():
    _, inputs, truth = problem(60, 7)
    fitted = fit_ridge(inputs, inputs @ truth + 2, 0, intercept=True)
    np.testing.assert_allclose(fitted.slopes, truth, atol=1e-10)
    np.testing.assert_allclose(fitted.offset, 2, atol=1e-10)
    targets = np.random.default_rng(0).normal(size=60)
    one = fit_ridge(inputs, targets, 0)
    assert one.slopes.shape == (7,) and one.offset.shape == () and one(inputs).shape == (60,)
    np.testing.assert_allclose(one.slopes, np.linalg.lstsq(inputs, targets, rcond=None)[0], atol=1e-10)
    with pytest.raises(np.linalg.LinAlgError):
        fit_ridge(np.zeros((4, 2)), targets[:4], 0)


def test_weights_count_like_repeated_rows_and_zero_like_none():
    random, inputs, truth = problem(12, 4)
    targets = inputs @ truth + random.normal(size=(12, 3))
    times = np.array([0, 1, 2, 3] * 3)
    weighted = fit_ridge(inputs, targets, 0.5, weights=times, intercept=True)
    repeated = fit_ridge(inputs.repeat(times, 0), targets.repeat(times, 0), 0.5, intercept=True)
    np.testing.assert_allclose(weighted.slopes, repeated.slopes, atol=1e-10)
    np.testing.assert_allclose(weighted.offset, repeated.offset, atol=1e-10)


@pytest.mark.parametrize("shape", [(60, 7), (7, 60)])
def test_a_relative_penalty_does_not_depend_on_the_unit(shape):
    random, inputs, truth = problem(*shape)
    targets = inputs @ truth + random.normal(size=(shape[0], 3))
    metres = fit_ridge(inputs, targets, 0.1, intercept=True, relative=True)
    millimetres = fit_ridge(inputs * 1000, targets, 0.1, intercept=True, relative=True)
    np.testing.assert_allclose(millimetres.slopes * 1000, metres.slopes, atol=1e-9)
    centred = inputs - inputs.mean(0)
    absolute = fit_ridge(inputs, targets, 0.1 * (centred**2).sum(0).mean(), intercept=True)
    np.testing.assert_allclose(absolute.slopes, metres.slopes, atol=1e-12)


def test_sums_over_batches_give_the_slopes_of_all_rows():
    random, inputs, truth = problem(90, 6)
    targets = inputs @ truth + random.normal(size=(90, 3))
    gram = sum(part.T @ part for part in np.split(inputs, 9))
    moments = sum(x.T @ y for x, y in zip(np.split(inputs, 9), np.split(targets, 9), strict=True))
    before = gram.copy()
    np.testing.assert_allclose(solve_ridge(gram, moments, 2.0), fit_ridge(inputs, targets, 2.0).slopes)
    np.testing.assert_array_equal(gram, before)


def test_held_out_shares_are_those_of_separate_fits_and_favour_the_middle():
    random, inputs, truth = problem(40, 30, 2)
    targets = inputs @ truth + 12 * random.normal(size=(40, 2)) + 3
    held_out = np.arange(40) >= 32
    weights = np.array([1.0, 4.0])
    penalties = 10.0 ** np.arange(-6, 7)
    shares = held_out_shares(inputs, targets, penalties, held_out, intercept=True, target_weights=weights)
    assert list(shares) == list(penalties)
    fitted = fit_ridge(inputs[:32], targets[:32], 10.0, intercept=True)
    missed = (weights * (targets[32:] - fitted(inputs[32:])) ** 2).sum()
    power = (weights * (targets[32:] - targets[:32].mean(0)) ** 2).sum()
    assert shares[10.0] == pytest.approx(missed / power)
    assert min(shares, key=lambda penalty: shares[penalty]) not in (1e-6, 1e6)
    assert shares[1e6] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("shape", [(200, 12), (12, 200), (15, 15)])
def test_principal_components_are_the_singular_vectors(shape):
    random = np.random.default_rng(4)
    rows = random.normal(size=shape) * np.geomspace(5, 0.1, shape[1]) + random.normal(size=shape[1])
    fitted = principal_components(rows, 6)
    _, singular, right = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    np.testing.assert_allclose(fitted.mean, rows.mean(0), atol=1e-12)
    np.testing.assert_allclose(fitted.deviations, singular[:6] / np.sqrt(shape[0]), rtol=1e-8)
    np.testing.assert_allclose(np.abs((fitted.axes * right[:6]).sum(1)), 1, atol=1e-8)
    np.testing.assert_allclose(fitted.axes @ fitted.axes.T, np.eye(6), atol=1e-8)
    coordinates = fitted.project(rows)
    np.testing.assert_allclose(np.sqrt((coordinates**2).mean(0)), fitted.deviations, rtol=1e-8)
    left = ((fitted.reconstruct(coordinates) - rows) ** 2).sum()
    assert left == pytest.approx((singular[6:] ** 2).sum(), rel=1e-6)


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_components_beyond_the_rank_are_zero(shape):
    random = np.random.default_rng(5)
    rows = random.normal(size=(shape[0], 3)) @ random.normal(size=(3, shape[1]))
    fitted = principal_components(rows)
    assert fitted.axes.shape == (8, shape[1])
    assert fitted.deviations[:3].min() > 0.1
    assert not fitted.deviations[3:].any() and not fitted.axes[3:].any()
    still = principal_components(np.ones(shape, np.float32))
    assert not still.axes.any() and not still.deviations.any()
    assert still.axes.dtype == still.mean.dtype == still.deviations.dtype == np.float32
    assert len(principal_components(rows[:1]).axes) == 1


def test_components_about_another_origin():
    rows = np.random.default_rng(6).normal(size=(20, 5)) + 3
    fitted = principal_components(rows, mean=np.zeros(5))
    singular = np.linalg.svd(rows, compute_uv=False)
    np.testing.assert_allclose(fitted.deviations, singular / np.sqrt(20), rtol=1e-8)
    assert not fitted.mean.any()


def test_eigenvectors_come_strongest_first():
    values, vectors = strongest_eigenvectors(np.diag([1.0, 9.0, 4.0, -1e-18]), 3)
    np.testing.assert_allclose(values, [9, 4, 1])
    np.testing.assert_allclose(np.abs(vectors), np.eye(4)[:, [1, 2, 0]])
    assert strongest_eigenvectors(np.diag([1.0, -1e-18]))[0].min() == 0


def test_the_leading_row_space_holds_the_strongest_directions():
    random = np.random.default_rng(7)
    left = np.linalg.qr(random.normal(size=(80, 30)))[0]
    right = np.linalg.qr(random.normal(size=(50, 30)))[0]
    rows = left * np.geomspace(10, 1e-3, 30) @ right.T
    basis = leading_row_space(rows, 14, steps=3)
    np.testing.assert_allclose(basis.T @ basis, np.eye(14), atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(right[:, :8].T @ basis, axis=1), 1, atol=1e-5)
    assert leading_row_space(rows.astype(np.float32), 5).dtype == np.float32
