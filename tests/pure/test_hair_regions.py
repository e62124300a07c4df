"""Eyebrows, hairline and the sRGB curve: the shared tables of materials and simulated portraits."""

import numpy as np

from ml_backend.geometry.hair_regions import COARSE_HAIRLINE, HAIRLINE, brow_cover, scalp_cover
from ml_backend.geometry.srgb import from_srgb, to_srgb

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
