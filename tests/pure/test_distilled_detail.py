"""Distilled detail: numpy equals the network, its fields equal the maps, a tiny model is recovered."""

import argparse

import numpy as np
import pytest
import torch

from ml_backend.datasets import teacher_maps
from ml_backend.datasets.map_set import MapSet
from ml_backend.errors import UserError
from ml_backend.files.network_file import write_network_file
from ml_backend.files.tensor_file import read_tensors, write_tensors
from ml_backend.geometry.map_bands import enlarge
from ml_backend.geometry.texture_space import sample_map
from ml_backend.layers.blur_resampling import double_size
from ml_backend.models.detail_encoder import DetailEncoder, EncoderConfig
from ml_backend.models.detailed_3dmm import ENCODER_FILE, GENERATOR_FILE, Detailed3DMM
from ml_backend.models.displacement_generator import DisplacementGenerator, GeneratorConfig
from ml_backend.models.distilled_detail import DistilledDetail, FieldBand
from ml_backend.models.saved_latent import weights_fingerprint
from ml_backend.training import train_distilled_detail
from ml_backend.training.input_statistics import input_scaling
from ml_backend.training.latent_labels import LatentLabels, fit_held_out
from ml_backend.training.train_distilled_detail import (
    CoefficientNetwork,
    export,
    fit_band_above,
    fit_low_band,
    widen,
)

SIZE = 16
INFLUENCE = (np.linspace(1, 0.1, 4), np.array([0.3, 0, 0, 0]), 0.2)


def disc(size: int) -> np.ndarray:
    v, u = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    return (u * u + v * v < 0.16).astype(np.float32)


def set_of(size: int, maps: np.ndarray, seed: int = 0) -> MapSet:
    random = np.random.default_rng(seed)
    count = len(maps)
    identity, skin, face = (
        random.standard_normal((count, width)).astype(np.float32) for width in (4, 16, 52)
    )
    return MapSet(maps.astype(np.float16), identity, skin, face, disc(size))


@pytest.fixture(scope="module")
def model() -> DistilledDetail:
    random = np.random.default_rng(1)
    fields = {size: random.standard_normal((3, size, size)) for size in (SIZE, 2 * SIZE)}
    weights = random.standard_normal((40, 3)) * (0.3, 0.2, 0.1)
    small = np.einsum("nc,chw->nhw", weights, fields[SIZE])
    large = double_size(torch.from_numpy(small)[:, None])[:, 0].numpy() + 0.05 * np.einsum(
        "nc,chw->nhw", weights, fields[2 * SIZE]
    )
    sets = {SIZE: set_of(SIZE, small), 2 * SIZE: set_of(2 * SIZE, large)}
    low, values = fit_low_band(sets[SIZE], 3)
    band, finer = fit_band_above(sets, 2 * SIZE, 3)
    torch.manual_seed(0)
    network = CoefficientNetwork(4 + 1 + 16, 52, [8, 8, 8], values.shape[1] + finer.shape[1])
    return export(network, input_scaling(sets[SIZE], INFLUENCE), *widen(low, [band]))


