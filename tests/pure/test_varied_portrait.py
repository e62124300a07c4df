"""Portraits with strands and with things before the face."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from ml_backend.datasets.coded_portraits import StoredPortrait, make_portrait_set
from ml_backend.models.residual.channels import CHANNELS, see_drawing
from ml_backend.models.residual.render_residual import RenderResidual, ResidualConfig
from ml_backend.simulation.portraits.coded_portrait import CodedPortrait, coded_portrait, linear_pixels
from ml_backend.simulation.portraits.varied_portrait import (
    draw_thing,
    poor_portrait,
    portrait_with_strands,
    portrait_with_thing,
    training_portrait,
)

FIRST = 910_000


@pytest.fixture(scope="module")
def portrait() -> CodedPortrait:
    """Has long hair."""
    return coded_portrait(FIRST, 3)


def bare(portrait: CodedPortrait) -> np.ndarray:
    """(256, 256) bool, skin far from hair, eyes, mouth and outline."""
    channels = see_drawing(portrait.codes, portrait.camera, portrait.nuisance, seen=portrait.seen).channels
    rows = [
        channels[CHANNELS.index(name)].numpy()
        for name in ("brow", "moustache", "chin", "jaw", "inside", "eye")
    ]
    hairline = channels[CHANNELS.index("hairline")].numpy()
    forehead = (hairline < -0.5) & (np.max(rows, 0) < 0.01) & (channels[3].numpy() > 0)
    inner = forehead.copy()
    for axis in (0, 1):
        for step in (-6, 6):
            inner &= np.roll(forehead, step, axis)
    return inner


def test_strands_grow_beyond_the_head_and_leave_bare_skin(portrait):
    shown = portrait_with_strands(portrait)
    assert shown is not portrait
    assert shown.codes is portrait.codes
    changed = np.abs(shown.pixels.astype(float) - portrait.pixels).mean(2)
    skin = bare(portrait)
    assert skin.sum() > 300
    assert changed[skin].mean() < 2  # the camera's noise and JPEG are the same
    beside = ~portrait.seen.mask
    assert (changed[beside] > 20).sum() > 100  # strands before the ground
    assert changed[portrait.seen.mask & ~skin].mean() > 3 * changed[skin].mean()


def test_a_network_that_changes_bare_skin_leaves_the_portrait(portrait):
    network = RenderResidual(ResidualConfig(widths=(8, 8), condition=8)).eval()
    assert portrait_with_strands(portrait, network) is not portrait
    with torch.no_grad():
        network.exit.bias[8:] += 0.2  # of the difference of colour, after cover and hair of 2 x 2 pixels
    assert portrait_with_strands(portrait, network) is portrait


def test_things_cover_a_part_of_the_picture_in_the_faces_light(portrait):
    rows, columns = np.nonzero(portrait.seen.mask)
    box = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
    shares, touched = [], 0
    for seed in range(24):
        random = np.random.default_rng(seed)
        covered = portrait_with_thing(portrait, random)
        changed = np.abs(covered.pixels.astype(float) - portrait.pixels).max(2) > 24
        shares.append(float(changed.mean()))
        inside = changed[box[1] : box[3], box[0] : box[2]]
        touched += bool(inside.any())
        assert linear_pixels(covered.pixels).max() <= 1
    assert max(shares) < 0.5
    assert np.median(shares) > 0.002
    assert touched >= 18


def test_things_are_of_four_kinds_and_soft():
    eyes = np.array([[100.0, 110.0], [150.0, 112.0]])
    areas = []
    for seed in range(30):
        cover, colour = draw_thing(np.random.default_rng(seed), eyes)
        assert cover.min() >= 0 and cover.max() <= 1.0001
        assert colour.shape == (256, 256, 3) and colour.min() > 0
        areas.append(float((cover > 0.5).sum()))
    assert min(areas) < 400 < max(areas)


def test_poor_portraits_lose_what_is_fine_and_keep_what_is_coarse(portrait):
    def apart(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.abs(one - other).mean())

    rows = []
    for seed in range(8):
        poor = poor_portrait(portrait, np.random.default_rng(seed)).pixels
        assert poor.shape == portrait.pixels.shape and poor.dtype == np.uint8
        coarse = [gaussian_filter(pixels.astype(float), (12, 12, 0)) for pixels in (poor, portrait.pixels)]
        rows.append((apart(poor.astype(float), portrait.pixels), apart(*coarse)))
    assert all(fine > 2 * coarse for fine, coarse in rows), rows
    assert max(fine for fine, _ in rows) > 2 * min(fine for fine, _ in rows)


def test_a_trainings_portrait_is_the_same_each_time_and_some_are_plain(tmp_path):
    plain = {number: coded_portrait(FIRST, number) for number in range(8)}
    kinds = []
    for number, shown in plain.items():
        one = training_portrait(FIRST, number, lambda first, n: plain[n])
        again = training_portrait(FIRST, number, lambda first, n: plain[n])
        np.testing.assert_array_equal(one.pixels, again.pixels)
        kinds.append(one is shown)
    assert any(kinds) and not all(kinds)
    (path,) = make_portrait_set(tmp_path, 1, FIRST, made=lambda first, number: plain[0])
    stored = StoredPortrait.read(path)
    assert stored is not None
    np.testing.assert_array_equal(stored.pixels, plain[0].pixels)
