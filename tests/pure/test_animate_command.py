"""`python -m ml_backend animate` on sound files: one, many, long, stereo, any rate, broken, no speech."""

import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ml_backend.__main__ import main
from ml_backend.animation.curve_editing import lip_gap
from ml_backend.animation.procedural import Layer, Prosody, procedural_layers
from ml_backend.audio.read_audio import AudioFile, read_audio
from ml_backend.errors import UserError
from ml_backend.evaluation.evaluate_speech import read_clips
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.farm.result_paths import result_paths
from ml_backend.files.curve_file import read_curves
from ml_backend.files.transcript_file import read_transcript
from ml_backend.pipelines.animate_from_audio import AnimateFromAudioRequest, animate_in_layers

DEMO = Path(__file__).resolve().parents[2] / "ml_backend/assets/demo_speech.wav"
JAW, SMILE = EXPRESSION_NAMES.index("jawOpen"), EXPRESSION_NAMES.index("mouthSmileLeft")


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return read_audio(DEMO)[: 16000 * 3]


@pytest.fixture(scope="module")
def plain(voice, tmp_path_factory) -> np.ndarray:
    """The jaw of three seconds of the demo."""
    path = tmp_path_factory.mktemp("plain") / "a.wav"
    soundfile.write(path, voice, 16000)
    return frames_of(path)[:, JAW]


def frames_of(path, **settings) -> np.ndarray:
    return animate_in_layers(AnimateFromAudioRequest(str(path), **settings), lambda *_: None).mixed().frames


def resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    import soxr

    return soxr.resample(samples, 16000, rate)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 96000])
def test_any_rate_says_the_same(voice, plain, tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", resampled(voice, rate), rate)
    least = 0.85 if rate == 8000 else 0.98  # a telephone's band has lost what is above 4 kHz
    assert np.corrcoef(frames_of(tmp_path / "a.wav")[:, JAW], plain)[0, 1] > least


@pytest.mark.parametrize("kind", ["one side", "opposite", "eight channels", "clipped", "quiet", "offset"])
def test_odd_recordings_say_the_same(voice, plain, tmp_path, kind):
    made = {
        "one side": np.stack([np.zeros_like(voice), voice], 1),
        "opposite": np.stack([voice, -voice], 1),
        "eight channels": np.stack([voice, *[np.zeros_like(voice)] * 7], 1),
        "clipped": np.clip(3 * voice, -1, 1),
        "quiet": 0.05 * voice,
        "offset": 0.5 * voice + 0.3,
    }[kind]
    soundfile.write(tmp_path / "a.wav", made, 16000, subtype="PCM_24")
    assert np.corrcoef(frames_of(tmp_path / "a.wav")[:, JAW], plain)[0, 1] > {
        "clipped": 0.6,  # three times too loud: other vowels are heard, and each opens the jaw
        "quiet": 0.9,
    }.get(kind, 0.97)


def test_silence_keeps_the_mouth_shut_and_the_face_alive(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(16000 * 12), 16000)
    frames = frames_of(tmp_path / "a.wav")
    assert lip_gap(frames).max() < 0.3 and frames[:, EXPRESSION_NAMES.index("eyeBlinkLeft")].max() > 0.5
    assert frames[:, EXPRESSION_NAMES.index("noseSneerLeft")].max() > 0.05, "nobody breathes"


def test_music_gives_sane_curves(tmp_path):
    time = np.arange(16000 * 4) / 16000
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (220, 277, 330, 440)) / 8
    beat = np.random.default_rng(0).normal(0, 0.3, len(time)) * np.exp(-12 * (time % 0.5))
    soundfile.write(tmp_path / "a.ogg", np.stack([chord + beat, chord - beat], 1), 16000)
    frames = frames_of(tmp_path / "a.ogg")
    assert len(frames) == 120 and np.isfinite(frames).all() and frames.min() >= 0 and frames.max() <= 1


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg"])
def test_a_wrong_extension_does_not_matter_where_the_content_is_sound(voice, plain, tmp_path, suffix):
    soundfile.write(tmp_path / "a.wav", voice, 16000)
    (tmp_path / "a.wav").rename(tmp_path / f"a{suffix}")
    assert np.allclose(frames_of(tmp_path / f"a{suffix}")[:, JAW], plain, atol=1e-3)


