"""Draws every panel against a layout that checks what a real one would: that properties, operators and icons exist."""

from types import SimpleNamespace

import bpy
import pytest


class CheckingLayout:
    """Takes the calls of a UILayout, refuses what Blender would refuse, and keeps the labels."""

    def __init__(self, seen=None):
        self.seen = seen if seen is not None else []

    def _nested(self, **_):
        return CheckingLayout(self.seen)

    row = column = box = grid_flow = split = _nested

    def prop(self, data, name, text=None, icon="NONE", **_):
        assert name in data.bl_rna.properties or name.strip('["]') in data, (data, name)
        self._icon(icon)
        self.seen.append(text if text is not None else data.bl_rna.properties[name].name)

    def prop_search(self, data, name, search_data, search_property, text=None, **_):
        assert search_property in search_data.bl_rna.properties, (search_data, search_property)
        self.prop(data, name, text)

    def prop_decorator(self, data, name):
        assert name in data.bl_rna.properties, (data, name)

    def label(self, text="", icon="NONE"):
        self._icon(icon)
        self.seen.append(text)

    def operator(self, idname, text=None, icon="NONE", **_):
        group, name = idname.split(".")
        rna = getattr(getattr(bpy.ops, group), name).get_rna_type()
        self._icon(icon)
        self.seen.append(text if text is not None else rna.name)
        return _CheckingProperties(rna)

    def menu(self, idname, text=None, **_):
        assert hasattr(bpy.types, idname), idname
        self.seen.append(text)

    def progress(self, factor=0.0, text="", type="BAR"):
        assert 0.0 <= factor <= 1.0
        self.seen.append(text)

    @staticmethod
    def _icon(name):
        assert name in bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items, name


class _CheckingProperties:
    def __init__(self, rna):
        object.__setattr__(self, "rna", rna)

    def __setattr__(self, name, value):
        assert name in self.rna.properties, name


def context():
    region = SimpleNamespace(width=280)
    preferences = SimpleNamespace(system=SimpleNamespace(ui_scale=1.0))  # 0 without a window
    return SimpleNamespace(
        active_object=bpy.context.active_object, region=region, preferences=preferences, scene=bpy.context.scene, mode="OBJECT"
    )


def panels():
    found = [cls for cls in bpy.types.Panel.__subclasses__() if cls.__module__.startswith("bl_ext.user_default.detailed3dmm")]
    for cls in list(found):
        found += [sub for sub in cls.__subclasses__() if sub not in found]
    return [cls for cls in found if hasattr(cls, "bl_label")]


def draw_all(ctx) -> list[str]:
    said = []
    for cls in panels():
        if hasattr(cls, "poll") and not cls.poll(ctx):
            continue
        layout = CheckingLayout(said)
        for part in ("draw_header", "draw"):
            if part in dir(cls) and any(part in base.__dict__ for base in cls.__mro__ if base.__module__.startswith("bl_ext")):
                getattr(cls, part)(SimpleNamespace(layout=layout, names=getattr(cls, "names", ())), ctx)
    return said


def test_without_a_face_only_the_beginning_is_shown():
    said = draw_all(context())
    assert "Create Face" in said and "Select a face to shape it" in said and "Strength" not in said


def test_with_a_face_everything_is_shown(face, module):
    said = draw_all(context())
    names = [d.name for d in face.d3dmm.directions]
    readable = module("panels.sidebar").readable
    assert all(readable(name) in said for name in names)
    assert {"Forehead", "Crows Feet", "Pores", "Bake Detail for Action", "Import Detail Map", "Thickness"} <= set(said)
    assert {"Joy", "Brow Inner Up", "Tongue Out", "Strength", "Import Audio", "PC1", "Start"} <= set(said)
    assert {"glTF", "FBX", "USD", "Alembic", "Displacement Maps", "Curves", "Characters", "Mark Face as Asset"} <= set(said)
    assert len(said) > 52 + len(face.d3dmm.coefficients) + len(names)


def test_baked_detail_adds_its_switch(face):
    face.d3dmm.has_baked_detail = True
    assert "Source" in draw_all(context()) and "Clear Baked Detail" in draw_all(context())


def test_an_error_is_shown_with_its_remedy(module):
    module("detailed3dmm_addon.backend").report_problem("The recording is broken.", "Export it again.")
    said = draw_all(context())
    assert "The recording is broken." in said and "Export it again." in said and "Dismiss" in said


def test_a_missing_interpreter_offers_the_installation(module, monkeypatch):
    bpy.context.preferences.addons["bl_ext.user_default.detailed3dmm"].preferences.interpreter = "/nowhere/python"
    said = draw_all(context())
    assert "Install Backend" in said and "does not exist" in " ".join(said)


def test_a_running_job_shows_its_progress(face, module, monkeypatch):
    backend = module("detailed3dmm_addon.backend")
    monkeypatch.setattr(backend, "_job", backend.Job(1, "Speech", 0.4, "Listening"))
    said = draw_all(context())
    assert {"Speech", "Listening"} <= set(said) and "Import Audio" not in said


@pytest.mark.parametrize(
    "name, label", [("browInnerUp", "Brow Inner Up"), ("jaw_width", "Jaw Width"), ("african", "African"), ("tongueOut", "Tongue Out")]
)
def test_labels_read_well(module, name, label):
    assert module("panels.sidebar").readable(name) == label
