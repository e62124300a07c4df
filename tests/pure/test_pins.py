"""One version for the code and for Blender; a complete list of pinned packages."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
VERSION = PROJECT["version"]
MANIFEST = ROOT / "blender_manifest.toml"
MAY_SPELL_IT = {"pyproject.toml", "blender_manifest.toml", "CHANGELOG.md"}
"""pyproject.toml is the source; Blender's format asks for a copy; the changelog tells its history."""
TEXTS = {".py", ".md", ".toml", ".yml", ".yaml", ".json", ""}


def pins(name: str) -> list[str]:
    """Returns the lines of a list of packages, without comments."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_blenders_manifest_has_the_projects_version():
    manifest = tomllib.loads(MANIFEST.read_text("utf-8"))
    assert manifest["version"] == VERSION
    assert manifest["license"] == [f"SPDX:{PROJECT['license']}"]


def test_nothing_else_spells_the_version():
    spelled = re.compile(rf"(?<![\d.]){re.escape(VERSION)}(?![\d.])")
    files = [path for path in ROOT.glob("*") if path.is_file()]
    for folder in "benchmarks detailed3dmm_addon docs ml_backend operators panels tests tools".split():
        files += [path for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts]
    texts = [path for path in files if path.suffix in TEXTS and path.is_file()]
    assert len(texts) > 200
    also = [path.name for path in texts if spelled.search(path.read_text("utf-8"))]
    assert set(also) == MAY_SPELL_IT


def test_the_changelog_tells_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert VERSION in headings


def test_the_lock_is_sorted_and_holds_every_package_that_is_asked_for():
    lock = pins("requirements.lock")
    assert lock == sorted(lock, key=str.lower)
    assert all("==" in line for line in lock)
    assert set(pins("requirements.in")) <= set(lock)
