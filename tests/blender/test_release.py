"""A release: what its zips hold, an index that Blender installs from, an upgrade that keeps what is there."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import bpy
import pytest
from tiny_wheel import tiny_wheel

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools import package, release

ROOT = package.ROOT
UPGRADE = """
import os, sys, traceback, bpy
from pathlib import Path
old, folder = sys.argv[1:3]
module = "bl_ext.user_default.detailed3dmm"
status = 1
try:
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.context.preferences.system.use_online_access = True
    repos = bpy.context.preferences.extensions.repos
    here = next(index for index, repo in enumerate(repos) if repo.module == "user_default")
    bpy.ops.extensions.package_install_files(filepath=old, repo="user_default", enable_on_install=True)
    preferences = bpy.context.preferences.addons[module].preferences
    preferences.interpreter = "/opt/python/bin/python"
    kept = Path(bpy.utils.extension_path_user(module, path="environment", create=True)) / "kept.txt"
    kept.write_text("kept")
    assert bpy.ops.d3dmm.create_face(identity_seed=3, update_detail=False) == {"FINISHED"}
    bpy.context.active_object.data.shape_keys.key_blocks["jawOpen"].value = 0.5
    assert bpy.ops.d3dmm.add_preset(kind="CHARACTER", name="Anna") == {"FINISHED"}
    assert bpy.ops.d3dmm.save_face(filepath=str(Path(folder, "anna.json"))) == {"FINISHED"}
    assert bpy.ops.wm.save_as_mainfile(filepath=str(Path(folder, "scene.blend"))) == {"FINISHED"}
    repos[here].use_remote_url = True
    repos[here].remote_url = Path(folder, "index.json").as_uri()
    repos[here].enabled = True
    assert bpy.ops.extensions.repo_sync(repo_index=here) == {"FINISHED"}
    assert bpy.ops.extensions.package_install(repo_index=here, pkg_id="detailed3dmm") == {"FINISHED"}
    import importlib
    manifest = Path(importlib.import_module(module).__file__).parent / "blender_manifest.toml"
    version = next(line for line in manifest.read_text().splitlines() if line.startswith("version"))
    assert module in bpy.context.preferences.addons, "not enabled"
    assert bpy.context.preferences.addons[module].preferences.interpreter == "/opt/python/bin/python"
    assert kept.read_text() == "kept" and len(bpy.context.active_object.data.vertices) >= 60000
    presets = bpy.utils.user_resource("SCRIPTS", path="presets/detailed3dmm/characters")
    for file in (Path(presets, "Anna.json"), Path(folder, "anna.json")):
        assert bpy.ops.d3dmm.create_face(update_detail=False) == {"FINISHED"}
        assert bpy.ops.d3dmm.load_face(filepath=str(file)) == {"FINISHED"}
        assert abs(bpy.context.active_object.data.shape_keys.key_blocks["jawOpen"].value - 0.5) < 1e-6
    assert bpy.ops.wm.open_mainfile(filepath=str(Path(folder, "scene.blend"))) == {"FINISHED"}
    face = next(item for item in bpy.data.objects if item.type == "MESH" and item.data.shape_keys)
    assert abs(face.data.shape_keys.key_blocks["jawOpen"].value - 0.5) < 1e-6
    bpy.context.view_layer.objects.active = face
    assert bpy.ops.d3dmm.set_expression_preset(preset="joy") == {"FINISHED"}
    print("UPGRADED", version, flush=True)
    status = 0
except BaseException:
    traceback.print_exc()
sys.stderr.flush()
os._exit(status)
"""


@pytest.fixture(autouse=True)
def tool(monkeypatch) -> Path:
    path = Path(bpy.utils.resource_path("LOCAL")) / "scripts/addons_core/bl_pkg/cli/blender_ext.py"
    monkeypatch.setattr(package, "extension_tool", lambda: path)
    return path


def small_zip(path: Path, **more: str) -> Path:
    """Writes the extension's manifest with next to nothing behind it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(ROOT / "blender_manifest.toml", "blender_manifest.toml")
        archive.writestr("__init__.py", "def register():\n    pass\n\n\ndef unregister():\n    pass\n")
        for name, content in more.items():
            archive.writestr(name, content)
    return path


