"""DNPM's parts: resampling, modulated convolution, positional basis, generator, discriminator, losses."""

import numpy as np
import pytest
import torch

from ml_backend.errors import UserError
from ml_backend.files.network_file import write_network_file
from ml_backend.layers.blur_resampling import double_size, halve_size
from ml_backend.layers.equalized_linear import EqualizedLinear
from ml_backend.layers.modulated_convolution import ModulatedConvolution
from ml_backend.layers.windowed_basis import WindowedBasis, cut_tiles, join_tiles, spread_to_corners
from ml_backend.losses.adversarial import gradient_penalty, path_length_penalty
from ml_backend.losses.map_reconstruction import activity_weights, band_losses, power_loss
from ml_backend.models.detail_encoder import DetailEncoder, EncoderConfig
from ml_backend.models.detailed_3dmm import ENCODER_FILE, GENERATOR_FILE, Detailed3DMM
from ml_backend.models.displacement_discriminator import DisplacementDiscriminator, append_deviation
from ml_backend.models.displacement_generator import DisplacementGenerator, GeneratorConfig

SMALL = GeneratorConfig(
    resolution=64, latent_width=32, channel_base=256, channel_most=16, constants={32: 6,
    64: 4}, constants_seen=2,
    field_resolution=16,
)  # fmt: skip


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return DisplacementGenerator(SMALL)


def test_doubling_is_zero_insertion_and_the_binomial_filter():
    x = torch.randn(1, 1, 6, 6, dtype=torch.double)
    spread = torch.zeros(1, 1, 12, 12, dtype=torch.double)
    spread[:, :, ::2, ::2] = x
    taps = torch.tensor([1.0, 3, 3, 1], dtype=torch.double) / 4
    plain = torch.nn.functional.conv2d(spread, (taps[:, None] * taps)[None, None], padding=2)[:, :, :12, :12]
    torch.testing.assert_close(double_size(x)[:, :, 2:-2, 2:-2], plain[:, :, 2:-2, 2:-2])


def test_halving_keeps_constants_and_removes_the_finest_wave():
    torch.testing.assert_close(halve_size(torch.full((1, 2, 8, 8), 3.0)), torch.full((1, 2, 4, 4), 3.0))
    wave = torch.tensor([1.0, -1.0]).repeat(8).expand(1, 1, 16, 16)
    assert halve_size(wave)[:, :, :, 1:-1].abs().max() < 1e-6


def test_modulated_convolution_equals_one_kernel_per_sample():
    torch.manual_seed(1)
    layer = ModulatedConvolution(5, 3, 3, 8)
    x, latent = torch.randn(2, 5, 7, 7), torch.randn(2, 8)
    style = layer.style(latent)
    for sample in range(2):
        kernel = layer.weight * layer.gain * style[sample][None, :, None, None]
        kernel = kernel * torch.rsqrt(kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        plain = torch.nn.functional.conv2d(x[sample : sample + 1], kernel, padding=1)
        torch.testing.assert_close(layer(x, latent)[sample : sample + 1], plain, rtol=1e-4, atol=1e-5)
        with torch.no_grad():
            torch.testing.assert_close(
                layer(x[sample : sample + 1], latent[sample : sample + 1]), plain, rtol=1e-4, atol=1e-5
            )


def test_equalized_linear_keeps_variance_whatever_the_multiplier():
    torch.manual_seed(0)
    for multiplier in (1.0, 0.01):
        y = EqualizedLinear(256, 256, learning_rate_multiplier=multiplier)(torch.randn(64, 256))
        assert 0.8 < float(y.detach().std()) < 1.2


def test_tiles_round_trip_and_the_windowed_basis_is_the_weighted_sum():
    torch.manual_seed(2)
    basis = WindowedBasis(3, 16, 4).double()
    images = basis.images()
    torch.testing.assert_close(join_tiles(cut_tiles(images, 4), 4), images)
    flat = torch.randn(2, 3, dtype=torch.double)
    torch.testing.assert_close(
        basis(flat[:, :, None, None].expand(-1, -1, 5, 5)), torch.einsum("bn,nhw->bhw", flat, images)
    )
    corners = torch.randn(1, 3, 5, 5, dtype=torch.double)
    at = (torch.arange(16, dtype=torch.double) + 0.5) / 16 * 2 - 1
    grid = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1)[None]
    smooth = torch.nn.functional.grid_sample(corners, grid, mode="bilinear", align_corners=True)
    torch.testing.assert_close(basis(corners), (smooth * images).sum(1))
    torch.testing.assert_close(spread_to_corners(torch.ones(1, 2, 4, 4)), torch.ones(1, 2, 5, 5))


def test_default_generator_has_the_papers_inputs_and_outputs():
    config = GeneratorConfig()
    assert config.style_count == 18 and config.latent_width == 512 and config.resolutions[-1] == 1024


