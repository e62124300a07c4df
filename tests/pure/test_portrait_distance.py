"""The distance of portraits from photographs: its estimate, and how pictures are laid over one another."""

import numpy as np
import pytest
from PIL import Image
from skimage import data

from benchmarks.portrait_distance import _EYES, SIDE, aligned, eyes_in, halves, kernel_distance, main
from ml_backend.fitting.landmarks import find_faces

pytestmark = pytest.mark.photo


def test_the_distance_is_near_zero_for_one_source_and_grows_with_the_difference():
    random = np.random.default_rng(3)
    photos = random.normal(0.1, 0.05, (60, 40))
    near, far = (random.normal(0.1 + shift, 0.05, (40, 40)) for shift in (0.02, 0.06))
    assert abs(halves(photos)) < 0.05 * kernel_distance(far, photos)
    assert 0 < kernel_distance(near, photos) < kernel_distance(far, photos)
    assert kernel_distance(photos, near) == pytest.approx(kernel_distance(near, photos))


def test_eyes_come_to_the_same_places_however_the_photo_lies():
    photo = Image.fromarray(data.astronaut())
    for turned in (photo, photo.rotate(18, Image.Resampling.BICUBIC), photo.resize((900, 900))):
        eyes = eyes_in(np.asarray(turned))
        assert eyes is not None
        head, face = aligned(np.asarray(turned), eyes)
        assert head.shape == face.shape == (SIDE, SIDE, 3)
        points = find_faces((255 * head).astype(np.uint8))[0].points / SIDE
        for corners, place in (((33, 133), _EYES[0]), ((362, 263), _EYES[1])):
            np.testing.assert_allclose(points[list(corners), :2].mean(0), place, atol=0.02)
        assert np.allclose(face[0, 0], 0.5) and np.abs(face[SIDE // 2, SIDE // 2] - 0.5).max() > 0.02
    assert eyes_in(np.zeros((200, 200, 3), np.uint8)) is None


def test_a_picture_made_coarser_keeps_its_places_and_loses_its_lines():
    photo = data.astronaut()
    eyes = eyes_in(photo)
    assert eyes is not None
    (head, _), (coarse, _), (same, _) = (aligned(photo, eyes, apart) for apart in (np.inf, 12, 1e6))
    np.testing.assert_array_equal(head, same)
    assert np.corrcoef(head.ravel(), coarse.ravel())[0, 1] > 0.95
    assert np.abs(np.diff(coarse, axis=0)).mean() < 0.7 * np.abs(np.diff(head, axis=0)).mean()


def test_missing_files_are_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "sys.argv", ["x", str(tmp_path), "--photos", str(tmp_path), "--networks", str(tmp_path)]
    )
    assert main() == 2 and "lpips_alexnet.npz" in capsys.readouterr().err
