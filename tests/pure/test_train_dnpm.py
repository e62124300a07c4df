"""Training on tiny sets of maps: principal start, pairs, prior, adversary, checkpoints, settings."""

import argparse
import json

import numpy as np
import pytest
import torch

from ml_backend.__main__ import main
from ml_backend.datasets.map_set import MapSet
from ml_backend.datasets.sampled_expressions import FACES, named_face, partner, sample_expressions
from ml_backend.errors import UserError
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.training_log import read_records
from ml_backend.models.detail_encoder import EncoderConfig
from ml_backend.models.detailed_3dmm import ENCODER_FILE, GENERATOR_FILE, PRIOR_FILE, Detailed3DMM
from ml_backend.models.displacement_discriminator import DisplacementDiscriminator
from ml_backend.models.displacement_generator import GeneratorConfig
from ml_backend.models.saved_latent import weights_fingerprint
from ml_backend.training import train_dnpm
from ml_backend.training.checkpoints import WeightAverage, load_checkpoint, save_checkpoint
from ml_backend.training.pair_training import (
    build_pair,
    held_out_error,
    maps_through_gate,
    recentre,
    train_pair,
)
from ml_backend.training.principal_start import principal_components, project_on_block
from ml_backend.training.prior.adaptive_augmentation import AdaptiveAugmentation
from ml_backend.training.prior.adversarial_training import train_adversarially
from ml_backend.training.prior.fit_prior import PriorInTraining, fit_prior
from ml_backend.training.restore_power import filtered, restore_octaves, ring_power
from ml_backend.training.stages import StageKeeper
from ml_backend.training.steps import Schedule, TrainingRun, rate_share
from ml_backend.training.train_dnpm import (
    STAGES,
    bands_stage,
    export,
    generator_config,
    principal_stage,
)
from ml_backend.training.training_run import RunLog, add_run_arguments, read_configuration

pytestmark = pytest.mark.train

CPU = torch.device("cpu")
TINY = GeneratorConfig(
    resolution=32, latent_width=160, channel_base=128, channel_most=8, channel_least=4,
    constants={32: 9},
    constants_seen=2, field_resolution=16,
)  # fmt: skip


def stripes(people: int = 40, faces: int = 6, size: int = 32) -> MapSet:
    """Returns maps of two stripes: each deepens with its unit, both with the first identity coefficient."""
    random = np.random.default_rng(0)
    identity = random.standard_normal((people, 4)).astype(np.float32).repeat(faces, 0)
    skin = np.zeros((people * faces, 16), np.float32)
    expression = random.random((people * faces, len(EXPRESSION_NAMES)), np.float32)
    v, u = (np.mgrid[:size, :size] + 0.5) / size
    one, two = (
        (np.sin(40 * v) * np.exp(-((v - place) ** 2 + (u - 0.5) ** 2) / 0.03)) for place in (0.25, 0.75)
    )
    depth = 0.1 * (1 + 0.5 * np.tanh(identity[:, :1]))
    maps = np.einsum("ni,ihw->nhw", depth * expression[:, :2], np.stack([one, two]))
    return MapSet(maps.astype(np.float16), identity, skin, expression, np.ones((size, size), np.float32))


INFLUENCE = (np.ones(4), np.array([0.3, 0, 0, 0]), 0.0)


@pytest.fixture
def pair_and_maps():
    maps = stripes()
    encoder = EncoderConfig(identity_size=4, hidden=32, latent_width=160, styles=(4, 2, 2))
    return build_pair(TINY, encoder, maps, INFLUENCE, torch.ones(len(EXPRESSION_NAMES), 64, 64), CPU), maps


def test_principal_components_are_those_of_an_exact_decomposition():
    rows = (
        np.random.default_rng(1).standard_normal((60, 5))
        @ np.random.default_rng(2).standard_normal((5, 40))
        * 0.1
        + 1
    )
    mean, components, values = principal_components(rows.astype(np.float32), np.ones(40, np.float32), 5)
    np.testing.assert_allclose(mean + values @ components, rows, atol=1e-4)
    np.testing.assert_allclose(values.std(0, unbiased=False), 1, atol=1e-3)