def test_coarse_maps_come_from_the_same_sum(generator):
    latents = torch.randn(2, SMALL.style_count, 32)
    maps = generator.maps(latents)
    assert [maps[r].shape for r in (4, 64)] == [(2, 1, 4, 4), (2, 1, 64, 64)]
    torch.testing.assert_close(generator(latents, 32), maps[32][:, 0])
    torch.testing.assert_close(generator(latents[:1]), generator(latents)[:1], rtol=1e-4, atol=1e-5)


def test_noise_enters_only_when_asked_and_scaled(generator):
    latents = torch.randn(1, SMALL.style_count, 32)
    torch.testing.assert_close(generator(latents, noise=True), generator(latents))
    with torch.no_grad():
        generator.blocks[-1].refine.noise_strength.fill_(1.0)
    assert not torch.equal(generator(latents, noise=True), generator(latents, noise=True))


def test_constants_coarser_than_their_weight_fields_are_refused():
    with pytest.raises(ValueError, match="finer"):
        DisplacementGenerator(GeneratorConfig(resolution=64, constants={16: 2}, field_resolution=32))


def test_discriminator_scores_and_sees_a_collapsed_batch():
    torch.manual_seed(0)
    network = DisplacementDiscriminator(32, channel_base=128, channel_most=16)
    maps = torch.randn(4, 1, 32, 32, requires_grad=True)
    logits = network(maps)
    assert logits.shape == (4,)
    assert float(gradient_penalty(logits, maps).detach()) > 0
    same, different = torch.ones(4, 2, 4, 4), torch.randn(4, 2, 4, 4)
    assert float(append_deviation(same)[0, -1, 0, 0]) < 1e-3 < float(append_deviation(different)[0, -1, 0, 0])


def test_path_length_of_a_linear_map_is_its_norm():
    torch.manual_seed(0)
    matrix = torch.randn(64, 8)
    latents = torch.randn(512, 1, 8, requires_grad=True)
    maps = (latents[:, 0] @ matrix.T).view(512, 1, 8, 8)
    _, mean = path_length_penalty(maps, latents, torch.zeros(()), decay=1.0)
    assert float(mean) == pytest.approx(float(matrix.norm()) / 8, rel=0.1)


def test_losses_prefer_the_truth_then_the_blurred_then_the_blank():
    torch.manual_seed(0)
    truth = torch.randn(2, 1, 32, 32)
    mask = torch.ones(32, 32)
    blurred = double_size(halve_size(truth))
    texture = [
        float(band_losses(own, truth, mask, 2)[1]) for own in (truth, blurred, torch.zeros_like(truth))
    ]
    assert texture[0] < 1e-6 < texture[1] < texture[2]
    power = [float(power_loss(own, truth)) for own in (truth, 10**0.05 * truth, truth.flip(3))]
    np.testing.assert_allclose(
        power, [0, 0.053, 0], atol=1e-3
    )  # one decibel louder; the same lines in another place
    sparse = torch.zeros(1, 1, 32, 32)
    sparse[:, :, 8:12] = 1
    weights = activity_weights(sparse, mask, 5)
    assert (
        float(weights.mean()) == pytest.approx(1, rel=1e-4)
        and weights[0, 0, 10, 10] > 5 * weights[0, 0, 28, 28]
    )


def test_written_networks_come_back_and_broken_ones_are_refused(tmp_path, generator):
    encoder = DetailEncoder(EncoderConfig(identity_size=5, hidden=16, latent_width=32, styles=(4, 3, 3)))
    write_network_file(tmp_path / GENERATOR_FILE, generator, generator.config, {})
    write_network_file(tmp_path / ENCODER_FILE, encoder, encoder.config, {})
    model = Detailed3DMM.load(tmp_path, "cpu")
    given = [np.random.default_rng(0).standard_normal((2, width)).astype(np.float32) for width in (5, 16, 52)]
    maps = model.displacement(*given, 32)
    assert maps.shape == (2, 32, 32) and maps.dtype == np.float32 and np.isfinite(maps).all()
    np.testing.assert_allclose(maps[1:], model.displacement(*(values[1:] for values in given), 32), atol=1e-6)
    with pytest.raises(ValueError, match="resolution"):
        model.displacement(*given, 100)
    with pytest.raises(ValueError, match="widths"):
        model.latent(given[0][:, :3], given[1], given[2])
    whole = (tmp_path / GENERATOR_FILE).read_bytes()
    (tmp_path / GENERATOR_FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=GENERATOR_FILE):
        Detailed3DMM.load(tmp_path, "cpu")
    write_network_file(tmp_path / GENERATOR_FILE, encoder, encoder.config, {})
    with pytest.raises(UserError, match="holds no displacement generator"):
        Detailed3DMM.load(tmp_path, "cpu")
