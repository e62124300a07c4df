"""The guess of a voice's liveliness rises with pitch and level; keys of the emotion layer follow it."""

import numpy as np
import pytest

from ml_backend.animation.voice_emotion import GUESS, STRENGTH, check_voice_emotion, keys_of_voice
from ml_backend.audio.log_mel import SAMPLE_RATE
from ml_backend.audio.voice_arousal import Arousal, guess_arousal, voice_frames
from ml_backend.errors import UserError
from ml_backend.phonetics.phones import PHONE_INDEX, PHONES


def voice(seconds: float, hertz: float, level: float) -> np.ndarray:
    """A buzz whose pitch sways, in syllables of a quarter of a second."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * np.cumsum(hertz * (1 + 0.1 * np.sin(2 * np.pi * 0.9 * times))) / SAMPLE_RATE
    buzz = sum(np.sin(phase * number) / number for number in range(1, 20))
    return (level * buzz * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * times))).astype(np.float32)


def spoken(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a voice, and posteriors of a vowel and a consonant in turn."""
    frames = voice_frames(samples)
    posteriors = np.zeros((len(frames), len(PHONES)), np.float32)
    vowel = np.arange(len(frames)) // 6 % 2 == 0
    posteriors[vowel, PHONE_INDEX["AA"]] = 1
    posteriors[~vowel, PHONE_INDEX["S"]] = 1
    return frames, posteriors


def test_a_part_that_is_higher_and_louder_is_livelier():
    calm, lively = voice(5, 110, 0.05), voice(5, 150, 0.12)
    guess = guess_arousal(*spoken(np.concatenate([calm, lively])))
    before, after = guess.values[guess.seconds < 4.5], guess.values[guess.seconds > 5.5]
    assert len(before) > 5 and len(after) > 5
    assert before.max() < after.min() and np.abs(guess.values).max() <= 1
    turned = guess_arousal(*spoken(np.concatenate([lively, calm])))
    assert turned.values[0] > turned.values[-1]


def test_the_level_of_a_whole_recording_is_the_microphones():
    frames, posteriors = spoken(voice(6, 120, 0.05))
    louder, _ = spoken(voice(6, 120, 0.1))
    np.testing.assert_allclose(
        guess_arousal(louder, posteriors).values, guess_arousal(frames, posteriors).values, atol=0.02
    )


def test_silence_and_no_sound_give_no_guess():
    for samples in (np.zeros(3 * SAMPLE_RATE, np.float32), np.zeros(0, np.float32)):
        frames = voice_frames(samples)
        posteriors = np.tile(np.eye(len(PHONES), dtype=np.float32)[0], (len(frames), 1))
        guess = guess_arousal(frames, posteriors)
        assert len(guess.seconds) == len(guess.values) == 0
        assert keys_of_voice(guess, GUESS) == ()


def test_keys_follow_the_voice():
    guess = Arousal(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, -1.0]))
    lively, still, subdued = keys_of_voice(guess, GUESS)
    assert lively == (1.0, "surprise", STRENGTH) and still.intensity == 0
    assert subdued.emotion == "sadness" and 0 < subdued.intensity < STRENGTH
    assert [key.intensity for key in keys_of_voice(guess, "anger")] == [STRENGTH, STRENGTH / 2, 0]
    assert check_voice_emotion("") == "" and check_voice_emotion("joy") == "joy"
    with pytest.raises(UserError, match="no emotion that a voice can show"):
        check_voice_emotion("neutral")
