"""Draws every panel on a layout that checks its properties, operators and icons, and that its texts fit."""

import blf
import bpy
import pytest
from checking_layout import context, draw_all, layouts

OTHER_FONTS = 1.04
"""The fonts of a Linux distribution are wider by this factor."""


@pytest.mark.parametrize("language", ["en", "de_DE", "es", "fr_FR", "ja_JP", "zh_HANS"])
def test_no_text_is_cut_at_the_sidebars_first_width(face, module, language):
    face.d3dmm.has_baked_detail = True
    table = {
        text: said
        for (_, text), said in module("detailed3dmm_addon.translations").tables().get(language, {}).items()
    }
    blf.size(0, 11)
    places = [place for layout in layouts(context()) for place in layout.places()]
    assert len(places) > 150
    cut = {}
    for text, room in places:
        said = table.get(text.english, text.english)
        wide = OTHER_FONTS * blf.dimensions(0, said)[0]
        if wide > room:
            cut[said] = f"{text.english}: {wide:.0f} of {room:.0f} pixels"
    assert not cut, "\n".join(cut.values())


def test_without_a_face_only_the_beginning_is_shown():
    said = draw_all(context())
    assert "Create Face" in said and "Select a face to shape it" in said and "Strength" not in said


def test_with_a_face_everything_is_shown(face, module):
    said = draw_all(context())
    names = [d.name for d in face.d3dmm.directions]
    readable = module("panels.sidebar").readable
    assert all(readable(name) in said for name in names)
    assert {
        "Forehead",
        "Crows Feet",
        "Pores",
        "Bake Detail for Action",
        "Import Detail Map",
        "Thickness",
    } <= set(said)
    assert {"Joy", "Brow Inner Up", "Tongue Out", "Strength", "Import Audio", "PC1", "Start"} <= set(said)
    assert {
        "glTF",
        "FBX",
        "USD",
        "Alembic",
        "Displacement Maps",
        "Curves",
        "Characters",
        "Mark Face as Asset",
    } <= set(said)
    assert len(said) > 52 + len(face.d3dmm.coefficients) + len(names)


def test_baked_detail_adds_its_switch(face):
    face.d3dmm.has_baked_detail = True
    assert "Source" in draw_all(context()) and "Clear Baked Detail" in draw_all(context())


def test_an_error_is_shown_with_its_remedy(module):
    module("detailed3dmm_addon.worker.jobs").report_problem("The recording is broken.", "Export it again.")
    said = draw_all(context())
    assert "The recording is broken." in said and "Export it again." in said and "Dismiss" in said


def test_a_missing_interpreter_offers_the_installation(module, monkeypatch):
    bpy.context.preferences.addons[
        "bl_ext.user_default.detailed3dmm"
    ].preferences.interpreter = "/nowhere/python"
    said = draw_all(context())
    assert "Install Backend" in said and "does not exist" in " ".join(said)


def test_a_running_job_shows_its_progress(face, module, monkeypatch):
    backend = module("detailed3dmm_addon.worker.jobs")
    monkeypatch.setattr(backend.session, "job", backend.Job(1, "Speech", 0.4, "Listening"))
    said = draw_all(context())
    assert {"Speech", "Listening"} <= set(said) and "Import Audio" not in said


@pytest.mark.parametrize(
    "name, label",
    [
        ("browInnerUp", "Brow Inner Up"),
        ("jaw_width", "Jaw Width"),
        ("african", "African"),
        ("tongueOut", "Tongue Out"),
    ],
)
def test_labels_read_well(module, name, label):
    assert module("panels.sidebar").readable(name) == label
