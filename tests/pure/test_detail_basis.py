"""The detail basis holds what it says it holds."""

import numpy as np
import pytest

from ml_backend.geometry.map_bands import enlarge, split_map
from ml_backend.models.detail_basis import fit_detail_basis, spread_order
from ml_backend.pipelines.bake_detail import fit_linear_maps


def frames(rank, count=40, points=300, noise=0.0):
    rng = np.random.default_rng(rank)
    values = (
        rng.normal(size=(count, rank)) @ rng.normal(size=(rank, points)) * 0.1 + rng.normal(size=points) * 0.2
    )
    return (values + noise * rng.normal(size=values.shape)).astype(np.float32)


def rebuilt(basis, coefficients):
    """The fields (T, N) that coefficients (T, K) stand for, by the basis' definition."""
    return basis.mean + coefficients @ basis.fields


def test_exact_rank_is_found_and_reconstructed():
    values = frames(5)
    basis = fit_detail_basis(values, 60, 32)
    assert len(basis.fields) == 5
    np.testing.assert_allclose(rebuilt(basis, basis.project(values)), values, atol=1e-4)


def test_reported_psnr_is_the_measured_one():
    values = frames(20, noise=0.01)
    basis = fit_detail_basis(values, 30, 32)
    error = rebuilt(basis, basis.project(values)) - values
    low, high = np.percentile(values, [0.1, 99.9])
    assert basis.psnr_db >= 30
    assert 20 * np.log10((high - low) / np.sqrt((error**2).mean())) == pytest.approx(basis.psnr_db, abs=0.3)


def test_bound_on_components_and_still_clip():
    assert len(fit_detail_basis(frames(20), 80, 6).fields) == 6
    still = np.tile(frames(3, count=1), (10, 1))
    basis = fit_detail_basis(still)
    np.testing.assert_allclose(rebuilt(basis, basis.project(still)), still, atol=1e-6)
    with pytest.raises(ValueError, match="finite"):
        fit_detail_basis(np.full((3, 4), np.nan, np.float32))


def test_scatter_keeps_values_and_leaves_zero_elsewhere():
    values = frames(4)
    basis = fit_detail_basis(values)
    covered = np.zeros(500, bool)
    covered[100:400] = True
    wide = basis.scatter(covered)
    wide_values = rebuilt(wide, basis.project(values))
    np.testing.assert_allclose(wide_values[:, covered], values, atol=1e-4)
    assert not wide_values[:, ~covered].any()


def test_spread_order_takes_the_extremes_first():
    points = np.array([[0.0], [0.1], [1.0], [0.5], [-1.0]])
    assert set(spread_order(points, 3)) == {0, 2, 4} and len(set(spread_order(points, 5))) == 5


def test_maps_that_are_linear_in_the_coefficients_are_found_exactly():
    rng = np.random.default_rng(1)
    coefficients, mean, fields = rng.normal(size=(9, 3)), rng.normal(size=(6, 6)), rng.normal(size=(3, 6, 6))
    coefficients[:, 2] = 0.7  # one that never moves gets no field, and the mean takes its share
    maps = mean + np.tensordot(coefficients, fields, 1)
    found_mean, found = fit_linear_maps(coefficients.astype(np.float32), iter(maps.astype(np.float32)))
    np.testing.assert_allclose(found_mean + np.tensordot(coefficients, found, 1), maps, atol=1e-4)
    np.testing.assert_allclose(found[2], 0, atol=1e-5)


def test_the_two_bands_of_a_map_add_up_to_it():
    full = np.random.default_rng(2).normal(size=(512, 512)).astype(np.float32)
    coarse, fine = split_map(full)
    assert coarse.shape == (256, 256)
    np.testing.assert_allclose(enlarge(coarse, 512) + fine, full, atol=1e-5)
    np.testing.assert_allclose(coarse.mean(), full.mean(), atol=1e-4)
