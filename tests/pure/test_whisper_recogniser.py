"""Whisper's encoder out of a model of CTranslate2, and the head on it: small random ones, broken ones."""

import argparse
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from ml_backend.audio.whisper_mel import whisper_mel
from ml_backend.commands import animate
from ml_backend.datasets.whisper_features import (
    FeatureSampler,
    FeatureSettings,
    change_sound,
    make_features,
    read_voice_sound,
    voice_paths,
)
from ml_backend.errors import UserError
from ml_backend.evaluation.evaluate_speech import evaluate_speech
from ml_backend.evaluation.speech_clips import read_voice_clips
from ml_backend.files.ctranslate2_file import model_parts, read_ctranslate2
from ml_backend.models.speech.speech_networks import load_speech_networks
from ml_backend.models.speech.whisper_encoder import WhisperEncoder, WhisperEncoderConfig, positions
from ml_backend.models.speech.whisper_phones import (
    encoder_fingerprint,
    load_whisper_encoder,
    load_whisper_phones,
)
from ml_backend.models.speech.whisper_recogniser import load_recogniser, load_whisper_recogniser
from ml_backend.phonetics.phones import PHONES
from ml_backend.pipelines.speech_windows import extract_features, pool_posteriors
from ml_backend.speech_data.build_speech_data import write_voice
from ml_backend.speech_data.synthesisers import Utterance
from ml_backend.training import train_whisper_phones

WIDTH = 64
BLOCKS = 2
TYPES = {"float32": 0, "int8": 1, "int16": 2, "float16": 4}
TINY = """
[head]
layers = [1, 2]
inner = 24
blocks = 1
taps = 3
dropout = 0.0
[features]
hours = 0.01
held_hours = 0.004
shortest = 1.0
longest = 2.0
seed = 0
[shares]
flite = 1.0
[loss]
phone = 1.0
lips = 0.5
[training]
seed = 0
steps = {steps}
batch = 8
rows = 30
rate = 5e-3
decay = 0.0
half_life = 2
log_steps = 5
leave_out = ["flite-b"]
"""


def text(name: str) -> bytes:
    letters = name.encode() + b"\0"
    return struct.pack("<H", len(letters)) + letters


def model_bytes(arrays: dict[str, np.ndarray], kind: str = "WhisperSpec", version: int = 6) -> bytes:
    """A model of CTranslate2 as its converter writes it."""
    parts = [struct.pack("<I", version), text(kind), struct.pack("<II", 3, len(arrays))]
    for name, array in arrays.items():
        parts += [text(name), struct.pack("<B", array.ndim), struct.pack(f"<{array.ndim}I", *array.shape)]
        parts += [struct.pack("<BI", TYPES[array.dtype.name], array.nbytes), array.tobytes()]
    return b"".join([*parts, struct.pack("<I", 0)])


def tiny_arrays(seed: int = 0, bands: int = 80) -> dict[str, np.ndarray]:
    """Random variables of an encoder, and some of a decoder that nobody reads."""
    rng = np.random.default_rng(seed)
    shapes = {"conv1/weight": (WIDTH, bands, 3), "conv2/weight": (WIDTH, WIDTH, 3)}
    norms = ["layer_norm"]
    for index in range(BLOCKS):
        place = f"layer_{index}"
        shapes[f"{place}/self_attention/linear_0/weight"] = (3 * WIDTH, WIDTH)
        shapes[f"{place}/self_attention/linear_1/weight"] = (WIDTH, WIDTH)
        shapes[f"{place}/ffn/linear_0/weight"] = (4 * WIDTH, WIDTH)
        shapes[f"{place}/ffn/linear_1/weight"] = (WIDTH, 4 * WIDTH)
        norms += [f"{place}/self_attention/layer_norm", f"{place}/ffn/layer_norm"]
    shapes |= {name.replace("weight", "bias"): shape[:1] for name, shape in shapes.items()}
    arrays = {f"encoder/{n}": rng.normal(0, 0.1, s).astype(np.float16) for n, s in shapes.items()}
    for name in norms:
        arrays[f"encoder/{name}/gamma"] = np.ones(WIDTH, np.float16)
        arrays[f"encoder/{name}/beta"] = np.zeros(WIDTH, np.float16)
    arrays["encoder/num_heads"] = np.int16(WIDTH // 64)
    return {"decoder/embeddings/weight": rng.normal(size=(30, WIDTH)).astype(np.float16), **arrays}


def write_model(path: Path, arrays: dict[str, np.ndarray] | None = None, **settings) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model_bytes(tiny_arrays() if arrays is None else arrays, **settings))
    return path


