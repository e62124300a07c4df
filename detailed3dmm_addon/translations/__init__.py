"""The interface in other languages: one table of texts a language, registered with the extension.

`python -m tools.ui_strings` lists the texts that a table lacks.
"""

import json
from pathlib import Path

import bpy

from ...ml_backend.expression_names import EXPRESSION_NAMES

OUR_CONTEXT = "Detailed3DMM"
"""Context of words that have another sense in Blender: its "Expression" is a formula."""
CONTEXTS = ("*", "Operator", OUR_CONTEXT)
"""Blender looks labels of operators up in a context of their own."""


def tables() -> dict[str, dict[tuple[str, str], str]]:
    """Returns translations by (context, English text), by Blender's name of a language."""
    by_language = {}
    for path in sorted(Path(__file__).parent.glob("*.json")):
        texts: dict[str, str] = json.loads(path.read_text("utf-8"))
        texts |= sided(texts)
        by_language[path.stem] = {
            (context, text): translation for text, translation in texts.items() for context in CONTEXTS
        }
    return by_language


def sided(texts: dict[str, str]) -> dict[str, str]:
    """Returns names of expressions with a side: "Mouth Smile" and "{} Left" give "Mouth Smile Left"."""
    made = {}
    for name in EXPRESSION_NAMES:
        words = "".join(f" {letter}" if letter.isupper() else letter for letter in name).split()
        base = " ".join(word[:1].upper() + word[1:] for word in words[:-1])
        side = words[-1]
        if base in texts and f"{{}} {side}" in texts:
            made[f"{base} {side}"] = texts[f"{{}} {side}"].format(texts[base])
    return made


def register():
    """Gives Blender the tables."""
    bpy.app.translations.register(__package__, tables())


def unregister():
    """Removes the tables."""
    bpy.app.translations.unregister(__package__)
