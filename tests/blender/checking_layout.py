"""A layout for panels that refuses what Blender's layout refuses, and the panels drawn on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import bpy

CONTENT = 235
"""Width of the tab when it is first opened, in pixels; these five were measured on screenshots."""
UNIT = 20
"""Width of an icon, in pixels."""
MARGIN = 6
"""Space around a text, in pixels."""
NUMBER = 58
"""Width of a slider's number, in pixels."""
DIGIT = 8
"""Width of a third digit in a slider's number, in pixels."""


@dataclass(frozen=True)
class Text:
    """A text that a panel shows.

    Attributes:
        english: the text in English.
        taken: pixels of its place that other items take.
        share: its share of the whole width, where the text stands beside its slider.
    """

    english: str
    taken: int = 0
    share: float = 1.0


class CheckingLayout:
    """A UILayout that refuses what Blender refuses and keeps every label with its place."""

    def __init__(self, seen=None, across: int = 1, split: bool = False):
        self.seen = seen if seen is not None else []
        self.across = across
        self.use_property_split = split
        self.factor = 0.0
        self.items: list[CheckingLayout | Text | None] = []

    def _within(self, across: int) -> "CheckingLayout":
        self.items.append(CheckingLayout(self.seen, across, self.use_property_split))
        return self.items[-1]

    def column(self, **_):
        return self._within(1)

    box = column

    def row(self, **_):
        return self._within(0)

    def split(self, factor=0.0, **_):
        parts = self._within(0)
        parts.factor = factor
        return parts

    def grid_flow(self, columns=1, **_):
        return self._within(columns)

    def _add_text(self, text, icon="NONE", taken=0, share=1.0):
        assert icon in bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items, icon
        self.seen.append(text)
        self.items.append(Text(text, taken + (UNIT if icon != "NONE" else 0), share) if text else None)

    def places(self, width: float = CONTENT) -> Iterator[tuple[Text, float]]:
        """Yields every text with its width in pixels; items of a row share it evenly, icons are square."""
        icons = sum(item is None for item in self.items)
        shares = self.across or max(len(self.items) - icons, 1)
        each = (width - UNIT * (0 if self.across else icons)) / shares
        for number, item in enumerate(self.items):
            if self.factor:
                each = width * (self.factor if number == 0 else (1 - self.factor) / (len(self.items) - 1))
            if isinstance(item, Text):
                yield item, (each if item.share == 1 else width * item.share) - item.taken - MARGIN
            elif item is not None:
                yield from item.places(each)

    def prop(self, data, name, text=None, icon="NONE", expand=False, **_):
        assert name in data.bl_rna.properties or name.strip('["]') in data, (data, name)
        rna = data.bl_rna.properties.get(name)
        number = rna is not None and rna.type in ("INT", "FLOAT")
        label = text if text is not None else rna.name
        if self.use_property_split:
            self._add_text(label, share=0.4)
        else:
            digit = DIGIT if getattr(rna, "precision", 0) > 2 else 0
            self._add_text(label, icon, NUMBER + digit if number or rna is None else UNIT)

    def prop_search(self, data, name, search_data, search_property, text=None, **_):
        assert search_property in search_data.bl_rna.properties, (search_data, search_property)
        self.prop(data, name, text)

    def prop_decorator(self, data, name):
        assert name in data.bl_rna.properties, (data, name)
        self.items.append(None)

    def label(self, text="", icon="NONE", **_):
        self._add_text(text, icon)

    def operator(self, idname, text=None, icon="NONE", **_):
        group, name = idname.split(".")
        rna = getattr(getattr(bpy.ops, group), name).get_rna_type()
        self._add_text(text if text is not None else rna.name, icon)
        return _CheckingProperties(rna)

    def operator_menu_enum(self, idname, name, text=None, icon="NONE", **_):
        properties = self.operator(idname, text, icon)
        assert name in properties.rna.properties, name

    def menu(self, idname, text=None, **_):
        assert hasattr(bpy.types, idname), idname
        self._add_text(text, taken=UNIT)

    def progress(self, factor=0.0, text="", type="BAR"):
        assert 0.0 <= factor <= 1.0
        self._add_text(text)


class _CheckingProperties:
    def __init__(self, rna):
        object.__setattr__(self, "rna", rna)

    def __setattr__(self, name, value):
        assert name in self.rna.properties, name


def context() -> SimpleNamespace:
    """Returns the parts of a window's context that panels read; a headless Blender has no region."""
    region = SimpleNamespace(width=280)
    preferences = SimpleNamespace(system=SimpleNamespace(ui_scale=1.0))  # 0 without a window
    return SimpleNamespace(
        active_object=bpy.context.active_object,
        region=region,
        preferences=preferences,
        scene=bpy.context.scene,
        mode="OBJECT",
    )


def panels() -> list[type]:
    """Returns the extension's panel classes, those below its base classes too."""
    classes = [
        cls
        for cls in bpy.types.Panel.__subclasses__()
        if cls.__module__.startswith("bl_ext.user_default.detailed3dmm")
    ]
    for cls in list(classes):
        classes += [sub for sub in cls.__subclasses__() if sub not in classes]
    return [cls for cls in classes if hasattr(cls, "bl_label")]


def draw_all(ctx) -> list[str]:
    """Returns the texts of all panels, in English."""
    return [text for layout in layouts(ctx) for text in layout.seen]


def layouts(ctx) -> list[CheckingLayout]:
    """Draws each panel that shows itself on a layout of its own, and returns the layouts."""
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
