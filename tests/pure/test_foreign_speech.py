"""Speech in other languages: sentences, the phones of their sounds, and the voices that say them."""

# ruff: noqa: RUF001 - phonetic symbols look like Latin letters
import ctypes.util

import numpy as np
import pytest

from ml_backend.phonetics.foreign_phones import foreign_phones
from ml_backend.phonetics.phones import PHONES, UNKNOWN
from ml_backend.phonetics.spelling.languages import LANGUAGES
from ml_backend.speech_data.build_speech_data import BuildSpeechDataRequest, build_speech_data
from ml_backend.speech_data.foreign_sentences import FOREIGN_LANGUAGES, foreign_sentence
from ml_backend.speech_data.synthesisers import Line, Voice, speak

ESPEAK = pytest.mark.skipif(not ctypes.util.find_library("espeak-ng"), reason="eSpeak NG is not installed")


def names(symbol: str, language: str) -> list[str]:
    return [PHONES[index] for index in foreign_phones(symbol, language)]


def test_sounds_go_to_phones_with_the_same_lips():
    assert names("aɪ", "de") == ["AY"]
    assert names("yː", "de") == ["UW"]
    assert names("ts", "de") == ["T", "S"]
    assert names("r", "de") == ["HH"]
    assert names("r", "it") == ["R"]
    assert names("β", "es") == ["B"]
    assert names("ɔ̃", "fr") == ["AO"]
    assert names("ˈeʊ", "pt") == ["EY", "W"]
    assert [*names("e", "fr"), *names("ɛ", "fr")] == ["EY", "EH"]
    assert [*names("oː", "de"), *names("ɔ", "de"), *names("õ", "pt")] == ["OW", "AO", "OW"]
    assert foreign_phones("☃", "de") == [UNKNOWN]


def test_sentences_are_of_their_language():
    assert set(FOREIGN_LANGUAGES) == set(LANGUAGES)
    for language in FOREIGN_LANGUAGES:
        rng = np.random.default_rng(0)
        said = [foreign_sentence(rng, language) for _ in range(50)]
        assert len(set(said)) > 45
        assert all(3 <= len(line.split()) <= 26 for line in said)
        assert foreign_sentence(np.random.default_rng(0), language) == said[0]


@ESPEAK
@pytest.mark.parametrize("language", FOREIGN_LANGUAGES)
def test_espeak_tells_known_phones_in_every_language(language):
    voice = Voice("espeak", {"pt": "pt-br"}.get(language, language), language)
    rng = np.random.default_rng(1)
    said = list(speak(voice, [Line(foreign_sentence(rng, language)) for _ in range(20)]))
    assert len(said) == 20
    phones = np.concatenate([item.phones for item in said])
    assert (phones == UNKNOWN).mean() < 0.01
    assert len(np.unique(phones)) > 18
    for item in said:
        assert (np.diff(item.ends) >= 0).all()
        assert abs(item.ends[-1] - len(item.samples) / 16000) < 0.01


@ESPEAK
def test_a_set_of_some_voices_with_their_sound(tmp_path):
    request = BuildSpeechDataRequest(
        tmp_path, 1.0, engines=("espeak",), languages=("de", "it"), voices=("-f1",), keep_sound=True
    )
    minutes = build_speech_data(request, lambda line: None)
    assert set(minutes) == {"negatives", "espeak-de-f1", "espeak-it-f1"}
