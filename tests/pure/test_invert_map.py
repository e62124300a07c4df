"""Inversion: a generated map is recovered, edits move it like the encoder, bad files, cancel."""

import json

import numpy as np
import pytest
import torch

from ml_backend.__main__ import main
from ml_backend.errors import UserError
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.detail_encoder import DetailEncoder, EncoderConfig
from ml_backend.models.detailed_3dmm import Detailed3DMM
from ml_backend.models.displacement_generator import DisplacementGenerator, GeneratorConfig
from ml_backend.models.latent_directions import LatentDirections
from ml_backend.models.saved_latent import SavedLatent, read_latent
from ml_backend.pipelines.generate_detail import displacement_maps, offset_of
from ml_backend.pipelines.invert_map import (
    InvertMapRequest,
    Start,
    fit_offset,
    gated_map,
    invert_map,
    psnr,
    resample_map,
)
from ml_backend.training.train_latent_directions import fit_directions, ridge_slopes, simulation_parameters

SIZE = 32
FULL = np.ones((SIZE, SIZE), np.float32)


def silent(share: float, text: str) -> None:
    """No one listens."""


@pytest.fixture(scope="module")
def model() -> Detailed3DMM:
    torch.manual_seed(2)
    generator = DisplacementGenerator(
        GeneratorConfig(
            resolution=SIZE,
            latent_width=32,
            channel_base=256,
            channel_most=16,
            constants={32: 12},
            field_resolution=16,
        )
    )
    generator.millimetres.fill_(0.1)
    last = generator.synthesis_blocks[
        -1
    ]  # as in a trained generator, the coarser map is the low band of the finer one
    torch.nn.init.normal_(last.to_map.weight, std=0.05)
    torch.nn.init.normal_(last.basis.tiles, std=0.05)
    encoder = DetailEncoder(EncoderConfig(identity_size=4, hidden=32, latent_width=32, styles=(4, 2, 2)))
    torch.nn.init.normal_(encoder.heads[0].get_parameter("weight"), std=0.2)
    return Detailed3DMM(generator.requires_grad_(False), encoder.requires_grad_(False))