def test_the_spectrum_is_that_of_the_paper():
    librosa = pytest.importorskip("librosa")
    samples = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
    power = np.abs(librosa.stft(samples, n_fft=400, hop_length=160, pad_mode="reflect"))[:, :-1] ** 2
    level = np.log10(np.maximum(librosa.filters.mel(sr=16000, n_fft=400, n_mels=80) @ power, 1e-10))
    expected = (np.maximum(level, level.max() - 8) + 4) / 4
    assert whisper_mel(samples).shape == (80, 200)
    assert np.abs(whisper_mel(samples) - expected).max() < 1e-4
    assert whisper_mel(np.zeros(320, np.float32)).shape == (80, 2)


def test_a_model_is_read_whole_in_parts_and_from_a_folder(tmp_path):
    whole = write_model(tmp_path / "whole" / "model.bin")
    data = whole.read_bytes()
    for number, piece in enumerate((data[:20000], data[20000:50001], data[50001:]), 1):
        folder = tmp_path / "parts" / f"package_{number}"
        folder.mkdir(parents=True)
        (folder / f"model.bin.part{number}").write_bytes(piece)
    assert [path.suffix for path in model_parts(tmp_path / "parts")] == [".part1", ".part2", ".part3"]
    read = [
        read_ctranslate2(path, "WhisperSpec", lambda name: name.startswith("encoder/"), "")
        for path in (whole, whole.parent, tmp_path / "parts")
    ]
    for arrays in read:
        assert "decoder/embeddings/weight" not in arrays
        assert all(np.array_equal(arrays[name], read[0][name]) for name in read[0])
    assert np.array_equal(read[0]["encoder/conv1/weight"], tiny_arrays()["encoder/conv1/weight"])


def test_the_encoder_computes_what_its_formulas_say():
    """A second way to the same numbers: one block by hand, in numpy."""
    arrays = {name: array.astype(np.float32) for name, array in tiny_arrays().items()}
    encoder = WhisperEncoder.from_ctranslate2({n: a for n, a in arrays.items() if n.startswith("encoder/")})
    mel = np.random.default_rng(1).normal(0, 0.5, (80, 20)).astype(np.float32)
    layers = encoder(torch.from_numpy(mel)[None])
    assert [tuple(layer.shape) for layer in layers] == [(1, 10, WIDTH)] * 3
    x = layers[0][0].numpy()

    def linear(name: str, value: np.ndarray) -> np.ndarray:
        place = f"encoder/layer_0/{name}"
        return value @ arrays[f"{place}/weight"].T + arrays[f"{place}/bias"]

    def norm(value: np.ndarray) -> np.ndarray:
        return (value - value.mean(1, keepdims=True)) / np.sqrt(value.var(1, keepdims=True) + 1e-5)

    query, key, value = np.split(linear("self_attention/linear_0", norm(x)), 3, 1)
    chances = np.exp(query @ key.T / 8)
    x = x + linear("self_attention/linear_1", chances / chances.sum(1, keepdims=True) @ value)
    hidden = torch.nn.functional.gelu(torch.from_numpy(linear("ffn/linear_0", norm(x)))).numpy()
    assert np.abs(x + linear("ffn/linear_1", hidden) - layers[1][0].numpy()).max() < 1e-4
    assert np.allclose(positions(3, 4)[2], [np.sin(2), np.sin(2e-4), np.cos(2), np.cos(2e-4)], atol=1e-6)
    with pytest.raises(ValueError, match="expected"):
        encoder(torch.zeros(1, 80, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-40000], "ends early"),
        (lambda data: b"", "ends early"),
        (lambda data: struct.pack("<I", 99) + data[4:], "not a model of CTranslate2"),
        (lambda data: b"RIFF" * 20, "not a model of CTranslate2"),
        (lambda data: model_bytes(tiny_arrays(), kind="TransformerSpec"), "of the kind WhisperSpec"),
        (lambda data: model_bytes({}), "cannot be used"),
        (lambda data: model_bytes(tiny_arrays(bands=128)), "does not read 80 bands"),
        (
            lambda data: model_bytes(
                {n: (a * 100).astype(np.int8) if "ffn" in n else a for n, a in tiny_arrays().items()}
            ),
            "stored as int8",
        ),
        (
            lambda data: model_bytes({n: a for n, a in tiny_arrays().items() if "conv2" not in n}),
            "lacks encoder/conv2",
        ),
        (
            lambda data: model_bytes(
                {n: np.full_like(a, np.inf) for n, a in tiny_arrays().items() if a.ndim}
            ),
            "not finite",
        ),
    ],
)
def test_models_that_cannot_be_used_are_named(tmp_path, change, message):
    path = write_model(tmp_path / "model.bin")
    path.write_bytes(change(path.read_bytes()))
    load_whisper_encoder.cache_clear()
    with pytest.raises(UserError, match=message) as caught:
        load_whisper_encoder(path)
    assert str(path) in caught.value.message
    assert caught.value.remedy


