"""Portraits by command: who is portrayed, and what the command refuses."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import portraits, skin_sheet
from ml_backend.expression_presets import EXPRESSION_PRESETS
from tools.portrait import NEUTRAL
from tools.readme_pictures import CLOSE, FIRST, PEOPLE


def test_a_longer_run_repeats_a_shorter_one():
    few = portraits.random_people(3, 500, NEUTRAL)
    many = portraits.random_people(8, 500, NEUTRAL)
    assert many[:3] == few and len({person.seed for person in many}) == 8


def test_ages_and_tones_are_flat_over_their_ranges():
    people = portraits.random_people(600, 0, NEUTRAL)
    ages, tones = (np.array([getattr(person, name) for person in people]) for name in ("age", "tone"))
    assert np.abs(np.histogram(tones, 5, (0, 1))[0] / 600 - 0.2).max() < 0.06
    assert np.abs(np.histogram(ages, 5, (-0.6, 1))[0] / 600 - 0.2).max() < 0.06
    assert abs(np.corrcoef(ages, tones)[0, 1]) < 0.12


def test_the_readme_shows_all_ages_and_tones_each_with_an_expression_of_the_extension():
    assert len(PEOPLE) == 8
    assert all(person.expression in (NEUTRAL, *EXPRESSION_PRESETS) for person in (*PEOPLE, FIRST, CLOSE))
    ages, tones = sorted(person.age for person in PEOPLE), sorted(person.tone for person in PEOPLE)
    assert np.diff(ages).max() < 0.4 and ages[0] < -0.5 and ages[-1] == 1.0
    assert np.diff(tones).max() < 0.4 and tones[0] < 0.2 and tones[-1] > 0.9


@pytest.mark.parametrize(
    "wrong", [["--count", "0"], ["--size", "8"], ["--samples", "0"], ["--light", "moon"], ["--seed", "-1"]]
)
def test_a_wrong_argument_ends_before_any_work(wrong, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["portraits", "--out", str(tmp_path / "made"), *wrong])
    with pytest.raises(SystemExit) as ended:
        portraits.main()
    assert ended.value.code == 2 and wrong[0] in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "wrong", [["--size", "8"], ["--samples", "0"], ["--light", "moon"], ["--seed", "-1"]]
)
def test_a_wrong_argument_of_the_skin_sheet_ends_before_any_work(wrong, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["skin_sheet", "--out", str(tmp_path / "made"), *wrong])
    with pytest.raises(SystemExit) as ended:
        skin_sheet.main()
    assert ended.value.code == 2 and wrong[0] in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


def test_the_skin_sheet_spans_six_tones_and_grown_up_ages():
    assert len(skin_sheet.TONES) == 6 and skin_sheet.TONES[0] > 55 and skin_sheet.TONES[-1] < -30
    assert [years for _, years in skin_sheet.AGES] == sorted(years for _, years in skin_sheet.AGES)