@pytest.mark.slow
def test_start_and_pairs_learn_people_that_training_does_not_see(tmp_path, pair_and_maps):
    pair, maps = pair_and_maps
    log = RunLog(tmp_path, False)
    principal_stage(pair, {"coarse": maps}, {"steps": 8, "batch": 64, "rate": 3e-3}, TrainingRun(log))
    started = held_out_error(
        pair.generator_average, pair.encoder_average, maps, 216, torch.ones(32, 32), CPU
    )["unseen"]
    stage = {
        "steps": 120, "batch": 16, "rate": 2e-3, "square": 1.0, "lines": 0.1, "octaves": 2,
        "average_steps": 10, "log_steps": 60,
        "encoder_scale": 3.0,
    }  # fmt: skip
    keeper = StageKeeper(tmp_path / "checkpoint.safetensors", dict(pair.modules), False)
    train_pair("coarse", pair, maps, stage, TrainingRun(log, keeper))
    learned = held_out_error(
        pair.generator_average, pair.encoder_average, maps, 216, torch.ones(32, 32), CPU
    )["unseen"]
    assert learned < 0.7 * started
    assert (tmp_path / "coarse.png").exists()
    steps = [
        json.loads(line)["step"]
        for line in (tmp_path / "log.jsonl").read_text().splitlines()
        if '"coarse"' in line
    ]
    assert steps == [60, 120]
    before = pair.generator(pair.encoder(*maps.batch(np.array([3]), CPU)[1:]) + pair.generator.mean_latent)
    recentre(pair, maps, CPU)
    after = pair.generator(pair.encoder(*maps.batch(np.array([3]), CPU)[1:]) + pair.generator.mean_latent)
    torch.testing.assert_close(before, after, rtol=1e-3, atol=1e-5)


def test_bands_stage_repairs_what_moved_and_trains_the_last_layers_alone(tmp_path, pair_and_maps):
    pair, maps = pair_and_maps
    log = RunLog(tmp_path, False)
    principal_stage(pair, {"coarse": maps}, {"steps": 120, "batch": 64, "rate": 3e-3}, TrainingRun(log))
    block = pair.generator.synthesis_blocks[-1]
    images = block.basis.images().detach()
    wanted = torch.randn(5, len(images) - 1)
    drawn = (images[0] + torch.einsum("nk,kyx->nyx", wanted, images[1:])) * pair.generator.millimetres
    found = project_on_block(block, 3, drawn.numpy(), float(pair.generator.millimetres)).values
    low = [
        project_on_block(block, 3, part.numpy(), float(pair.generator.millimetres)).values
        for part in (2 * drawn, 0 * drawn)
    ]
    torch.testing.assert_close(
        low[0] - low[1], 2 * (found - low[1]), rtol=1e-3, atol=1e-3
    )  # linear in the maps
    assert found.shape == wanted.shape
    with torch.no_grad():
        pair.encoder.deep[-1].weight.mul_(0.5)
    before = {name: value.clone() for name, value in pair.encoder.state_dict().items()}
    settings = {"from_resolution": 32, "steps": 60, "batch": 64, "rate": 3e-3, "decay": 0.0}
    bands_stage(pair, {"coarse": maps}, settings, TrainingRun(log))
    for name, value in pair.encoder.state_dict().items():
        assert torch.equal(value, before[name]) != name.startswith(("deep.2", "heads.2")), name


def test_fine_stage_leaves_coarser_blocks_alone(tmp_path, pair_and_maps):
    pair, maps = pair_and_maps
    before = {name: value.clone() for name, value in pair.generator.state_dict().items()}
    stage = {"steps": 2, "batch": 4, "rate": 1e-2, "square": 1.0, "octaves": 1, "from_resolution": 32}
    train_pair("fine", pair, maps, stage, TrainingRun(RunLog(tmp_path, False)))
    for name, value in pair.generator.state_dict().items():
        moved = not torch.equal(value, before[name])
        assert not moved or name.startswith("blocks.3."), name
    assert not torch.equal(
        pair.generator.state_dict()["blocks.3.basis.tiles"], before["blocks.3.basis.tiles"]
    )


def test_maps_through_the_gate_put_each_person_to_rest_once_and_change_only_open_places(pair_and_maps):
    pair, maps = pair_and_maps
    with torch.no_grad():
        pair.encoder.gate.activity[:, :32] = 0  # the lower half of the face is never strained
    given = list(maps.batch(np.array([0, 1, 2, 7, 8]), CPU)[1:])  # two people
    with torch.inference_mode():
        own = maps_through_gate(pair.generator, pair.encoder, given, 32)
        rest = maps_through_gate(pair.generator, pair.encoder, [*given[:2], torch.zeros_like(given[2])], 32)
        direct = pair.generator.maps(pair.encoder(*given) + pair.generator.mean_latent, 32)[32]
    torch.testing.assert_close(own[:, :, :15], rest[:, :, :15])
    torch.testing.assert_close(own[:, :, 18:], direct[:, :, 18:], rtol=1e-2, atol=1e-2)
    assert float((direct - rest).abs()[:, :, :15].max()) > 1e-4