def test_missing_models_are_named(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        load_recogniser(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"no model\.bin"):
        load_whisper_recogniser(tmp_path)
    (tmp_path / "model.bin.part2").write_bytes(model_bytes(tiny_arrays())[5000:])
    with pytest.raises(UserError):
        load_whisper_recogniser(tmp_path)


def test_two_networks_listen_together():
    rng = np.random.default_rng(4)
    first, second = rng.dirichlet(np.full(40, 0.2), (2, 30)).astype(np.float32)
    assert pool_posteriors(first, second, (1.0, 0.0)) is first
    pooled = pool_posteriors(first, second, (0.5, 0.5))
    assert np.allclose(pooled.sum(1), 1, atol=1e-5)
    assert np.allclose(pooled, pool_posteriors(second, first, (0.5, 0.5)), atol=1e-6)
    expected = np.sqrt(first * second)
    assert np.allclose(pooled, expected / expected.sum(1, keepdims=True), atol=0.01)
    sure = np.eye(40, dtype=np.float32)[[3] * 30]
    unsure = np.full((30, 40), 0.025, np.float32)
    for weights in ((0.6, 0.2), (0.2, 0.6)):
        assert (pool_posteriors(sure, unsure, weights).argmax(1) == 3).all()
        assert (pool_posteriors(unsure, sure, weights).argmax(1) == 3).all()


def test_another_whisper_than_the_heads_is_refused(tmp_path):
    load_whisper_encoder.cache_clear()
    with pytest.raises(UserError, match="another Whisper"):
        load_recogniser(write_model(tmp_path / "model.bin").parent)


def test_animate_names_an_encoder_that_is_not_there(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    parser = argparse.ArgumentParser()
    animate.add_arguments(parser)
    words = [
        str(tmp_path / "a.wav"),
        "--out",
        str(tmp_path / "a.csv"),
        "--speech-encoder",
        str(tmp_path / "no"),
    ]
    with pytest.raises(UserError, match="to listen with"):
        animate.run(parser.parse_args(words))
    assert not (tmp_path / "a.csv").exists()


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """Two voices of tones, one pitch a phone, with their sound."""
    folder = tmp_path_factory.mktemp("sound")
    rng = np.random.default_rng(0)
    for name in ("flite-a", "flite-b"):
        utterances = []
        for _ in range(6):
            phones = np.append(rng.choice([1, 8, 20], 12), 0).astype(np.uint8)
            ends = np.cumsum(rng.uniform(0.1, 0.25, 13)).astype(np.float32)
            time = np.arange(int(ends[-1] * 16000)) / 16000
            which = phones[np.minimum(np.searchsorted(ends, time), 12)].astype(int)
            sound = np.sin(2 * np.pi * (200 + 90 * which) * time) * (which > 0) * 0.3
            noisy = sound + rng.normal(0, 0.003, len(time))
            utterances.append(Utterance(noisy.astype(np.float32), phones, ends))
        write_voice(folder / f"{name}.safetensors", utterances, name, keep_sound=True)
    return folder


def test_voices_keep_their_sound_and_become_clips(voices, tmp_path):
    voice = read_voice_sound(voices / "flite-a.safetensors")
    assert abs(len(voice.sound) / 16000 - voice.ends[-1]) < 1e-6
    assert (np.diff(voice.ends) >= 0).all()
    clips = read_voice_clips(voices, tmp_path)
    assert len(clips) >= 2
    assert all(clip.path.exists() and abs(clip.ends[-1] - clip.seconds) < 0.01 for clip in clips)
    assert sum(len(clip.phones) for clip in clips) == 2 * 6 * 13
    rows = evaluate_speech(clips)["baselines"]
    assert "transcript" not in rows
    assert rows["exact_phones"]["n_phones"] > 50
    assert rows["exact_phones"]["auc_open"] > 0.8
    folder = tmp_path / "empty"
    folder.mkdir()
    assert read_voice_clips(folder, folder) == []
    write_voice(tmp_path / "silent.safetensors", [Utterance(np.zeros(8000, np.float32), np.zeros(1, np.uint8),
                np.array([0.5], np.float32))], "no sound")  # fmt: skip
    with pytest.raises(UserError, match="holds no sound"):
        read_voice_sound(tmp_path / "silent.safetensors")


def test_changed_sound_stays_in_place():
    rng = np.random.default_rng(3)
    sound = np.zeros(16000, np.float32)
    sound[8000] = 1.0
    for _ in range(12):
        changed = change_sound(sound, rng)
        assert changed.shape == sound.shape
        assert np.isfinite(changed).all()
        assert abs(int(np.abs(changed).argmax()) - 8000) <= 2


def test_features_are_labelled_and_kept(voices, tmp_path):
    encoder = load_whisper_encoder(write_model(tmp_path / "model.bin"))
    heard = [read_voice_sound(path) for path in voice_paths(voices)]
    settings = FeatureSettings(0.3, 1.0, 2.0, changed=False)
    minutes = []
    made = make_features(tmp_path / "f", heard, encoder, (0, 2), settings, minutes.append)
    assert minutes[-1] >= 0.3
    assert all(item.features.shape == (len(item.labels), 2, WIDTH) for item in made)
    again = make_features(tmp_path / "f", heard, encoder, (0, 2), settings, minutes.append)
    assert all(np.array_equal(a.features, b.features) for a, b in zip(made, again, strict=True))
    features, labels = FeatureSampler(made, 20, 0).batch(3)
    assert features.shape == (3, 20, 2, WIDTH)
    assert labels.shape == (3, 20)
    with pytest.raises(UserError, match="holds no voices"):
        voice_paths(tmp_path / "nothing")


def train(voices, out, whisper, steps, resume=False, config=TINY):
    path = out.parent / "tiny.toml"
    path.write_text(config.format(steps=steps))
    return train_whisper_phones.run(
        argparse.Namespace(
            config=str(path), data=voices, out=out, resume=resume, device="cpu", threads=1, steps=None,
            whisper=whisper,
        )
    )  # fmt: skip


def test_a_head_is_trained_resumed_and_listens(voices, tmp_path):
    whisper = write_model(tmp_path / "whisper" / "model.bin").parent
    load_whisper_encoder.cache_clear()
    with pytest.raises(UserError, match="asks for more"):
        train(voices, tmp_path / "run", whisper, 5, config=TINY.replace("[1, 2]", "[1, 6]"))
    assert train(voices, tmp_path / "run", whisper, 10) == 0
    assert train(voices, tmp_path / "run", whisper, 40, resume=True) == 0
    rows = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert rows[-1]["held_phone_accuracy"] > max(0.4, rows[0]["held_phone_accuracy"] - 0.05)
    assert "flite-a" in (tmp_path / "run/whisper_phones.md").read_text()
    head = tmp_path / "run/whisper_phones.safetensors"
    recogniser = load_whisper_recogniser(whisper, head)
    voice = read_voice_sound(voices / "flite-b.safetensors")
    samples = voice.sound[: 3 * 16000].astype(np.float32) / 32768
    heard = extract_features(load_speech_networks(), samples, 0.0, recogniser=recogniser)
    assert heard.posteriors.shape == (150, len(PHONES))
    assert np.allclose(heard.posteriors.sum(1), 1, atol=1e-4)
    index = np.minimum(np.searchsorted(voice.ends, heard.times, side="right"), len(voice.phones) - 1)
    alone = recogniser.listen(samples, heard.times, np.zeros(150, np.float32))
    assert (alone.argmax(1) == voice.phones[index]).mean() > 0.4
    assert np.abs(alone - heard.posteriors).max() > 0.01
    long = recogniser.listen(np.tile(samples, 20), np.array([0.005, 45.0, 59.9]), np.zeros(3))
    assert long.shape == (3, len(PHONES))
    assert recogniser.listen(np.zeros(10, np.float32), np.array([0.005]), np.zeros(1)).shape == (
        1,
        len(PHONES),
    )
    assert recogniser.unknown == ()
    other = WhisperEncoder(WhisperEncoderConfig(WIDTH, BLOCKS))
    assert encoder_fingerprint(other) != encoder_fingerprint(recogniser.encoder)
    with pytest.raises(UserError, match="another Whisper"):
        load_whisper_phones(other, head)