def given(count: int = 1, seed: int = 0, neutral: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    face = random.uniform(0, 1, (count, 52)).astype(np.float32) * (not neutral)
    return (
        random.standard_normal((count, 4)).astype(np.float32),
        random.standard_normal((count, 16)).astype(np.float32),
        face,
    )


def start_of(model: Detailed3DMM, neutral: bool = False) -> Start:
    identity, skin, face = given(seed=1, neutral=neutral)
    rest, own = model.latent(
        np.tile(identity, (2, 1)), np.tile(skin, (2, 1)), np.concatenate([0 * face, face])
    ).clone()
    return Start(rest, rest if neutral else own, torch.from_numpy(face[0]))


@pytest.mark.slow
@pytest.mark.parametrize("neutral", [True, False])
def test_a_generated_map_is_found_again(model, neutral):
    target = model.displacement(*given(seed=5), SIZE)[0]
    start = start_of(model, neutral)
    zero = torch.zeros_like(start.rest)
    with torch.no_grad():
        before = psnr(gated_map(model, start, zero, SIZE)[0, 0].numpy() * 0.1, target, FULL)
    offset = fit_offset(model, target, FULL, start, zero, 160, silent)
    with torch.no_grad():
        after = psnr(gated_map(model, start, offset, SIZE)[0, 0].numpy() * 0.1, target, FULL)
    assert after > before and after > 37


def test_the_fitted_map_comes_back_and_edits_move_it_like_the_encoder(model):
    target = model.displacement(*given(seed=5), SIZE)[0]
    start = start_of(model)
    offset = fit_offset(model, target, FULL, start, torch.zeros_like(start.rest), 40, silent)
    identity, skin, face = given(seed=1)
    saved = SavedLatent((start.face + offset).numpy(), identity[0], skin[0], face[0], 0.0, "x")
    found = offset_of(model, saved)
    np.testing.assert_allclose(found, offset.numpy(), atol=1e-5)
    with torch.no_grad():
        wanted = gated_map(model, start, offset, SIZE)[0, 0].numpy() * 0.1
    np.testing.assert_allclose(
        displacement_maps(model, identity, skin, face, SIZE, found)[0], wanted, atol=1e-4
    )
    at_rest = displacement_maps(model, identity, skin, 0 * face, SIZE, found)[0]
    assert np.abs(at_rest - wanted).max() > 1e-3
    np.testing.assert_allclose(at_rest, model.synthesize(start.rest[None] + offset, SIZE)[0], atol=1e-5)
    plain = displacement_maps(model, identity, skin, face, SIZE)
    np.testing.assert_allclose(
        displacement_maps(model, identity, skin, face, SIZE, 0 * found), plain, atol=1e-5
    )
    with pytest.raises(UserError, match="shape"):
        displacement_maps(model, identity, skin, face, SIZE, found[:-1])


def test_delta_regularisation_keeps_what_the_map_does_not_see(model):
    """Styles that no texel depends on stay where they began."""
    start = start_of(model, neutral=True)
    target = model.displacement(*given(seed=5), SIZE // 2)[0]
    offset = fit_offset(model, target, FULL[::2, ::2], start, torch.zeros_like(start.rest), 20, silent)
    assert not offset[-2:].any() and offset[:-2].any()


def test_cancelling_ends_the_fit(model):
    class Stop(Exception):
        pass

    def cancel(share: float, text: str) -> None:
        if share > 0.3:
            raise Stop

    start = start_of(model)
    with pytest.raises(Stop):
        fit_offset(model, FULL, FULL, start, torch.zeros_like(start.rest), 50, cancel)


def test_resampling_keeps_place_and_mean():
    ramp = np.linspace(0, 1, 300, dtype=np.float32)[:, None] * np.ones((1, 200), np.float32)
    small = resample_map(ramp, 64)
    assert small.shape == (64, 64) and (np.diff(small[:, 10]) > 0).all()
    assert small.mean() == pytest.approx(0.5, abs=5e-3)
    np.testing.assert_array_equal(resample_map(small, 64), small)
    assert resample_map(small[:20, :20], 64).shape == (64, 64)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (InvertMapRequest(map=np.zeros((64, 64), np.float32)), "blank"),
        (InvertMapRequest(map=np.full((64, 64), np.nan, np.float32)), "finite"),
        (InvertMapRequest(map=np.full((64, 64), 1e4, np.float32)), "millimetres"),
        (InvertMapRequest(map=np.zeros((4, 4), np.float32)), "shape"),
        (InvertMapRequest(map=np.zeros((64, 64), np.float32), steps=3), "steps"),
        (InvertMapRequest(map=np.zeros((64, 64), np.float32), resolution=300), "Resolution"),
        (InvertMapRequest(map=np.zeros((64, 64), np.float32), start="random"), "start"),
        (InvertMapRequest(map=np.zeros((64, 64), np.float32), identity=np.zeros(3)), "identity"),
        (InvertMapRequest("nowhere.exr"), r"nowhere\.exr"),
    ],
)
def test_bad_requests_are_refused(model, request_, message):
    with pytest.raises(UserError, match=message):
        invert_map(request_, silent, model)


def test_latents_on_disk(tmp_path):
    identity, skin, face = given()
    saved = SavedLatent(np.ones((8, 32), np.float32), identity[0], skin[0], face[0], 31.5, "weights")
    path = tmp_path / "latent.safetensors"
    saved.write(path)
    again = read_latent(path, "weights")
    assert again.psnr_db == 31.5
    np.testing.assert_array_equal(again.expression, saved.expression)
    with pytest.raises(UserError, match="other weights"):
        read_latent(path, "others")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"latent\.safetensors"):
        read_latent(path, "weights")
    with pytest.raises(UserError, match="cannot be written"):
        saved.write(tmp_path / "no folder" / "latent.safetensors")


