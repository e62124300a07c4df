"""Sound files as recorders, pipes and editors leave them: chunks, sizes, films, levels, channels."""

import struct
import warnings
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from ml_backend.audio.read_audio import AudioFile, read_audio
from ml_backend.audio.sound_level import LEVEL_DB, frame_powers, level_db
from ml_backend.errors import UserError

RATE = 16000
DEMO = Path(__file__).resolve().parents[2] / "ml_backend/assets/demo_speech.wav"


def tone(seconds=1.0, hertz=200.0, rate=RATE) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def chunk(name: bytes, data: bytes, order="<", size=None) -> bytes:
    length = len(data) if size is None else size
    return name + struct.pack(order + "I", length) + data + b"\0" * (len(data) % 2)


def wave(before=b"", order="<", size=None, samples=None, riff=None, after=b"") -> bytes:
    """A WAV of one second, 16 bit mono, with chunks before its samples and a size of one's choice."""
    data = (32767 * (tone() if samples is None else samples)).astype(order + "i2").tobytes()
    form = struct.pack(order + "HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    body = chunk(b"fmt ", form, order) + before + chunk(b"data", data, order, size) + after
    head = b"RIFX" if order == ">" else b"RIFF"
    return head + struct.pack(order + "I", 4 + len(body) if riff is None else riff) + b"WAVE" + body


INFO = chunk(b"LIST", b"INFO" + chunk(b"ICMT", b"field data recorder, data 1"))
XML = chunk(b"iXML", b"<BWFXML>" + b" " * 6000)


@pytest.mark.parametrize(
    "data",
    [
        wave(INFO),
        wave(XML),
        wave(INFO + XML + chunk(b"bext", bytes(603))),
        wave(size=0x7FFFF000),
        wave(size=0xFFFFFFFF),
        wave(size=0x7FFFFFFF),
        wave(size=0, riff=0),
        wave(size=0, riff=0xFFFFFFFF),
        wave(order=">"),
        wave(size=2 * RATE + 2),
        wave(size=2 * RATE - 2),
        wave(size=2 * RATE + 1),
        wave(after=INFO),
        wave(chunk(b"odd ", b"abc")),
        wave(riff=12),
    ],
    ids=[
        "word data", "long XML", "many chunks", "pipe 7ffff000", "pipe ffffffff", "pipe 7fffffff", "size 0",
        "size 0, pipe", "RIFX", "one over", "one less", "odd size", "chunks behind", "odd chunk", "RIFF 12",
    ],
)  # fmt: skip
def test_every_honest_wave_is_read_to_its_end(tmp_path, data):
    (tmp_path / "a.wav").write_bytes(data)
    samples = read_audio(tmp_path / "a.wav")
    assert abs(len(samples) - RATE) <= 1
    assert np.abs(samples[: RATE - 2] - tone()[: RATE - 2]).max() < 1e-3


@pytest.mark.parametrize(
    "data", [wave()[:20000], wave(XML)[:-8000], wave(XML)[:3000], wave(order=">")[:20000]], ids=range(4)
)
def test_a_truncated_wave_is_refused(tmp_path, data):
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(
        UserError, match=r"a\.wav: (the recording is truncated|not a rec|the recording has no)"
    ):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("kind", ["AIFF", "AU", "W64", "RF64", "CAF", "FLAC"])
def test_other_formats_are_read_whole_and_refused_truncated(tmp_path, kind):
    path = tmp_path / "sound"
    soundfile.write(path, tone(2), RATE, format=kind, subtype="PCM_16")
    assert len(read_audio(path)) == 2 * RATE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="sound: ") as caught:
        read_audio(path)
    assert caught.value.remedy


