"""Making training speech and learning from it, at a tiny size."""

import argparse
import json
import shutil

import numpy as np
import pytest
import torch

from ml_backend.audio import log_mel
from ml_backend.audio.log_mel import band_frequencies
from ml_backend.datasets.speech_augmentation import augment, normalise, warp_frequency
from ml_backend.datasets.speech_dataset import SpeechSampler, read_stream, read_streams
from ml_backend.errors import UserError
from ml_backend.models.speech.speech_networks import load_speech_networks
from ml_backend.models.speech.viseme_perceptron import VISEMES, load_viseme_perceptron
from ml_backend.phonetics.phones import PHONES
from ml_backend.speech_data.build_speech_data import BuildSpeechDataRequest, build_speech_data, write_voice
from ml_backend.speech_data.sentences import english_sentence, syllables
from ml_backend.speech_data.synthesisers import Line, Utterance, Voice, speak
from ml_backend.training import train_speech, train_viseme_perceptron

TINY = """
[encoder]
width = 24
blocks = 2
[decoder]
width = 16
heads = 2
layers = 1
[loss]
phone = 1.0
lips = 0.5
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
rate = 2e-3
decay = 0.0
half_life = 2
given_phones = 0.25
bfloat16 = true
log_every = 3
leave_out = ["flite-b"]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two voices of tones and noises, one sound a phone."""
    folder = tmp_path_factory.mktemp("speech")
    rng = np.random.default_rng(0)
    for name in ("flite-a", "flite-b"):
        utterances = []
        for _ in range(4):
            phones = rng.integers(0, len(PHONES), 12).astype(np.uint8)
            ends = np.cumsum(rng.uniform(0.06, 0.2, 12)).astype(np.float32)
            time = np.arange(int(ends[-1] * 16000)) / 16000
            which = phones[np.minimum(np.searchsorted(ends, time), 11)].astype(int)
            sound = np.sin(2 * np.pi * (200 + 90 * which) * time) * (which > 0) * 0.3 + rng.normal(
                0, 0.003, len(time)
            )
            utterances.append(Utterance(sound.astype(np.float32), phones, ends))
        write_voice(folder / f"{name}.safetensors", utterances, name)
    return folder


def train(data, out, steps, resume=False):
    config = out.parent / "tiny.toml"
    config.write_text(TINY.format(steps=steps))
    return train_speech.run(
        argparse.Namespace(
            start=None,
            config=str(config),
            data=data,
            out=out,
            resume=resume,
            device="cpu",
            threads=1,
            steps=None,
        )
    )


@pytest.mark.train
@pytest.mark.slow
def test_training_runs_resumes_and_writes_weights_that_load(data, tmp_path):
    assert train(data, tmp_path / "run", 6) == 0
    assert train(data, tmp_path / "run", 12, resume=True) == 0
    rows = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [3, 6, 6, 9, 12, 12]
    assert rows[-1]["held_phone"] < rows[0]["held_phone"]
    networks = load_speech_networks(tmp_path / "run/speech.safetensors")
    assert networks.encoder.config.width == 24


def test_crops_label_the_sound_they_hold(data):
    sampler = SpeechSampler([read_stream(data / "flite-a.safetensors")], 1.5, 0, augmented=False)
    batch = sampler.batch(8, 30.0)
    assert (
        batch.mel.shape == (8, 150, 64)
        and batch.labels.shape == (8, 75)
        and batch.curves.shape == (8, 45, 52)
    )
    spoken = (batch.labels > 3) & (batch.labels < 40)

    def at_tone(labels: torch.Tensor) -> float:
        band = torch.searchsorted(
            torch.from_numpy(band_frequencies()).float(), 200 + 90 * labels.float()
        ).clamp(max=63)
        return float(batch.mel[:, ::2].gather(2, band[..., None])[..., 0][spoken].mean())

    assert at_tone(batch.labels) > at_tone(batch.labels.roll(1, 0).clamp(0, 39)) + 1.0


