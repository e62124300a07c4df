"""Wrinkles read off photographs: energies, mirror images, places, and real people where their photos are."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ml_backend.evaluation.evaluate_photo import paired_photos
from ml_backend.evaluation.photo_wrinkles import (
    ROWS,
    PersonWrinkles,
    PhotoSkin,
    energy_ratios,
    measure_person,
    region_weights,
    weighted_correlation,
    wrinkle_band,
    wrinkle_figures,
)
from ml_backend.geometry.spherical_harmonics import harmonics

SIZE = 512
PHOTOS = Path(__file__).resolve().parents[3] / "shared" / "data" / "photos"
needs_photos = pytest.mark.skipif(not PHOTOS.is_dir(), reason="no photos of people here")


def stripes(texels: float) -> torch.Tensor:
    """(1, SIZE, SIZE) millimetres, waves along u."""
    return 0.1 * torch.sin(2 * torch.pi * torch.arange(SIZE) / texels).expand(1, SIZE, SIZE)


def test_regions_lie_on_both_sides_of_the_face():
    for weight in region_weights(SIZE).values():
        assert weight.max() > 0.9
        left, right = weight[:, : SIZE // 2].sum(), weight[:, SIZE // 2 :].sum()
        assert float(left) == pytest.approx(float(right), rel=0.05)


def test_the_band_holds_wrinkles_but_neither_pores_nor_form():
    middle = (0, SIZE // 2, slice(150, 360))
    kept = [float(wrinkle_band(stripes(texels))[middle].std() / 0.0707) for texels in (3, 14, 250)]
    assert kept[0] < 0.05 and kept[1] > 0.5 and kept[2] < 0.2


def test_energy_counts_where_it_lies_and_is_seen():
    seen = torch.ones(1, SIZE, SIZE)
    before = stripes(14)
    after = before * (1 + region_weights(SIZE)["crows_feet"].gt(0.01))
    ratios = energy_ratios(before, after, seen)
    assert ratios["crows_feet"] == pytest.approx(4, rel=0.05)
    assert ratios["nasolabial"] == pytest.approx(1, abs=0.02)
    assert ratios["nasolabial"] < ratios["both"] < ratios["crows_feet"]
    left_only = seen.clone()
    left_only[..., : SIZE // 2] = 0
    deeper = before.clone()
    deeper[..., : SIZE // 2 - 40] *= 3
    assert energy_ratios(before, deeper, left_only)["both"] == pytest.approx(1, abs=0.02)


def test_a_mirror_image_has_mirrored_light():
    random = np.random.default_rng(0)
    photo = PhotoSkin(
        random.random((8, 8, 3)).astype(np.float32), random.random((8, 8)).astype(np.float32),
        random.standard_normal((9, 3)).astype(np.float32), np.zeros(3), np.zeros(52), np.zeros(16),
    )  # fmt: skip
    mirror = photo.mirrored()
    np.testing.assert_array_equal(mirror.texture[:, 0], photo.texture[:, -1])
    normals = random.standard_normal((5, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    np.testing.assert_allclose(
        harmonics(normals * (-1, 1, 1)) @ mirror.light, harmonics(normals) @ photo.light, atol=1e-5
    )
    np.testing.assert_array_equal(mirror.mirrored().light, photo.light)


def test_a_place_is_told_by_correlation():
    random = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 40, 40, generator=random)
    weight = torch.ones(40, 40)
    assert weighted_correlation(one, 3 * one + 1, weight) == pytest.approx(1, abs=1e-5)
    assert weighted_correlation(one, -one, weight) == pytest.approx(-1, abs=1e-5)
    assert abs(weighted_correlation(one, other, weight)) < 0.1
    weight[:, 20:] = 0
    mixed = torch.where(weight > 0, one, other)
    assert weighted_correlation(one, mixed, weight) == pytest.approx(1, abs=1e-5)
    assert weighted_correlation(one, torch.ones(40, 40), weight) == 0


def test_figures_count_people():
    random = torch.Generator().manual_seed(1)
    people = {}
    for name, ratio in (("a", 1.4), ("b", 1.6), ("c", 3.0)):
        change = torch.randn(20, 20, generator=random)
        ratios = {row: {"crows_feet": 1.0, "nasolabial": ratio, "both": ratio} for row in ROWS}
        people[name] = PersonWrinkles(ratios, change, 2 * change, torch.ones(20, 20))
    figures = wrinkle_figures(people)
    assert figures["n"] == 3 and figures["reached"]["photo"] == {"crows_feet": 0, "nasolabial": 2, "both": 2}
    assert figures["median"]["fit"]["both"] == 1.6
    assert figures["place"]["own_picture"] == 1 and figures["place"]["own_is_nearer"] == 3


@pytest.mark.slow
@needs_photos
def test_a_smile_is_read_off_the_picture_alone():
    pairs = paired_photos(PHOTOS)
    neutral, smiling = (PhotoSkin.of(path) for path in pairs["020"])
    measured = measure_person(neutral, smiling)
    assert measured.ratios["photo"]["nasolabial"] > 1.5
    assert 0.6 < measured.ratios["mirrored"]["both"] < 1.5
    assert weighted_correlation(measured.change, measured.brighter, measured.weight) > 0.1
