"""Eyebrows, hairline and the sRGB curve: the shared tables of materials and simulated portraits."""

import numpy as np

from ml_backend.geometry.hair_regions import (
    COARSE_HAIRLINE,
    HAIRLINE,
    away_from_ears,
    brow_cover,
    scalp_cover,
)
from ml_backend.geometry.srgb import from_srgb, to_srgb
from ml_backend.models.bilinear_face import BilinearFace

EAR, TOP = np.array([0.07, 0.0, 0.0]), np.array([0.0, -0.09, 0.068])


def test_hair_grows_above_the_hairline_alone():
    for hairline in (HAIRLINE, COARSE_HAIRLINE):
        behind, height = np.array(hairline).T
        above = np.stack([np.zeros_like(behind), behind, height + 0.006], 1)
        below = np.stack([np.zeros_like(behind), behind, height - 0.006], 1)
        assert np.allclose(scalp_cover(above, EAR, TOP, hairline), 1)
        assert np.allclose(scalp_cover(below, EAR, TOP, hairline), 0)


def test_the_hairline_grows_with_the_head():
    places = np.random.default_rng(0).uniform(-0.1, 0.1, (50, 3))
    small = scalp_cover(places, EAR, TOP, HAIRLINE)
    large = scalp_cover(EAR + 2 * (places - EAR), EAR, EAR + 2 * (TOP - EAR), HAIRLINE)
    assert np.allclose(small, large)


def test_the_coarse_hairline_passes_through_stations_of_the_fine_one():
    assert set(COARSE_HAIRLINE) < set(HAIRLINE)
    assert np.all(np.diff([behind for behind, _ in COARSE_HAIRLINE]) > 0)


def test_a_brow_lies_above_its_lid_and_mirrors():
    lid = np.array([[0.015, -0.08, 0.03], [0.03, -0.085, 0.035], [0.045, -0.08, 0.03]])
    centre, half = np.array([0.03, -0.08, 0.03]), 0.015
    places = centre + half * np.array(
        [[0, 0, 1.18], [0, 0, 0.2], [0, 0, 2.0], [-1.8, 0, 1.1], [0, 3.0, 1.18]]
    )
    cover = brow_cover(places, lid)
    assert cover[0] > 0.9 and not cover[1:].any()
    mirror = np.array([-1, 1, 1])
    assert np.allclose(brow_cover(places * mirror, lid * mirror), cover)


def test_the_srgb_curve_and_its_inverse():
    encoded = np.arange(256) / np.float32(255)
    assert np.allclose(to_srgb(from_srgb(encoded)), encoded, atol=1e-6)
    assert np.allclose(to_srgb(np.array([-1.0, 0.0, 0.2140411, 1.0])), [0, 0, 0.5, 1], atol=1e-6)


def test_no_hair_is_painted_on_ears_or_where_they_begin():
    face = BilinearFace.default()
    ear, top = (face.mean[face.landmarks[name]].mean(0) for name in ("ear_left", "forehead_top"))
    cover = scalp_cover(face.mean, ear, top, HAIRLINE)
    kept = cover.copy()
    for side in ("left", "right"):
        ears = face.mean[face.landmarks[f"ear_rim_{side}"]]
        away = away_from_ears(face.mean, ears)
        distance = np.linalg.norm(face.mean[:, None] - ears, axis=2).min(1)
        assert np.all(away[distance < 0.0109] == 0) and np.all(away[distance > 0.0141] == 1)
        kept *= away
    assert kept[cover > 0.5].mean() > 0.5  # the rest of the scalp keeps its hair
    assert cover[kept == 0].max() == 1  # which the hairline alone would not do


def test_a_model_without_ears_keeps_its_hairline():
    positions = np.random.default_rng(0).normal(size=(50, 3))
    assert np.all(away_from_ears(positions, np.zeros((0, 3))) == 1)
