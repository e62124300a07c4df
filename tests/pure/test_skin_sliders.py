"""Sliders of skin colour: the angle of a tone, the mean person of each, directions, tones that keep spots."""

import numpy as np
import pytest
import torch

from ml_backend.errors import UserError
from ml_backend.files.tensor_file import read_tensors, write_tensors
from ml_backend.geometry import cielab
from ml_backend.geometry.map_resampling import resample
from ml_backend.geometry.srgb import from_srgb, to_srgb
from ml_backend.models.skin.albedo_model import AlbedoModel
from ml_backend.models.skin.skin_sliders import SkinSliders
from ml_backend.simulation.pigment import skin_optics
from ml_backend.training.albedo.coarse_components import fit_coarse

SIZE = 16
REGION = np.zeros((SIZE, SIZE), bool)
REGION[4:12, 4:12] = True


def skin_of(tone: np.ndarray) -> np.ndarray:
    """(N,) degrees -> (N, 3) linear sRGB of the optics."""
    angles = torch.from_numpy(np.asarray(tone, np.float32))
    rest = [torch.full_like(angles, value) for value in (0.0225, 0.75, 0.8, 0.8, 1.0)]
    melanin = skin_optics.melanin_of_tone(angles, *rest)
    return skin_optics.skin_colour(skin_optics.Chromophores(melanin, *rest[:4], density=rest[4])).numpy()


@pytest.fixture(scope="module")
def people() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps (N, 3, 16, 16) sRGB whose redness darkens green and blue below the middle; tones, redness."""
    random = np.random.default_rng(0)
    tone, redness = random.uniform(-50, 60, 90), random.uniform(-1, 1, 90)
    where = np.zeros((SIZE, SIZE))
    where[:4] = 1
    flush = 1 - 0.2 * redness[:, None, None, None] * where * np.array([0, 1, 1])[:, None, None]
    mottled = resample(random.standard_normal((90, 1, 4, 4)).astype(np.float32), SIZE)
    linear = skin_of(tone)[:, :, None, None] * flush * (1 + 0.03 * mottled)
    return to_srgb(linear).astype(np.float32), tone, redness


@pytest.fixture(scope="module")
def model(people) -> AlbedoModel:
    return fit_coarse(people[0], 8, np.ones((SIZE, SIZE), bool))


@pytest.fixture(scope="module")
def sliders(people, model) -> SkinSliders:
    maps, tone, redness = people
    found = np.stack([model.project(one) for one in maps])
    return SkinSliders.fit(found, tone, {"redness": redness}, REGION)


def test_angles_are_those_of_the_simulation():
    linear = np.random.default_rng(0).uniform(0.02, 0.9, (3, 40)).astype(np.float32)
    usual = skin_optics.cielab(torch.from_numpy(linear.T)).numpy().T
    np.testing.assert_allclose(cielab.cielab(linear), usual, atol=1e-3)
    angles = skin_optics.typology_angle(torch.from_numpy(linear.T)).numpy()
    np.testing.assert_allclose(cielab.typology_angle(linear), angles, atol=1e-2)


@pytest.mark.parametrize("tone", [-45.0, -10.0, 20.0, 40.0, 58.0])
def test_the_mean_person_of_a_tone_has_it(sliders, model, tone):
    assert sliders.tone_of(model.colours(sliders.person(tone))) == pytest.approx(tone, abs=4)


def test_a_direction_does_what_its_trait_does(sliders, model):
    plain = model.colours(sliders.person(30.0))
    red = model.colours(sliders.person(30.0, {"redness": 1.0}))
    change = red - plain
    assert change[1, :4].mean() < -0.01 and abs(change[0, :4].mean()) < 0.005
    assert abs(change[1, 6:].mean()) < 0.2 * abs(change[1, :4].mean())
    more = model.colours(sliders.person(30.0) + 0.5 * sliders.direction("redness", 30.0))
    np.testing.assert_allclose((more - plain)[1, :4].mean(), 0.5 * change[1, :4].mean(), rtol=0.2, atol=2e-3)
    with pytest.raises(KeyError):
        sliders.direction("horns", 30.0)


def test_people_of_a_tone_differ_by_their_seed(sliders, model):
    one, again, other = (model.colours(sliders.person(30.0, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.005
    assert sliders.tone_of(one) == pytest.approx(30, abs=8)


@pytest.mark.parametrize("wanted", [-40.0, 10.0, 55.0])
@pytest.mark.parametrize("person", [3, 40, 77])
def test_a_new_tone_keeps_spots_and_redness(sliders, model, people, wanted, person):
    colours = resample(people[0][person], 4 * SIZE)
    random = np.random.default_rng(1)
    spots = np.where(random.uniform(size=(4 * SIZE,) * 2) > 0.97, 0.8, 1.0)
    colours = (colours * spots).astype(np.float32)
    moved = sliders.with_tone(colours, wanted, model)
    assert moved.shape == colours.shape and moved.dtype == np.float32
    assert sliders.tone_of(moved) == pytest.approx(wanted, abs=2)

    def detail(maps):
        lightness = cielab.cielab(from_srgb(np.clip(maps, 0, 1)))[0]
        return lightness - resample(resample(lightness, SIZE), 4 * SIZE)

    assert np.corrcoef(detail(colours).ravel(), detail(moved).ravel())[0, 1] > 0.95
    linear, other = (np.log(from_srgb(np.clip(maps, 0.01, 1))) for maps in (colours, moved))
    red, still = ((one[0] - one[1])[:16].mean() - (one[0] - one[1])[24:].mean() for one in (linear, other))
    assert still == pytest.approx(red, abs=0.08)


def test_the_same_tone_changes_nothing(sliders, model, people):
    colours = people[0][20]
    same = sliders.with_tone(colours, sliders.tone_of(colours), model)
    np.testing.assert_allclose(same, colours, atol=0.01)
    far = sliders.with_tone(colours, 500.0, model)
    assert np.isfinite(far).all() and sliders.tone_of(far) > 55


def test_sliders_read_back_and_broken_files_are_refused(sliders, tmp_path):
    path = tmp_path / "skin_sliders.safetensors"
    sliders.write(path, {"command": "train"})
    stored = SkinSliders.read(path)
    assert stored.names == ("redness",)
    np.testing.assert_array_equal(
        stored.person(20.0, {"redness": 0.5}), sliders.person(20.0, {"redness": 0.5})
    )
    arrays, metadata = read_tensors(path)
    for name, other in (("usual", np.zeros(2, np.float32)), ("region", np.zeros((4, 4), bool))):
        write_tensors(path, {**arrays, name: other}, metadata)
        with pytest.raises(UserError, match="no sliders"):
            SkinSliders.read(path)
    write_tensors(path, arrays, {**metadata, "names": "{"})
    with pytest.raises(UserError, match="no sliders"):
        SkinSliders.read(path)
    with pytest.raises(UserError, match="cannot be read"):
        SkinSliders.read(tmp_path / "none.safetensors")
