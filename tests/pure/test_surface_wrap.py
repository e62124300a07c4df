"""The wrap against surfaces whose correspondence is known."""

import numpy as np
from scipy.spatial import KDTree

from ml_backend.geometry.surface_strain import compression_at_vertices
from ml_backend.geometry.surface_wrap import MovementGuide, triangle_edges, triangle_normals, wrap_surface


def bumpy_sphere(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """A closed surface of some 10 cm with a nose and two cheeks: positions and triangles."""
    polar, around = np.meshgrid(
        np.linspace(0.05, np.pi - 0.05, rows), np.arange(columns) / columns * 2 * np.pi, indexing="ij"
    )
    direction = np.stack(
        [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], -1
    ).reshape(-1, 3)
    radius = np.full(len(direction), 0.1)
    for place, height, width in (
        ((1, 0, 0), 0.05, 0.3),
        ((0.7, 0.7, -0.2), 0.03, 0.4),
        ((0.7, -0.7, -0.2), 0.03, 0.4),
    ):
        axis = np.array(place) / np.linalg.norm(place)
        radius += height * np.exp(-((direction - axis) ** 2).sum(1) / width**2)
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns)).ravel()
    right = (np.arange(rows - 1)[:, None] * columns + (np.arange(columns) + 1) % columns).ravel()
    return direction * radius[:, None], np.concatenate(
        [np.stack([first, first + columns, right], 1), np.stack([right, first + columns, right + columns], 1)]
    )


def warp(points: np.ndarray) -> np.ndarray:
    """A smooth change of shape and a small turn and shift."""
    turn = np.deg2rad(8)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    stretched = points * (1.1, 0.92, 1.15) + 0.006 * np.sin(points[:, [1, 2, 0]] * 25)
    return 1.05 * stretched @ rotation.T + (0.01, -0.008, 0.012)


def closest_on(points: np.ndarray, normals: np.ndarray):
    tree = KDTree(points)

    def closest(places, facing):
        index = tree.query(places)[1]
        return points[index], ((normals[index] * facing).sum(1) > 0.3).astype(float)

    return closest


def test_a_warped_surface_is_found_again():
    positions, triangles = bumpy_sphere(40, 64)
    dense, dense_triangles = bumpy_sphere(160, 256)
    target = warp(dense)
    closest = closest_on(target, triangle_normals(target, dense_triangles))
    wrapped = wrap_surface(positions, triangles, closest, np.ones(len(positions)))
    truth = warp(positions)
    before, after = (np.linalg.norm(points - truth, axis=1) for points in (positions, wrapped))
    shaped = (
        np.linalg.norm(positions, axis=1) > 0.11
    )  # where there is something to hold on to; elsewhere a sphere slides
    assert (
        np.median(before[shaped]) > 0.015
        and np.median(after[shaped]) < 0.01
        and np.median(after) < 0.5 * np.median(before)
    )
    assert np.median(KDTree(target).query(wrapped)[0]) < 0.001


def movements(positions: np.ndarray) -> np.ndarray:
    """Four expressions of a sphere: each pulls another place of it outwards."""
    direction = positions / np.linalg.norm(positions, axis=1, keepdims=True)
    places = np.array([(1, 0, 0), (0.6, 0.8, 0), (0.6, -0.8, 0), (0.8, 0, 0.6)], float)
    near = [np.exp(-((direction - place) ** 2).sum(1) / 0.15) for place in places]
    return np.stack([0.01 * weight[:, None] * direction for weight in near])


def ball(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    positions, triangles = bumpy_sphere(rows, columns)
    return 0.1 * positions / np.linalg.norm(positions, axis=1, keepdims=True), triangles


def test_a_smooth_ball_slides_unless_its_movement_is_known():
    positions, triangles = ball(40, 64)
    dense, dense_triangles = ball(160, 256)
    turn = np.deg2rad(10)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    target = dense @ rotation.T
    closest = closest_on(target, triangle_normals(target, dense_triangles))
    signatures = MovementGuide(
        positions, movements(positions), triangle_edges(triangles), target, movements(dense) @ rotation.T
    )
    counts = np.where(positions[:, 0] > 0, 1.0, 0.05)
    front = positions[:, 0] > 0.07
    free, guided = (
        np.median(np.linalg.norm(placed - positions @ rotation.T, axis=1)[front])
        for placed in (
            wrap_surface(positions, triangles, closest, counts, guide) for guide in (None, signatures)
        )
    )
    assert free > 0.010 and guided < 0.5 * free, (free, guided)


def test_compression_is_that_of_the_stretch():
    rows, columns = np.meshgrid(np.arange(9.0), np.arange(9.0), indexing="ij")
    flat = np.stack([rows.ravel(), columns.ravel(), np.zeros(81)], 1)
    first = (np.arange(8)[:, None] * 9 + np.arange(8)).ravel()
    triangles = np.concatenate(
        [np.stack([first, first + 9, first + 1], 1), np.stack([first + 1, first + 9, first + 10], 1)]
    )
    squeezed = compression_at_vertices(flat, flat * (0.8, 1.1, 1), triangles)
    np.testing.assert_allclose(squeezed, (1 - 0.8**2) / 2, rtol=1e-9)
    assert compression_at_vertices(flat, flat * 1.2, triangles).max() == 0
    local = flat * np.where(flat[:, :1] > 5, 0.7, 1.0)
    sharp, soft = (compression_at_vertices(flat, local, triangles, times) for times in (0, 3))
    assert soft.max() < sharp.max() and soft.sum() > 0
    degenerate = np.concatenate([triangles, [[0, 0, 1]]])
    np.testing.assert_allclose(compression_at_vertices(flat, flat * (0.8, 1, 1), degenerate), squeezed)
