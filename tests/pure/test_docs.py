"""The documents agree with the product: messages, commands, links, and the map of the code."""

import ast
import contextlib
import functools
import io
import re
from pathlib import Path

import pytest

from ml_backend.__main__ import COMMANDS, main
from ml_backend.commands import evaluate, train
from ml_backend.pipelines.asset_stages import STAGES

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
]
PACKAGES = ("ml_backend", "detailed3dmm_addon")


def product_strings() -> str:
    """Returns every string constant of the product, f-strings by their parts, one a line."""
    found = []
    for folder in ("ml_backend", "detailed3dmm_addon", "operators", "panels"):
        for path in (ROOT / folder).rglob("*.py"):
            found += [
                node.value
                for node in ast.walk(ast.parse(path.read_text("utf-8")))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
    return "\n".join(found)


def test_troubleshooting_quotes_what_the_product_says():
    strings = product_strings()
    headings = re.findall(
        r"^### `(.+)`$", (ROOT / "docs" / "troubleshooting.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(headings) > 20
    for heading in headings:
        assert heading in strings, heading


def files_with_errors(*folders: str) -> list[Path]:
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in paths if "UserError(" in path.read_text("utf-8")]


EXPLAINED = [
    *files_with_errors("detailed3dmm_addon", "ml_backend/audio", "ml_backend/pipelines", "ml_backend/video"),
    *(
        ROOT / "ml_backend" / f"{name}.py"
        for name in (
            "files/curve_file",
            "files/displacement_file",
            "files/face_file",
            "files/live_link",
            "files/foreign_curves",
            "files/metahuman_curves",
            "files/transcript_file",
            "farm/items",
            "farm/ray_cluster",
            "files/take_file",
            "files/text_file",
            "fitting/landmark_networks",
            "fitting/landmarks",
            "fitting/photo_file",
            "files/ctranslate2_file",
            "models/earlier_face",
            "models/speech/whisper_phones",
            "models/speech/whisper_recogniser",
            "datasets/whisper_features",
            "training/train_whisper_phones",
            "phonetics/align_transcript",
            "phonetics/spelling/languages",
        )
    ),
]
"""Files whose every error has a heading in troubleshooting.md: all that an artist's action can raise."""


@pytest.mark.parametrize("path", EXPLAINED, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_every_error_of_an_artists_actions_is_explained(path):
    headings = re.findall(
        r"^### `(.+)`$", (ROOT / "docs" / "troubleshooting.md").read_text("utf-8"), re.MULTILINE
    )
    tree = ast.parse(path.read_text("utf-8"))
    raised = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "UserError"
    ]
    assert raised, "this file raises no error: the list above names the wrong one"
    for call in raised:
        parts = [
            node.value
            for node in ast.walk(call.args[0])
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        assert any(heading in part for part in parts for heading in headings), parts


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_commands_exist(document):
    text = document.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("http") or (document.parent / target).exists(), target
    commands = {path.stem.replace("_", "-") for path in (ROOT / "ml_backend" / "commands").glob("*.py")}
    for name in re.findall(r"python -m ml_backend ([a-z][a-z-]+)", text):
        assert name in commands, name


def test_the_map_names_every_room_and_no_file_that_is_missing():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for package in PACKAGES:
        for folder in (ROOT / package).glob("*/__init__.py"):
            assert f"`{folder.parent.name}/`" in text, folder
    places = [ROOT, *(ROOT / package for package in PACKAGES)]
    for document in ("docs/architecture.md", "CONTRIBUTING.md"):
        named = re.findall(
            r"`([a-z_/0-9]+\.(?:py|txt|md|lock|in|toml))`", (ROOT / document).read_text("utf-8")
        )
        assert len(named) > 8
        for name in named:
            assert any((place / name).is_file() for place in places), f"{document}: {name}"


def test_make_commands_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        for name in re.findall(r"`make ([a-z-]+)`", document.read_text("utf-8")):
            assert name in targets, f"{document.name}: make {name}"


@functools.cache
def options_of(*words: str) -> frozenset[str]:
    """Returns the options that the help of a command names."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), pytest.raises(SystemExit):
        main([*words, "--help"])
    return frozenset(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", shown.getvalue()))


def command_lines(document: Path) -> list[str]:
    """Returns what a document writes behind `python -m ml_backend`, and code that begins with a command."""
    text = re.sub(r"\\\n\s*", " ", document.read_text("utf-8"))
    found = re.findall(r"(?:python|torchrun [^\n]*) -m ml_backend ([^\n`#]+)", text)
    return found + [code for code in re.findall(r"`([^`\n]+)`", text) if code.split()[0] in COMMANDS]


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_have_the_options_that_are_written(document):
    for line in command_lines(document):
        words = line.split()
        models = {"train": train.MODULES, "evaluate": evaluate.MODULES}.get(words[0], {})
        named = [words[0], words[1]] if models and words[1:] and words[1] in models else [words[0]]
        if models and len(named) == 1:  # a list of models, a name to be filled in, or the command alone
            assert not words[1:] or words[1].startswith("{") or words[1] in ("NAME", "..."), line
            continue
        written = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", line))
        assert written <= options_of(*named), f"{line}: {sorted(written - options_of(*named))}"


def test_the_readme_names_every_command_and_every_model():
    text = (ROOT / "README.md").read_text("utf-8").partition("## From a shell")[2].partition("\n## ")[0]
    named = set(re.findall(r"[a-z][a-z-]+", text))
    needless = {"worker", "info", "build-landmarks", "build-speech-data", "viseme-perceptron"}
    assert (set(COMMANDS) | set(train.MODULES) | set(evaluate.MODULES)) - needless <= named


def declared_classes() -> dict[str, ast.ClassDef]:
    """Returns every class of the extension by its name."""
    paths = [path for folder in ("operators", "detailed3dmm_addon") for path in (ROOT / folder).rglob("*.py")]
    return {
        node.name: node
        for path in paths
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    }


def properties_of(name: str, classes: dict[str, ast.ClassDef]) -> set[str]:
    """Returns the names that a class and its bases annotate: the properties of an operator."""
    if name not in classes:  # a mix-in of Blender's own: ImportHelper, ExportHelper
        return {"filepath"}
    own = {item.target.id for item in classes[name].body if isinstance(item, ast.AnnAssign)}
    return own.union(*(properties_of(ast.unparse(base), classes) for base in classes[name].bases))


def operators() -> dict[str, set[str]]:
    """Returns the arguments of each operator by its bl_idname."""
    classes = declared_classes()
    return {
        item.value.value: properties_of(name, classes)
        for name, node in classes.items()
        for item in node.body
        if isinstance(item, ast.Assign) and ast.unparse(item.targets[0]) == "bl_idname"
        if isinstance(item.value, ast.Constant)
    }


def test_operators_have_the_arguments_that_are_written():
    known, count = operators(), 0
    for document in DOCUMENTS:
        text = document.read_text("utf-8")
        for name, arguments in re.findall(r"(?:ops\.|`)(d3dmm\.[a-z_]+)(?:\(([^`\n]*?)\))?", text):
            assert name in known, f"{document.name}: {name}"
            written = set(re.findall(r"(\w+)=", arguments))
            assert written <= known[name], f"{document.name}: {name}({arguments})"
            count += 1
    assert count > 30


def test_the_hours_of_build_assets_are_those_of_its_stages():
    hours = sum(stage.minutes for stage in STAGES) / 60
    assert f"about {hours:.0f} hours" in (ROOT / "docs" / "training.md").read_text("utf-8")
