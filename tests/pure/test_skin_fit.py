"""Skin colour from photographs: differences of colours, the belief about tone, light, the fit."""

import numpy as np
import pytest

from ml_backend.errors import UserError
from ml_backend.fitting.skin.fit_skin import SkinModel, blended, fit_skin
from ml_backend.fitting.skin.photo_skin import PhotoSkin, skin_of_photo, without_relief
from ml_backend.fitting.skin.seen_eyes import EyeSamples
from ml_backend.fitting.skin.seen_skin import SeenSkin, find_light
from ml_backend.fitting.skin.skin_belief import TONES, SkinBelief
from ml_backend.fitting.skin.skin_evidence import (
    EVIDENCE,
    PARTS,
    TRIED,
    SkinPatterns,
    evidence_of,
    tried_tones,
)
from ml_backend.fitting.skin.skin_prior import RESOLUTION, SkinPrior
from ml_backend.fitting.unwrap_photo import TextureDomain, normals_at_texels
from ml_backend.geometry.cielab import ciede2000, typology_angle
from ml_backend.geometry.displacement import vertex_normals
from ml_backend.geometry.light_transfer import DIRECTIONS
from ml_backend.geometry.map_resampling import resample
from ml_backend.geometry.spherical_harmonics import harmonics
from ml_backend.geometry.srgb import from_srgb
from ml_backend.models.bilinear_face import BilinearFace

pytestmark = pytest.mark.photo


def test_colour_differences_are_those_of_the_published_pairs():
    one = np.array(
        [[50, 2.6772, -79.7751], [50, 2.5, 0], [60.2574, -34.0099, 36.2677], [2.0776, 0.0795, -1.135]]
    )
    other = np.array(
        [[50, 0, -82.7485], [73, 25, -18], [60.4626, -34.1751, 39.4387], [0.9033, -0.0636, -0.5514]]
    )
    assert np.allclose(ciede2000(one.T, other.T), [2.0425, 27.1492, 1.2644, 0.9082], atol=2e-4)


def learned_belief(random: np.random.Generator) -> tuple[SkinBelief, np.ndarray]:
    """Returns a belief learned from made-up photos, and how evidence follows a tone: (83,) per 60 degrees."""
    slope = random.normal(0, 1, EVIDENCE + 3)
    slope[EVIDENCE:] = np.abs(slope[EVIDENCE:]) + 0.5
    tones = random.uniform(-60, 70, 400)
    rows = tones[:, None] / 60 * slope + 0.2 * random.standard_normal((400, len(slope)))
    return SkinBelief.fit(rows[:, :EVIDENCE], rows[:, EVIDENCE:], tones), slope


def test_a_tone_is_believed_from_evidence_and_less_from_less(tmp_path):
    random = np.random.default_rng(2)
    belief, slope = learned_belief(random)
    seen = 35 / 60 * slope[:EVIDENCE]
    found = belief.believed(seen)
    assert abs(found.tone - 35) < 4 and found.low < 35 < found.high
    assert np.allclose(np.log(found.colour), 35 / 60 * slope[EVIDENCE:], atol=0.1)
    part = np.where(np.arange(EVIDENCE) < 2, seen, np.nan)
    less = belief.believed(part)
    assert less.high - less.low > found.high - found.low
    nothing = belief.believed(np.full(EVIDENCE, np.nan))
    assert nothing.low < -20 and nothing.high > 50, "without evidence every tone is possible"
    belief.write(tmp_path / "belief.safetensors")
    again = SkinBelief.read(tmp_path / "belief.safetensors").believed(seen)
    assert again.tone == pytest.approx(found.tone, abs=0.01)
    with pytest.raises(UserError):
        SkinBelief.read(_other_file(tmp_path))


def test_what_is_not_seen_widens_the_interval_and_a_strange_photo_too():
    random = np.random.default_rng(3)
    belief, slope = learned_belief(random)
    seen = 20 / 60 * slope[:EVIDENCE]
    whole = belief.believed(seen)
    eyes = np.where(np.arange(EVIDENCE) < PARTS["skin"], seen, np.nan)
    assert belief.believed(eyes).high - belief.believed(eyes).low > whole.high - whole.low
    strange = belief.believed(seen + 6 * random.standard_normal(EVIDENCE))
    assert strange.high - strange.low > whole.high - whole.low and np.isfinite(strange.colour).all()
    assert whole.chance.sum() == pytest.approx(1) and len(whole.chance) == len(TONES)


def test_what_stays_in_a_persons_pictures_counts_more_than_what_moves():
    random = np.random.default_rng(4)
    people = np.repeat(np.arange(60), 8)
    tones = np.repeat(random.uniform(-60, 70, 60), 8)
    rows = 0.1 * random.standard_normal((480, EVIDENCE))
    own = np.repeat(random.standard_normal(60), 8)
    rows[:, 0] = tones / 60 + 0.3 * own  # off by the same in each picture
    rows[:, 1] = tones / 60 + 0.3 * random.standard_normal(480)  # off by the light
    colours = np.repeat(tones[:, None] / 60, 3, 1)
    belief = SkinBelief.fit(rows, colours, tones, people)
    still = np.zeros(EVIDENCE)
    moved = [belief.believed(still + 0.3 * (np.arange(EVIDENCE) == sign)).tone for sign in (0, 1)]
    assert moved[0] - belief.believed(still).tone > moved[1] - belief.believed(still).tone > 0


