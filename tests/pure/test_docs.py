"""The documents agree with the product: messages, commands, links, and the map of the code."""

import ast
import re
from pathlib import Path

import pytest

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
            "models/earlier_face",
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
