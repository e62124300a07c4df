"""Image to displacement: light of simulated photos, features without exposure, training, files."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from ml_backend.datasets.degraded_textures import compress, photograph
from ml_backend.datasets.map_set import MapSet
from ml_backend.datasets.photographed_skin import PhotographedSkin
from ml_backend.errors import UserError
from ml_backend.files.network_file import write_network_file
from ml_backend.losses.map_reconstruction import change_loss, seen_skin_loss
from ml_backend.losses.patch_adversarial import discrimination_loss, feature_matching, judged_real
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.image_to_displacement import (
    FEATURES,
    IMAGE_FILE,
    ImageToDisplacement,
    ImageToDisplacementConfig,
    image_config,
    image_features,
    read_image_to_displacement,
)
from ml_backend.models.patch_discriminators import PatchDiscriminators
from ml_backend.pipelines.photo_detail import detail_from_texture
from ml_backend.simulation.portraits.skin_shading import (
    SkinSurface,
    beard_over_skin,
    cast_shadow,
    hair_over_skin,
    harmonics,
    local_mean,
    sample_albedo,
    sample_light,
    shade_skin,
    skin_surface,
    smooth_shading,
)
from ml_backend.simulation.portraits.smooth_faces import SmoothFaces, people_openness
from ml_backend.training.steps import TrainingRun
from ml_backend.training.train_image_to_displacement import (
    begin_with,
    check_worth,
    figures_text,
    fit_linear,
    measure,
    train_stage,
    write_samples,
)
from ml_backend.training.training_run import RunLog, read_configuration

CPU = torch.device("cpu")
SIZE = 64
CONFIG = ImageToDisplacementConfig(
    resolution=SIZE,
    filter_size=7,
    gain_size=4,
    widths=(8, 12),
    place_channels=2,
    place_size=4,
    enhancer_width=8,
    enhancer_layers=3,
)


def plane(size: int = SIZE) -> SkinSurface:
    """A flat piece of skin that looks along -Y, 32 mm wide."""
    one = torch.full((size, size), 32 / size)

    def axis(*direction: float) -> torch.Tensor:
        return torch.tensor(direction, dtype=torch.float32)[:, None, None].expand(3, size, size).clone()

    nothing = torch.zeros(size, size)
    return SkinSurface(
        axis(0, -1, 0),
        axis(1, 0, 0),
        axis(0, 0, 1),
        one,
        nothing,
        one,
        torch.ones(size, size),
        nothing,
        nothing,
        nothing,
    )


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclasses.dataclass
class Flat:
    """Expects nothing of anybody."""

    size: int

    def __call__(self, rows: np.ndarray, numbers: np.random.Generator) -> torch.Tensor:
        return torch.zeros(len(rows), 1, self.size, self.size)


@pytest.fixture
def drawn():
    """Bumps of random depth on the plane."""
    random, at = np.random.default_rng(0), (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    waves = np.stack(
        [
            np.sin(40 * at[0]) * np.exp(-((at[1] - 0.3) ** 2) / 0.02),
            np.sin(30 * at[1]) * np.exp(-((at[0] - 0.6) ** 2) / 0.02),
        ]
    )
    maps = np.einsum("ni,ihw->nhw", 0.3 * random.standard_normal((40, 2)), waves).astype(np.float16)
    nothing = np.zeros((40, 1), np.float32)
    stored = MapSet(maps, nothing, nothing, nothing, np.ones((SIZE, SIZE), np.float32))
    return PhotographedSkin(stored, plane(), Flat(SIZE), float(maps.std()), random, seeded())


def test_an_even_light_shades_everything_alike():
    normals = torch.nn.functional.normalize(torch.randn(3, 5, 5, generator=seeded()), dim=0)
    even = torch.zeros(9)
    even[0] = 0.7
    torch.testing.assert_close(torch.einsum("kyx,k->yx", harmonics(normals), even), torch.full((5, 5), 0.7))


def test_slopes_towards_the_light_are_brighter_and_features_say_how_much():
    surface = plane()
    light = torch.zeros(1, 9, 3)
    light[:, 0], light[:, 3] = 1, 0.3  # from the person's left
    slope = 0.06
    ramp = (torch.arange(SIZE) * 0.5 * slope).expand(
        1, 1, SIZE, SIZE
    )  # rises along u, so that it faces away from the light
    flat, lit = smooth_shading(surface, light)
    tilted = torch.einsum("bkyx,bkc->bcyx", harmonics(surface.tilted(*surface.slopes(ramp))), light)
    inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    change = (tilted[:, :1] / flat).log()[inner]
    assert (change < 0).all()
    torch.testing.assert_close(change, (slope * lit[:, :1])[inner], atol=2e-3, rtol=0.05)
    assert lit[:, 1].abs().max() < 1e-2


def test_the_face_is_laid_out_upright():
    surface = skin_surface(BilinearFace.default(), 64)
    forehead = (slice(None), 50, 32)
    torch.testing.assert_close(
        surface.normal.norm(dim=0)[surface.mask > 0], torch.ones(int(surface.mask.sum())), atol=1e-4, rtol=0
    )
    assert (
        surface.normal[forehead][1] < -0.6
        and surface.tangent[forehead][0] > 0.9
        and surface.bitangent[forehead][2] > 0.6
    )
    assert (surface.normal * surface.tangent).sum(0).abs().max() < 1e-4
    assert 1 < float(surface.along[surface.mask > 0].median()) < 10
    assert surface.brows.max() > 0.8 and surface.beard.max() > 0.8 and surface.lips.max() > 0.5


def test_albedo_varies_and_pictures_repeat():
    surface, heights = plane(), torch.zeros(3, 1, SIZE, SIZE)

    def draw(seed: int) -> torch.Tensor:
        random = seeded(seed)
        albedo = sample_albedo(surface, 3, random)
        return photograph(shade_skin(surface, heights, albedo, sample_light(3, random), random), random)

    torch.testing.assert_close(draw(0), draw(0))
    assert draw(0).shape == (3, 3, SIZE, SIZE) and draw(0).min() >= 0 and draw(0).max() <= 1
    assert (draw(0) - draw(1)).abs().mean() > 0.01 and draw(2).flatten(1).mean(1).std() > 0.005


def test_compression_keeps_what_is_smooth():
    ramp = torch.linspace(0.2, 0.8, 30).expand(1, 3, 20, 30)
    assert (compress(ramp, 0.01) - ramp).abs().max() < 0.02
    noise = torch.rand(1, 3, 20, 30, generator=seeded())
    torch.testing.assert_close(compress(noise, 1e-6), noise, atol=1e-4, rtol=0)
    assert (compress(noise, 0.5) - noise).abs().mean() > 0.05


def test_features_forget_exposure_and_what_is_not_seen():
    texture = 0.1 + 0.5 * torch.rand(1, 3, SIZE, SIZE, generator=seeded())
    sure = torch.ones(1, 1, SIZE, SIZE)
    sure[..., :20] = 0
    shade = smooth_shading(plane(), sample_light(1, seeded()))
    one, brighter = image_features(texture, sure, *shade), image_features(1.5 * texture, sure, *shade)
    assert one.shape == (1, FEATURES, SIZE, SIZE)
    torch.testing.assert_close(one, brighter, atol=1e-4, rtol=0)
    other = texture.clone()
    other[..., :20] = 0.9
    torch.testing.assert_close(
        image_features(other, sure, *shade)[..., 20:], one[..., 20:], atol=1e-4, rtol=0
    )


def test_relief_casts_shadows_away_from_the_lamp_and_none_in_even_light():
    surface = plane()
    light = torch.zeros(1, 9, 3)
    light[:, 0], light[:, 1], light[:, 3] = 1, -0.2, 0.8  # a low lamp on the person's left, where x grows
    wall = torch.zeros(1, 1, SIZE, SIZE)
    wall[..., 30:34] = 4  # millimetres, 2 wide
    hidden = cast_shadow(surface, wall, light)[0, 0]
    assert hidden[:, 26:29].min() > 0.5 > 3 * hidden[:, 40:60].max()
    assert cast_shadow(surface, wall, torch.cat([light[:, :1], 0 * light[:, 1:]], 1)).max() < 1e-3


def test_local_means_keep_what_is_even_and_reach_as_far_as_they_say():
    surface = plane()
    torch.testing.assert_close(
        local_mean(surface, torch.ones(1, 2, SIZE, SIZE), 5), torch.ones(1, 2, SIZE, SIZE)
    )
    point = torch.zeros(1, 1, SIZE, SIZE)
    point[..., 32, 32] = 1
    spread = local_mean(surface, point, 5.0)[0, 0] > 1e-6
    assert int(spread[32].sum()) * 0.5 == pytest.approx(5, abs=0.6)  # texels of half a millimetre
    assert not spread[32, :20].any()


def test_hair_lies_along_the_rim():
    cover = hair_over_skin(40, SIZE, seeded(3))
    assert cover.min() >= 0 and cover.max() <= 1
    there = cover.flatten(1).amax(1) > 0.1
    assert 4 < int(there.sum()) < 30
    assert cover[there, 0, SIZE // 2, SIZE // 2].max() < 0.1 < cover[there, 0, -1, SIZE // 2].mean()


def test_smooth_faces_are_dark_where_the_sky_is_hidden_and_have_their_own_form():
    face = BilinearFace.default()
    faces = SmoothFaces.of(face, SIZE, people_openness(face, 2))
    surface = skin_surface(face, SIZE)
    nobody = np.zeros((1, face.identity_size)), np.zeros((1, len(face.expression_names)))
    inside = surface.mask > 0
    torch.testing.assert_close(
        faces.normals(*nobody)[0][:, inside], surface.normal[:, inside], atol=1e-3, rtol=0
    )
    other = faces.normals(face.sample_identity(1)[None], nobody[1])[0]
    turned = (other * surface.normal).sum(0)[inside].clamp(-1, 1).acos()
    assert 0.02 < float(turned.median()) < 0.5  # radians
    assert faces.openness.min() >= 0 and faces.openness.max() <= 1
    wing = faces.openness[:, 28:34, 24:40].amin((1, 2))  # the nose's underside
    forehead = faces.openness[:, 48:52, 28:36].mean((1, 2))
    assert (forehead > 0.9).all() and (wing < 0.5 * forehead).all()
    drawn = faces.sample_openness(6, seeded())
    assert drawn.shape == (6, 1, SIZE, SIZE)
    torch.testing.assert_close(drawn, faces.sample_openness(6, seeded()))
    assert not torch.equal(drawn, faces.sample_openness(6, seeded(1)))


def test_a_hidden_sky_and_hollows_darken_the_picture():
    surface, heights = plane(), torch.zeros(1, 1, SIZE, SIZE)
    albedo, light = torch.full((1, 3, SIZE, SIZE), 0.4), torch.zeros(1, 9, 3)
    light[:, 0] = 1
    openness = torch.ones(1, 1, SIZE, SIZE)
    openness[..., :20] = 0.3
    darker = [
        shade_skin(surface, heights, albedo, light, seeded(seed), openness=openness) for seed in range(6)
    ]
    even = [shade_skin(surface, heights, albedo, light, seeded(seed)) for seed in range(6)]
    for dark, plain in zip(darker, even, strict=True):
        ratio = dark / plain
        assert float(ratio[..., 5:15].mean() / ratio[..., 40:].mean()) < 0.9
    groove = -0.8 * torch.exp(-((torch.arange(SIZE) - 32.0) ** 2) / 8).expand(1, 1, SIZE, SIZE)
    for seed in range(6):
        cut = shade_skin(surface, groove, albedo, light, seeded(seed)) / even[seed]
        assert float(cut[..., 30:35].mean() / cut[..., 8:20].mean()) < 0.97


def test_a_person_is_seen_twice_and_most_are_expected_to_look_alike():
    size = 32
    identity = np.repeat(np.arange(20, dtype=np.float32), 4)[:, None]
    maps = np.broadcast_to(identity[:, :, None], (80, size, size)).astype(np.float16)
    look = np.arange(80, dtype=np.float32)[:, None]
    stored = MapSet(maps, identity, identity, look, np.ones((size, size), np.float32))

    def row_numbers(rows: np.ndarray, numbers: np.random.Generator) -> torch.Tensor:
        return torch.from_numpy(rows.astype(np.float32)).view(-1, 1, 1, 1).expand(-1, 1, size, size)

    drawn = PhotographedSkin(stored, plane(size), row_numbers, 1.0, np.random.default_rng(0), seeded())
    alike = 0
    for _ in range(20):
        _, expected, truth, _ = drawn.training_pair(4)
        people, told = truth[:, 0, 0, 0], expected[:, 0, 0, 0]
        assert people[0] == people[1] and people[2] == people[3] and people.max() < 19
        assert torch.equal(told.div(4, rounding_mode="floor"), people)
        alike += int(told[0] == told[1]) + int(told[2] == told[3])
    assert 24 < alike < 40  # of 40; chance alone makes a quarter of the rest alike


def test_simulated_colours_are_the_skin(drawn):
    stored = np.zeros((2, 3, 16, 16), np.uint8)
    stored[:, 0] = 255
    red = dataclasses.replace(drawn, colours=stored).sample_skin_colour(60)
    pure = (red[:, 0].flatten(1).amin(1) > 0.9) & (red[:, 1].flatten(1).amax(1) < 0.1)
    assert 15 < int(pure.sum()) < 45  # two thirds of 70 %: the rest has noise's colours or hair


def test_training_goes_on_from_the_installed_weights():
    installed = read_image_to_displacement()
    network = begin_with("installed", installed.config)
    assert torch.equal(network.last.weight, installed.last.weight)
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not begin_with("", CONFIG).last.weight.detach().any()
    with pytest.raises(UserError, match="other sizes"):
        begin_with("installed", CONFIG)
    with pytest.raises(UserError, match="no weights"):
        begin_with("yesterday", CONFIG)


def test_a_wrinkle_that_is_expected_but_not_there_costs_more():
    truth, expected = torch.zeros(1, 1, SIZE, SIZE), torch.zeros(1, 1, SIZE, SIZE)
    truth[..., 10:12, :] = 1
    expected[..., 40:42, :] = 1
    sure, inside = torch.ones(1, 1, SIZE, SIZE), torch.ones(SIZE, SIZE)
    kept = truth + expected
    plain, informed = (
        seen_skin_loss(kept, truth, sure, inside, known)[1]["pixel"] for known in (None, expected)
    )
    assert informed > 2 * plain
    assert seen_skin_loss(truth, truth, sure, inside, expected)[0] < 1e-6


def test_the_change_between_two_looks_counts_and_nothing_that_stays():
    truth = torch.randn(4, 1, 16, 16, generator=seeded(5))
    sure, inside = torch.ones(4, 1, 16, 16), torch.ones(16, 16)
    mole = torch.randn(2, 1, 16, 16, generator=seeded(6)).repeat_interleave(2, 0)
    assert change_loss(truth + mole, truth, sure, inside) < 1e-5
    swapped = truth[[1, 0, 3, 2]]
    assert change_loss(swapped, truth, sure, inside) > change_loss(0 * truth, truth, sure, inside) > 0.5
    hidden = sure.clone()
    hidden[[1, 2]] = 0
    assert change_loss(swapped, truth, hidden, inside) == 0


def test_beards_grow_where_beards_grow():
    surface = dataclasses.replace(plane(), beard=torch.ones(SIZE, SIZE), lips=torch.zeros(SIZE, SIZE))
    surface.beard[:, : SIZE // 2] = 0
    surface.lips[: SIZE // 4] = 1
    covers = beard_over_skin(surface, 40, seeded(7))
    assert covers.min() >= 0 and covers.max() <= 1
    assert covers[..., : SIZE // 2].max() == 0 and covers[:, :, : SIZE // 4].max() == 0
    bearded = covers.flatten(1).amax(1) > 0.1
    assert 2 <= int(bearded.sum()) <= 20
    grown = covers[bearded][:, :, SIZE // 4 :, SIZE // 2 :]
    assert (grown.std((1, 2, 3)) > 0.005).all()


@pytest.mark.train
@pytest.mark.slow
def test_every_stage_learns(tmp_path, drawn):
    torch.manual_seed(0)
    network = ImageToDisplacement(CONFIG)
    judges = PatchDiscriminators(3, 2, (8, 8))
    run = TrainingRun(RunLog(tmp_path, False))
    network.unit.fill_(drawn.unit)
    half = dataclasses.replace(
        drawn, maps=drawn.maps.seen_at(SIZE // 2), surface=plane(SIZE // 2), expect=Flat(SIZE // 2)
    )
    fit_linear(network, half, {"maps": 24, "texels": 300, "gains": 12, "ridge": 1e-3}, run)
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["missed_share"] < 0.9
    features, expected, truth, confidence = drawn.pair(np.arange(8), 1.0)
    optimiser, losses = torch.optim.Adam(network.parameters(), 5e-3), []
    for _ in range(30):  # on one batch
        losses.append(seen_skin_loss(network(features, expected), truth, confidence, drawn.inside)[0])
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.8 * losses[0]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    train_stage("coarse", network, judges, half, {"steps": 3, "batch": 2, "rate": 1e-3, "log_steps": 1}, run)
    now = network.state_dict()
    assert not torch.equal(now["coarse.heights.weight"], before["coarse.heights.weight"])
    assert torch.equal(now["last.weight"], before["last.weight"])
    whole = {"steps": 3, "batch": 2, "rate": 1e-3, "log_steps": 1, "change": 0.5, "bfloat16": True}
    train_stage("whole", network, judges, drawn, whole, run)
    assert network.last.weight.is_contiguous()
    assert not torch.equal(network.state_dict()["last.weight"], before["last.weight"])
    judged = judges(truth, features[:, :3])[0][-1].clone()
    stage = {"steps": 4, "batch": 4, "rate": 1e-3, "deceive": 0.02, "match": 0.3, "log_steps": 1}
    train_stage("adversarial", network, judges, drawn, stage, run)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert {row["stage"] for row in rows} == {
        "linear",
        "coarse",
        "whole",
        "adversarial",
    } and "matched" in rows[-1]
    assert not torch.equal(judged, judges(truth, features[:, :3])[0][-1])
    figures = measure(network, drawn, CPU)
    assert set(figures) == {"1/2", "1/4", "1/8"} and figures["1/2"]["correlation"] > 0.1
    assert "1/8" in figures_text(figures)
    write_samples(tmp_path / "samples.png", network, drawn, CPU)
    assert (tmp_path / "samples.png").stat().st_size > 1000


def test_a_network_that_says_less_than_a_map_without_photograph_is_not_installed():
    good = {"psnr_db": 28.1, "expected_db": 28.0, "beyond_mean": 0.3, "expected_beyond_mean": 0.1}
    check_worth({"1/4": good})
    for worse in ({"expected_db": 28.2}, {"beyond_mean": 0.1}):
        with pytest.raises(UserError, match="At 1/8 the estimate"):
            check_worth({"1/4": good, "1/8": good | worse})


def test_adversarial_losses_know_their_ends():
    ones, zeros = [[torch.ones(2, 3), torch.ones(2, 1)]], [[torch.zeros(2, 3), torch.zeros(2, 1)]]
    assert float(judged_real(ones)) == 0 and float(discrimination_loss(ones, zeros)) == 0
    assert float(discrimination_loss(zeros, ones)) == 1 and float(feature_matching(ones, zeros)) == 1


def test_files_round_trip_and_broken_ones_are_named(tmp_path):
    torch.manual_seed(0)
    network = ImageToDisplacement(CONFIG).eval()
    network.unit.fill_(0.05)
    path = tmp_path / IMAGE_FILE
    write_network_file(path, network, CONFIG, {})
    features = torch.randn(1, FEATURES, SIZE, SIZE, generator=seeded())
    expected = 0.1 * torch.randn(1, 1, SIZE, SIZE, generator=seeded(1))
    loaded = read_image_to_displacement(tmp_path)
    torch.testing.assert_close(
        loaded.millimetres(features, expected), network.millimetres(features, expected), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(
        network.millimetres(torch.zeros_like(features), expected), expected, atol=1e-6, rtol=0
    )
    whole = path.read_bytes()
    for content in (b"", whole[:-100], b"{}" * 50):
        path.write_bytes(content)
        with pytest.raises(UserError, match=IMAGE_FILE):
            read_image_to_displacement(tmp_path)


def test_wrong_shapes_are_refused():
    right = {
        "texture": np.zeros((8, 8, 3), np.float32), "confidence": np.ones((8, 8), np.float32),
        "lighting": np.ones((9, 3), np.float32),
        "expected": np.zeros((8, 8), np.float32),
    }  # fmt: skip
    for name, values in right.items():
        for wrong in (values[:4], values * np.nan):
            with pytest.raises(ValueError):
                detail_from_texture(**{**right, name: wrong})


@pytest.mark.parametrize("name", ["2core", "2core-further", "gpu"])
def test_configurations_build(name):
    settings = read_configuration(name, "image-to-displacement")
    config = image_config(settings["network"])
    assert len(ImageToDisplacement(config).coarse.down) == len(config.widths) - 1
    assert settings["sets"]["photographed"]["resolution"] >= config.resolution
    assert PatchDiscriminators(3, **settings["discriminators"])(
        torch.zeros(1, 1, 64, 64), torch.zeros(1, 3, 64, 64)
    )