def test_the_two_normalisations_agree(data):
    mel = read_stream(data / "flite-a.safetensors").mel[:300].astype(np.float32)
    ours, loud = log_mel.normalise(mel)
    theirs, their_loud = normalise(torch.from_numpy(mel)[None])
    assert np.allclose(ours, theirs[0], atol=1e-4) and np.allclose(loud, their_loud[0], atol=1e-4)


def test_warping_moves_a_peak_by_the_factor():
    hz = torch.from_numpy(band_frequencies()).float()
    mel = -((hz - 2000) ** 2 / 2e5)[None, None].expand(2, 3, 64).clamp(min=-12)
    warped = warp_frequency(mel, torch.tensor([0.8, 1.25]))
    assert hz[warped[0, 0].argmax()] == pytest.approx(1600, rel=0.06) and hz[
        warped[1, 0].argmax()
    ] == pytest.approx(2500, rel=0.06)
    assert torch.allclose(warp_frequency(mel, torch.ones(2)), mel, atol=1e-5)


def test_augmentation_is_seeded_and_finite():
    mel = torch.randn(6, 120, 64) * 2 - 6
    one, two = (augment(mel, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, two) and torch.isfinite(one).all() and not torch.allclose(one, mel)
    assert torch.isfinite(augment(torch.full((3, 120, 64), -20.0), torch.Generator().manual_seed(1))).all()


def test_sentences_are_seeded_and_varied():
    lines = [english_sentence(np.random.default_rng(i), ("apple", "boat", "vivid")) for i in range(200)]
    assert lines == [
        english_sentence(np.random.default_rng(i), ("apple", "boat", "vivid")) for i in range(200)
    ]
    assert len(set(lines)) > 150 and all(line[-1] in ".?!" for line in lines)
    assert all(
        "," in syllables(np.random.default_rng(i), language)
        for i, language in enumerate(("it", "cs", "fi", "ca"))
    )


@pytest.mark.skipif(not shutil.which("flite"), reason="flite is not installed")
def test_flite_tells_phone_times_and_data_can_be_made_again(tmp_path):
    (said,) = speak(Voice("flite", "slt"), [Line("My baby boy.")])
    names = [PHONES[i] for i in said.phones]
    assert names[0] == names[-1] == "PAU" and names.count("B") == 3
    assert said.ends[-1] == pytest.approx(len(said.samples) / 16000, abs=0.05)
    for folder in ("a", "b"):
        build_speech_data(BuildSpeechDataRequest(tmp_path / folder, 0.05, 3, ("flite",)), lambda line: None)
    first, second = (sorted((tmp_path / folder).glob("*.safetensors")) for folder in ("a", "b"))
    assert len(first) == 5 and [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert len(read_streams(tmp_path / "a")[0]) == 5


def test_a_folder_without_speech_and_an_engine_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no speech training files"):
        read_streams(tmp_path)
    with pytest.raises(UserError, match="nonsense"):
        build_speech_data(BuildSpeechDataRequest(tmp_path, 0.1, 0, ("nonsense",)), lambda line: None)


@pytest.mark.train
@pytest.mark.slow
def test_the_baseline_learns_visemes_and_loads(data, tmp_path):
    args = argparse.Namespace(
        config="2core", data=data, out=tmp_path / "perceptron", steps=30, device="cpu", threads=1
    )
    assert train_viseme_perceptron.run(args) == 0
    row = json.loads((tmp_path / "perceptron/log.jsonl").read_text().splitlines()[-1])
    assert row["step"] == 30 and row["train_loss"] < np.log(len(VISEMES))
    model = load_viseme_perceptron(tmp_path / "perceptron/viseme_perceptron.safetensors")
    assert model(torch.zeros(2, 60, 64)).shape == (2, 30, len(VISEMES))
    assert sorted(phone for members in VISEMES for phone in members) == sorted(PHONES)
    with pytest.raises(UserError, match="perceptron"):
        load_viseme_perceptron(data / "flite-a.safetensors")