def test_directions_are_the_slopes_of_the_latents(tmp_path):
    random = np.random.default_rng(0)
    parameters, slopes = random.standard_normal((500, 3)), random.standard_normal((3, 10))
    found, explained = ridge_slopes(
        parameters, parameters @ slopes + 0.01 * random.standard_normal((500, 10))
    )
    np.testing.assert_allclose(found, slopes, atol=0.02)
    assert explained > 0.99
    directions = LatentDirections(
        ("age", "pores"), ("decades", "deviations"), found[:2].reshape(2, 2, 5).astype(np.float32), "weights"
    )
    path = tmp_path / "directions.safetensors"
    directions.save(path, {})
    again = LatentDirections.load("weights", path)
    np.testing.assert_allclose(
        again.offset({"age": 2.0, "pores": -1}),
        2 * found[0].reshape(2, 5) - found[1].reshape(2, 5),
        atol=0.01,
    )
    assert not again.offset({}).any()
    with pytest.raises(UserError, match="hair"):
        again.offset({"hair": 1.0})
    with pytest.raises(UserError, match="other weights"):
        LatentDirections.load("others", path)


def test_directions_of_a_real_encoder_follow_what_it_reads():
    """An encoder whose latent is the tendency alone has a tendency direction and no thickness."""
    face = BilinearFace.default()
    torch.manual_seed(0)
    encoder = DetailEncoder(
        EncoderConfig(identity_size=face.identity_size, hidden=16, latent_width=8, styles=(2, 2, 2))
    )
    for parameter in encoder.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        encoder.first.weight[0, face.identity_size + 1 + 1] = 0.2
        encoder.first.bias[0] = 5  # never below zero: linear
        for layer in (encoder.second, *encoder.deep):
            layer.get_parameter("weight")[0, 0] = 1
        encoder.heads[0].get_parameter("weight")[0, 0] = 1
    generator = DisplacementGenerator(
        GeneratorConfig(
            resolution=16,
            latent_width=8,
            channel_base=16,
            channel_most=4,
            field_resolution=8,
        )
    )
    found, _ = fit_directions(Detailed3DMM(generator, encoder), face, 150, "weights")
    tendency, thickness = (found.vectors[found.names.index(name)] for name in ("tendency", "thickness"))
    assert tendency[0, 0] == pytest.approx(0.1, rel=0.05)
    assert np.abs(thickness).max() < 0.02 and np.count_nonzero(np.abs(tendency) > 1e-6) == 1
    identity, skin = np.zeros((2, face.identity_size), np.float32), np.zeros((2, 16), np.float32)
    skin[1, 0] = 1
    age = simulation_parameters(face, identity, skin)["age"]
    assert age[1] - age[0] == pytest.approx(0.9)


@pytest.mark.slow
def test_the_command_fits_a_file_and_generate_edits_it(tmp_path, capsys):
    """The whole way with the package's networks, few steps: a PNG, a latent, its map, another expression."""
    source, latent = tmp_path / "map.png", tmp_path / "latent.safetensors"
    smile = ["--expression", "mouthSmileLeft=1", "mouthSmileRight=1"]
    assert (
        main(["generate", "--identity-seed", "4", *smile, "--resolution", "256", "--out", str(source)]) == 0
    )
    preview = tmp_path / "preview.png"
    words = [
        "invert",
        str(source),
        "--out",
        str(latent),
        *smile,
        "--steps",
        "12",
        "--resolution",
        "256",
        "--preview",
        str(preview),
        "--json",
    ]
    capsys.readouterr()
    assert main(words) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["psnr_db"] > made["start_psnr_db"] and preview.stat().st_size > 1000
    for name, more in (
        ("same.npy", []),
        ("neutral.npy", ["--expression", "jawOpen=0"]),
        ("raised.npy", ["--expression", "browInnerUp=1"]),
    ):
        assert (
            main(
                [
                    "generate",
                    "--latent",
                    str(latent),
                    "--resolution",
                    "256",
                    "--out",
                    str(tmp_path / name),
                    *more,
                ]
            )
            == 0
        )
    same, neutral, raised = (np.load(tmp_path / name) for name in ("same.npy", "neutral.npy", "raised.npy"))
    assert np.abs(same - neutral).max() > 0.02 and np.abs(raised - neutral).max() > 0.02
    capsys.readouterr()
    assert (
        main(["invert", str(tmp_path / "none.exr"), "--out", str(latent)]) == 2
        and "none.exr" in capsys.readouterr().err
    )
    assert (
        main(["generate", "--latent", str(source), "--out", str(tmp_path / "x.npy")]) == 2
        and "map.png" in capsys.readouterr().err
    )
