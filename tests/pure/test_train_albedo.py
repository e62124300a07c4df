"""Training of the albedo model on a few people: the set, crops, the run, its resumption, the evaluation."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from ml_backend.__main__ import main
from ml_backend.datasets import colour_set
from ml_backend.datasets.colour_set import ColourSet, ColourSetSpec, held_out_colours, make_colour_set
from ml_backend.datasets.map_set import HELD_OUT_SEED
from ml_backend.errors import UserError
from ml_backend.files.tensor_file import read_tensors
from ml_backend.models.skin.albedo_model import AlbedoModel
from ml_backend.models.skin.skin_sliders import SkinSliders
from ml_backend.pipelines.generate_albedo import GenerateAlbedoRequest, generate_albedo
from ml_backend.simulation.pigment.pigment_traits import TONE_GROUPS, sample_traits
from ml_backend.training.albedo.coarse_components import fit_coarse, low_passed
from ml_backend.training.albedo.people_low_passed import PeopleLowPassed, training_people

SETTINGS = """
[sets.colours]
people = 36
resolution = 256

[coarse]
components = 10
resolution = 64
ablation = [32]

[fields]
people = 24

[network]
fields = 4
widths = [12, 16, 16]
chroma_widths = [8, 8, 8]

[value]
steps = 40
batch = 4
crop = 128
shares = [0.8, 0.2]
rate = 3e-3
lines = 0.02
texture = 0.01
divergence = 2e-4
log_steps = 20

[chroma]
steps = 12
batch = 4
crop = 128
shares = [0.8, 0.2]
rate = 3e-3
lines = 0.02
texture = 0.01
divergence = 2e-4
log_steps = 6

[adversarial]
steps = 2
batch = 2
crop = 128
shares = [0.8, 0.2]
rate = 1e-4
lines = 0.02
texture = 0.05
divergence = 2e-4
adversarial = 0.01
features = 0.05
log_steps = 2
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("albedo")
    (folder / "albedo.toml").write_text(SETTINGS)
    given = ["train", "albedo", "--config", str(folder), "--data", str(folder / "maps"), "--out",
             str(folder / "run"), "--device", "cpu"]  # fmt: skip
    assert main(given) == 0
    return folder, given


@pytest.fixture(scope="module")
def people(trained) -> PeopleLowPassed:
    colours = make_colour_set(trained[0] / "maps" / "colours", ColourSetSpec(36, 256))
    models = {size: fit_coarse(low_passed(colours, size)[:30], 8, colours.mask) for size in (64, 32)}
    return PeopleLowPassed(colours, models, torch.device("cpu"))


def test_held_out_people_are_flat_over_the_groups_of_tone():
    drawn = held_out_colours(24)
    for number, person in enumerate(drawn):
        low, high = TONE_GROUPS[number % 6]
        assert low <= person.tone <= high
    assert held_out_colours(6, 12) == drawn[12:18]
    assert len({person.tone for person in drawn}) == 24
    assert drawn[3].seed == sample_traits(HELD_OUT_SEED + 3).seed


@pytest.mark.train
def test_a_set_is_the_simulation_s_and_goes_on_where_it_stopped(trained, tmp_path, monkeypatch):
    whole = make_colour_set(trained[0] / "maps" / "colours", ColourSetSpec(36, 256))
    assert whole.maps.shape == (36, 3, 256, 256) and whole.maps.dtype == np.uint8
    np.testing.assert_array_equal(whole.traits[5], sample_traits(5).vector())
    calls = []

    def stopping(simulation, drawn):
        calls.append(len(drawn))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return simulated(simulation, drawn)

    simulated = colour_set.simulated_colours
    monkeypatch.setattr(colour_set, "_AT_ONCE", 1)
    monkeypatch.setattr(colour_set, "simulated_colours", stopping)
    with pytest.raises(KeyboardInterrupt):
        make_colour_set(tmp_path / "part", ColourSetSpec(3, 256))
    part = make_colour_set(tmp_path / "part", ColourSetSpec(3, 256))
    assert np.abs(part.maps.astype(int) - whole.maps[:3]).max() <= 1
    with pytest.raises(UserError, match="another set"):
        make_colour_set(tmp_path / "part", ColourSetSpec(4, 256))


def test_held_out_people_cannot_be_trained_on(tmp_path):
    with pytest.raises(UserError, match="held out"):
        make_colour_set(tmp_path, ColourSetSpec(10, 256, HELD_OUT_SEED - 5))
    with pytest.raises(UserError, match="none"):
        make_colour_set(tmp_path, ColourSetSpec(0, 256))
    tiny = ColourSet(np.zeros((1, 3, 256, 256), np.uint8), np.zeros((1, 23)), np.ones((256, 256), bool))
    with pytest.raises(UserError, match="too few"):
        training_people(tiny)


