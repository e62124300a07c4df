"""The albedo model: resampling, components, projection, files, value and chroma, the detail."""

import colorsys

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch.nn import functional

from ml_backend.errors import UserError
from ml_backend.evaluation.colour_fidelity import TrueColours
from ml_backend.files.network_file import read_network_file, write_network_file
from ml_backend.files.tensor_file import read_tensors, write_tensors
from ml_backend.geometry.map_resampling import resample
from ml_backend.models.skin import albedo_detail
from ml_backend.models.skin.albedo_detail import (
    AlbedoDetail,
    AlbedoDetailConfig,
    DetailAutoencoder,
    albedo_detail_config,
    missing_detail,
)
from ml_backend.models.skin.albedo_model import AlbedoModel, add_chroma, add_to_value
from ml_backend.training.albedo.coarse_components import fit_coarse

SIZE, HIDDEN = 16, 5
TINY = AlbedoDetailConfig(
    resolution=64, latent=4, fields=6, widths=(8, 8, 8), chroma_latent=2, chroma_widths=(8, 8, 8)
)


def people_of(count: int, seed: int = 0) -> np.ndarray:
    """(count, 3, 16, 16): smooth pictures whose channels go together, as those of skin do."""
    random = np.random.default_rng(seed)
    patterns = resample(np.random.default_rng(7).standard_normal((HIDDEN, 4, 4)).astype(np.float32), SIZE)
    colour = np.array([[0.9, 1.0, 1.1], [0.3, 0.5, 0.5], [0.2, 0.1, 0.0], [0, 0.1, 0.2], [0.1, 0.1, 0.1]])
    amounts = 0.05 * random.standard_normal((count, HIDDEN))
    base = np.array([0.75, 0.55, 0.45])[None, :, None, None]
    return (base + np.einsum("nk,kc,khw->nchw", amounts, colour, patterns)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> AlbedoModel:
    return fit_coarse(people_of(60), 5, np.ones((SIZE, SIZE), bool))


@pytest.mark.parametrize(("source", "target"), [(16, 32), (16, 64), (64, 16), (32, 16), (48, 16)])
def test_resampling_is_that_of_torch(source, target):
    maps = np.random.default_rng(0).standard_normal((2, 3, source, source)).astype(np.float32)
    usual = functional.interpolate(
        torch.from_numpy(maps), size=(target, target), mode="bicubic", antialias=target < source
    )
    np.testing.assert_allclose(resample(maps, target), usual.numpy(), atol=2e-5)
    assert resample(maps, source) is maps


def test_components_of_each_channel_bring_people_back(model):
    assert model.axes.shape == (3, 5, 1, SIZE, SIZE) and model.axes.dtype == np.int8
    assert model.coefficient_count == 15
    truth = people_of(4, seed=3)[0]
    coefficients = model.project(truth)
    assert coefficients.shape == (15,) and np.abs(coefficients).max() < 5, "not in deviations of people"
    np.testing.assert_allclose(model.colours(coefficients), truth, atol=3e-3)
    fine = resample(truth, 2 * SIZE)
    np.testing.assert_allclose(model.colours(model.project(fine)), truth, atol=0.03)


def test_joint_components_are_colour_pictures():
    joint = fit_coarse(people_of(60), 5, np.ones((SIZE, SIZE), bool), joint=True)
    assert joint.axes.shape == (1, 5, 3, SIZE, SIZE) and joint.coefficient_count == 5
    truth = people_of(4, seed=3)[1]
    np.testing.assert_allclose(joint.colours(joint.project(truth)), truth, atol=3e-3)


def test_people_that_are_seen_in_part_are_completed(model):
    truth = people_of(2, seed=9)[0]
    seen = np.zeros((SIZE, SIZE), np.float32)
    seen[:, : SIZE // 2] = 1
    spoilt = np.where(seen > 0, truth, 0.1).astype(np.float32)
    completed = model.colours(model.project(spoilt, seen, noise=2e-3))
    hidden = (slice(None), slice(None), slice(SIZE // 2, None))
    of_mean = np.abs(model.mean[:, 0] - truth)[hidden].mean()
    assert np.abs(completed - truth)[hidden].mean() < 0.35 * of_mean
    sure = model.project(truth, np.ones((SIZE, SIZE)), noise=1e-4)
    np.testing.assert_allclose(model.colours(sure), truth, atol=3e-3)
    faint = model.project(truth, np.ones((SIZE, SIZE)), noise=100)
    assert np.abs(faint).max() < 0.05, "an unsure map is nobody's"


def test_random_people_have_the_colours_of_people(model):
    drawn = np.stack([model.random_coefficients(seed) for seed in range(200)])
    np.testing.assert_array_equal(drawn[3], model.random_coefficients(3))
    np.testing.assert_allclose(2 * drawn[5], model.random_coefficients(5, spread=2), rtol=1e-5)
    means = np.stack([model.colours(one).mean((1, 2)) for one in drawn])
    wanted = people_of(60).mean((2, 3))
    np.testing.assert_allclose(np.corrcoef(means.T), np.corrcoef(wanted.T), atol=0.15)
    np.testing.assert_allclose(means.std(0), wanted.std(0), rtol=0.3)


def test_a_model_reads_back_as_it_was_written(model, tmp_path):
    model.write(tmp_path / "albedo.safetensors", {"command": "train"})
    stored = AlbedoModel.read(tmp_path / "albedo.safetensors")
    np.testing.assert_array_equal(stored.axes, model.axes)
    coefficients = model.random_coefficients(1)
    np.testing.assert_allclose(stored.colours(coefficients), model.colours(coefficients), atol=1e-3)
    assert read_tensors(tmp_path / "albedo.safetensors")[1]["command"] == "train"


@pytest.mark.parametrize("spoilt", ["format", "axes", "mixing", "step"])
def test_broken_files_are_refused(model, tmp_path, spoilt):
    path = tmp_path / "albedo.safetensors"
    model.write(path)
    arrays, metadata = read_tensors(path)
    if spoilt == "format":
        metadata = {}
    elif spoilt == "axes":
        arrays["axes"] = arrays["axes"].astype(np.float32)
    else:
        arrays[spoilt] = arrays[spoilt][:-1]
    write_tensors(path, arrays, metadata)
    with pytest.raises(UserError, match="albedo model"):
        AlbedoModel.read(path)
    with pytest.raises(UserError, match="cannot be read"):
        AlbedoModel.read(tmp_path / "none.safetensors")


def test_maps_and_coefficients_of_other_shapes_are_refused(model):
    with pytest.raises(ValueError, match="coefficients"):
        model.colours(np.zeros(14))
    with pytest.raises(ValueError, match="multiple"):
        model.project(np.zeros((3, 24, 24)))
    with pytest.raises(ValueError, match="finite"):
        model.project(np.full((3, SIZE, SIZE), np.nan))
    with pytest.raises(ValueError, match="weights"):
        model.project(np.zeros((3, SIZE, SIZE)), np.zeros((SIZE, SIZE)))
    with pytest.raises(UserError, match="components"):
        fit_coarse(people_of(5), 5, np.ones((SIZE, SIZE), bool))


def test_value_changes_and_hue_and_saturation_stay():
    random = np.random.default_rng(0)
    colours = random.uniform(0.2, 0.8, (3, 8, 8)).astype(np.float32)
    detail = random.uniform(-0.15, 0.15, (8, 8)).astype(np.float32)
    made = add_to_value(colours, detail)
    for row, column in ((0, 0), (3, 5), (7, 2)):
        before = colorsys.rgb_to_hsv(*map(float, colours[:, row, column]))
        after = colorsys.rgb_to_hsv(*map(float, made[:, row, column]))
        assert after[:2] == pytest.approx(before[:2], abs=1e-4)
        assert after[2] - before[2] == pytest.approx(float(detail[row, column]), abs=1e-5)
    other = albedo_detail.add_to_value(torch.from_numpy(colours)[None], torch.from_numpy(detail)[None, None])
    np.testing.assert_allclose(other[0].numpy(), made, atol=1e-6)
    chroma = random.uniform(-0.1, 0.1, (2, 8, 8)).astype(np.float32)
    tinted = albedo_detail.add_chroma(other, torch.from_numpy(chroma)[None])[0].numpy()
    np.testing.assert_allclose(tinted, add_chroma(made, chroma), atol=1e-6)
    assert np.isfinite(add_to_value(np.zeros((3, 2, 2), np.float32), np.full((2, 2), -1.0))).all()


def test_value_and_chroma_are_all_that_a_coarse_map_lacks():
    truth = torch.rand(2, 3, 16, 16) * 0.2 + torch.tensor([0.7, 0.3, 0.2])[:, None, None]
    coarse = truth + 0.02 * torch.randn(2, 3, 16, 16)
    value, chroma = missing_detail(truth, coarse)
    assert value.shape == (2, 1, 16, 16) and chroma.shape == (2, 2, 16, 16)
    made = albedo_detail.add_chroma(albedo_detail.add_to_value(coarse, value), chroma)
    torch.testing.assert_close(made, truth, atol=1e-5, rtol=0)


def part_with_fields() -> tuple[DetailAutoencoder, torch.Tensor]:
    torch.manual_seed(0)
    part = DetailAutoencoder(1, 4, 6, (8, 8, 8), 128).eval()
    fields = 0.01 * torch.randn(6, 1, 128, 128)
    part.set_fields(0.02 * torch.randn(1, 128, 128), fields, torch.tensor([0.01]))
    return part, fields


def test_the_even_part_of_a_latent_weighs_the_fields():
    part, fields = part_with_fields()
    weights = torch.tensor([[1.0, -2.0, 0.5, 0.0, 1.5, -1.0]])
    mean = part.decode(torch.zeros(1, 4, 8, 8)) - part.decoder(torch.zeros(1, 4, 8, 8)) * 0.01
    detail = mean + torch.einsum("bk,kchw->bchw", weights, fields)
    latent, spread = part.encode(detail)
    assert latent.shape == spread.shape == (1, 4, 8, 8)
    slots = functional.pixel_unshuffle(latent, 2).mean((2, 3))
    torch.testing.assert_close(slots[:, :6], weights, atol=0.05, rtol=0.03)
    window = (slice(32, 96), slice(0, 64))
    cut = part.encode(detail[..., 32:96, :64], window)[0]
    assert cut.shape == (1, 4, 4, 4)
    near = functional.pixel_unshuffle(cut, 2).mean((2, 3))[:, :6]
    torch.testing.assert_close(near, weights, atol=0.1, rtol=0.05)


def test_maps_twice_as_large_have_latents_twice_as_large():
    part, _ = part_with_fields()
    detail = 0.01 * torch.randn(1, 1, 256, 256)
    latent = part.encode(detail)[0]
    assert latent.shape == (1, 4, 16, 16)
    assert part.decode(latent).shape == (1, 1, 256, 256)
    with pytest.raises(ValueError, match="multiple"):
        part.encode(detail[..., :192, :192])
    with pytest.raises(ValueError, match="fit"):
        DetailAutoencoder(1, 2, 9, (8, 8, 8), 64)


def test_the_paper_s_latent_is_32_by_32_by_4():
    network = AlbedoDetail(AlbedoDetailConfig(widths=(4, 4, 4), chroma_widths=(4, 4, 4))).eval()
    with torch.inference_mode():
        value, chroma = network.latents(torch.rand(1, 3, 512, 512), torch.rand(1, 3, 512, 512))
    assert value.shape == (1, 4, 32, 32) and chroma.shape == (1, 2, 32, 32)


def test_chroma_can_be_switched_off(tmp_path):
    torch.manual_seed(1)
    network = AlbedoDetail(TINY).eval()
    coarse = torch.rand(1, 3, 64, 64) * 0.2 + torch.tensor([0.7, 0.4, 0.3])[:, None, None]
    value, chroma = network.latents(coarse + 0.02 * torch.randn_like(coarse), coarse)
    plain = network.detailed(coarse, value)
    share = plain / coarse
    torch.testing.assert_close(share[:, 0], share[:, 2], atol=1e-5, rtol=0)
    tinted = network.detailed(coarse, value, 30 * chroma + 1)
    torch.testing.assert_close(tinted[:, 0], plain[:, 0])
    assert (tinted[:, 1:] - plain[:, 1:]).abs().max() > 1e-4
    assert network.detailed(coarse, None) is coarse
    path = tmp_path / "albedo_detail.safetensors"
    write_network_file(path, network, TINY, {})
    assert read_tensors(path)[0]["value.fields"].dtype == np.uint8
    stored = read_network_file(path, lambda table: AlbedoDetail(albedo_detail_config(table)))
    assert stored.config == TINY
    torch.testing.assert_close(stored.detailed(coarse, value), plain, atol=2e-3, rtol=0)


def test_similarity_is_that_of_scikit_image():
    truth = torch.rand(3, 48, 48)
    made = (truth + 0.1 * torch.randn(3, 48, 48)).clamp(0, 1)
    usual = structural_similarity(
        truth.numpy(), made.numpy(), data_range=1, channel_axis=0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )[1]  # fmt: skip
    inner = torch.zeros(48, 48, dtype=torch.bool)
    inner[6:-6, 6:-6] = True
    compared = TrueColours(truth, inner)
    assert compared.similarity(made) == pytest.approx(np.asarray(usual)[:, 6:-6, 6:-6].mean(), abs=1e-5)
    assert compared.similarity(truth) == pytest.approx(1, abs=1e-5)
    assert compared.square(truth + 1 / 255) == pytest.approx(1, rel=1e-3)