def test_what_is_no_sound_is_refused_by_name(tmp_path, capsys):
    (tmp_path / "film.wav").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(4000))
    assert main(["animate", str(tmp_path / "film.wav"), "--out", str(tmp_path / "a.csv")]) == 2
    assert "film.wav" in capsys.readouterr().err and not (tmp_path / "a.csv").exists()


def test_a_range_is_that_part_of_the_whole(voice, tmp_path):
    soundfile.write(tmp_path / "a.wav", resampled(voice, 44100), 44100)
    whole = frames_of(tmp_path / "a.wav", blinks=0, brows=0, gaze=0, breath=0)
    part = frames_of(tmp_path / "a.wav", start=1.0, length=1.5, blinks=0, brows=0, gaze=0, breath=0)
    assert len(part) == 45 and np.corrcoef(part[9:-9, JAW], whole[39:66, JAW])[0, 1] > 0.95
    file = AudioFile(tmp_path / "a.wav")
    assert abs(len(np.concatenate(list(file.blocks(start=1.0, length=1.5)))) - 24000) <= 2
    for start, length in ((5.0, 0.0), (-1.0, 0.0), (0.0, -1.0), (float("nan"), 0.0)):
        with pytest.raises(UserError, match=r"a\.wav"):
            frames_of(tmp_path / "a.wav", start=start, length=length)


def test_a_folder_is_animated_file_by_file(voice, tmp_path, capsys):
    recordings, out = tmp_path / "takes", tmp_path / "curves"
    (recordings / "more").mkdir(parents=True)
    for name in ("a.wav", "more/b.flac"):
        soundfile.write(recordings / name, voice[:16000], 16000)
    (recordings / "broken.mp3").write_text("not sound")
    (recordings / "notes.txt").write_text("to do")
    assert main(["animate", str(recordings), "--out", str(out), "--format", "json", "--fps", "24"]) == 1
    said = capsys.readouterr()
    assert "passed over" in said.err and "notes.txt" in said.err
    assert (
        "1 of 3" in said.out
        and "3 of 3" in said.out
        and "broken.mp3" in said.err
        and "1 of 3 recordings" in said.err
    )
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("[!.]*.*")) == [
        "a.json",
        "more/b.json",
    ]
    assert len(read_curves(out / "more/b.json").frames) == 24
    (recordings / "broken.mp3").unlink()
    assert main(["animate", str(recordings), "--out", str(out)]) == 0
    shutil.copy(recordings / "a.wav", recordings / "a.ogg")
    (recordings / "A.mov").write_bytes((recordings / "a.wav").read_bytes())
    assert main(["animate", str(recordings), "--out", str(tmp_path / "all")]) == 0
    names = ["A.mov.csv", "a.ogg.csv", "a.wav.csv", "b.csv"]
    assert sorted(path.name for path in (tmp_path / "all").rglob("[!.]*.*")) == names
    (tmp_path / "empty").mkdir()
    assert main(["animate", str(tmp_path / "empty"), "--out", str(out)]) == 2


