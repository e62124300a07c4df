"""The task behind the button: recordings to curves, on real sound."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ml_backend.audio.read_audio import read_audio
from ml_backend.errors import UserError
from ml_backend.evaluation.evaluate_speech import area_under_curve, evaluate_speech, jitter_share, read_clips
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.pipelines.animate_from_audio import (
    DECODERS,
    AnimateFromAudioRequest,
    animate_from_audio,
)

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "ml_backend/assets/demo_speech.wav"
RECORDINGS = ROOT.parent / "shared/data/speech"
JAW = EXPRESSION_NAMES.index("jawOpen")


def animate(path, progress=None, seen=None, **settings):
    shares = [] if seen is None else seen
    follow = progress or (lambda share, text: shares.append(share))
    return animate_from_audio(AnimateFromAudioRequest(str(path), **settings), follow)


@pytest.fixture(scope="module")
def demo():
    return animate(DEMO)


def test_the_demo_speaks(demo):
    assert demo.names == EXPRESSION_NAMES and demo.frames.shape[1] == 52 and demo.frames.dtype == np.float32
    assert len(demo.frames) == round(soundfile.info(DEMO).duration * 30)
    assert demo.frames.min() >= 0 and demo.frames.max() <= 1
    assert np.percentile(demo.frames[:, JAW], 95) > 0.2 and demo.frames[:, JAW].min() < 0.03
    assert demo.frames[:, EXPRESSION_NAMES.index("eyeBlinkLeft")].max() > 0.5


def test_mouth_curves_leave_no_traces(demo):
    mouth = demo.frames[:, [name.startswith("mouth") for name in EXPRESSION_NAMES]]
    moving = mouth.max(0) > 0.1
    assert moving.sum() >= 10
    assert (mouth == 0).mean() > 0.45 and ((mouth > 0) & (mouth < 0.001)).mean() < 0.05


def test_two_seconds_at_thirty_are_sixty_frames(tmp_path):
    soundfile.write(tmp_path / "a.wav", read_audio(DEMO)[:32000], 16000)
    assert len(animate(tmp_path / "a.wav").frames) == 60
    assert len(animate(tmp_path / "a.wav", fps=24.0).frames) == 48


@pytest.mark.parametrize("kind", ["silence", "hiss", "short"])
def test_where_nobody_speaks_the_mouth_stays_shut(tmp_path, kind):
    rng = np.random.default_rng(0)
    samples = {"silence": np.zeros(48000), "hiss": rng.normal(0, 0.0005, 48000), "short": np.zeros(100)}[kind]
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    animation = animate(tmp_path / "a.wav")
    assert animation.frames[:, JAW].max() <= 0.08 and len(animation.frames) >= 1


def test_seed_and_layers(demo):
    again, other = animate(DEMO), animate(DEMO, seed=1)
    assert np.array_equal(demo.frames, again.frames) and np.array_equal(demo.head, again.head)
    mouth = [i for i, name in enumerate(EXPRESSION_NAMES) if name.startswith(("jaw", "mouth"))]
    assert np.array_equal(demo.frames[:, mouth], other.frames[:, mouth]) and not np.array_equal(
        demo.frames, other.frames
    )
    bare = animate(DEMO, blinks=False, brows=False, head=False, gaze=False)
    assert not bare.head.any() and not bare.frames[:, EXPRESSION_NAMES.index("eyeBlinkLeft")].any()


def test_stereo_loud_and_slow_rates_say_the_same(tmp_path, demo):
    samples, rate = soundfile.read(DEMO, dtype="float32")
    soundfile.write(tmp_path / "a.flac", np.stack([samples, samples], 1) * 0.3, rate)
    copy = animate(tmp_path / "a.flac")
    assert np.corrcoef(copy.frames[:, JAW], demo.frames[:, JAW])[0, 1] > 0.98


def test_frame_by_frame_says_the_same(demo):
    slow = animate(DEMO, decoder="autoregressive")
    assert slow.frames.shape == demo.frames.shape and not np.array_equal(slow.frames, demo.frames)
    assert np.corrcoef(slow.frames[:, JAW], demo.frames[:, JAW])[0, 1] > 0.9
    with pytest.raises(UserError, match="backwards"):
        animate(DEMO, decoder="backwards")


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_long_recording_is_cut_without_a_trace(tmp_path, decoder):
    samples = np.tile(read_audio(DEMO), 8)  # about a minute: three windows
    soundfile.write(tmp_path / "long.wav", samples, 16000)
    shares: list[float] = []
    long = animate(tmp_path / "long.wav", seen=shares, decoder=decoder)
    assert len(long.frames) == round(len(samples) / 16000 * 30)
    assert shares == sorted(shares) and len(shares) >= 4 and shares[-1] == 1
    period = len(samples) / 8 / 16000
    times = np.arange(len(long.frames)) / 30
    first = np.interp(np.arange(0.5, period - 0.5, 1 / 30), times, long.frames[:, JAW])
    for turn in range(1, 8):
        later = np.interp(np.arange(0.5, period - 0.5, 1 / 30) + turn * period, times, long.frames[:, JAW])
        assert np.corrcoef(first, later)[0, 1] > 0.95


@pytest.mark.parametrize("share", [0.0, 0.97])
def test_a_progress_that_raises_ends_the_job(share):
    class Stop(Exception):
        pass

    def progress(done, _text):
        if done >= share:
            raise Stop

    with pytest.raises(Stop):
        animate(DEMO, progress=progress)


def test_mistakes_are_named(tmp_path):
    (tmp_path / "text.mp3").write_text("not sound")
    for path, settings in (
        (tmp_path / "none.wav", {}),
        (tmp_path / "text.mp3", {}),
        (DEMO, {"fps": 0.0}),
        (DEMO, {"fps": float("nan")}),
    ):
        with pytest.raises(UserError):
            animate(path, **settings)
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(UserError, match=r"weights\.safetensors"):
        animate(DEMO, weights=str(weights))


@pytest.mark.slow
def test_a_transcript_is_followed():
    pytest.importorskip("pocketsphinx")
    text = (
        "Hello! Maybe you have a moment? Far above the sea, five big purple boats move by. "
        "Wow, what a beautiful morning!"
    )
    told = animate(DEMO, transcript=text)
    assert np.percentile(told.frames[:, JAW], 95) > 0.2
    odd = text.replace("Maybe", "Maybeezz").replace("purple", "purrpelish").replace("boats", "bo\u00e4tts")
    guessed = animate(DEMO, transcript=odd)  # words of no dictionary
    assert np.corrcoef(guessed.frames[:, JAW], told.frames[:, JAW])[0, 1] > 0.8
    with pytest.raises(UserError, match="transcript"):
        animate(DEMO, transcript="123 !?".replace("123", ""))  # no word in it


def test_area_under_curve_is_the_chance_of_the_right_order():
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 9, 200).astype(float), rng.random(200) < 0.3
    pairs = scores[positive][:, None] - scores[~positive][None]
    assert area_under_curve(scores, positive) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def test_jitter_tells_slow_from_fast():
    slow, fast = np.zeros((2, 300, 52), np.float32)
    time = np.arange(300) / 30
    slow[:, JAW], fast[:, JAW] = (
        0.3 + 0.2 * np.sin(2 * np.pi * 3 * time),
        0.3 + 0.2 * np.sin(2 * np.pi * 13 * time),
    )
    assert jitter_share([slow], 30) < 0.01 and jitter_share([fast], 30) > 0.95


@pytest.mark.slow
def test_real_voices(tmp_path):
    """On a few real recordings our lips must beat a still face and our own curves 0.4 s late."""
    pytest.importorskip("pocketsphinx")
    if not RECORDINGS.exists():
        pytest.skip("no real recordings beside the repository")
    for source in sorted(RECORDINGS.glob("prompt_vm-[no]*")) + sorted(RECORDINGS.glob("lib_*")):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    clips, misfits = read_clips(tmp_path)
    figures = evaluate_speech(clips)
    for name in ("auc_bilabial", "auc_labiodental", "auc_open", "auc_rounded"):
        assert figures[name] > 0.8
        assert all(figures[name] > figures["baselines"][row][name] + 0.1 for row in ("still", "shifted_0.4s"))
    assert figures["closure_pause"] > 0.8 and figures["n_clips"] >= 7 and not misfits