def people(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    identity, skin, face = (
        random.standard_normal((count, width)).astype(np.float32) for width in (4, 16, 52)
    )
    return identity, skin, face


def test_numpy_is_the_network_that_was_trained(model):
    torch.manual_seed(0)
    network = CoefficientNetwork(21, 52, [8, 8, 8], 6)
    given = people(5)
    condition, face = model.scaling(*given)
    wanted = network(torch.from_numpy(condition), torch.from_numpy(face)).detach().numpy()
    np.testing.assert_allclose(model.coefficients(*given), wanted, atol=1e-5)
    np.testing.assert_allclose(model.coefficients(*(v[2] for v in given)), wanted[2], atol=1e-5)
    shared = model.coefficients(given[0][2], given[1][2], given[2])
    np.testing.assert_allclose(shared[2], wanted[2], atol=1e-5)
    age = given[0] @ INFLUENCE[1] + INFLUENCE[2]
    np.testing.assert_allclose(
        condition[:, 4] * model.scaling.condition_deviation[4] + model.scaling.condition_mean[4],
        age,
        atol=1e-5,
    )


def test_fields_at_texel_centres_and_between_are_the_map(model):
    coefficients = np.array([0.5, -1.0, 2.0, 1.0, 1.0, 1.0], np.float32)
    drawn = model.draw(coefficients, SIZE)
    rows, columns = np.nonzero(model.low.inside)
    centres = ((np.stack([columns, rows], 1) + 0.5) / SIZE).astype(np.float32)
    fields = model.fields_at(centres)
    assert (
        fields.fields.shape == (len(centres), 6)
        and fields.fields.flags.c_contiguous
        and fields.fields.dtype == np.float32
    )
    np.testing.assert_allclose(fields.at(coefficients), drawn[rows, columns], atol=1e-5)
    between = np.random.default_rng(0).uniform(0.4, 0.6, (50, 2)).astype(np.float32)
    np.testing.assert_allclose(
        model.fields_at(between).at(coefficients), sample_map(drawn, between), atol=1e-5
    )


def test_points_off_the_face_get_nothing_and_its_edge_is_not_halved(model):
    off = np.array([[0.01, 0.01], [1.5, 0.5], [0.5, -0.1]], np.float32)
    assert not model.fields_at(off).at(np.ones(6, np.float32)).any()
    flat = FieldBand(
        model.low.inside, np.ones_like(model.low.mean), model.low.fields, np.zeros_like(model.low.scale)
    )
    plain = DistilledDetail(model.scaling, model.layers, flat, model.above)
    u = np.linspace(0, 1, 400, dtype=np.float32)
    found = plain.fields_at(np.stack([u, np.full_like(u, 0.5)], 1)).at(np.zeros(6, np.float32))
    assert set(np.round(found, 5)) == {0.0, 1.0}


def test_finer_maps_hold_the_coarser_one_and_the_band(model):
    coefficients = np.array([1.0, 0.3, -0.7, 0.5, -0.2, 0.1], np.float32)
    low, high = model.draw(coefficients, SIZE), model.draw(coefficients, 2 * SIZE)
    band, slopes = model.above[0]
    share = (high - enlarge(low, 2 * len(low)))[band.inside]
    np.testing.assert_allclose(share, band.values(slopes @ coefficients), atol=1e-5)
    image = torch.randn(1, 1, 8, 8)
    np.testing.assert_allclose(
        enlarge(image[0, 0].numpy(), 2 * image.shape[-1]), double_size(image)[0, 0], atol=1e-6
    )
    with pytest.raises(ValueError, match="resolution 7"):
        model.draw(coefficients, 7)


def test_a_saved_model_comes_back_and_int8_is_close(model, tmp_path):
    model.save(tmp_path / "model.safetensors", {"command": "test"})
    again = DistilledDetail.load(tmp_path / "model.safetensors")
    given = people(4)
    np.testing.assert_allclose(
        again.displacement(*given, 2 * SIZE), model.displacement(*given, 2 * SIZE), atol=5e-3
    )
    assert (again.identity_size, again.skin_size, again.expression_size, again.component_count) == (
        4,
        16,
        52,
        6,
    )
    fields = np.random.default_rng(0).standard_normal((2, 30))
    band = FieldBand.quantise(np.ones((5, 6), bool)[:5, :6], np.zeros(30), fields)
    assert np.abs(band.fields * band.scale[:, None] - fields).max() <= band.scale.max() * 0.51


def test_broken_files_are_refused_by_name(model, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path, {})
    arrays, metadata = read_tensors(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"model\.safetensors"):
        DistilledDetail.load(path)
    spoilt = [
        ({}, {}), (arrays, {}), ({k: v for k, v in arrays.items() if k != "input.age_offset"}, metadata),
        ({**arrays, "band.16.mean": arrays["band.16.mean"][:-1]}, metadata),
        ({**arrays, "band.16.fields": arrays["band.16.fields"].astype(np.float32)}, metadata),
        ({**arrays, "layer.1.weight": arrays["layer.1.weight"][:, :-1]}, metadata),
        ({**arrays, "band.999999.inside": arrays["band.16.inside"]}, metadata),
        ({k: v for k, v in arrays.items() if not k.startswith("layer")}, metadata),
    ]  # fmt: skip
    for number, (some, notes) in enumerate(spoilt):
        other = tmp_path / f"spoilt{number}.safetensors"
        write_tensors(other, some, notes)
        with pytest.raises(UserError, match=f"spoilt{number}"):
            DistilledDetail.load(other)
    with pytest.raises(ValueError, match="shapes"):
        model.coefficients(np.zeros(5), np.zeros(16), np.zeros(52))


def test_ridge_is_the_exact_map_where_there_is_one():
    random = np.random.default_rng(0)
    inputs = random.standard_normal((200, 6))
    slopes = random.standard_normal((6, 3))
    model, left = fit_held_out(inputs, inputs @ slopes + [1, 2, 3])
    np.testing.assert_allclose(model.slopes, slopes, atol=1e-2)
    np.testing.assert_allclose(model.offset, [1, 2, 3], atol=1e-2)
    assert left < 1e-4
    assert fit_held_out(inputs, random.standard_normal((200, 3)))[1] > 0.9


def test_the_finer_bands_coefficients_do_not_touch_the_low_one(model):
    coefficients = np.array([0, 0, 0, 1.0, 2.0, -1.0], np.float32)
    np.testing.assert_allclose(model.draw(coefficients, SIZE), model.draw(0 * coefficients, SIZE), atol=1e-7)
    assert np.abs(model.draw(coefficients, 2 * SIZE) - model.draw(0 * coefficients, 2 * SIZE)).max() > 1e-3


def test_latents_label_faces_where_coefficients_are_linear_in_them():
    random = np.random.default_rng(0)
    latents, resting = random.standard_normal((2, 300, 8, 10)).astype(np.float32)
    slopes = random.standard_normal((4, 10))
    labels = LatentLabels.fit(16, latents, resting, latents[:, 5] @ slopes.T + 0.5 * resting[:, 5] @ slopes.T)
    assert labels.style == 5 and labels.unexplained < 1e-6
    np.testing.assert_allclose(labels(latents, 0 * resting), latents[:, 5] @ slopes.T, atol=0.01)


@pytest.mark.train
@pytest.mark.slow
def test_training_distils_a_small_full_model(tmp_path, monkeypatch):
    """The whole command on a tiny generator: maps, training, weights; a second run keeps the maps."""
    torch.manual_seed(0)
    generator = GeneratorConfig(
        resolution=32, latent_width=32, channel_base=128, channel_most=8, constants={}
    )
    encoder = EncoderConfig(identity_size=128, hidden=16, latent_width=32, styles=(4, 2, 2))
    write_network_file(tmp_path / GENERATOR_FILE, DisplacementGenerator(generator), generator, {})
    write_network_file(tmp_path / ENCODER_FILE, DetailEncoder(encoder), encoder, {})
    monkeypatch.setattr(teacher_maps, "face_mask", lambda face, resolution: disc(resolution) > 0)
    (tmp_path / "tiny.toml").write_text(
        """
teacher = { people = 60, expressions = 2 }
teacher_fine = { people = 10, expressions = 2, first_seed = 1000 }
fields = { resolution = 16, components = 12, above = { 32 = 3 } }
network = { hidden = [48, 48, 48] }
[training]
drawn = 300
steps = 400
batch = 64
rate = 4e-3
decay = 0.01
average_steps = 20
log_steps = 100
"""
    )
    args = argparse.Namespace(
        config=str(tmp_path / "tiny.toml"), data=tmp_path / "maps", out=tmp_path / "out", resume=False,
        device="cpu", threads=0, weights=tmp_path, install=False, steps=None,
    )  # fmt: skip
    assert train_distilled_detail.run(args) == 0
    model = DistilledDetail.load(tmp_path / "out" / "distilled_detail.safetensors")
    full = Detailed3DMM.load(tmp_path, "cpu")
    stored = teacher_maps.make_teacher_maps(
        tmp_path / "maps" / "coarse", full, weights_fingerprint(tmp_path), 60, 2, (16,), 0
    )[16]  # fmt: skip
    rows = slice(0, 40)
    wanted = full.displacement(stored.identity[rows], stored.skin[rows], stored.expression[rows], 16)
    np.testing.assert_allclose(stored.maps[rows], wanted, atol=2e-3)
    found = model.displacement(stored.identity[rows], stored.skin[rows], stored.expression[rows], 16)
    inside = stored.mask > 0
    missed = (
        np.square((found - wanted)[:, inside]).sum() / np.square((wanted - wanted.mean(0))[:, inside]).sum()
    )
    assert missed < 0.5
    before = (tmp_path / "maps" / "coarse" / "maps_16.npy").stat().st_mtime_ns
    args.resume = True
    assert train_distilled_detail.run(args) == 0
    assert (tmp_path / "maps" / "coarse" / "maps_16.npy").stat().st_mtime_ns == before
    card = (tmp_path / "out" / "distilled_detail.md").read_text()
    assert "60 people x 2 expressions" in card and "sha256" in card


def test_held_out_people_are_not_taught(tmp_path):
    torch.manual_seed(0)
    generator = GeneratorConfig(
        resolution=16,
        latent_width=16,
        channel_base=64,
        channel_most=4,
        constants={},
        field_resolution=8,
    )
    encoder = EncoderConfig(identity_size=128, hidden=8, latent_width=16, styles=(2, 2, 2))
    full = Detailed3DMM(DisplacementGenerator(generator), DetailEncoder(encoder))
    with pytest.raises(UserError, match="held-out"):
        teacher_maps.make_teacher_maps(tmp_path, full, "x", 10, 1, (16,), 999_995)