@pytest.mark.slow
def test_prior_and_adversary_run_and_resume(tmp_path, pair_and_maps):
    pair, maps = pair_and_maps
    log = RunLog(tmp_path, False)
    prior = PriorInTraining.build(pair.encoder, {"rank": 8})
    fit_prior(prior, pair.encoder, pair.generator, {"steps": 5, "batch": 8, "rate": 1e-3}, TrainingRun(log))
    discriminator = DisplacementDiscriminator(32, channel_base=64, channel_most=8)
    stage = {
        "steps": 9, "batch": 4, "rate": 1e-3, "penalty": 1.0, "path": 0.1, "paired": 1.0, "square": 1.0,
        "octaves": 2, "span": 50,
        "log_steps": 3,
    }  # fmt: skip
    modules = {**pair.modules, **prior.modules, "discriminator": discriminator}
    keeper = StageKeeper(tmp_path / "checkpoint.safetensors", modules, False)
    train_adversarially(pair, prior, discriminator, maps, stage, TrainingRun(log, keeper))
    assert all(torch.isfinite(p).all() for p in pair.generator.parameters())
    again = StageKeeper(tmp_path / "checkpoint.safetensors", modules, True)
    assert again.state["stage"] == "adversarial" and again.state["done"] == 9
    longer = TrainingRun(RunLog(tmp_path, True), again)
    train_adversarially(pair, prior, discriminator, maps, {**stage, "steps": 12}, longer)
    steps = [
        json.loads(line).get("step")
        for line in (tmp_path / "log.jsonl").read_text().splitlines()
        if '"adversarial"' in line
    ]
    assert steps == [3, 6, 9, 12]


class Killed(Exception):
    """The process ends."""


class KillingLog(RunLog):
    """A log whose process ends when step 9 is logged, after the checkpoint of step 6."""

    def write(self, stage, **figures):
        if figures.get("step") == 9:
            raise Killed
        super().write(stage, **figures)


@pytest.mark.slow
def test_a_killed_adversary_goes_on_with_the_same_numbers(tmp_path):
    maps = stripes(12)
    stage = {
        "steps": 11, "batch": 4, "rate": 1e-3, "penalty": 1.0, "path": 0.1, "paired": 1.0, "square": 1.0,
        "octaves": 2, "span": 20, "target": -1.0, "log_steps": 3,
    }  # fmt: skip
    encoder = EncoderConfig(identity_size=4, hidden=16, latent_width=160, styles=(4, 2, 2))

    def go(name, log, resume=False):
        pair = build_pair(TINY, encoder, maps, INFLUENCE, torch.ones(len(EXPRESSION_NAMES), 64, 64), CPU)
        discriminator = DisplacementDiscriminator(32, channel_base=64, channel_most=8)
        run = TrainingRun(log)
        prior = PriorInTraining.build(pair.encoder, {"rank": 8})
        run.keep({**pair.modules, **prior.modules, "discriminator": discriminator}, resume)
        train_adversarially(pair, prior, discriminator, maps, stage, run)
        return pair, (tmp_path / name / "log.jsonl").read_text().splitlines()

    whole, rows = go("whole", RunLog(tmp_path / "whole", False))
    with pytest.raises(Killed):
        go("broken", KillingLog(tmp_path / "broken", False))
    broken, resumed = go("broken", RunLog(tmp_path / "broken", True), resume=True)
    for name, module in whole.modules.items():
        for key, value in module.state_dict().items():
            assert torch.equal(value, broken.modules[name].state_dict()[key]), (name, key)
    for one, other in zip(rows, resumed, strict=True):
        one, other = json.loads(one), json.loads(other)
        assert all(other[key] == one[key] for key in one if key not in ("seconds", "minutes_left"))
    assert json.loads(rows[-1])["augmentation"] > 0


