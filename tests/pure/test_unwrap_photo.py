"""Colour from a photo: what lies behind a head is not painted on it, hair and beards are."""

import numpy as np
import pytest

from ml_backend.fitting.unwrap_photo import TextureDomain, unwrap_photo
from ml_backend.geometry.camera_view import FRONTAL, Camera
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.simulation.portraits.painted_face import draw_head, prepare_paint

pytestmark = pytest.mark.photo

SKIN, HAIR = np.array([0.09, 0.05, 0.035]), 0.01
LIGHT = np.zeros((9, 3))
LIGHT[0] = 1.0
SIZE, AWAY, WIDE = 500, 1.2, 0.32


@pytest.fixture(scope="module")
def seen() -> tuple[np.ndarray, np.ndarray]:
    """Returns the albedo of a dark, bearded head before a white wall, fitted 4 % too wide, and the beard."""
    face = BilinearFace.default()
    paint, domain = prepare_paint(face), TextureDomain.of(face, 512)
    beard = np.clip(paint.mesh.refine(face.regions["chin"])[:, None] * 2, 0, 1)
    colours = SKIN + (HAIR - SKIN) * beard
    aim = face.mean[face.landmarks["nose_tip"]].mean(0)
    camera = Camera(FRONTAL, np.array([0, 0, AWAY]) - FRONTAL @ aim, SIZE * AWAY / WIDE, SIZE, SIZE)
    positions = paint.mesh.refine(face.mean)
    pixels = draw_head(paint, positions, colours.astype(np.float32), LIGHT, camera, background=0.9, gloss=0.0)
    found = unwrap_photo(domain, pixels, camera, positions * (1.04, 1, 1))
    return found.albedo, domain.lookup.spread(beard.astype(np.float32))[..., 0] * (found.confidence > 0.9)


@pytest.mark.slow
def test_a_white_wall_behind_a_dark_head_is_not_painted_on_it(seen):
    albedo, _ = seen
    outside = albedo[:, np.abs(np.arange(512) / 511 - 0.5) > 0.3]
    assert outside.max() < 3 * SKIN.max(), "the wall is on an ear or along the jaw"


@pytest.mark.slow
def test_a_beard_stays(seen):
    albedo, beard = seen
    assert (beard > 0.95).sum() > 50
    assert np.median(albedo[beard > 0.95].mean(1)) < 0.5 * SKIN.mean()
