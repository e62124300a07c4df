"""The live skin: enlarging, the chart of the face, spots, tones that keep them, make-up in its place."""

import numpy as np
import pytest

from ml_backend.geometry.cielab import cielab, typology_angle
from ml_backend.geometry.dense_face import dense_face_mesh
from ml_backend.geometry.map_resampling import enlarged, resample
from ml_backend.geometry.skin_chart import build_skin_chart, skin_places
from ml_backend.geometry.skin_spots import KINDS, spot_patches
from ml_backend.geometry.srgb import from_srgb, to_srgb
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.skin.live_skin import TRAITS, SkinLook, SkinPainter
from ml_backend.models.skin.skin_sliders import SkinSliders
from ml_backend.simulation.pigment.pigment_traits import sample_traits
from ml_backend.training.albedo.coarse_components import fit_coarse

SIZE = 32
CHART = 128
DARK = np.array([0.09, 0.045, 0.027])
LIGHT = np.array([0.62, 0.42, 0.33])


@pytest.fixture(scope="module")
def face():
    return BilinearFace.default()


@pytest.fixture(scope="module")
def places(face):
    return skin_places(face, dense_face_mesh(face))


@pytest.fixture(scope="module")
def chart(face, places):
    return build_skin_chart(face, dense_face_mesh(face), places, CHART)


@pytest.fixture(scope="module")
def painter(chart):
    """A painter of 80 people: a colour between dark and light, redness in the middle, mottle of their own."""
    random = np.random.default_rng(0)
    share = random.uniform(0, 1, 80)
    traits = {name: random.uniform(0, 1, 80) for name in TRAITS}
    colour = np.exp(np.log(DARK) + share[:, None] * (np.log(LIGHT) - np.log(DARK)))
    tone = typology_angle(colour.T)
    linear = np.broadcast_to(colour[:, :, None, None], (80, 3, SIZE, SIZE)).copy()
    middle = slice(12, 20)
    linear[:, 1:, middle, middle] *= 1 - 0.2 * traits["redness"][:, None, None, None]
    mottle = resample(random.standard_normal((80, 1, 4, 4)).astype(np.float32), SIZE)
    maps = to_srgb(linear * (1 + 0.03 * mottle)).astype(np.float32)
    model = fit_coarse(maps, 16, np.ones((SIZE, SIZE), bool))
    region = np.zeros((SIZE, SIZE), bool)
    region[4:10, 4:28] = True
    found = np.stack([model.project(one) for one in maps])
    return SkinPainter(model, SkinSliders.fit(found, tone, traits, region), chart)


def look(tone=40.0, make_up=None, seed=3, **traits):
    usual = dict.fromkeys(TRAITS, 0.0) | {"redness": 0.5, "lips": 0.5, "age": 0.5}
    return SkinLook(tone, usual | traits, seed, make_up=make_up or {})


@pytest.mark.parametrize("factor", [1, 2, 3, 8])
def test_enlarging_by_shifted_sums_is_resampling(factor):
    maps = np.random.default_rng(0).uniform(size=(2, 3, 20, 20)).astype(np.float32)
    np.testing.assert_allclose(enlarged(maps, factor), resample(maps, 20 * factor), atol=2e-6)


def test_the_chart_knows_the_face(chart, places):
    assert 0.7 < chart.skin.mean() <= 1
    lips = chart.lips > 0.5
    assert -80 < chart.up[lips].mean() < -55 and abs(chart.across[lips].mean()) < 1.5
    near = (chart.upper_lid < 2) & chart.skin
    assert near.any() and np.abs(np.abs(chart.across[near]) - 30).max() < 25
    beard = places.beard()
    assert beard[places.up > -30].max() < 0.6 and beard.max() > 0.5
    below = beard > 0.4
    assert places.up[below].mean() < -60 and abs(places.across[below].mean()) < 2


@pytest.mark.parametrize("tone", [62.0, 20.0, -45.0])
def test_cheeks_and_forehead_have_the_tone(painter, tone):
    for seed in (1, 2):
        colours = painter.paint(look(tone, seed=seed), CHART)
        assert painter.sliders.tone_of(colours) == pytest.approx(tone, abs=1.5)
    assert np.abs(painter.paint(look(tone, seed=1), CHART) - colours).max() > 0.003
    np.testing.assert_array_equal(colours, painter.paint(look(tone, seed=2), CHART))


