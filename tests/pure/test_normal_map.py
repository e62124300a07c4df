"""Normal maps of surfaces with known slopes, and the model's polygons on its dense mesh."""

import numpy as np
import pytest

from ml_backend.geometry.dense_face import coarse_corners, dense_face_mesh
from ml_backend.geometry.normal_map import encode_normals, measure_texels, normals_of_heights
from ml_backend.geometry.texture_space import rasterise
from ml_backend.models.bilinear_face import BilinearFace

SIZE = 128


def sheared_plane(shear: float):
    """A square of 80 x 60 mm whose texture is sheared: positions, uv, triangles, its map from plane to uv."""
    steps = np.linspace(0, 1, 9)
    uv = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    positions = np.stack([0.08 * uv[:, 0] + shear * uv[:, 1], 0.06 * uv[:, 1], np.zeros(81)], 1)
    corner = (np.arange(8)[:, None] * 9 + np.arange(8)).ravel()
    triangles = np.concatenate(
        [np.stack([corner, corner + 1, corner + 10], 1), np.stack([corner, corner + 10, corner + 9], 1)]
    )
    return positions, uv, triangles


@pytest.mark.parametrize("shear", [0.0, 0.03, -0.02])
def test_the_slope_is_that_of_the_surface_in_metres(shear):
    positions, uv, triangles = sheared_plane(shear)
    lookup = rasterise(uv, triangles, triangles, SIZE)
    metric = measure_texels(positions, uv, triangles, lookup)
    spread = lookup.spread(positions)
    x, y = spread[..., 0], spread[..., 1]
    wave = 2 * np.pi / 0.04
    heights = 1.5 * np.sin(wave * x) * np.cos(wave * y)  # millimetres
    normals = normals_of_heights(heights, metric)
    expected = np.stack(
        [
            -1.5e-3 * wave * np.cos(wave * x) * np.cos(wave * y),
            1.5e-3 * wave * np.sin(wave * x) * np.sin(wave * y),
            np.ones_like(x),
        ],
        2,
    )
    expected /= np.linalg.norm(expected, axis=2, keepdims=True)
    inner = (slice(2, -2), slice(2, -2))
    assert np.degrees(np.arccos(np.clip((normals * expected).sum(2)[inner], -1, 1))).max() < 1.0


def test_a_flat_map_points_straight_out():
    positions, uv, triangles = sheared_plane(0.01)
    metric = measure_texels(positions, uv, triangles, rasterise(uv, triangles, triangles, 32))
    assert np.array_equal(
        encode_normals(normals_of_heights(np.zeros((32, 32), np.float32), metric))[5, 5], [128, 128, 255]
    )


def test_the_models_polygons_are_found_on_the_dense_mesh():
    face = BilinearFace.default()
    dense = dense_face_mesh(face)
    corners = coarse_corners(face, dense)
    present = face.polygons >= 0
    assert np.array_equal(corners.polygon, np.nonzero(present)[0])
    one_to_one = {}
    for mine, theirs in zip(face.polygons[present].tolist(), corners.vertex.tolist(), strict=True):
        assert one_to_one.setdefault(mine, theirs) == theirs
    assert len(set(one_to_one.values())) == len(one_to_one)
    moved = np.linalg.norm(
        dense.refine(face.mean)[corners.vertex] - face.mean[face.polygons[present]], axis=1
    )
    assert moved.max() < 0.008 and np.median(moved) < 0.001
