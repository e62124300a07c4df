"""The autoregressive decoder: same with and without cache, causal, constant memory, rewind, training."""

import argparse
import json

import numpy as np
import pytest
import torch

from ml_backend.errors import UserError
from ml_backend.models.speech.autoregressive_decoder import (
    FRAME_RATE,
    WINDOW,
    AutoregressiveDecoder,
    AutoregressiveDecoderConfig,
    PastLayer,
)
from ml_backend.models.speech.speech_decoder import PROSODY
from ml_backend.models.speech.speech_networks import load_autoregressive_decoder
from ml_backend.phonetics.coarticulation import speech_channels
from ml_backend.phonetics.phones import PHONES
from ml_backend.pipelines.speech_windows import AutoregressiveStream, SpeechFeatures
from ml_backend.speech_data.build_speech_data import write_voice
from ml_backend.speech_data.synthesisers import Utterance
from ml_backend.training import train_speech_autoregressive

SECONDS = 8
ROWS = 50 * SECONDS


@pytest.fixture(scope="module")
def decoder() -> AutoregressiveDecoder:
    """Random weights whose frames depend on their past all the way."""
    torch.manual_seed(0)
    decoder = (
        AutoregressiveDecoder(AutoregressiveDecoderConfig(width=32, heads=4, layers=2))
        .eval()
        .requires_grad_(False)
    )
    decoder.write.weight.normal_(std=0.25)
    decoder.write.bias.fill_(0.5)
    for layer in decoder.layers:
        assert isinstance(layer, PastLayer)
        layer.own.bias.normal_()
        layer.cross.bias.normal_()
    return decoder


@pytest.fixture(scope="module")
def speech() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return (
        torch.rand(ROWS, len(PHONES)).softmax(1),
        torch.randn(ROWS, PROSODY),
        torch.arange(ROWS) / 50 + 0.005,
    )


def recomputed(decoder: AutoregressiveDecoder, speech, count: int) -> torch.Tensor:
    """Plainly: the whole network over all frames so far, again for every frame."""
    posteriors, prosody, times = speech
    past = torch.zeros(1, 52)
    for _ in range(count):
        frames = decoder(posteriors[None], prosody[None], times, past[None])[0].clamp(0, 1)
        past = torch.cat([past, frames[-1:]])
    return past[1:]


def test_remembering_changes_nothing(decoder, speech):
    count = 3 * WINDOW
    plain = recomputed(decoder, speech, count)
    past = decoder.start()
    streamed = torch.cat([decoder.step(past, *speech, n) for n in (1, 7, count - 8)])
    assert torch.allclose(plain, streamed, atol=1e-5)
    assert (
        plain.std(0)[torch.from_numpy(speech_channels())].median() > 0.01
        and not plain[:, ~torch.from_numpy(speech_channels())].any()
    )
    other = decoder.start()
    other.frames = torch.ones(1, 52)
    assert not torch.allclose(
        decoder.step(other, *speech, 10), streamed[:10], atol=1e-3
    )  # what was before matters


def test_later_sound_changes_no_earlier_frame(decoder, speech):
    posteriors, prosody, times = speech
    changed = posteriors.clone()
    changed[times > 3.0] = 0
    before, after = (decoder.step(decoder.start(), p, prosody, times, 150) for p in (posteriors, changed))
    known = torch.arange(150) / FRAME_RATE <= 3.0 - 0.4
    assert torch.equal(before[known], after[known]) and not torch.allclose(
        before[~known], after[~known], atol=1e-3
    )


def test_a_stream_is_small_and_can_be_wound_back(decoder, speech):
    past = decoder.start(slack=15)
    first = decoder.step(past, *speech, 120)
    held = sum(t.numel() for t in (past.frames, *past.keys, *past.values))
    past.rewind(106)
    assert past.next == 106 and torch.allclose(decoder.step(past, *speech, 14), first[106:], atol=1e-6)
    decoder.step(past, *speech, 60)
    assert (
        sum(t.numel() for t in (past.frames, *past.keys, *past.values)) == held
        and len(past.frames) == WINDOW + 15
    )
    for impossible in (past.next + 1, past.next - 16):
        with pytest.raises(ValueError):
            past.rewind(impossible)


@pytest.mark.parametrize("fps", [1.0, 24.0, 30.0, 120.0])
def test_windows_that_overlap_give_one_motion(decoder, speech, fps):
    posteriors, prosody, times = (part.numpy() for part in speech)
    features = SpeechFeatures(posteriors, prosody, times.astype(np.float64))
    frames = np.arange(0, 6, 1 / fps)
    whole = AutoregressiveStream(decoder).curves(features, frames)
    stream, middle = AutoregressiveStream(decoder), 3.0
    early = stream.curves(features, frames[frames < middle + 0.25])
    late = stream.curves(features, frames[frames >= middle - 0.25])
    assert np.allclose(early, whole[: len(early)], atol=1e-5) and np.allclose(
        late, whole[-len(late) :], atol=1e-5
    )


def test_an_hour_in_hears_the_same(decoder, speech):
    posteriors, prosody, times = speech
    begin = 90000  # frames, a whole number of the encoding's periods
    now = decoder.step(decoder.start(), posteriors, prosody, times, 50)
    later = decoder.step(decoder.start(begin), posteriors, prosody, times, 50, begin / FRAME_RATE)
    assert torch.allclose(now, later, atol=1e-3)


TINY = """
[decoder]
width = 16
heads = 2
layers = 1
period = 25
[loss]
vertex = 0.05
expression = 0.1
square = 4.0
velocity = 0.1
gap = 0.05
closing = 2.0
[training]
seed = 0
steps = {steps}
minutes = 0
batch = 4
seconds = 1.5
rate = 1e-2
decay = 0.0
half_life = 2
given_phones = 1.0
fresh = 2
pool = 4
own_past = 0.9
noise = 0.05
bfloat16 = false
log_every = 10
leave_out = ["flite-b"]
"""


@pytest.mark.train
@pytest.mark.slow
def test_training_lowers_the_loss_resumes_and_writes_weights_that_load(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("flite-a", "flite-b"):
        utterances = []
        for _ in range(3):
            phones, ends = (
                rng.integers(0, len(PHONES), 12).astype(np.uint8),
                np.cumsum(rng.uniform(0.06, 0.2, 12)).astype(np.float32),
            )
            utterances.append(
                Utterance(rng.normal(0, 0.1, int(ends[-1] * 16000)).astype(np.float32), phones, ends)
            )
        write_voice(tmp_path / f"{name}.safetensors", utterances, name)
    out, config = tmp_path / "run", tmp_path / "tiny.toml"
    for steps, resume in ((60, False), (70, True)):
        config.write_text(TINY.format(steps=steps))
        settings = {
            "config": str(config),
            "data": tmp_path,
            "out": out,
            "resume": resume,
            "device": "cpu",
            "threads": 1,
            "steps": None,
        }
        weights = argparse.Namespace(weights=train_speech_autoregressive.DEFAULT_FILE, **settings)
        assert train_speech_autoregressive.run(weights) == 0
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [10, 20, 30, 40, 50, 60, 70]
    assert np.mean([row["train_expression"] for row in rows[3:6]]) < 0.8 * rows[0]["train_expression"]
    assert rows[0]["own_past"] < rows[5]["own_past"] == 0.9
    assert load_autoregressive_decoder(out / "speech_autoregressive.safetensors").config.width == 16
    with pytest.raises(UserError, match="autoregressive"):
        load_autoregressive_decoder(tmp_path / "flite-a.safetensors")