def test_coefficients_and_traits_move_the_map(painter):
    plain = painter.coarse(look())
    red = painter.coarse(look(redness=1.0))
    assert (red - plain)[1, 12:20, 12:20].mean() < -0.005
    own = painter.coarse(SkinLook(40.0, look().traits, 3, own=(2.0, *(0.0,) * 11)))
    assert np.abs(own - plain).max() > 0.003
    with pytest.raises(ValueError):
        painter.coarse(SkinLook(40.0, {"horns": 1.0}))


@pytest.mark.parametrize("kind", list(KINDS))
def test_spots_appear_one_by_one_and_stay(chart, kind):
    spots = spot_patches(kind, 5, chart, 2 * CHART)
    assert not spots.paint(0.0).any()
    before = spots.paint(0.1)
    for amount in (0.3, 0.6, 1.0):
        drawn = spots.paint(amount)
        assert (drawn >= before - 1e-6).all() and drawn.sum() > before.sum()
        before = drawn
    free = np.kron(chart.free(), np.ones((2, 2)))
    assert before[free < 0.01].sum() < 0.02 * before.sum()
    other = spot_patches(kind, 6, chart, 2 * CHART).paint(0.5)
    assert np.corrcoef(other.ravel(), spots.paint(0.5).ravel())[0, 1] < 0.8


def test_spots_are_as_large_on_finer_maps(chart):
    coarse, fine = (spot_patches("age_spots", 1, chart, size * CHART).paint(1.0) for size in (2, 4))
    assert fine.sum() / 16 == pytest.approx(coarse.sum() / 4, rel=0.15)


def test_another_tone_keeps_freckles(painter):
    def detail(tone):
        with_spots = painter.paint(look(tone, freckles=0.9, moles=0.5), CHART)
        lightness = cielab(from_srgb(with_spots))[0]
        return lightness - resample(resample(lightness, SIZE), CHART)

    light, dark = detail(55.0), detail(0.0)
    assert light.std() > 0.05
    assert np.corrcoef(light.ravel(), dark.ravel())[0, 1] > 0.9


def test_make_up_lies_where_it_belongs(painter, chart):
    plain = painter.paint(look(), CHART)
    red = {"lipstick": ((0.4, 0.02, 0.03), 1.0)}
    change = np.abs(painter.paint(look(make_up=red), CHART) - plain).max(0)
    assert change[chart.lips > 0.9].min() > 0.05 and change[chart.lips < 0.01].max() < 0.01
    black = {"eyeliner": ((0.01, 0.01, 0.01), 1.0)}
    change = np.abs(painter.paint(look(make_up=black), CHART) - plain).max(0)
    near = np.minimum(chart.upper_lid, chart.lower_lid)
    assert change[(chart.upper_lid < 0.6) & chart.skin].max() > 0.2 and change[near > 4].max() < 1e-3
    pink = {"blush": ((0.7, 0.1, 0.1), 1.0)}
    change = painter.paint(look(make_up=pink), CHART) - plain
    assert chart.up[np.abs(change).max(0) > 0.02].mean() == pytest.approx(-22, abs=8)
    even = {"foundation": ((1.0, 1.0, 1.0), 1.0)}
    spotted = painter.paint(look(freckles=1.0), CHART)
    covered = painter.paint(look(freckles=1.0, make_up=even), CHART)
    cheek = chart.blob(40, -34, 12, 10) > 0.5
    assert covered[:, cheek].std(1).mean() < 0.6 * spotted[:, cheek].std(1).mean()


def test_only_multiples_of_the_chart_are_painted(painter, chart):
    with pytest.raises(ValueError, match="multiple"):
        painter.paint(look(), CHART + 1)
    with pytest.raises(ValueError, match="multiple"):
        SkinPainter(
            fit_coarse(np.random.rand(9, 3, 24, 24), 4, np.ones((24, 24), bool)), painter.sliders, chart
        )


def test_traits_are_those_of_the_simulation():
    person = sample_traits(4)
    assert all(hasattr(person, name) for name in TRAITS)
