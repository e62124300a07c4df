"""The residual on the exact decoder: hair of a code, a light's surround, channels, training, figures,
shell."""

import dataclasses
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ml_backend.__main__ import main
from ml_backend.errors import UserError
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.face_file import FaceParameters, write_face
from ml_backend.files.network_file import read_network_file
from ml_backend.geometry.light_transfer import surround_directions, surround_of_light
from ml_backend.geometry.spherical_harmonics import harmonics
from ml_backend.geometry.srgb import to_srgb
from ml_backend.hair.coded_hair import code_colour, hair_of_code
from ml_backend.hair.face_hair import BEARD_STYLES, BROW_STYLES
from ml_backend.hair.scalp_styles import SCALP_STYLES
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.face_renderer import hair_colour
from ml_backend.models.head_field.framing import view_camera
from ml_backend.models.residual.channels import CHANNELS, CONDITION, SIDE, mirrored, see_drawing
from ml_backend.models.residual.render_residual import (
    RESIDUAL_FILE,
    RenderResidual,
    ResidualConfig,
    default_residual,
    residual_config,
)
from ml_backend.pipelines import coded_drawing
from ml_backend.simulation.portraits.coded_portrait import CodedPortrait, coded_portrait, draw_light
from ml_backend.training.residual.rendered_pictures import ResidualPairs, read_rendered
from ml_backend.training.residual.residual_figures import mean_picture, residual_figures
from ml_backend.training.steps import TrainingRun
from ml_backend.training.training_run import CONFIGURATIONS, RunLog

FIRST = 1_800_000
TINY = """
[network]
widths = [8, 12]
condition = 8
[residual]
steps = 40
batch = 2
side = 128
rate = 5e-3
decay = 0.0
half_life = 4
log_steps = 4
measure_steps = 20
save_steps = 4
"""


@cache
def portrait() -> CodedPortrait:
    return coded_portrait(FIRST, 3)


def test_a_hair_code_gives_hair_that_can_grow():
    random = np.random.default_rng(0)
    cuts, beards = set(), set()
    for code in 1.2 * random.standard_normal((300, 16)):
        hair = hair_of_code(code)
        assert hair == hair_of_code(code)
        cuts.add(hair.styles["scalp"])
        beards.add(hair.styles.get("beard", ""))
        assert hair.styles["brows"] in BROW_STYLES
        assert all(0 <= part <= 1 for pigments in hair.pigments.values() for part in pigments)
    assert cuts <= set(SCALP_STYLES) and len(cuts) >= 10
    assert beards <= {*BEARD_STYLES, ""} and "" in beards and len(beards) >= 4
    dark, fair = np.zeros(16), np.zeros(16)
    dark[1], fair[1] = 1.5, -1.5
    assert hair_of_code(dark).pigments["scalp"][0] > hair_of_code(fair).pigments["scalp"][0] + 0.1


def test_strands_have_the_colour_that_the_decoder_paints():
    code = np.random.default_rng(1).standard_normal(16).astype(np.float32)
    np.testing.assert_allclose(code_colour(code), hair_colour(torch.from_numpy(code)).numpy(), rtol=1e-5)


def test_a_surround_gives_the_light_of_its_harmonics():
    light = draw_light(np.random.default_rng(2))
    light[1:] *= 0.4  # so weak that no radiance is negative
    surround, found = surround_of_light(light, 96)
    np.testing.assert_allclose(found, light, atol=5e-3)
    directions = surround_directions(96)
    weights = np.sqrt(1 - directions[..., 2] ** 2)
    for normal in ((1.0, 0, 0), (0, -1.0, 0), (0, 0.6, 0.8)):
        facing = np.clip(directions @ normal, 0, None) * weights
        lit = (facing[..., None] * surround).sum((0, 1)) / weights.sum() * 4
        np.testing.assert_allclose(lit, harmonics(np.array(normal)) @ light, atol=0.05)


