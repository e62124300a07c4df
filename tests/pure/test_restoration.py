"""Restoration of degraded maps: what the input knows is kept, training learns, files round trip."""

import json

import numpy as np
import pytest
import torch

from ml_backend.datasets.degraded_maps import degrade, seen_parts
from ml_backend.datasets.map_set import MapSet
from ml_backend.errors import UserError
from ml_backend.evaluation.evaluate_restoration import card_text, optimised_map, restoration_rows
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.network_file import read_network_file, write_network_file
from ml_backend.layers.band_limits import above, enlarge, shrink
from ml_backend.losses.relief_identity import identity_loss
from ml_backend.models.detail_encoder import DetailEncoder, EncoderConfig
from ml_backend.models.detailed_3dmm import Detailed3DMM
from ml_backend.models.displacement_generator import DisplacementGenerator, GeneratorConfig
from ml_backend.models.restoration_encoder import (
    RESTORATION_FILE,
    Restoration,
    RestorationConfig,
    RestorationNetwork,
    refined,
    restoration_config,
)
from ml_backend.pipelines.invert_map import latent_spread
from ml_backend.training.steps import TrainingRun
from ml_backend.training.train_restoration import (
    fit_linear,
    restoration_card,
    start_codes,
    train_maps,
    train_refiner,
)
from ml_backend.training.training_run import RunLog, read_configuration