def container(path: Path, codec: str, samples: np.ndarray, rate=48000, film=False) -> None:
    """Writes a recording, or a film with sound, by PyAV."""
    with av.open(str(path), "w") as file:
        if film:
            video = file.add_stream("mpeg4", rate=10)
            video.width = video.height = 32
            video.pix_fmt = "yuv420p"
        sound = file.add_stream(codec, rate=rate)
        sound.layout = "mono"
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.rate = rate
        resampler = av.AudioResampler(
            sound.format, "mono", rate, frame_size=sound.codec_context.frame_size or 1024
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(sound.encode(part))
        file.mux(sound.encode(None))
        if film:
            for _ in range(10):
                picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
                file.mux(video.encode(picture))
            file.mux(video.encode(None))


@pytest.mark.parametrize(
    "name, codec, film",
    [
        ("a.m4a", "aac", False),
        ("a.aac", "aac", False),
        ("a.mp4", "aac", True),
        ("a.mov", "pcm_s16le", True),
        ("a.mkv", "libopus", True),
        ("film.wav", "aac", False),
    ],
)
def test_what_blender_opens_is_read(tmp_path, name, codec, film):
    path = tmp_path / ("a.m4a" if name == "film.wav" else name)
    container(path, codec, tone(2, rate=48000), film=film)
    path = path.rename(tmp_path / name)
    samples = read_audio(path)
    assert abs(len(samples) - 2 * RATE) < 0.06 * RATE
    spectrum = np.abs(np.fft.rfft(samples[RATE // 2 : RATE // 2 + RATE]))
    assert abs(int(spectrum.argmax()) - 200) <= 1 and np.abs(samples).max() == pytest.approx(0.4, abs=0.05)
    part = np.concatenate(list(AudioFile(path).blocks(start=0.5, length=1.0)))
    assert abs(len(part) - RATE) <= 2
    assert np.abs(part - samples[8000 : 8000 + len(part)])[400:-400].max() < 0.02


def test_a_film_without_sound_is_said(tmp_path):
    with av.open(str(tmp_path / "mute.mp4"), "w") as file:
        video = file.add_stream("mpeg4", rate=10)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        for _ in range(5):
            file.mux(
                video.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24"))
            )
        file.mux(video.encode(None))
    with pytest.raises(UserError, match=r"mute\.mp4: .*it has no sound"):
        AudioFile(tmp_path / "mute.mp4")


def test_no_file_is_left_open(tmp_path):
    (tmp_path / "a.wav").write_bytes(wave(INFO))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        read_audio(tmp_path / "a.wav")
    (tmp_path / "a.wav").unlink()


@pytest.mark.parametrize("gain", [1.0, 10**1.5, 10**-2.5])
def test_every_recording_comes_to_one_level(tmp_path, gain):
    voice = read_audio(DEMO)
    soundfile.write(tmp_path / "a.wav", voice * gain, RATE, subtype="FLOAT")
    file = AudioFile(tmp_path / "a.wav")
    samples = np.concatenate(list(file.blocks(survey=file.survey())))
    assert level_db(frame_powers([samples[:, None]], RATE)[:, 0]) == pytest.approx(LEVEL_DB, abs=0.3)
    survey = file.survey()
    assert not survey.silent and not survey.notes


def test_the_level_is_that_of_the_speech_not_of_pauses_or_bangs(tmp_path):
    voice = read_audio(DEMO)
    plain = level_db(frame_powers([voice[:, None]], RATE)[:, 0])
    noise = np.random.default_rng(0).normal(0, 1e-4, 30 * len(voice)).astype(np.float32)
    noise[: len(voice)] += voice
    assert level_db(frame_powers([noise[:, None]], RATE)[:, 0]) == pytest.approx(plain, abs=1.5)
    bang = voice.copy()
    bang[8000:8160] = 1.0
    bang[8080:8160] = -1.0
    assert level_db(frame_powers([bang[:, None]], RATE)[:, 0]) == pytest.approx(plain, abs=1.0)


@pytest.mark.parametrize("noise", [0.0, 1 / 32768])
def test_silence_is_said(tmp_path, noise):
    samples = np.random.default_rng(0).uniform(-noise, noise, RATE * 2)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="PCM_16")
    survey = AudioFile(tmp_path / "a.wav").survey()
    assert survey.silent and survey.gain == 1 and "silent" in survey.notes[0]


def time_code(count: int, rate: int = RATE) -> np.ndarray:
    """A linear time code's tone: a square wave whose half waves are long or short, at a steady level."""
    bits = np.random.default_rng(1).integers(0, 2, count)
    half = rate // 4800
    wave = np.repeat(np.cumsum(np.stack([np.ones(count, int), bits], 1).ravel()) % 2, half)[:count]
    return (0.5 * (2 * wave - 1)).astype(np.float32)


@pytest.mark.parametrize("voice_channel", [0, 1])
def test_a_time_code_beside_speech_is_left_out(tmp_path, voice_channel):
    voice = read_audio(DEMO)
    both = [time_code(len(voice))] * 2
    both[voice_channel] = voice
    soundfile.write(tmp_path / "a.wav", np.stack(both, 1), RATE, subtype="FLOAT")
    file = AudioFile(tmp_path / "a.wav")
    survey = file.survey()
    assert np.array_equal(survey.weights, np.eye(2)[voice_channel])
    assert f"channel {2 - voice_channel} is a steady tone" in survey.notes[0]
    assert np.allclose(read_audio(tmp_path / "a.wav"), voice, atol=1e-6)
    chosen = file.survey(channel=2 - voice_channel)
    assert np.array_equal(chosen.weights, np.eye(2)[1 - voice_channel])
    with pytest.raises(UserError, match=r"a\.wav: has no channel 3"):
        file.survey(channel=3)
