"""The tables of translations: complete in every language, with nothing lost or foreign in them."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.ui_strings import interface_strings, missing, translations

LANGUAGES = ("de_DE", "es", "fr_FR", "ja_JP", "zh_HANS")


def test_the_collector_finds_labels_tooltips_items_and_reasons():
    found = interface_strings()
    for text in (
        "Create Face",
        "Add a face with 52 expressions, materials and wrinkles",
        "Brow Inner Up",
        "Surprise",
        "Crows Feet",
        "NVIDIA GPU",
        "Another job is under way",
        "Stopped: starts when it is needed",
        "Melanin of the skin, 0 lightest, 1 darkest",
    ):
        assert text in found, text
    assert len(found) > 300 and "OBJECT" not in found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_a_translation(language):
    lacking = missing()[language]
    assert not lacking, (
        f"{len(lacking)} texts: add them to detailed3dmm_addon/translations/{language}.json: {lacking[:5]}"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_numbers_and_are_not_english(language):
    table = translations()[language]
    assert all(said.strip() == said and said for said in table.values())
    for text, said in table.items():
        assert re.findall(r"\{\}", text) == re.findall(r"\{\}", said), text
        for number in ("PNG16", "EXR", "USD", "Alembic", "ARKit", "JSON", "PyTorch", "CUDA"):
            assert (number in text) <= (number in said), (text, said)
    same = [text for text, said in table.items() if text == said and " " in text]
    assert set(same) <= {"NVIDIA GPU", "Apple GPU"}, same
    if language in ("ja_JP", "zh_HANS"):
        plain = [text for text, said in table.items() if said.isascii()]
        assert set(plain) <= {"Detailed3DMM", "NVIDIA GPU", "Apple GPU"}, plain