@pytest.mark.parametrize("tone", [-45.0, 5.0, 55.0])
def test_tried_tones_fit_best_near_the_tone_that_is_there(tone):
    random = np.random.default_rng(5)
    prior = SkinPrior.default()
    patterns = SkinPatterns.of(prior)
    towards = random.standard_normal((RESOLUTION, RESOLUTION, 3)) * 0.4 + (0, -1, 0)
    towards /= np.linalg.norm(towards, axis=2, keepdims=True)
    scattered = np.clip(towards @ DIRECTIONS.T, 0, None) * 4 / 48
    half = DIRECTIONS + (0, -1, 0)
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    mirrored = 22 / 8 * np.clip(towards @ half.T, 0, 1) ** 14 * scattered
    lamps = np.abs(random.standard_normal((48, 3))) * (1 + 3 * (DIRECTIONS[:, :1] > 0.3))
    person = resample(prior.model.colours(prior.sliders.person(tone)), RESOLUTION)
    linear = from_srgb(np.clip(person, 0.02, 1)).transpose(1, 2, 0)
    colours = 0.5 * (linear * (scattered @ lamps) + 0.03 * mirrored @ lamps)
    everywhere = np.ones((RESOLUTION, RESOLUTION), np.float32)
    directions = np.concatenate([scattered, mirrored], 2)
    seen = SeenSkin(colours, everywhere, harmonics(towards), everywhere, 0.0, directions)
    white = np.array([0.58, 0.54, 0.50]) * (scattered[:, :2].reshape(-1, 48) @ lamps) * 0.5
    white = white + 0.5 * 0.03 * (mirrored[:, :2].reshape(-1, 48) @ lamps)
    basis = harmonics(towards[:, :2].reshape(-1, 3))
    eyes = EyeSamples(white, basis, white, basis, directions[:, :2].reshape(-1, 96), None)
    found = tried_tones(seen, eyes, patterns.tried)
    nearest = int(np.abs(TRIED - tone).argmin())
    assert abs(int(found[:, 3].argmin()) - nearest) <= 1
    off = np.array([np.interp(tone, TRIED, found[:, channel]) for channel in range(3)])
    assert np.abs(off).max() < 0.15, "with the true tone the white of the eyes is as white as it is"
    assert (np.diff(found[:, 1]) > 0).all(), "the lighter the skin is believed, the whiter the eyes"
    blind = tried_tones(SeenSkin(colours, everywhere, basis, everywhere, 0.0), eyes, patterns.tried)
    assert np.isnan(blind).all()


WHITE = 0.42
"""The white of the eyes in a light of 1: lids and lashes shade it."""


def _other_file(folder):
    from ml_backend.files.tensor_file import write_tensors

    write_tensors(folder / "other.safetensors", {"curve": np.zeros(3, np.float32)}, {"format": "other"})
    return folder / "other.safetensors"


@pytest.fixture(scope="module")
def head() -> tuple[TextureDomain, np.ndarray]:
    """Returns the texture domain at 256 texels and its normals (256, 256, 3) at rest."""
    face, domain = BilinearFace.default(), TextureDomain.default(256)
    positions = domain.mesh.refine(face.neutral(np.zeros(face.identity_size, np.float32)))
    return domain, normals_at_texels(domain, vertex_normals(positions, domain.mesh.polygons))


def lamp(strength: float) -> np.ndarray:
    """Returns (9, 3): light from the person's left and above."""
    light = np.zeros((9, 3))
    light[0] = 1
    light[[2, 3]] = strength
    return light * (1.1, 1.0, 0.85)


def photo_of(head, colours: np.ndarray, light: np.ndarray, level: float) -> PhotoSkin:
    """Returns a photo of a map (3, R, R) sRGB, its left quarter hidden, a bright spot on the forehead."""
    domain, normals = head
    albedo = from_srgb(resample(colours, 256).clip(0, 1)).transpose(1, 2, 0)
    basis = harmonics(normals)
    shading = np.maximum(basis @ light, 0.1)
    texture = np.clip(level * albedo * shading, 0, 1)
    texture[180:190, 120:140] = 0.99
    confidence = domain.lookup.mask * (np.arange(256) > 64).astype(np.float32)
    seen = SeenSkin.of(texture, confidence, basis, domain.skin, domain.face)
    usual = SkinPatterns.of(SkinPrior.default())
    first = find_light(seen, usual.usual)
    forward = np.repeat(harmonics(np.array([[0.0, -1.0, 0.0]])), 40, 0)
    white = np.full((40, 3), WHITE * level) * (forward @ light)
    eyes = EyeSamples(white, forward, white[:0], forward[:0])
    lids = np.zeros((2, RESOLUTION, RESOLUTION))
    return PhotoSkin(texture, confidence, basis, seen, first, evidence_of(seen, first, usual, eyes, lids))


