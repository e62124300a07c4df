"""What the documents promise: messages that the product shows, commands that exist, links that lead somewhere."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]


def spoken_words() -> str:
    """Every string constant of the product, f-strings by their parts, one a line."""
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
    said = spoken_words()
    headings = re.findall(
        r"^### `(.+)`$", (ROOT / "docs" / "troubleshooting.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(headings) > 20
    for heading in headings:
        assert heading in said, heading


EXPLAINED = (
    "worker/environment worker/installation export/formats export/stage export/mesh export/textures "
    "other_heads/correspondence"
).split()


@pytest.mark.parametrize("name", EXPLAINED)
def test_every_error_of_installation_export_and_own_characters_is_explained(name):
    headings = re.findall(
        r"^### `(.+)`$", (ROOT / "docs" / "troubleshooting.md").read_text("utf-8"), re.MULTILINE
    )
    tree = ast.parse((ROOT / "detailed3dmm_addon" / f"{name}.py").read_text("utf-8"))
    raised = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "UserError"
    ]
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
