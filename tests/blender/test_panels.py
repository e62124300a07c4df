"""Draws every panel on a layout that checks properties, operators and icons, and that texts fit."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import blf
import bpy
import pytest

CONTENT, UNIT, MARGIN, NUMBER, DIGIT = 235, 20, 6, 58, 8
"""Pixels, read off screenshots: the tab at its first width, an icon, a margin, a number, its third digit."""
OTHER_FONTS = 1.04
"""A Linux distribution's own letters are so much wider."""


@dataclass(frozen=True)
class Text:
    """A text that a panel shows.

    Attributes:
        said: in English.
        taken: pixels of its place that other things take.
        share: of the whole width, where the text stands beside its slider.
    """

    said: str
    taken: int = 0
    share: float = 1.0


class CheckingLayout:
    """Takes the calls of a UILayout, refuses what Blender would refuse, and keeps labels and places."""

    def __init__(self, seen=None, across: int = 1, split: bool = False):
        self.seen = seen if seen is not None else []
        self.across = across
        self.use_property_split = split
        self.items: list[CheckingLayout | Text | None] = []

    def _within(self, across: int) -> "CheckingLayout":
        self.items.append(CheckingLayout(self.seen, across, self.use_property_split))
        return self.items[-1]

    def column(self, **_):
        return self._within(1)

    box = column

    def row(self, **_):
        return self._within(0)

    def grid_flow(self, columns=1, **_):
        return self._within(columns)

    def _say(self, text, icon="NONE", taken=0, share=1.0):
        assert icon in bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items, icon
        self.seen.append(text)
        self.items.append(Text(text, taken + (UNIT if icon != "NONE" else 0), share) if text else None)

    def places(self, width: float = CONTENT) -> Iterator[tuple[Text, float]]:
        """Yields texts with the pixels that they may fill; a row's items share evenly, icons are square."""
        icons = sum(item is None for item in self.items)
        shares = self.across or max(len(self.items) - icons, 1)
        each = (width - UNIT * (0 if self.across else icons)) / shares
        for item in self.items:
            if isinstance(item, Text):
                yield item, (each if item.share == 1 else width * item.share) - item.taken - MARGIN
            elif item is not None:
                yield from item.places(each)

    def prop(self, data, name, text=None, icon="NONE", expand=False, **_):
        assert name in data.bl_rna.properties or name.strip('["]') in data, (data, name)
        rna = data.bl_rna.properties.get(name)
        number = rna is not None and rna.type in ("INT", "FLOAT")
        said = text if text is not None else rna.name
        if self.use_property_split:
            self._say(said, share=0.4)
        else:
            digit = DIGIT if getattr(rna, "precision", 0) > 2 else 0
            self._say(said, icon, NUMBER + digit if number or rna is None else UNIT)

    def prop_search(self, data, name, search_data, search_property, text=None, **_):
        assert search_property in search_data.bl_rna.properties, (search_data, search_property)
        self.prop(data, name, text)

    def prop_decorator(self, data, name):
        assert name in data.bl_rna.properties, (data, name)
        self.items.append(None)

    def label(self, text="", icon="NONE", **_):
        self._say(text, icon)

    def operator(self, idname, text=None, icon="NONE", **_):
        group, name = idname.split(".")
        rna = getattr(getattr(bpy.ops, group), name).get_rna_type()
        self._say(text if text is not None else rna.name, icon)
        return _CheckingProperties(rna)

    def menu(self, idname, text=None, **_):
        assert hasattr(bpy.types, idname), idname
        self._say(text, taken=UNIT)

    def progress(self, factor=0.0, text="", type="BAR"):
        assert 0.0 <= factor <= 1.0
        self._say(text)


class _CheckingProperties:
    def __init__(self, rna):
        object.__setattr__(self, "rna", rna)

    def __setattr__(self, name, value):
        assert name in self.rna.properties, name


def context():
    region = SimpleNamespace(width=280)
    preferences = SimpleNamespace(system=SimpleNamespace(ui_scale=1.0))  # 0 without a window
    return SimpleNamespace(
        active_object=bpy.context.active_object,
        region=region,
        preferences=preferences,
        scene=bpy.context.scene,
        mode="OBJECT",
    )


def panels():
    found = [
        cls
        for cls in bpy.types.Panel.__subclasses__()
        if cls.__module__.startswith("bl_ext.user_default.detailed3dmm")
    ]
    for cls in list(found):
        found += [sub for sub in cls.__subclasses__() if sub not in found]
    return [cls for cls in found if hasattr(cls, "bl_label")]


def draw_all(ctx) -> list[str]:
    return [said for layout in layouts(ctx) for said in layout.seen]


def layouts(ctx) -> list[CheckingLayout]:
    """What each panel draws."""
    drawn = []
    for cls in panels():
        if hasattr(cls, "poll") and not cls.poll(ctx):
            continue
        drawn.append(CheckingLayout())
        for part in ("draw_header", "draw"):
            if part in dir(cls) and any(
                part in base.__dict__ for base in cls.__mro__ if base.__module__.startswith("bl_ext")
            ):
                getattr(cls, part)(SimpleNamespace(layout=drawn[-1], names=getattr(cls, "names", ())), ctx)
    return drawn


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
        said = table.get(text.said, text.said)
        wide = OTHER_FONTS * blf.dimensions(0, said)[0]
        if wide > room:
            cut[said] = f"{text.said}: {wide:.0f} of {room:.0f} pixels"
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