CPU = torch.device("cpu")
SIZE, LATENT = 64, 32
GENERATOR = GeneratorConfig(
    resolution=SIZE, latent_width=LATENT, channel_base=256, channel_most=12,
    channel_least=4, field_resolution=16,
)  # fmt: skip
CONFIG = RestorationConfig(
    resolution=32,
    finest=SIZE,
    widths=(8, 12),
    linear_resolution=16,
    linear_texels=200,
    codes=6,
    style_count=10,
    latent_width=LATENT,
    refiner_width=8,
    refiner_layers=3,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    generator = DisplacementGenerator(GENERATOR)
    generator.millimetres.fill_(0.1)
    return Detailed3DMM(
        generator,
        DetailEncoder(EncoderConfig(identity_size=4, hidden=24, latent_width=LATENT, styles=(4, 3, 3))),
        CPU,
    )


@pytest.fixture
def maps(model):
    """Maps that the model itself makes of people, so that a latent exists for each."""
    random = np.random.default_rng(0)
    identity, skin = random.standard_normal((40, 4)).astype(np.float32), np.zeros((40, 16), np.float32)
    expression = random.random((40, len(EXPRESSION_NAMES)), np.float32)
    made = model.synthesize(model.latent(3 * identity, skin, 3 * expression), SIZE)
    return MapSet(
        made.astype(np.float16), 3 * identity, skin, 3 * expression, np.ones((SIZE, SIZE), np.float32)
    )


@pytest.fixture
def network():
    torch.manual_seed(1)
    network = RestorationNetwork(CONFIG)
    network.encoder.unit.fill_(0.1)
    return network


def test_a_restored_map_agrees_with_what_it_came_from(model, maps, network):
    restoration = Restoration(network, model.generator)
    truth = torch.from_numpy(maps.maps[:3].astype(np.float32))
    for factor in (4, 8):
        low = shrink(truth[:, None], SIZE // factor)[:, 0]
        restored, latents = restoration.restore(low)
        again = shrink(restored[:, None], SIZE // factor)[:, 0]
        alone = shrink(restoration.generated(low)[:, None], SIZE // factor)[:, 0]
        assert restored.shape == truth.shape and latents.shape == (3, 10, LATENT)
        assert (again - low).square().mean() < 0.05 * (alone - low).square().mean()
        torch.testing.assert_close(restored, restoration.restore(low)[0])
    with pytest.raises(ValueError, match="at most 32"):
        restoration.restore(truth)


def test_before_training_the_fine_band_is_the_generators(model, maps, network):
    truth = torch.from_numpy(maps.maps[:2].astype(np.float32))[:, None]
    low, generated = shrink(truth, 8), truth.flip(0)
    torch.testing.assert_close(refined(network, low, generated), enlarge(low, SIZE) + above(generated, 8))


def test_blend_follows_the_trusted_part_only(model, maps, network):
    restoration = Restoration(network, model.generator)
    estimate = torch.from_numpy(maps.maps[:1].astype(np.float32)) + 0.2
    trust = torch.zeros(1, SIZE, SIZE)
    nothing, latents = restoration.blend(estimate, trust)
    torch.testing.assert_close(nothing, model.generator(latents))
    trust[:, :, : SIZE // 2] = 1
    found, latents = restoration.blend(estimate, trust)
    torch.testing.assert_close(found[:, :, : SIZE // 2], estimate[:, :, : SIZE // 2], atol=1e-5, rtol=0)
    torch.testing.assert_close(
        found[:, :, SIZE // 2 :], model.generator(latents)[:, :, SIZE // 2 :], atol=1e-5, rtol=0
    )


def test_the_bottleneck_starts_as_the_latents_own_components(model, maps):
    network = RestorationNetwork(RestorationConfig(**{**CONFIG.__dict__, "codes": 30}))
    codes = start_codes(network, model, maps)
    given = model.latent(maps.identity, maps.skin, maps.expression) - model.generator.mean_latent
    found = network.encoder.to_latents(codes * network.encoder.code_scale).view_as(given)
    assert (found - given).square().mean() < 0.02 * (given - given.mean(0)).square().mean()
    torch.testing.assert_close(codes.std(0), torch.ones(30), atol=1e-3, rtol=0)
    with pytest.raises(UserError, match="codes"):
        start_codes(RestorationNetwork(RestorationConfig(**{**CONFIG.__dict__, "codes": 40})), model, maps)


@pytest.mark.train
@pytest.mark.slow
def test_every_stage_learns(tmp_path, model, maps, network):
    def losses(stage: str, key: str) -> list[float]:
        rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
        return [row[key] for row in rows if row["stage"] == stage and key in row]

    run, low = TrainingRun(RunLog(tmp_path, False)), maps.seen_at(32)
    wanted = start_codes(network, model, low)
    fit_linear(network, low, wanted, {"degradations": 3, "ridges": [1e-3, 1e-1]}, run)
    assert int(network.encoder.texels.sum()) == 200
    assert min(losses("latents", "unseen_share")) < 0.6
    model.generator.requires_grad_(False)
    train_maps(
        network,
        model.generator,
        low,
        {"steps": 30, "batch": 8, "rate": 1e-3, "head_scale": 1.0, "log_steps": 1},
        run,
    )
    found = losses("maps", "loss")
    assert len(found) == 30 and np.mean(found[-8:]) < np.mean(found[:4])
    stage = {
        "steps": 60,
        "batch": 4,
        "rate": 5e-3,
        "crop": 64,
        "square": 1.0,
        "lines": 0.01,
        "texture": 0.01,
        "log_steps": 1,
    }
    before = {name: value.clone() for name, value in network.encoder.state_dict().items()}
    train_refiner(network, model.generator, maps, stage, run)
    found = losses("refine", "square")
    assert np.mean(found[-10:]) < 0.9 * np.mean(found[:10])
    assert all(torch.equal(value, before[name]) for name, value in network.encoder.state_dict().items())


def test_degradation_is_repeatable_and_takes_away_only_what_is_fine():
    maps = torch.randn(6, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.1

    def seeded(seed: int) -> torch.Tensor:
        return degrade(maps, torch.Generator().manual_seed(seed))

    torch.testing.assert_close(seeded(1), seeded(1))
    assert not torch.equal(seeded(1), seeded(2)) and seeded(1).shape == maps.shape
    smooth = torch.full((8, 1, 32, 32), 0.05)
    assert (degrade(smooth, torch.Generator().manual_seed(3)) - smooth).abs().mean() < 0.03
    seen = seen_parts(40, 32, torch.Generator().manual_seed(4), CPU)
    assert seen.min() >= 0 and seen.max() <= 1 and 5 < int((seen.amin((1, 2, 3)) < 0.5).sum()) < 35


def test_identity_is_where_the_lines_are():
    random = torch.Generator().manual_seed(0)
    noise, other = (torch.randn(2, 1, 64, 64, generator=random) for _ in range(2))
    where = torch.linspace(0, 1, 64) ** 4
    assert float(identity_loss(noise * where, noise * where)) == pytest.approx(0, abs=1e-5)
    same_place, elsewhere = (
        identity_loss(noise * where, other * where),
        identity_loss(noise * where, other * where.flip(0)),
    )
    assert same_place < 0.3 * elsewhere


def test_files_round_trip_and_broken_ones_are_named(tmp_path, model, network):
    path = tmp_path / RESTORATION_FILE
    facts = {
        "command": "c",
        "stages": "s",
        "device": "d",
        "training_minutes": "1",
        "maps": "m",
        "source": "x",
    }
    sha256 = write_network_file(path, network, CONFIG, facts)
    restoration_card(network, facts).write(path)
    assert sha256 in path.with_suffix(".md").read_text()
    low = torch.randn(1, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.1
    loaded = Restoration.load(model.generator, tmp_path)
    torch.testing.assert_close(
        loaded.restore(low)[0], Restoration(network, model.generator).restore(low)[0], atol=2e-3, rtol=0
    )
    other = DisplacementGenerator(GeneratorConfig(**{**GENERATOR.__dict__, "resolution": 32}))
    with pytest.raises(UserError, match="do not fit"):
        Restoration.load(other, tmp_path)
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"not a network" * 10):
        path.write_bytes(content)
        with pytest.raises(UserError, match=RESTORATION_FILE):
            Restoration.load(model.generator, tmp_path)
    write_network_file(path, torch.nn.Linear(2, 2), CONFIG, {})
    with pytest.raises(UserError, match="disagree"):
        Restoration.load(model.generator, tmp_path)
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        read_network_file(path, lambda config: RestorationNetwork(restoration_config(config)))


def test_the_table_has_every_row_and_knows_a_perfect_map(model, maps, network):
    truths = [torch.from_numpy(maps.maps[2 * n : 2 * n + 2].astype(np.float32)) for n in range(2)]
    mask = torch.ones(SIZE, SIZE, dtype=torch.bool)
    model.generator.requires_grad_(False)
    table = restoration_rows(truths, mask, (60.0, 60.0), 1, model, Restoration(network, model.generator))
    assert set(table["1/4"]) == set(table["1/8"]) == {"ours", "bicubic", "psp", "optimisation"}
    assert table["n"] == {"ours": 4, "bicubic": 4, "psp": 4, "optimisation": 1}
    assert table["1/4"]["bicubic"]["psnr_db"] > table["1/8"]["bicubic"]["psnr_db"]
    rows = [line.split(" | ") for line in card_text(table).splitlines() if line.startswith("| 1/")]
    assert len(rows) == 8 and rows[1][1] == "bicubic"
    assert float(rows[1][2]) == pytest.approx(table["1/4"]["bicubic"]["psnr_db"], abs=0.006)


def test_optimisation_comes_closer_to_the_input(model, maps):
    model.generator.requires_grad_(False)
    wanted = torch.from_numpy(maps.maps[0].astype(np.float32))
    assert latent_spread(model).shape == (10, 1)
    first, last = (optimised_map(model, wanted, torch.full((10, 1), 0.1), steps) for steps in (1, 60))
    assert (last - wanted).square().mean() < 0.7 * (first - wanted).square().mean()


@pytest.mark.slow
def test_the_shipped_networks_bring_back_what_was_lost():
    model = Detailed3DMM.default()
    restoration = Restoration.load(model.generator)
    faces = np.zeros((1, len(EXPRESSION_NAMES)), np.float32)
    faces[0, EXPRESSION_NAMES.index("browInnerUp")] = 1
    truth = torch.from_numpy(
        model.displacement(np.zeros((1, model.identity_size)), np.zeros((1, model.skin_size)), faces)
    )
    low = shrink(truth[:, None], 128)
    found = restoration.restore(low[:, 0])[0]
    assert (found - truth).square().mean() < 0.5 * (enlarge(low, 1024)[:, 0] - truth).square().mean()


@pytest.mark.parametrize("name", ["2core", "gpu"])
def test_configurations_build(name):
    settings = read_configuration(name, "restoration")
    config = restoration_config({**settings["network"]})
    assert RestorationNetwork(config).encoder.code.out_features == config.codes
    assert settings["sets"]["photo_fine"]["resolution"] == config.finest