def test_the_index_names_every_zip_with_its_hash(tmp_path):
    small = small_zip(tmp_path / "detailed3dmm.zip")
    folder = tmp_path / "with-backend"
    folder.mkdir()
    (tmp_path / "wheel").mkdir()
    wheel = tiny_wheel(tmp_path / "wheel")
    for platform in package.PLATFORMS:
        made = package.carry(small, [wheel], platform, "3.11")
        made.replace(folder / made.name)
    for place, count in ((tmp_path, 1), (folder, 3)):
        entries = release.check_index(release.write_index(place))
        assert len(entries) == count
        for entry in entries:
            archive = place / entry["archive_url"]
            assert entry["id"] == "detailed3dmm" and entry["version"] == release.project_version()
            assert entry["archive_hash"] == f"sha256:{release.sha256(archive)}"
            assert entry["archive_size"] == archive.stat().st_size
    platforms = sorted(entry["platforms"][0] for entry in entries)
    assert platforms == sorted(package.PLATFORMS)
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["version"] == "v1" and index["blocklist"] == []

    notes = release.write_notes(tmp_path).read_text()
    sums = dict(reversed(line.split("  ")) for line in (tmp_path / "SHA256SUMS").read_text().splitlines())
    assert len(sums) == 4 and all(checksum in notes for checksum in sums.values())
    assert "### Added" in notes and "windows-x64" in notes and "every platform" in notes

    with small.open("ab") as file:
        file.write(b"more")
    with pytest.raises(SystemExit, match=r"size of detailed3dmm\.zip"):
        release.check_index(tmp_path / "index.json")
    small.unlink()
    with pytest.raises(SystemExit, match="but there are"):
        release.check_index(tmp_path / "index.json")


def test_a_zip_with_wrong_contents_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"ml_backend/__main__\.py is missing"):
        release.check_contents(small_zip(tmp_path / "a.zip"))
    needed = ("__init__.py",)
    assert release.check_contents(small_zip(tmp_path / "a.zip"), needed)["id"] == "detailed3dmm"
    for name in ("tests/test_a.py", "ml_backend/__pycache__/a.pyc", ".git/config"):
        with pytest.raises(SystemExit, match="does not belong"):
            release.check_contents(small_zip(tmp_path / "a.zip", **{name: ""}), needed)
    with pytest.raises(SystemExit, match="in the manifest or in the zip alone"):
        release.check_contents(small_zip(tmp_path / "a.zip", **{"wheels/a-1-py3-none-any.whl": ""}), needed)


def test_the_notes_are_those_of_the_version():
    changelog = (
        "# Changelog\n\n## [Unreleased]\n\n## [2.0.0] - 2026-01-01\n### Added\n- b\n\n## [1.9.0]\n- a\n"
    )
    assert release.changes_of("2.0.0", changelog) == "### Added\n- b"
    assert release.changes_of("2.0.0", changelog.replace("ed]\n\n", "ed]\n- c\n\n", 1)) == "- c"


def test_an_upgrade_from_the_index_keeps_preferences_and_files(tmp_path):
    folder = tmp_path / "dist"
    archive = package.build(folder)
    release.check_contents(archive)
    release.write_index(folder)
    old = tmp_path / "old.zip"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(old, "w") as target:
        for item in source.infolist():
            content = source.read(item)
            if item.filename == "blender_manifest.toml":
                version = f'version = "{release.project_version()}"'
                assert version in content.decode()
                content = content.decode().replace(version, 'version = "0.0.9"').encode()
            target.writestr(item, content)
    done = subprocess.run(
        [sys.executable, "-c", UPGRADE, str(old), str(folder)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=dict(os.environ, BLENDER_USER_RESOURCES=str(tmp_path / "user")),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f'UPGRADED version = "{release.project_version()}"' in done.stdout
