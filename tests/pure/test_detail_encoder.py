"""The detail encoder: shapes of its styles, second entry of the expression, partial and full latents."""

import torch

from ml_backend.models.detail_encoder import DetailEncoder, EncoderConfig
from ml_backend.models.displacement_generator import DisplacementGenerator, GeneratorConfig
from ml_backend.training.principal_start import latents_of


def build(**more) -> DetailEncoder:
    torch.manual_seed(0)
    return DetailEncoder(EncoderConfig(identity_size=7, hidden=24, latent_width=16, **more)).eval()


def test_eighteen_styles_from_three_depths():
    encoder = build()
    offsets = encoder(torch.randn(3, 7), torch.randn(3, 16), torch.rand(3, 52))
    assert offsets.shape == (3, 18, 16)
    deepest = encoder.heads[-1]
    with torch.no_grad():
        deepest.weight.zero_()
        deepest.bias.zero_()
    changed = encoder(torch.randn(3, 7), torch.randn(3, 16), torch.rand(3, 52))
    assert changed[:, 14:].abs().max() == 0 < changed[:, :14].abs().max()


def test_the_expression_enters_again_after_the_first_layer():
    encoder = build()
    identity, skin, expression = torch.randn(2, 7), torch.randn(2, 16), torch.rand(2, 52)
    with torch.no_grad():
        encoder.first.weight[:, -52:] = 0
    assert not torch.allclose(encoder(identity, skin, expression), encoder(identity, skin, 1 - expression))


def test_age_is_read_from_the_identity():
    encoder = build()
    identity, skin, expression = torch.zeros(1, 7), torch.zeros(1, 16), torch.zeros(1, 52)
    with torch.no_grad():
        encoder.condition_deviation[:7] = 1e9  # identities count for nothing but their age
    older = torch.tensor([[0.0, 0, 2, 0, 0, 0, 0]])
    torch.testing.assert_close(encoder(identity, skin, expression), encoder(older, skin, expression))
    encoder.age_weights[2] = 1.0
    assert not torch.allclose(encoder(identity, skin, expression), encoder(older, skin, expression))


def test_partial_latents_agree_with_the_whole():
    encoder = build()
    generator = DisplacementGenerator(GeneratorConfig(latent_width=16, channel_base=64, channel_most=4))
    with torch.no_grad():
        generator.mean_latent.normal_()
    given = [torch.randn(2, 7), torch.randn(2, 16), torch.rand(2, 52)]
    whole = encoder(*given) + generator.mean_latent
    torch.testing.assert_close(latents_of(encoder, generator, [3, 13, 17], given), whole[:, [3, 13, 17]])
