import numpy as np
import pytest

from ml_backend.geometry.texture_space import (
    covered_texels,
    rasterise,
    sample_map,
    signed_areas,
    triangles_of,
)

UV = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
SQUARE = np.array([[0, 1, 2], [0, 2, 3]])


def test_quads_become_two_triangles_of_the_same_orientation_and_triangles_stay():
    triangles, owner = triangles_of(np.array([[0, 1, 2, 3], [4, 5, 6, -1]]))
    assert triangles.tolist() == [[0, 1, 2], [0, 2, 3], [4, 5, 6]]
    assert owner.tolist() == [0, 0, 1]


def test_areas_are_signed():
    assert signed_areas(UV, SQUARE).tolist() == [0.5, 0.5]
    assert signed_areas(UV, SQUARE[:, ::-1]).tolist() == [-0.5, -0.5]


def test_a_linear_function_of_uv_is_reproduced_at_every_texel_centre():
    values = 2 * UV[:, 0] - 3 * UV[:, 1] + 1
    field = rasterise(UV, SQUARE, SQUARE, 16).spread(values)
    centres = (np.arange(16) + 0.5) / 16
    np.testing.assert_allclose(field, 2 * centres[None, :] - 3 * centres[:, None] + 1, atol=1e-5)


def test_row_zero_is_at_the_bottom_and_column_zero_at_the_left():
    lookup = rasterise(UV * 0.5, SQUARE, SQUARE, 8)
    assert lookup.mask[:4, :4].all()
    assert lookup.mask.sum() == 16


def test_every_interior_texel_is_covered_once():
    random = np.random.default_rng(0)
    inner = np.concatenate([UV, random.uniform(0.1, 0.9, (1, 2))])
    fan = np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])
    texels, _, weights = covered_texels(inner, fan, 64)
    assert (np.bincount(texels, minlength=64 * 64) == 1).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def test_a_triangle_without_area_covers_nothing():
    assert len(covered_texels(np.array([[0, 0], [1, 1], [0.5, 0.5]]), np.array([[0, 1, 2]]), 8)[0]) == 0


def test_sampling_is_exact_at_centres_linear_between_and_repeats_the_border():
    texture = np.arange(12, dtype=np.float32).reshape(3, 4)
    at = np.array([[0.125, 0.5 / 3], [0.25, 0.5], [0.0, 0.0], [2.0, 2.0]])
    np.testing.assert_allclose(sample_map(texture, at), [0, 4.5, 0, 11])
    np.testing.assert_allclose(sample_map(np.stack([texture, -texture], 2), at)[:, 1], [0, -4.5, 0, -11])


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="triangles"):
        rasterise(UV, SQUARE, SQUARE[:1], 8)
