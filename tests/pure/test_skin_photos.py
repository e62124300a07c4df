"""The stored photographs of simulated people that the belief about skin tones learns from."""

import numpy as np
import pytest

from ml_backend.__main__ import main
from ml_backend.datasets.map_set import HELD_OUT_SEED
from ml_backend.datasets.skin_photos import FIRST_SEED, SkinPhotoSpec, make_skin_photos
from ml_backend.errors import UserError
from ml_backend.fitting.skin.photo_skin import skin_of_photo, skins_of_photos
from ml_backend.fitting.skin.skin_evidence import EVIDENCE, PARTS, SkinPatterns
from ml_backend.fitting.skin.skin_prior import SkinPrior
from ml_backend.fitting.unwrap_photo import TextureDomain
from ml_backend.geometry.camera_view import FRONTAL, Camera
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.simulation.portraits.lights_around import LIGHTS, drawn_light

pytestmark = [pytest.mark.photo, pytest.mark.slow]


def test_pictures_are_taken_once_and_teach_nothing_from_a_few(tmp_path, capsys):
    prior, spec, folder = SkinPrior.default(), SkinPhotoSpec(2, 2), tmp_path / "photos"
    told = []
    found = make_skin_photos(folder, spec, prior, lambda done, people: told.append((done, people)))
    assert found.evidence.shape == (4, EVIDENCE) and told == [(1, 2), (2, 2)]
    assert sorted(set(found.people)) == [FIRST_SEED, FIRST_SEED + 1]
    assert np.isfinite(found.evidence[:, : PARTS["skin"]]).all()
    assert np.ptp(found.tones[:2]) == 0 and np.ptp(found.evidence[:2, 0]) > 0, "one person, two lights"
    (folder / f"{FIRST_SEED + 1}.npz").unlink()
    kept = (folder / f"{FIRST_SEED}.npz").stat().st_mtime_ns
    again = make_skin_photos(folder, spec, prior)
    assert (folder / f"{FIRST_SEED}.npz").stat().st_mtime_ns == kept
    assert np.array_equal(again.evidence, found.evidence, equal_nan=True)
    with pytest.raises(UserError, match="other pictures"):
        make_skin_photos(folder, SkinPhotoSpec(2, 3), prior)
    command = ["train", "skin-belief", "--people", "2", "--pictures", "2", "--data", str(folder)]
    assert main([*command, "--out", str(tmp_path / "out")]) != 0
    assert "Raise --people" in capsys.readouterr().err


def test_photos_read_together_are_read_as_one_by_one():
    face, domain = BilinearFace.default(), TextureDomain.default(256)
    positions = domain.mesh.refine(face.neutral(np.zeros(face.identity_size, np.float32)))
    middle = (positions.min(0) + positions.max(0)) / 2
    camera = Camera(FRONTAL, np.array([0, 0, 1.0]) - FRONTAL @ middle, 700.0, 160, 160)
    random = np.random.default_rng(1)
    photos = [random.integers(60, 200, (160, 160, 3)).astype(np.uint8) for _ in range(2)]
    usual = SkinPatterns.of(SkinPrior.default())
    together = skins_of_photos(domain, photos, camera, positions, usual)
    for pixels, one in zip(photos, together, strict=True):
        alone = skin_of_photo(domain, pixels, camera, positions, usual)
        assert np.allclose(one.texture, alone.texture) and np.allclose(one.first.light, alone.first.light)
        assert np.allclose(one.evidence.vector(), alone.evidence.vector(), equal_nan=True, atol=1e-5)


def test_no_light_that_is_measured_under_is_drawn_and_nobody_held_out_is_photographed():
    lights = [drawn_light(np.random.default_rng([seed, 0x11])) for seed in range(FIRST_SEED, FIRST_SEED + 50)]
    apart = min(float(np.abs(one - other).max()) for one in lights for other in LIGHTS.values())
    assert apart > 0.05
    assert abs(FIRST_SEED - HELD_OUT_SEED) > 10_000