def test_options_reach_the_curves(voice, tmp_path):
    soundfile.write(tmp_path / "a.wav", voice, 16000)

    def curves(*options):
        assert main(["animate", str(tmp_path / "a.wav"), "--out", str(tmp_path / "a.csv"), *options]) == 0
        return read_curves(tmp_path / "a.csv")

    base = curves()
    joy = curves("--emotion", "0:joy:0.8", "--no-head")
    assert joy.frames[:, SMILE].mean() > base.frames[:, SMILE].mean() + 0.3 and not joy.head[:, 0].any()
    small = curves("--gain", "jaw=0.5", "--amount", "blinks=0", "--offset", "100")
    assert np.allclose(small.frames[3:, JAW], 0.5 * base.frames[:-3, JAW], atol=1e-5)
    assert not small.frames[:, EXPRESSION_NAMES.index("eyeBlinkLeft")].any()
    other = curves("--layer-seed", "head=5")
    assert np.array_equal(other.frames[:, JAW], base.frames[:, JAW]) and not np.array_equal(
        other.head[:, 0], base.head[:, 0]
    )
    assert np.array_equal(other.head[:, 3:], base.head[:, 3:])
    for bad in (
        ["--gain", "jaw"],
        ["--gain", "nose=2"],
        ["--amount", "life=1"],
        ["--amount", "blinks=9"],
        ["--layer-seed", "x=1"],
    ):
        assert main(["animate", str(tmp_path / "a.wav"), "--out", str(tmp_path / "a.csv"), *bad]) == 2


def test_hearing_an_hour_takes_no_more_memory_than_a_minute(tmp_path):
    """The file is read in windows, as for an animation; only the curves grow with its length."""
    from ml_backend.pipelines.speech_windows import windows

    tone = (np.random.default_rng(0).normal(0, 0.1, 4000 * 60) * 32767 * 0.3).astype(np.int16)
    peaks = []
    for minutes in (1, 60):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", 4000, 1, subtype="PCM_16") as file:
            for _ in range(minutes):
                file.write(tone)
        tracemalloc.start()
        seconds = 0.0
        for begin, samples, _, _ in windows(AudioFile(path)):
            seconds = begin + len(samples) / 16000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert abs(seconds - 60 * minutes) < 0.01
        path.unlink()
    assert peaks[1] < 1.2 * peaks[0] + 2e6, peaks


def test_an_hour_of_life_is_as_dense_as_a_minute():
    count = 50 * 3600
    pause = (np.arange(count) % 200 < 30).astype(float)
    pitch = 0.3 * np.sin(np.arange(count) / 50 * 2.1)
    prosody = Prosody(np.full(count, -0.2), 1 - pause, pitch, pause)
    times = np.arange(24 * 3600) / 24
    made = procedural_layers(
        prosody, times, {"blinks": Layer(), "breath": Layer()}, np.zeros((len(times), 52), np.float32)
    )
    blink = made["blinks"].curves[:, EXPRESSION_NAMES.index("eyeBlinkLeft")]
    per_minute = ((blink[1:] > 0.5) & (blink[:-1] <= 0.5)).reshape(-1)[: 60 * 24 * 59].reshape(59, -1).sum(1)
    assert 8 < per_minute.mean() < 40 and per_minute.min() > 2


def test_equal_names_get_files_of_their_own():
    recordings = [Path(name) for name in ("a.wav", "a.mp3", "more/a.wav", "b.wav")]
    made = [path.as_posix() for path in result_paths(recordings, Path("out"), ".csv")]
    assert made == ["out/a.wav.csv", "out/a.mp3.csv", "out/more/a.csv", "out/b.csv"]
    odd = [Path(name) for name in ("a.wav", "a.mp3", "a.wav.ogg")]
    assert len(set(result_paths(odd, Path("out"), ".csv"))) == 3


@pytest.mark.parametrize("kind", ["up", "down", "24 bit", "16 bit, quiet", "clipped"])
def test_the_recordings_level_does_not_matter(tmp_path, kind):
    voice = read_audio(DEMO)  # all of it: where clipping makes one vowel another, it is one of many
    gain, subtype = {
        "up": (10**1.5, "FLOAT"),
        "down": (10**-2, "FLOAT"),
        "24 bit": (1e-3, "PCM_24"),
        "16 bit, quiet": (10**-2.5, "PCM_16"),
        "clipped": (2.0, "PCM_16"),
    }[kind]
    soundfile.write(tmp_path / "a.wav", voice * gain, 16000, subtype=subtype)
    soundfile.write(tmp_path / "plain.wav", voice, 16000)
    jaw, plain = (frames_of(tmp_path / f"{name}.wav")[:, JAW] for name in ("a", "plain"))
    assert np.corrcoef(jaw, plain)[0, 1] >= (0.95 if kind in ("clipped", "16 bit, quiet") else 0.98)


