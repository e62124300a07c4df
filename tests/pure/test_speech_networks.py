"""Encoder and decoder: shapes, how far they listen, any frame rate, and their weight file."""

import numpy as np
import pytest
import torch

from ml_backend.errors import UserError
from ml_backend.files.tensor_file import read_tensors, write_tensors
from ml_backend.models.speech.speech_decoder import PROSODY, SpeechDecoder, SpeechDecoderConfig
from ml_backend.models.speech.speech_encoder import SpeechEncoder, SpeechEncoderConfig
from ml_backend.models.speech.speech_networks import DEFAULT_FILE, load_speech_networks
from ml_backend.phonetics.coarticulation import speech_channels


@pytest.fixture(scope="module")
def encoder() -> SpeechEncoder:
    torch.manual_seed(0)
    return SpeechEncoder(SpeechEncoderConfig(width=32, blocks=3)).eval()


@pytest.fixture(scope="module")
def decoder() -> SpeechDecoder:
    torch.manual_seed(0)
    return SpeechDecoder(SpeechDecoderConfig(width=32, layers=2)).eval()


@torch.no_grad()
def test_the_encoder_halves_the_rate_and_listens_locally(encoder):
    mel = torch.randn(1, 400, 64)
    changed = mel.clone()
    changed[:, 200] += 3
    difference = (encoder(mel) - encoder(changed)).abs().sum((0, 2))
    assert difference.shape == (200,) and difference[100] > 0
    assert difference[:80].max() < 1e-5 and difference[120:].max() < 1e-5
    for wrong in (torch.zeros(1, 401, 64), torch.zeros(1, 400, 63), torch.zeros(400, 64)):
        with pytest.raises(ValueError):
            encoder(wrong)


@torch.no_grad()
def test_the_decoder_answers_at_any_time_and_only_with_speech(decoder):
    posteriors, prosody = torch.rand(2, 150, 40), torch.rand(2, 150, PROSODY)
    at = torch.arange(150) / 50
    slow, fast = (decoder(posteriors, prosody, at, torch.arange(0, 3, 1 / fps)) for fps in (25, 50))
    assert slow.shape == (2, 75, 52) and fast.shape == (2, 150, 52)
    assert not slow[..., ~torch.from_numpy(speech_channels())].any()
    changed = posteriors.clone()
    changed[:, 140:] = 0
    assert torch.allclose(
        decoder(changed, prosody, at, torch.arange(0, 3, 1 / 25))[:, :20], slow[:, :20], atol=1e-5
    )


def test_gradients_reach_every_parameter(encoder, decoder):
    posteriors = encoder(torch.randn(2, 100, 64)).softmax(2)
    curves = decoder(posteriors, torch.rand(2, 50, PROSODY), torch.arange(50) / 50, torch.arange(30) / 30)
    (curves.square().sum() + posteriors.square().sum()).backward()
    for name, parameter in (*encoder.named_parameters(), *decoder.named_parameters()):
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name


def test_the_shipped_weights_load_and_spoiled_ones_do_not(tmp_path):
    networks = load_speech_networks(DEFAULT_FILE)
    with torch.no_grad():
        posteriors = networks.encoder(torch.zeros(1, 100, 64)).softmax(2)
    assert np.allclose(posteriors.sum(2), 1, atol=1e-4)
    arrays, metadata = read_tensors(DEFAULT_FILE)
    fewer = {name: array for name, array in arrays.items() if "classify" not in name}
    spoiled = {
        "a": (fewer, metadata),
        "b": (arrays, {**metadata, "phones": "X Y"}),
        "c": (arrays, {}),
        "d": (arrays, {**metadata, "encoder": "["}),
    }
    for name, (kept, facts) in spoiled.items():
        path = tmp_path / f"{name}.safetensors"
        write_tensors(path, kept, facts)
        with pytest.raises(UserError, match=path.name):
            load_speech_networks(path)
    (tmp_path / "cut.safetensors").write_bytes(DEFAULT_FILE.read_bytes()[:100000])
    with pytest.raises(UserError, match=r"cut\.safetensors"):
        load_speech_networks(tmp_path / "cut.safetensors")
