"""Lists the texts of the interface, read from the syntax trees, and the missing translations.

python -m tools.ui_strings             # how many there are and what is missing, by language
python -m tools.ui_strings --missing   # the missing texts alone, as JSON, to be translated

Texts are labels, names and tooltips of panels, operators and properties, items of menus, and why a button is
grey. Messages of errors and reports stay English: the troubleshooting page is keyed by them.
"""

import argparse
import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("detailed3dmm_addon", "operators", "panels")
TRANSLATIONS = ROOT / "detailed3dmm_addon" / "translations"
LAYOUT_CALLS = {
    "label",
    "operator",
    "prop",
    "menu",
    "progress",
    "popover",
    "template_list",
    "prop_search",
    "draw_paragraph",
}
TABLES = {"EXPRESSION_GROUPS", "SET_UP_ITEMS", "SKIN_PRESETS", "VIDEO_GROUPS", "_STATES", "_LABELS"}
"""Names of constants whose texts are shown; each must exist."""


def strings_in(node: ast.AST) -> Iterator[str]:
    """Yields every whole text below a node, without parts of composed texts."""
    if isinstance(node, ast.JoinedStr):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from strings_in(child)


def shown_strings(node: ast.AST) -> Iterator[str]:
    """Yields the texts that an expression can give: a constant, or the branches of a choice."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from shown_strings(node.body)
        yield from shown_strings(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from shown_strings(value)


def class_strings(node: ast.ClassDef) -> Iterator[str]:
    """Yields label and tooltip of an operator or panel."""
    for item in node.body:
        if isinstance(item, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id in ("bl_label", "bl_description") for t in item.targets
        ):
            yield from shown_strings(item.value)
    if "_OT_" in node.name:
        documented = ast.get_docstring(node, clean=False)
        if documented:
            yield documented


def call_strings(node: ast.Call) -> Iterator[str]:
    """Yields the texts in the declaration of a property or in a call of the layout."""
    name = (
        node.func.attr
        if isinstance(node.func, ast.Attribute)
        else node.func.id
        if isinstance(node.func, ast.Name)
        else ""
    )
    words = {word.arg: word.value for word in node.keywords if word.arg}
    if name.endswith("Property"):
        if any(
            isinstance(word, ast.Constant) and word.value == "HIDDEN"
            for word in ast.walk(words.get("options", ast.Set(elts=[])))
        ):
            return
        for key in ("name", "description"):
            yield from shown_strings(words.get(key, ast.Constant(value=None)))
        for item in getattr(words.get("items"), "elts", ()):
            if isinstance(item, ast.Tuple):
                for part in item.elts[1:3]:
                    yield from shown_strings(part)
    elif name in LAYOUT_CALLS:
        yield from shown_strings(words.get("text", ast.Constant(value=None)))
        yield from shown_strings(words.get("heading", ast.Constant(value=None)))


def reasons(node: ast.FunctionDef) -> Iterator[str]:
    """Yields the sentences of a function that says why a button is grey."""
    for statement in ast.walk(node):
        if isinstance(statement, ast.Return | ast.Assign) and statement.value is not None:
            yield from (text for text in strings_in(statement.value) if " " in text)


def constant(path: str, name: str) -> tuple[str, ...]:
    """Returns a tuple of texts that a module holds under a name, without importing it."""
    for node in ast.parse((ROOT / path).read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            return tuple(ast.literal_eval(node.value))
    raise SystemExit(f"error: {path} holds no {name}")


def readable_names() -> Iterator[str]:
    """Yields labels made of names: expressions, identity directions, regions, layers, groups of curves."""
    sys.path.insert(0, str(ROOT))
    from ml_backend.animation.curve_editing import GAIN_GROUPS
    from ml_backend.expression_names import EXPRESSION_NAMES
    from ml_backend.expression_presets import EXPRESSION_PRESETS
    from ml_backend.models.bilinear_face import BilinearFace

    yield from (label for label, _ in EXPRESSION_PRESETS.values())
    yield from GAIN_GROUPS.values()
    regions = constant("detailed3dmm_addon/nodes/detail_groups.py", "REGIONS")
    layers = constant("detailed3dmm_addon/clips/settings.py", "LAYER_TEXTS")
    for name in (*EXPRESSION_NAMES, *BilinearFace.default().direction_names, *regions, *layers):
        spaced = "".join(f" {letter}" if letter.isupper() else letter for letter in name.replace("_", " "))
        yield " ".join(word[:1].upper() + word[1:] for word in spaced.split())


def interface_strings() -> list[str]:
    """Returns every text of the interface, once, in order."""
    found: set[str] = set(readable_names())
    missing_tables = set(TABLES)
    for path in (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                found |= set(class_strings(node))
            elif isinstance(node, ast.Call):
                found |= set(call_strings(node))
            elif isinstance(node, ast.FunctionDef) and node.name in (
                "disabled_reason",
                "needs_face",
                "fixed_reason",
                "missing_reason",
                "busy_reason",
            ):
                found |= set(reasons(node))
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                tables = TABLES.intersection(name.id for name in targets if isinstance(name, ast.Name))
                if tables and node.value is not None:
                    missing_tables -= tables
                    found |= {
                        text for text in strings_in(node.value) if text[:1].isupper() and not text.isupper()
                    }
    if missing_tables:
        raise SystemExit(f"error: no module holds {', '.join(sorted(missing_tables))}: correct TABLES")
    return sorted(
        text
        for text in found
        if any(letter.isalpha() for letter in text) and (" " in text or not text.isupper())
    )


def translations() -> dict[str, dict[str, str]]:
    """Returns the tables of translations by locale."""
    sys.path.insert(0, str(ROOT))
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(TRANSLATIONS.glob("*.json"))}


def missing() -> dict[str, list[str]]:
    """Returns the untranslated texts by locale; names of a side are made of their parts."""
    wanted = interface_strings()
    return {
        locale: [text for text in wanted if text not in known and not has_sides(text, known)]
        for locale, known in translations().items()
    }


def has_sides(text: str, known: dict[str, str]) -> bool:
    """Returns true if "Mouth Smile Left" can be made of "Mouth Smile" and "{} Left"."""
    base, _, side = text.rpartition(" ")
    return side in ("Left", "Right") and base in known and f"{{}} {side}" in known


def main() -> int:
    """Prints the result; the status is 1 if a translation is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--missing", action="store_true")
    args = parser.parse_args()
    found = missing()
    if args.missing:
        print(
            json.dumps(
                sorted(set().union(*found.values())) if found else interface_strings(),
                indent=0,
                ensure_ascii=False,
            )
        )
    else:
        print(f"{len(interface_strings())} texts")
        for locale, texts in found.items():
            print(f"{locale}: {len(texts)} missing" + "".join(f"\n  {text}" for text in texts[:20]))
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main())