def test_light_is_told_from_colour(head):
    prior = SkinPrior.default()
    colours = prior.model.colours(prior.sliders.person(40.0))
    photo = photo_of(head, colours, lamp(0.35), 1.0)
    found = photo.first.light / photo.first.light[0].mean()
    assert found[3].mean() == pytest.approx(0.35, abs=0.15) and found[2].mean() == pytest.approx(
        0.35, abs=0.15
    )
    assert found[0, 0] > found[0, 2]


def test_a_person_is_found_in_two_lights_and_completed_where_nothing_is_seen(head):
    model = SkinModel.default()
    prior = model.prior
    colours = np.clip(prior.model.colours(prior.sliders.person(40.0, {"redness": 0.5})), 0, 1)
    maps = []
    for light in (lamp(0.3), lamp(-0.2)):
        photo = photo_of(head, colours, light, 1.0)
        fitted = fit_skin([photo], model)
        assert fitted.low <= fitted.tone <= fitted.high and 0 < fitted.sure <= 1
        maps.append(fitted.albedo)
        tone = np.median(
            typology_angle(resample(fitted.albedo.transpose(2, 0, 1), 256)[:, prior.sliders.region])
        )
        assert abs(tone - fitted.tone) < 6, "the map has the tone that is believed"
        domain, _ = head
        hidden = domain.lookup.mask[:, 20:60] & (domain.face[:, 20:60] > 0.5)
        steps = np.abs(np.diff(np.log(fitted.albedo[100:180, 56:76]).mean(2), axis=1))
        assert steps.mean() < 0.05, "a seam where the photo ends"
        assert fitted.albedo[:, 20:60][hidden].mean() == pytest.approx(
            fitted.albedo[100:160, 90:160].mean(), rel=0.35
        )
    apart = ciede2000(*(np.moveaxis(_lab(one), -1, 0) for one in maps))
    assert np.median(apart[100:160, 90:160]) < 6


def _lab(albedo: np.ndarray) -> np.ndarray:
    from ml_backend.geometry.cielab import cielab

    return np.moveaxis(cielab(np.moveaxis(albedo, -1, 0).clip(0, 1)), 0, -1)


def test_a_black_and_a_burnt_out_photo_fall_back_and_say_so(head):
    model = SkinModel.default()
    colours = model.prior.model.colours(model.prior.sliders.person(40.0))
    for level in (1e-4, 400.0):
        fitted = fit_skin([photo_of(head, colours, lamp(0.1), level)], model)
        assert fitted.sure < 0.3 and np.isfinite(fitted.albedo).all() and fitted.high - fitted.low > 30
        assert "No skin" in fitted.sentence
    sure = fit_skin([photo_of(head, colours, lamp(0.1), 1.0)], model, covered=0.8)
    assert "covered" in sure.sentence or sure.sure < 0.4


def test_photos_blend_softly_by_the_angle_of_view():
    one, other = np.full((64, 64, 3), 0.2), np.full((64, 64, 3), 0.6)
    across = np.linspace(0, 1, 64)[None].repeat(64, 0)
    mixed, known = blended([one, other], [1 - across, across])
    assert mixed[32, 3, 0] == pytest.approx(0.2, abs=0.02) and mixed[32, 60, 0] == pytest.approx(
        0.6, abs=0.02
    )
    assert np.abs(np.diff(mixed[32, :, 0])).max() < 0.05 and known[32, 32] > 0.5


def test_wrinkles_are_divided_out_where_the_photo_shows_them():
    texture, relief = np.full((4, 4, 3), 0.4), np.full((4, 4), 0.8)
    bare = without_relief(texture * 0.8, np.ones((4, 4)), relief)
    assert np.allclose(bare, 0.4)
    assert np.allclose(without_relief(texture, np.zeros((4, 4)), relief), texture)


@pytest.mark.slow
def test_a_lit_person_is_fitted_through_the_whole_way():
    from ml_backend.datasets.colour_set import held_out_colours, simulated_colours
    from ml_backend.evaluation.skin.simulated_photos import fitted_head
    from ml_backend.simulation.pigment.pigment_simulation import PigmentSimulation
    from ml_backend.simulation.portraits.lights_around import LIGHTS
    from ml_backend.simulation.portraits.lit_person import LitPerson

    model, domain = SkinModel.default(), TextureDomain.default(256)
    simulation = PigmentSimulation(BilinearFace.default(), 512)
    traits = held_out_colours(3)[2]
    person = LitPerson.of(simulated_colours(simulation, [traits])[0], 0.0, 5)
    picture = person.photograph(LIGHTS["studio"], 0)
    head = fitted_head(picture)
    assert head is not None
    camera, identity, expression = head
    positions = domain.mesh.refine(BilinearFace.default().evaluate(identity, expression))
    photo = skin_of_photo(domain, picture, camera, positions, model.usual)
    assert photo.evidence.eyes is not None and np.isfinite(photo.evidence.around).all()
    fitted = fit_skin([photo], model)
    assert abs(fitted.tone - traits.tone) < 25
    assert fitted.photographed.shape == fitted.albedo.shape == (256, 256, 3)
