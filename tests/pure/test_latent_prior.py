"""The prior: it draws the people of training, follows the encoder, truncates, and is learned alone."""

import numpy as np
import pytest
import torch

from ml_backend.__main__ import main
from ml_backend.datasets.sampled_expressions import expressions_from_normal
from ml_backend.errors import UserError
from ml_backend.files.network_file import write_network_file
from ml_backend.files.training_log import read_records
from ml_backend.models.detail_encoder import DetailEncoder, EncoderConfig
from ml_backend.models.detailed_3dmm import (
    ENCODER_FILE,
    GENERATOR_FILE,
    PRIOR_FILE,
    read_generator,
    read_prior,
)
from ml_backend.models.displacement_generator import (
    DisplacementGenerator,
    GeneratorConfig,
    LatentPrior,
    PriorConfig,
)
from ml_backend.training.prior.fit_prior import build_prior, map_styles, start_from_encoder, style_weights

pytestmark = pytest.mark.train

SIZES = EncoderConfig(identity_size=4, hidden=24, latent_width=160, styles=(4, 2, 2))
GENERATOR = GeneratorConfig(
    resolution=32, latent_width=160, channel_base=128, channel_most=8, constants={32: 4}, field_resolution=16
)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    network = DetailEncoder(SIZES).eval().requires_grad_(False)
    for layer in (network.first, network.second, *network.deep, *network.heads):
        layer.weight *= 3  # random layers hardly tell people apart
    return network


def relative(made: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((made - wanted).square().mean() / wanted.var(0).mean())


def test_the_fixed_layer_draws_people_and_faces_as_training_does(encoder):
    z = torch.randn(50, 160)
    identity, skin, expression = build_prior(encoder, 8).people(z)
    torch.testing.assert_close(identity, z[:, :4])
    torch.testing.assert_close(skin, torch.cat([0.5 * z[:, 4:7], z[:, 7:20]], 1))
    np.testing.assert_allclose(expression, expressions_from_normal(z[:, 20:124].numpy()), atol=1e-5)
    assert 0.05 < float((expression > 0).float().mean()) < 0.5


def test_a_start_with_wide_bottlenecks_is_the_encoder_and_a_narrow_one_keeps_what_counts(encoder):
    z = torch.randn(400, 160)
    generator = DisplacementGenerator(GENERATOR)
    assert map_styles(generator) == [7]
    found = {}
    for rank, visible in ((24, 10.0), (6, 10.0), (2, 10.0), (2, 1.0)):
        prior = build_prior(encoder, rank)
        wanted = encoder(*prior.people(z))
        weights = style_weights(wanted, generator, visible)
        assert float((weights * wanted.var(0).mean(1)).sum()) == pytest.approx(1, rel=1e-4)
        start_from_encoder(prior, encoder, weights)
        made = prior(z).detach()
        found[rank, visible] = relative(made, wanted), relative(made[:, 7], wanted[:, 7])
    assert found[24, 10][0] < 1e-5 < found[6, 10][0] < found[2, 10][0] < 1
    assert found[2, 10][1] < found[2, 1][1]  # the style that maps follow comes first


def test_truncation_goes_to_the_mean_and_styles_mix(encoder):
    prior = build_prior(encoder, 8)
    z, other = torch.randn(2, 3, 160)
    mean = torch.randn(8, 160)
    torch.testing.assert_close(prior.latents(mean, z, 0.0), mean.expand(3, -1, -1))
    torch.testing.assert_close(prior.latents(mean, z, 0.5) - mean, 0.5 * prior(z))
    mixed = prior.latents(mean, z, mix=other, crossover=3)
    torch.testing.assert_close(mixed[:, :3], prior.latents(mean, z)[:, :3])
    torch.testing.assert_close(mixed[:, 3:], prior.latents(mean, other)[:, 3:])
    with pytest.raises(ValueError, match="cannot hold"):
        LatentPrior(PriorConfig(EncoderConfig(identity_size=128, latent_width=160)))


CONFIGURATION = """
[sets.coarse]
people = 4
expressions = 2

[generator]

[encoder]

[prior]
steps = 40
batch = 32
rate = 3e-4
rank = 6
log_steps = 20
"""


def test_the_prior_is_learned_alone_and_leaves_generator_and_encoder_as_they_are(tmp_path, encoder, capsys):
    generator = DisplacementGenerator(GENERATOR)
    write_network_file(tmp_path / GENERATOR_FILE, generator, GENERATOR, {})
    write_network_file(tmp_path / ENCODER_FILE, encoder, SIZES, {})
    before = [(tmp_path / name).read_bytes() for name in (GENERATOR_FILE, ENCODER_FILE)]
    configuration = tmp_path / "small.toml"
    out = tmp_path / "run"
    configuration.write_text(CONFIGURATION)
    for resume in ([], ["--resume"]):
        words = ["train", "dnpm", "--config", str(configuration), "--only", "prior", "--device", "cpu"]
        assert main([*words, "--start", str(tmp_path), "--out", str(out), *resume]) == 0
        capsys.readouterr()
    assert [(tmp_path / name).read_bytes() for name in (GENERATOR_FILE, ENCODER_FILE)] == before
    assert sorted(path.name for path in out.glob("*.safetensors")) == ["checkpoint.safetensors", PRIOR_FILE]
    records = read_records(out / "log.jsonl")
    assert [record["step"] for record in records] == [20, 40]  # the second run found it finished
    assert all(record["missed"] < 0.3 for record in records)
    prior = read_prior(out / PRIOR_FILE)
    z = torch.randn(200, 160)
    assert relative(prior(z), encoder(*prior.people(z))) < 0.3
    card = (out / PRIOR_FILE).with_suffix(".md").read_text()
    assert "--only prior" in card and "prior (40 steps)" in card
    with pytest.raises(UserError, match="prior of latents"):
        read_prior(tmp_path / ENCODER_FILE)


def test_a_generator_file_of_before_is_read_without_its_mapping_network(tmp_path):
    class Former(DisplacementGenerator):
        def __init__(self):
            super().__init__(GENERATOR)
            self.mapping = torch.nn.Linear(160, 160)

    former = Former()
    sizes = {**GENERATOR.__dict__, "mapping_layers": 4, "spread_rank": 64}
    write_network_file(tmp_path / GENERATOR_FILE, former, sizes, {})
    read = read_generator(tmp_path / GENERATOR_FILE)
    latents = torch.randn(1, 8, 160)
    torch.testing.assert_close(read(latents, 32), former(latents, 32), rtol=5e-2, atol=1e-3)
