"""Reading recordings of every kind, refusing what is none, and the features made of them."""

import numpy as np
import pytest
import soundfile

from ml_backend.audio.log_mel import BANDS, FRAME_RATE, SAMPLE_RATE, log_mel, mel_filters, normalise, pitch
from ml_backend.audio.read_audio import AudioFile, read_audio
from ml_backend.errors import UserError


def tone(rate: int, seconds: float = 1.0, hertz: float = 200.0) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
def test_any_rate_becomes_16_khz(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(rate), rate)
    samples = read_audio(tmp_path / "a.wav")
    assert abs(len(samples) - SAMPLE_RATE) <= 2
    middle = slice(4000, 12000)
    assert np.abs(samples[middle] - tone(SAMPLE_RATE)[: len(samples)][middle]).max() < 0.01


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
def test_any_format_and_stereo(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, np.stack([tone(44100), np.zeros(44100, np.float32)], 1), 44100)
    samples = read_audio(path)
    assert abs(len(samples) - SAMPLE_RATE) < 1600
    assert 0.1 < np.sqrt(np.mean(samples[4000:12000] ** 2)) * np.sqrt(2) < 0.3  # half of 0.4


def test_blocks_join_without_a_seam(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(44100, 3), 44100, subtype="FLOAT")
    small = np.concatenate(list(AudioFile(tmp_path / "a.wav").blocks(0.13)))
    assert np.allclose(small, read_audio(tmp_path / "a.wav"), atol=1e-4)


def broken_files(folder):
    good = folder / "good.wav"
    soundfile.write(good, tone(16000), 16000)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("this is no recording\n" * 50)
    (folder / "truncated.wav").write_bytes(good.read_bytes()[:9000])
    (folder / "header.wav").write_bytes(good.read_bytes()[:30])
    soundfile.write(folder / "no_samples.wav", np.zeros(0, np.float32), 16000)
    samples = tone(16000)
    samples[500] = np.nan
    soundfile.write(folder / "nan.wav", samples, 16000, subtype="FLOAT")
    (folder / "folder.wav").mkdir()
    return [
        "empty.wav",
        "text.wav",
        "truncated.wav",
        "header.wav",
        "no_samples.wav",
        "nan.wav",
        "folder.wav",
        "missing.wav",
    ]


def test_every_broken_file_is_named_with_a_remedy(tmp_path):
    for name in broken_files(tmp_path):
        with pytest.raises(UserError) as caught:
            read_audio(tmp_path / name)
        assert name in caught.value.message, name
        assert caught.value.remedy, name


def test_random_garbage_never_escapes(tmp_path):
    soundfile.write(tmp_path / "good.flac", tone(16000), 16000)
    good = bytearray((tmp_path / "good.flac").read_bytes())
    rng = np.random.default_rng(0)
    for index in range(40):
        data = bytearray(good)
        for at in rng.integers(0, len(data), 30):
            data[at] = int(rng.integers(256))
        (tmp_path / "bad.flac").write_bytes(data[: int(rng.integers(1, len(data)))] if index % 2 else data)
        try:
            assert np.isfinite(read_audio(tmp_path / "bad.flac")).all()
        except UserError as error:
            assert "bad.flac" in error.message


def test_filters_are_librosas():
    librosa = pytest.importorskip("librosa")
    assert np.allclose(
        mel_filters(),
        librosa.filters.mel(sr=SAMPLE_RATE, n_fft=512, n_mels=BANDS, fmin=60, fmax=7600),
        atol=1e-6,
    )


def test_level_and_microphone_go_out_of_the_features():
    rng = np.random.default_rng(0)
    envelope = np.repeat(rng.uniform(0, 1, 40) > 0.4, 800)
    speech = (rng.normal(size=32000) * envelope * 0.1).astype(np.float32)
    flat, loud = normalise(log_mel(speech))
    quiet, quiet_loud = normalise(log_mel(speech * 0.1))
    spoken = loud > -1
    assert np.allclose(flat[spoken], quiet[spoken], atol=0.05)
    assert np.allclose(loud[spoken], quiet_loud[spoken], atol=0.05)
    assert len(flat) == 2 * FRAME_RATE


def test_pitch_of_a_tone_and_of_noise():
    voiced = pitch(tone(SAMPLE_RATE, 1, 160))[5:-5]
    assert np.allclose(voiced[:, 0], 160, rtol=0.02) and voiced[:, 1].min() > 0.9
    noise = pitch(np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32))[5:-5]
    assert np.median(noise[:, 1]) < 0.6