def test_checkpoints_restore_the_optimiser_and_refuse_rubbish(tmp_path):
    def one_step(module, adam):
        module(torch.ones(1, 3)).sum().backward()
        adam.step()

    module = torch.nn.Linear(3, 2)
    adam = torch.optim.Adam(module.parameters(), 0.1)
    one_step(module, adam)
    save_checkpoint(tmp_path / "a.safetensors", {"m": module}, {"o": adam}, {"step": 1})
    other = torch.nn.Linear(3, 2)
    restored = torch.optim.Adam(other.parameters(), 0.1)
    assert load_checkpoint(tmp_path / "a.safetensors", {"m": other}, {"o": restored}) == {"step": 1}
    module.zero_grad()
    one_step(module, adam)
    one_step(other, restored)
    torch.testing.assert_close(module.weight, other.weight)
    with pytest.raises(UserError, match="another configuration"):
        load_checkpoint(tmp_path / "a.safetensors", {"m": torch.nn.Linear(4, 2)}, {})
    (tmp_path / "a.safetensors").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=r"a\.safetensors"):
        load_checkpoint(tmp_path / "a.safetensors", {"m": other}, {})


def test_weight_average_forgets_the_start_and_follows():
    module, average = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    follower = WeightAverage(module, average, half_life=10)
    with torch.no_grad():
        module.weight.fill_(1.0)
    for _ in range(200):
        follower.update()
    assert float(average.weight) == pytest.approx(1.0, abs=0.02)


def test_schedule_warms_up_and_ends():
    schedule = Schedule(100)
    rates = []
    for schedule.done in range(101):
        rates.append(rate_share(schedule.progress))
    assert rates[0] < 0.1 < max(rates) <= 1.0 and rates[-1] == pytest.approx(0.02) and schedule.progress == 1


def test_augmentation_is_off_at_zero_and_follows_the_discriminator():
    maps = torch.randn(4, 1, 16, 16, requires_grad=True)
    augmentation = AdaptiveAugmentation(span=10)
    assert augmentation(maps) is maps
    for _ in range(5):
        augmentation.update(torch.ones(4))
    assert augmentation.probability == 0.85
    changed = augmentation(maps)
    changed.square().sum().backward()
    assert changed.shape == maps.shape and maps.grad is not None and not torch.equal(changed, maps)
    for _ in range(5):
        augmentation.update(-torch.ones(4))
    assert augmentation.probability == 0


def test_expressions_are_in_range_and_often_symmetric():
    faces = sample_expressions(400, np.random.default_rng(0))
    assert faces.shape == (400, 52) and faces.min() >= 0 and faces.max() <= 1
    assert 0.05 < (faces > 0).mean() < 0.5
    left, right = (faces[:, EXPRESSION_NAMES.index(f"browDown{side}")] for side in ("Left", "Right"))
    assert np.corrcoef(left, right)[0, 1] > 0.7
    assert partner("eyeBlinkLeft") == "eyeBlinkRight" and partner("jawOpen") is None
    assert all(0 < named_face(name).max() <= 1 for name in FACES)


@pytest.mark.parametrize("name", ["2core", "gpu"])
def test_shipped_configurations_build(name):
    settings = read_configuration(name, "dnpm")
    config = generator_config(settings["generator"])
    assert config.style_count == 18 and config.resolution == 1024
    assert set(settings["sets"]) >= {
        settings[stage].get("set", "coarse") for stage in STAGES if stage in settings
    }
    assert (
        EncoderConfig(identity_size=128, **read_configuration(name, "detail-encoder")["encoder"]).hidden
        == settings["encoder"]["hidden"]
    )