@pytest.mark.train
@pytest.mark.parametrize("size", [64, 32])
def test_crops_are_cut_from_whole_maps(people, size):
    rows = np.array([2, 17])
    window = (slice(32, 160), slice(96, 224))
    truth, coarse = people.crop(rows, window, size)
    whole_truth, whole_coarse = people.whole(rows, size)
    torch.testing.assert_close(truth, whole_truth[..., 32:160, 96:224])
    torch.testing.assert_close(coarse, whole_coarse[..., 32:160, 96:224], atol=1e-5, rtol=0)
    assert float((coarse - truth).abs().mean()) < 0.02


@pytest.mark.train
def test_drawn_windows_lie_on_the_latent_s_cells_around_the_face(people):
    numbers = np.random.default_rng(0)
    seen = np.zeros((256, 256))
    for _ in range(40):
        truth, coarse, window = people.draw(128, 2, [0.5, 0.5], numbers)
        assert truth.shape == coarse.shape == (2, 3, 128, 128)
        assert all(side.start % 32 == 0 and side.stop - side.start == 128 for side in window)
        seen[window] += 1
    assert seen[people.colours.mask].mean() > seen[~people.colours.mask].mean()


@pytest.mark.train
def test_training_explains_what_coarse_maps_lack(trained):
    folder = trained[0] / "run"
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["size"] for line in log if line["stage"] == "coarse"] == [64, 64, 32, 32]
    value = [line for line in log if line["stage"] == "value"]
    assert [line["step"] for line in value] == [20, 40]
    assert value[-1]["unseen"] < 0.65, "hardly more than nothing of the missing value is made"
    assert [line["step"] for line in log if line["stage"] == "adversarial"] == [2]
    card = (folder / "albedo_detail.md").read_text()
    assert "value (40 steps)" in card and "CC0" in card
    assert (folder / "albedo.md").exists() and (folder / "ablation" / "joint_32.safetensors").exists()
    model = AlbedoModel.read(folder / "albedo.safetensors")
    assert model.coefficient_count == 30 and model.resolution == 64
    with Image.open(folder / "albedo.png") as sheet:
        assert sheet.size == (3 * 128, 8 * 128)


@pytest.mark.train
def test_a_finished_training_resumes_to_the_same_weights(trained):
    folder, given = trained
    path = folder / "run" / "albedo_detail.safetensors"
    before = read_tensors(path)[0]
    assert main([*given, "--resume"]) == 0
    after = read_tensors(path)[0]
    assert before.keys() == after.keys()
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name])


@pytest.mark.train
def test_evaluation_prints_every_row_and_writes_the_card(trained, capsys):
    folder = trained[0] / "run"
    capsys.readouterr()
    given = ["--weights", str(folder), "--people", "6", "--photographed", "0", "--card", "--json"]
    assert main(["evaluate", "albedo", *given]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures["table"]) == ["32", "64"] and figures["n_people"] == 6
    for rows in figures["table"].values():
        assert list(rows) == ["coarse", "detail", "chroma", "joint"]
        assert rows["detail"]["psnr_db"] > rows["coarse"]["psnr_db"]
        assert rows["detail"]["ssim"] > rows["coarse"]["ssim"]
        assert all(set(row) == {"psnr_db", "ssim", "mse", "frechet"} for row in rows.values())
    assert figures["baselines"]["mean_map"]["psnr_db"] < figures["table"]["64"]["coarse"]["psnr_db"]
    assert 0 < figures["mb"] < 5 and figures["ms"] > 0
    card = (folder / "albedo.md").read_text()
    assert "| 64 | coarse |" in card and "39.47" in card and "6 simulated people" in card


@pytest.mark.train
def test_people_of_a_tone_are_generated(trained, tmp_path, capsys):
    weights = trained[0] / "run"
    asked = GenerateAlbedoRequest(4, 256, tone=-20.0, traits={"redness": 0.5})
    colours = generate_albedo(asked, weights)
    assert colours.shape == (3, 256, 256) and colours.min() >= 0 and colours.max() <= 1
    sliders = SkinSliders.read(weights / "skin_sliders.safetensors")
    assert sliders.tone_of(colours) == pytest.approx(-20, abs=3)
    np.testing.assert_array_equal(colours, generate_albedo(asked, weights))
    plain = generate_albedo(dataclasses.replace(asked, detail=False), weights)
    assert 1e-4 < np.abs(plain - colours).mean() < 0.03
    large = generate_albedo(dataclasses.replace(asked, resolution=512), weights)
    assert np.abs(large.reshape(3, 256, 2, 256, 2).mean((2, 4)) - colours).mean() < 0.01
    given = ["generate", "--identity-seed", "3", "--resolution", "256", "--out", str(tmp_path / "m.npy")]
    assert main([*given, "--albedo", str(tmp_path / "skin.jpg")]) == 2
    assert "written as .png" in capsys.readouterr().err
    assert not (tmp_path / "m.npy").exists()


def test_evaluation_asks_for_one_of_each_group(capsys):
    assert main(["evaluate", "albedo", "--people", "5"]) == 2
    assert "one of each group" in capsys.readouterr().err
