"""Painted portraits: shade in hollows, exposure for faces and for their surroundings."""

import numpy as np
import pytest

from ml_backend.geometry.camera_view import FRONTAL, Camera
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.simulation.portraits.painted_face import draw_head, head_colours, hollows, sample_light
from ml_backend.simulation.portraits.painted_portrait import PortraitPainter

FOCAL, AWAY, SIZE = 400.0, 0.5, 128
PIXEL = AWAY / FOCAL  # metres


@pytest.fixture(scope="module")
def painter() -> PortraitPainter:
    return PortraitPainter.of(BilinearFace.default(), SIZE)


def dented(height: float) -> np.ndarray:
    """(SIZE, SIZE) depths of a wall with a bump towards the camera, metres, negative for a dent."""
    down, across = (np.mgrid[:SIZE, :SIZE] - SIZE / 2) * PIXEL
    return (AWAY - height * np.exp(-(down**2 + across**2) / 0.004**2)).astype(np.float32)


def test_dents_are_hollow_and_flat_walls_and_bumps_are_not():
    everywhere = np.ones((SIZE, SIZE), bool)
    middle = SIZE // 2, SIZE // 2
    dent, bump, wall = (hollows(dented(height), everywhere, FOCAL) for height in (-0.006, 0.006, 0.0))
    assert 0.1 < dent[middle] < 1.5
    assert dent[middle] > 5 * dent[8, 8]
    assert bump[middle] == 0
    assert np.abs(wall).max() < 1e-4


def test_what_lies_outside_the_mask_casts_no_shade():
    mask = np.zeros((SIZE, SIZE), bool)
    mask[:, : SIZE // 2] = True
    found = hollows(np.where(mask, AWAY, np.inf).astype(np.float32), mask, FOCAL)
    assert np.isfinite(found).all()
    assert np.abs(found).max() < 1e-3


def test_shade_darkens_the_nostrils_and_not_the_forehead(painter):
    face, paint = painter.face, painter.paint
    positions = paint.mesh.refine(face.mean)
    aim = face.mean[face.landmarks["nose_tip"]].mean(0)
    camera = Camera(FRONTAL, np.array([0, 0, 0.8]) - FRONTAL @ aim, SIZE * 0.8 / 0.2, SIZE, SIZE)
    random = np.random.default_rng(3)
    colours, light = head_colours(paint, random), sample_light(random)
    light[1:] *= 0.3
    plain, shaded = (
        draw_head(paint, positions, colours, light, camera, shade=shade).astype(float).mean(2)
        for shade in (0.0, 2.0)
    )
    ratio = (shaded + 1) / (plain + 1)
    forehead = slice(SIZE // 2 - 52, SIZE // 2 - 44), slice(SIZE // 2 - 10, SIZE // 2 + 10)
    beneath = (
        slice(SIZE // 2, SIZE // 2 + 16),
        slice(SIZE // 2 - 14, SIZE // 2 + 14),
    )  # nostrils and where the nose meets the lip
    assert ratio[forehead].mean() > 0.95
    assert ratio[beneath].min() < 0.7


def test_every_other_picture_leaves_dark_skin_dark():
    lit = np.full((50, 3), 0.02) * np.linspace(0.5, 1, 50)[:, None]
    exposure = PortraitPainter._exposure  # pyright: ignore[reportPrivateUsage]
    exposed = [
        0.02 * exposure(np.full((50, 3), 0.03), lit, np.random.default_rng(seed)) for seed in range(200)
    ]
    dark = np.mean(np.array(exposed) < 0.1)
    assert 0.35 < dark < 0.65
    assert min(exposed) > 0.01 and max(exposed) < 0.8
