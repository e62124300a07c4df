"""The wrap against surfaces whose correspondence is known."""

import numpy as np
from scipy.spatial import KDTree

from ml_backend.geometry.surface_wrap import triangle_normals, wrap_surface


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
