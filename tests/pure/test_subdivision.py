"""Catmull-Clark stencils against facts that hold for the limit scheme."""

import numpy as np
import pytest

from ml_backend.geometry.subdivision import build_dense_mesh, subdivide

CUBE = np.array(
    [[-1, -1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1], [-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]],
    np.float32,
)
QUADS = np.array(
    [[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [2, 3, 7, 6], [1, 2, 6, 5], [0, 4, 7, 3]], np.int32
)


def grid(n):
    index = np.arange(n * n).reshape(n, n)
    polygons = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], -1).reshape(-1, 4)
    x, y = np.meshgrid(np.arange(n), np.arange(n))
    return polygons, np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], 1).astype(np.float32)


def test_cube_matches_the_published_first_step():
    level = subdivide(QUADS, 8)
    dense = level.stencils.apply(CUBE)
    assert len(dense) == 8 + 12 + 6 and len(level.quads) == 24
    np.testing.assert_allclose(np.abs(dense[:8]), 5 / 9, atol=1e-6)  # (n-3)/n v + f/n + 2e/n with n = 3
    np.testing.assert_allclose(np.sort(np.abs(dense[8:20]), 1), np.tile([0, 0.75, 0.75], (12, 1)), atol=1e-6)
    np.testing.assert_allclose(np.sort(np.abs(dense[20:]), 1), np.tile([0, 0, 1], (6, 1)), atol=1e-6)


def test_rows_sum_to_one_and_planes_stay_flat():
    polygons, positions = grid(6)
    level = subdivide(polygons, 36)
    for _, _, weights in level.stencils.groups:
        np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    dense = level.stencils.apply(positions)
    interior = (dense[:, :2] > 0.4).all(1) & (dense[:, :2] < 4.6).all(1)
    np.testing.assert_allclose(
        dense[interior] * 2, np.round(dense[interior] * 2), atol=1e-5
    )  # a regular grid maps to its half grid
    assert dense[:, 0].min() == pytest.approx(0, abs=1e-6) and dense[:, 0].max() == pytest.approx(5, abs=1e-6)


def test_winding_is_kept():
    level = subdivide(QUADS, 8)
    dense = level.stencils.apply(CUBE)
    a, b, c = (dense[level.quads[:, k]] for k in range(3))
    outward = np.einsum("ij,ij->i", np.cross(b - a, c - a), dense[level.quads].mean(1))
    assert (outward > 0).all()


def test_triangles_become_quads():
    tetrahedron = np.array([[0, 1, 2, -1], [0, 2, 3, -1], [0, 3, 1, -1], [1, 3, 2, -1]])
    level = subdivide(tetrahedron, 4)
    assert len(level.quads) == 12 and level.quads.min() >= 0 and level.stencils.row_count == 4 + 6 + 4


def test_bad_meshes_are_refused():
    with pytest.raises(ValueError, match="outside"):
        subdivide(np.array([[0, 1, 9, -1]]), 3)
    with pytest.raises(ValueError, match="more than two"):
        subdivide(np.array([[0, 1, 2, -1], [0, 1, 3, -1], [0, 1, 4, -1]]), 5)


def test_dense_mesh_is_linear_and_refines_parts_apart():
    polygons, positions = grid(4)
    both = np.concatenate([polygons, polygons + 16])
    part = np.repeat([0, 1], len(polygons))
    values = np.concatenate([positions, positions + 10])
    dense = build_dense_mesh(both, part, values[:, :2] / 20, both, levels=(2, 0))
    assert dense.vertex_count == 13 * 13 + 16 and len(dense.polygons) == 9 * 16 + 9
    other = np.random.default_rng(0).normal(size=values.shape).astype(np.float32)
    np.testing.assert_allclose(
        dense.refine(values + 2 * other), dense.refine(values) + 2 * dense.refine(other), atol=1e-4
    )
    np.testing.assert_allclose(dense.vertex_uv(), dense.refine(values)[:, :2] / 20, atol=1e-5)
    assert set(dense.base_polygon[dense.base_polygon >= 9]) == set(range(9, 18))
