"""The one alignment of corresponding points, against motions that are known and a solver of scipy's."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ml_backend.geometry.similarity import fit_similarity


def cloud(seed: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random, random.normal(size=(20, 3)), Rotation.random(random_state=seed).as_matrix()


@pytest.mark.parametrize("seed", range(4))
def test_a_similarity_is_recovered_and_never_a_mirror(seed):
    _, points, rotation = cloud(seed)
    moved = 37.0 * points @ rotation.T + (5, -2, 9)
    fitted = fit_similarity(points, moved)
    np.testing.assert_allclose(fitted(points), moved, atol=1e-9)
    np.testing.assert_allclose(fitted.rotation, rotation, atol=1e-9)
    assert fitted.scale == pytest.approx(37.0)
    assert np.linalg.det(fit_similarity(points, points * (-1, 1, 1)).rotation) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="three points"):
        fit_similarity(points[:2], moved[:2])


@pytest.mark.parametrize("seed", range(4))
def test_a_rigid_motion_takes_out_rotation_and_place_but_not_size(seed):
    _, points, rotation = cloud(seed)
    moved = 1.1 * points @ rotation.T + (0.3, 0, -2)
    back = fit_similarity(moved, points, np.ones(20), scale=False)
    assert back.scale == 1.0
    np.testing.assert_allclose(back.rotation, rotation.T, atol=1e-9)
    np.testing.assert_allclose(back(moved), points.mean(0) + 1.1 * (points - points.mean(0)), atol=1e-9)
    exact = fit_similarity(points, points @ rotation.T + 3, scale=False)
    np.testing.assert_allclose(exact(points), points @ rotation.T + 3, atol=1e-9)


@pytest.mark.parametrize("scale", [True, False])
def test_weights_count_like_repeated_points_and_zero_like_none(scale):
    random, points, rotation = cloud(5)
    moved = 2 * points @ rotation.T + random.normal(size=(20, 3))
    times = np.array([0, 1, 2, 3, 1] * 4)
    weighted = fit_similarity(points, moved, times, scale=scale)
    repeated = fit_similarity(points.repeat(times, 0), moved.repeat(times, 0), scale=scale)
    np.testing.assert_allclose(weighted(points), repeated(points), atol=1e-9)


def test_the_rotation_of_noisy_points_is_scipys():
    random, points, rotation = cloud(6)
    moved = points @ rotation.T + 0.3 * random.normal(size=(20, 3))
    weights = random.uniform(0.2, 2, 20)
    mean = np.average(points, axis=0, weights=weights)
    target_mean = np.average(moved, axis=0, weights=weights)
    expected, _ = Rotation.align_vectors(moved - target_mean, points - mean, weights=weights)
    fitted = fit_similarity(points, moved, weights, scale=False)
    np.testing.assert_allclose(fitted.rotation, expected.as_matrix(), atol=1e-9)
    np.testing.assert_allclose(fitted(mean), target_mean, atol=1e-9)