def test_unknown_or_broken_configurations_are_refused(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        read_configuration("nowhere", "dnpm")
    broken = tmp_path / "broken.toml"
    broken.write_text("[generator\n")
    with pytest.raises(UserError, match=r"broken\.toml"):
        read_configuration(str(broken), "dnpm")


def test_exported_weights_load_and_their_cards_say_how_they_came_to_be(tmp_path, pair_and_maps):
    pair, _ = pair_and_maps
    parser = argparse.ArgumentParser()
    add_run_arguments(parser, str(tmp_path))
    args = parser.parse_args([])
    table = {"people": 40, "expressions": 6, "resolution": 32, "rendered": 32}
    export(
        args,
        pair,
        None,
        {"sets": {"coarse": table}, "coarse": {"minutes": 1}},
        ["coarse"],
        TrainingRun(RunLog(tmp_path, False), reached={"coarse": 140}),
    )
    card = (tmp_path / GENERATOR_FILE).with_suffix(".md").read_text()
    assert "train dnpm --config 2core" in card and "CC0" in card and "40 people" in card
    assert "coarse (140 steps)" in card and "--steps coarse=140" in card
    model = Detailed3DMM.load(tmp_path, "cpu")
    given = [np.zeros((1, width), np.float32) for width in (4, 16, 52)]
    own = pair.generator_average(
        pair.encoder_average(*map(torch.from_numpy, given)) + pair.generator_average.mean_latent
    )
    np.testing.assert_allclose(
        model.displacement(*given, 32), own.detach().numpy(), atol=2e-3 * float(own.abs().max()) + 1e-5
    )
    assert (tmp_path / ENCODER_FILE).exists()


@pytest.mark.parametrize(("rate", "stays"), [("1e-1", False), ("1e-6", True)])
def test_finished_networks_go_through_the_adversarial_stage_alone(
    rate, stays, tmp_path, pair_and_maps, monkeypatch, capsys
):
    pair, maps = pair_and_maps
    run = TrainingRun(RunLog(tmp_path, False))
    prior = PriorInTraining.build(pair.encoder, {"rank": 8})
    table = {"people": 40, "expressions": 6, "resolution": 32, "rendered": 32}
    parser = argparse.ArgumentParser()
    add_run_arguments(parser, str(tmp_path))
    export(parser.parse_args([]), pair, prior, {"sets": {"coarse": table}}, ["prior"], run)
    asked = []
    monkeypatch.setattr(train_dnpm, "open_maps", lambda _, sets, __: asked.append(sets) or {"coarse": maps})
    configuration = tmp_path / "tiny.toml"
    configuration.write_text(_ALONE.format(rate=rate))
    words = ["train", "dnpm", "--config", str(configuration), "--only", "adversarial", "--device", "cpu"]
    for resume in ([], ["--resume"]):
        assert main([*words, "--start", str(tmp_path), "--out", str(tmp_path / "run"), *resume]) == 0
        capsys.readouterr()
    assert len(asked) == 1 and asked[0]["coarse"]["people"] == 12
    rows = read_records(tmp_path / "run" / "log.jsonl")
    assert [row["step"] for row in rows if "step" in row] == [2, 4]
    written = {name: (tmp_path / "run" / name).read_bytes() for name in (GENERATOR_FILE, PRIOR_FILE)}
    assert all(data != (tmp_path / name).read_bytes() for name, data in written.items())
    assert not (tmp_path / "run" / ENCODER_FILE).exists()
    card = (tmp_path / "run" / GENERATOR_FILE).with_suffix(".md").read_text()
    assert "--only adversarial" in card and "adversarial (4 steps)" in card and "12 people" in card
    (tmp_path / "run" / ENCODER_FILE).write_bytes((tmp_path / ENCODER_FILE).read_bytes())
    same = weights_fingerprint(tmp_path / "run") == weights_fingerprint(tmp_path)
    assert same == stays, rows  # latents stay valid where the maps stay


_ALONE = """
[sets.coarse]
people = 40
expressions = 6
resolution = 32
rendered = 32

[adversarial]
people = 12
resolution = 32
steps = 4
batch = 4
rate = {rate}
penalty = 1.0
path = 0.1
paired = 1.0
square = 1.0
octaves = 2
average_steps = 1
log_steps = 2

[discriminator]
channel_base = 64
channel_most = 8
"""


def test_octaves_of_unseen_people_get_their_power_back(tmp_path, pair_and_maps):
    pair, maps = pair_and_maps
    principal_stage(
        pair,
        {"coarse": maps},
        {"steps": 150, "batch": 64, "rate": 3e-3},
        TrainingRun(RunLog(tmp_path, False)),
    )
    with torch.no_grad():
        for network in (pair.generator, pair.generator_average):
            network.synthesis_blocks[-1].basis.tiles[:, 1:] *= 1.4
    first = restore_octaves(pair, maps, CPU, count=16, rounds=1)
    after = restore_octaves(pair, maps, CPU, count=16, rounds=1)
    ring = int(
        np.argmax([float(value) for value in ring_power(torch.from_numpy(maps.maps.astype(np.float32)))])
    )
    assert first[ring] > 1 and abs(after[ring]) < 0.75 * abs(first[ring])


def test_filtered_images_keep_what_has_gain_one():
    v = torch.arange(64.0)
    fine, broad = (
        torch.sin(2 * np.pi * v / 4)[None].expand(64, -1),
        torch.sin(2 * np.pi * v / 32)[:, None].expand(-1, 64),
    )
    gains = torch.ones(10)
    gains[1:3] = 1.4  # wavelengths of 2.8 to 5.7 texels
    made = filtered((fine + broad)[None], gains, 0.0)[0]
    torch.testing.assert_close(made, 1.4 * fine + broad, rtol=0, atol=0.02)