def test_silence_and_time_codes_are_said(voice, plain, tmp_path, capsys):
    soundfile.write(tmp_path / "silent.wav", np.zeros(16000), 16000)
    assert main(["animate", str(tmp_path / "silent.wav"), "--out", str(tmp_path / "a.csv")]) == 0
    assert "the recording is silent" in capsys.readouterr().err
    code = 0.5 * np.sign(np.sin(2 * np.pi * 1200 * np.arange(len(voice)) / 16000 + 0.1))
    soundfile.write(tmp_path / "ltc.wav", np.stack([code, voice], 1), 16000, subtype="FLOAT")
    options = ["--out", str(tmp_path / "b.json"), "--fps", "30"]
    assert main(["animate", str(tmp_path / "ltc.wav"), *options]) == 0
    assert "channel 1 is a steady tone" in capsys.readouterr().err
    jaw = read_curves(tmp_path / "b.json").frames[:, JAW]
    assert np.corrcoef(jaw, plain)[0, 1] > 0.99
    assert main(["animate", str(tmp_path / "ltc.wav"), *options, "--channel", "2"]) == 0
    assert np.allclose(read_curves(tmp_path / "b.json").frames[:, JAW], jaw, atol=1e-4)
    assert main(["animate", str(tmp_path / "ltc.wav"), *options, "--channel", "3"]) == 2


TEXT = "Hello! Maybe you have a moment? Caf\u00e9s by the sea \u2013 what a beautiful morning!"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_transcripts_of_any_program_are_read(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes(TEXT.encode(encoding))
    assert read_transcript(tmp_path / "a.txt").lstrip("\ufeff") == TEXT


@pytest.mark.parametrize(
    "data, said",
    [
        (b"PK\x03\x04" + bytes(99), "word processor"),
        (b"{\\rtf1 Hello}", "RTF"),
        (b"%PDF-1.7", "PDF"),
        (bytes(range(1, 30)), "not a text file"),
        (b" \n", "transcript is empty"),
    ],
)
def test_what_is_no_transcript_is_named(tmp_path, data, said):
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(UserError, match=said) as caught:
        read_transcript(tmp_path / "a.txt")
    assert "a.txt" in caught.value.message and caught.value.remedy


SPOKEN = (
    "Hello! Maybe you have a moment? Far above the sea, five big purple boats move by. "
    "Wow, what a beautiful morning!"
)
OTHER = "Entirely different words that nobody ever said in this place at all, by the way, thank you very much"


def test_a_transcript_of_other_words_is_refused(tmp_path, capsys):
    pytest.importorskip("pocketsphinx")
    (tmp_path / "other.txt").write_text(OTHER)
    options = ["--out", str(tmp_path / "a.csv"), "--transcript", str(tmp_path / "other.txt")]
    assert main(["animate", str(DEMO), *options]) == 2
    assert "the transcript does not fit what is said" in capsys.readouterr().err


@pytest.mark.slow
def test_the_evaluation_goes_on_without_a_misfit(tmp_path, capsys):
    pytest.importorskip("pocketsphinx")
    for name, text in (("good", SPOKEN), ("misfit", OTHER)):
        shutil.copy(DEMO, tmp_path / f"{name}.wav")
        (tmp_path / f"{name}.txt").write_text(text)
    shutil.copy(DEMO, tmp_path / "document.wav")
    (tmp_path / "document.txt").write_bytes(b"PK\x03\x04")
    clips, misfits = read_clips(tmp_path)
    assert [clip.path.name for clip in clips] == ["good.wav"] and misfits == ["document.wav", "misfit.wav"]
    said = capsys.readouterr().err
    assert "misfit.wav" in said and "document.txt" in said
    (tmp_path / "good.wav").unlink()
    with pytest.raises(UserError, match="none of its 2 recordings"):
        read_clips(tmp_path)