def test_channels_are_those_of_the_drawing():
    shown = portrait()
    drawing = see_drawing(shown.codes, shown.camera, shown.nuisance)
    assert drawing.channels.shape == (len(CHANNELS), SIDE, SIDE) and drawing.condition.shape == (CONDITION,)
    assert bool(torch.isfinite(drawing.channels).all())
    mask = shown.seen.mask
    assert np.array_equal(drawing.mask.numpy() > 0, mask)
    normals = drawing.channels[4:7].numpy()[:, mask]
    np.testing.assert_allclose(np.linalg.norm(normals, axis=0), 1, atol=0.02)
    assert (normals[2] < 0.3).mean() > 0.99, "what is seen looks towards the camera"
    field = {name: drawing.channels[index].numpy() for index, name in enumerate(CHANNELS)}
    assert 0 < (field["eye"] > 0.5).sum() < 0.02 * SIDE**2
    brow, eye = (np.argwhere(field[name] > 0.5)[:, 0].mean() for name in ("brow", "eye"))
    assert brow < eye, "brows are above the eyes"


def test_a_picture_is_mirrored_with_its_light_and_turn():
    shown = portrait()
    drawing = see_drawing(shown.codes, shown.camera, shown.nuisance)
    twice = mirrored(*mirrored(drawing.channels, drawing.condition))
    assert torch.equal(twice[0], drawing.channels) and torch.equal(twice[1], drawing.condition)
    from ml_backend.models.residual.channels import condition_of

    flip = np.diag([-1.0, 1, 1])
    normals = np.random.default_rng(0).standard_normal((60, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    light = np.linalg.lstsq(harmonics(normals @ flip), harmonics(normals) @ shown.codes.light, rcond=None)[0]
    from ml_backend.models.face_codes import code_of_light

    turned = dataclasses.replace(
        shown.codes,
        illumination=code_of_light(light).astype(np.float32),
        rotation=shown.codes.rotation * np.array([-1, 1, -1], np.float32),
    )
    own = mirrored(drawing.channels, drawing.condition)[1]
    np.testing.assert_allclose(own.numpy(), condition_of(turned).numpy(), atol=2e-4)


def test_an_untrained_network_leaves_the_drawing():
    torch.manual_seed(0)
    network = RenderResidual(ResidualConfig((8, 12), 1, 8)).eval()
    drawing = see_drawing(portrait().codes, portrait().camera, portrait().nuisance)
    found = network.finish(drawing)
    inside = drawing.mask > 0
    assert float((found.colour[0] - drawing.picture)[:, inside].abs().mean()) < 0.04
    assert float(found.cover[0][inside].min()) > 0.9 and float(found.cover[0][~inside].max()) < 0.1


def write_pictures(folder: Path, people: int) -> None:
    """Writes pictures that differ from the drawing in a known way: hair around the head, and redder."""
    from scipy.ndimage import binary_dilation

    folder.mkdir()
    for person in range(people):
        shown = coded_portrait(FIRST, person)
        drawing = see_drawing(shown.codes, shown.camera)
        cover = binary_dilation(drawing.mask.numpy() > 0, iterations=4)
        colour = drawing.picture.permute(1, 2, 0).numpy().copy()
        colour[cover & (drawing.mask.numpy() == 0)] = to_srgb(np.array([0.3, 0.1, 0.05]))
        colour[..., 0] = np.clip(colour[..., 0] + 0.15, 0, 1)
        pixels = np.concatenate([colour, cover[..., None]], 2)
        Image.fromarray((pixels * 255 + 0.5).astype(np.uint8), "RGBA").save(folder / f"{person:05d}.png")
        np.savez(
            folder / f"{person:05d}.npz", focal=np.float32(shown.focal), iris=np.float32([0.05, 0.03, 0.02]),
            person=np.int64(person), **shown.codes.table(),
        )  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("residual") / "pictures"
    write_pictures(folder, 5)
    return folder


def losses(folder: Path) -> list[float]:
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def test_training_lowers_its_loss_and_says_its_figures(pictures, tmp_path, capsys):
    config, out = tmp_path / "tiny.toml", tmp_path / "run"
    config.write_text(TINY)
    words = ["train", "render-residual", "--data", str(pictures), "--config", str(config), "--threads", "1"]
    assert main([*words, "--out", str(out), "--device", "cpu"]) == 0
    found = losses(out)
    assert len(found) == 10 and np.mean(found[-3:]) < 0.7 * found[0]
    assert main([*words, "--out", str(out), "--resume", "--device", "cpu"]) == 0
    assert losses(out) == found, "a finished stage is not trained again"
    card = (out / "render_residual.md").read_text()
    assert "dB, SSIM" in card and "Cycles" in card
    assert Image.open(out / "sheet.png").size == (SIDE, 3 * SIDE)
    network = read_network_file(
        out / RESIDUAL_FILE, lambda table: RenderResidual(residual_config(table)), "render residual"
    )
    portraits = read_rendered(pictures)
    pairs = ResidualPairs.of(portraits[:1])
    figures = residual_figures(network, portraits[:1], pairs, mean_picture(ResidualPairs.of(portraits[1:])))
    assert figures["residual_db"] > figures["exact_db"] and 0 < figures["mean_iou"] <= 1
    capsys.readouterr()


def test_an_interrupted_training_goes_on_with_the_same_numbers(pictures, tmp_path):
    from ml_backend.training.residual.train_residual import STAGE, train
    from ml_backend.training.training_run import read_configuration

    config = tmp_path / "tiny.toml"
    config.write_text(TINY)
    settings = read_configuration(str(config), "render-residual")
    portraits = read_rendered(pictures)
    pairs, held = ResidualPairs.of(portraits[1:]), (portraits[:1], ResidualPairs.of(portraits[:1]))

    def trained(folder: Path, steps: int, resume: bool) -> RenderResidual:
        torch.manual_seed(0)
        network, average = (RenderResidual(residual_config(settings["network"])) for _ in range(2))
        average.load_state_dict(network.state_dict())
        run = TrainingRun(RunLog(folder, resume), lengths={STAGE: steps})
        run.keep({"network": network, "average": average}, resume)
        train(network, average, pairs, held, settings[STAGE] | {"rate": 1e-3}, run)
        return average

    class Killed(Exception):
        pass

    whole = trained(tmp_path / "whole", 8, False)
    import ml_backend.training.residual.train_residual as module

    plain, calls = module.residual_losses, []

    def dying(*words):
        calls.append(0)
        if len(calls) == 7:
            raise Killed
        return plain(*words)

    module.residual_losses = dying
    try:
        with pytest.raises(Killed):
            trained(tmp_path / "cut", 8, False)
    finally:
        module.residual_losses = plain
    again = trained(tmp_path / "cut", 8, True)
    for one, other in zip(whole.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_missing_and_broken_pictures_are_named(tmp_path, pictures, capsys):
    words = ["train", "render-residual", "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main([*words, "--data", str(tmp_path / "none")]) == 2
    said = capsys.readouterr().err
    assert "holds no rendered portraits" in said and "tools.rendered_portraits" in said
    broken = tmp_path / "broken"
    broken.mkdir()
    for number in range(2):
        (broken / f"{number:05d}.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="not a rendered portrait"):
        read_rendered(broken)
    alone = tmp_path / "alone"
    alone.mkdir()
    for number in (1, 2):
        for suffix in (".npz", ".png"):
            (alone / f"{number:05d}{suffix}").write_bytes((pictures / f"{number:05d}{suffix}").read_bytes())
    assert main([*words, "--data", str(alone)]) == 2
    assert "too few" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["2core", "gpu"])
def test_shipped_configurations_build_a_small_network(name):
    import tomllib

    settings = tomllib.loads((CONFIGURATIONS / f"render-residual-{name}.toml").read_text())
    network = RenderResidual(residual_config(settings["network"]))
    assert sum(value.numel() for value in network.parameters()) < 2e6
    assert settings["residual"]["side"] % network.step == 0 and SIDE % network.step == 0


@pytest.fixture
def face_file(tmp_path) -> Path:
    face, path = BilinearFace.default(), tmp_path / "face.json"
    expression = np.zeros(len(EXPRESSION_NAMES), np.float32)
    expression[EXPRESSION_NAMES.index("jawOpen")] = 0.3
    write_face(path, FaceParameters(face.sample_identity(77), None, expression, face.fingerprint()))
    return path


def test_the_residual_changes_hair_eyes_mouth_and_outline_most(face_file, tmp_path, capsys):
    words = ["render", str(face_file), "--size", "256", "--without-detail", "--seed", "5", "--json"]
    pictures = []
    for name, more in (("with", []), ("without", ["--without-residual"])):
        assert main([*words, *more, "--out", str(tmp_path / name)]) == 0
        (path,) = json.loads(capsys.readouterr().out)["files"]
        pictures.append(np.asarray(Image.open(path), np.float32) / 255)
    change = np.abs(pictures[0] - pictures[1]).mean(2)
    model = BilinearFace.default()
    camera = view_camera(model, 0, 0, SIDE)
    light = np.zeros((9, 3))
    light[0] = 1
    expression = np.zeros(52, np.float32)
    expression[EXPRESSION_NAMES.index("jawOpen")] = 0.3
    codes, nuisance = coded_drawing.seeded_codes(model.sample_identity(77), expression, light, camera, 5)
    drawing = see_drawing(codes, camera, nuisance)
    field = {name: drawing.channels[index].numpy() for index, name in enumerate(CHANNELS)}
    mask = field["mask"] > 0
    skin = mask & (field["hairline"] < -0.9) & (field["eye"] == 0) & (field["inside"] == 0)
    cheeks = skin & (field["rest_z"] < 0.3) & (field["brow"] == 0) & (field["normal_z"] < -0.7)
    hair = mask & (field["hairline"] > 0.5)
    eyes = field["eye"] > 0.5
    assert change[hair].mean() > 1.5 * change[cheeks].mean()
    assert change[eyes].mean() > change[cheeks].mean()
    assert change[:40, :40].max() < 0.02, "far from the head nothing changes"


@pytest.mark.parametrize("size", [96, 320])
def test_a_residual_is_added_at_other_sizes(size):
    shown = portrait()
    camera = shown.camera.resized(size, size)
    drawing = see_drawing(shown.codes, shown.camera, shown.nuisance)
    small = torch.nn.functional.interpolate(drawing.picture[None], (size, size), mode="nearest")[0]
    pixels = (small.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    torch.manual_seed(0)
    network = RenderResidual(ResidualConfig((8, 12), 1, 8)).eval()
    albedo = coded_drawing.texture_map(shown.codes)
    made = coded_drawing.with_residual(pixels, shown.codes, camera, shown.nuisance, albedo, 0.18, network)
    assert made.shape == (size, size, 3) and made.dtype == np.uint8
    mask = small.sum(0).numpy() > 0
    inner = torch.nn.functional.max_pool2d(-torch.from_numpy(mask)[None].float(), 9, 1, 4)[0].numpy() == -1
    assert np.abs(made.astype(float) - pixels)[inner].mean() < 12
    assert np.abs(made.astype(float) - 117.0)[~mask].mean() < 12, "the ground is grey"


def test_a_missing_network_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(coded_drawing, "default_residual", lambda: default_residual(tmp_path / RESIDUAL_FILE))
    with pytest.raises(UserError, match="There is no residual") as found:
        coded_drawing.residual_network()
    assert "--without-residual" in found.value.remedy


def test_without_pictures_the_shipped_weights_stay(tmp_path, capsys):
    words = ["--data", str(tmp_path / "none"), "--out", str(tmp_path / "out"), "--or-keep"]
    assert main(["train", "render-residual", *words]) == 0
    assert "the shipped residual stays" in capsys.readouterr().err
