"""The zip for one platform: its packages, its manifest, its wheels inside Blender."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import bpy
import pytest
from tiny_wheel import tiny_wheel

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools import package

ROOT = package.ROOT

INSTALL_AND_IMPORT = """
import os, sys, traceback, bpy
status = 1
try:
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    archive = sys.argv[1]
    bpy.ops.extensions.package_install_files(filepath=archive, repo="user_default", enable_on_install=True)
    assert "bl_ext.user_default.detailed3dmm" in bpy.context.preferences.addons, "not enabled"
    import d3dmm_tiny
    print("FOUND", d3dmm_tiny.value, d3dmm_tiny.__file__, flush=True)
    status = 0
except BaseException:
    traceback.print_exc()
sys.stderr.flush()
os._exit(status)
"""


@pytest.fixture
def small_archive(tmp_path) -> Path:
    """The extension's manifest with next to nothing behind it."""
    path = tmp_path / "detailed3dmm.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(ROOT / "blender_manifest.toml", "blender_manifest.toml")
        archive.writestr("__init__.py", "def register():\n    pass\n\n\ndef unregister():\n    pass\n")
    return path


def here() -> tuple[str, str]:
    """This machine's platform and this Blender's Python, as `make package` names them."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    platform = {"linux": "linux-x64", "win32": "windows-x64", "darwin": "macos-arm64"}[sys.platform]
    return platform, python


def test_packages_are_chosen_by_platform_and_python():
    pytest.importorskip("packaging", reason="this environment cannot read markers")
    for platform in package.PLATFORMS:
        for python in package.FIRST_BLENDER:
            chosen = package.wanted_packages(platform, python)
            names = [line.split("==")[0] for line in chosen]
            assert "torch" in names and "numpy" not in names and len(set(names)) == len(names)
            assert ("colorama" in names) == platform.startswith("windows")


def test_the_manifest_lists_the_wheels_and_stays_valid(small_archive, tmp_path, monkeypatch):
    platform, python = here()
    tool = Path(bpy.utils.resource_path("LOCAL")) / "scripts/addons_core/bl_pkg/cli/blender_ext.py"
    monkeypatch.setattr(package, "extension_tool", lambda: tool)
    made = package.carry(small_archive, [tiny_wheel(tmp_path)], platform, python)
    assert platform.replace("-", "_") in made.name and f"py{python.replace('.', '')}" in made.name
    with zipfile.ZipFile(made) as archive:
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
        assert "wheels/d3dmm_tiny-1.0-py3-none-any.whl" in archive.namelist()
    assert manifest["platforms"] == [platform] and manifest["wheels"] == [
        "./wheels/d3dmm_tiny-1.0-py3-none-any.whl"
    ]
    assert manifest["blender_version_min"] == package.FIRST_BLENDER[python] and manifest["permissions"]


def test_blender_unpacks_and_finds_them(small_archive, tmp_path, monkeypatch):
    platform, python = here()
    first = tuple(map(int, package.FIRST_BLENDER[python].split(".")))
    if bpy.app.version < first:
        pytest.skip(f"such a zip is for Blender {first} and newer, whose numpy is new enough")
    made = package.carry(small_archive, [tiny_wheel(tmp_path)], platform, python)
    folder = tmp_path / "用户 résumé"
    folder.mkdir()
    command = [sys.executable, "-c", INSTALL_AND_IMPORT, str(made)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=dict(os.environ, BLENDER_USER_RESOURCES=str(folder)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FOUND 7" in done.stdout and "résumé" in done.stdout
