"""The interface in other languages: a table of texts for each, given to Blender while the extension is enabled.

`python -m tools.ui_strings` lists the texts that a table lacks.
"""

import json
from pathlib import Path

import bpy

from ...ml_backend.expression_names import EXPRESSION_NAMES

OUR_CONTEXT = "Detailed3DMM"
"""For words that Blender knows in another sense: its "Expression" is a formula, its "Weight" a vertex's, its "Characters" letters."""
CONTEXTS = ("*", "Operator", OUR_CONTEXT)
"""Blender looks labels of operators up in a context of their own."""


def tables() -> dict[str, dict[tuple[str, str], str]]:
    """By Blender's name of a language: translations by (context, English text)."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.json")):
        texts: dict[str, str] = json.loads(path.read_text("utf-8"))
        texts |= sided(texts)
        found[path.stem] = {(context, text): said for text, said in texts.items() for context in CONTEXTS}
    return found


def sided(texts: dict[str, str]) -> dict[str, str]:
    """Names of expressions of one side, made of the name without it: "Mouth Smile" and "{} Left" give "Mouth Smile Left"."""
    made = {}
    for name in EXPRESSION_NAMES:
        words = "".join(f" {letter}" if letter.isupper() else letter for letter in name).split()
        base, side = " ".join(word[:1].upper() + word[1:] for word in words[:-1]), words[-1]
        if base in texts and f"{{}} {side}" in texts:
            made[f"{base} {side}"] = texts[f"{{}} {side}"].format(texts[base])
    return made


def register():
    """Gives Blender the tables."""
    bpy.app.translations.register(__package__, tables())


def unregister():
    """Takes them back."""
    bpy.app.translations.unregister(__package__)
