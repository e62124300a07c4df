"""The zip: built by Blender's own tool, installed and used; and one with a broken weight file."""

import subprocess
import sys
import zipfile
from pathlib import Path

import bpy
import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTALL_AND_PRESS = """
import os, sys, traceback, bpy
status = 1
try:
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    archive = sys.argv[1]
    bpy.ops.extensions.package_install_files(filepath=archive, repo="user_default", enable_on_install=True)
    module = "bl_ext.user_default.detailed3dmm"
    assert module in bpy.context.preferences.addons, "not enabled"
    try:
        result = bpy.ops.d3dmm.create_face(update_detail=False)
        assert result == {"FINISHED"} and len(bpy.context.active_object.data.vertices) >= 60000
        print("CREATED", flush=True)
    except RuntimeError as error:
        counts = "objects", len(bpy.data.objects), "meshes", len(bpy.data.meshes)
        print("REFUSED", str(error).replace(chr(10), " "), *counts, flush=True)
    bpy.ops.preferences.addon_disable(module=module)
    status = 0
except BaseException:
    traceback.print_exc()
sys.stderr.flush()
os._exit(status)
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    tool = Path(bpy.utils.resource_path("LOCAL")) / "scripts/addons_core/bl_pkg/cli/blender_ext.py"
    out = tmp_path_factory.mktemp("dist")
    for command in (["build", "--source-dir", str(ROOT), "--output-dir", str(out)], ["validate", None]):
        if command[-1] is None:
            command[-1] = str(next(out.glob("*.zip")))
        done = subprocess.run(
            [sys.executable, str(tool), *command], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.zip"))


def install(archive: Path, folder: Path) -> str:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "BLENDER_USER_RESOURCES": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", INSTALL_AND_PRESS, str(archive)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_zip_holds_the_extension_and_nothing_else(archive):
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {
        "__init__.py",
        "blender_manifest.toml",
        "detailed3dmm_addon",
        "operators",
        "panels",
        "ml_backend",
    } <= tops
    assert not tops & {"tests", "build", "dist", "benchmarks", ".git", ".venv", ".ci"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".zip"))]
    assert (
        "ml_backend/assets/face_model.safetensors" in names
        and "detailed3dmm_addon/worker/hashed_requirements.txt" in names
        and "detailed3dmm_addon/worker/hashed_networks.txt" in names
    )


def test_zip_installs_and_makes_a_face(archive, tmp_path):
    assert "CREATED" in install(archive, tmp_path)


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_a_broken_weight_file_is_named_and_leaves_nothing(archive, tmp_path, damage):
    broken = tmp_path / "detailed3dmm-broken.zip"
    target = "ml_backend/assets/face_model.safetensors"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(broken, "w") as copy:
        for item in source.infolist():
            content = source.read(item)
            if item.filename == target:
                if damage == "missing":
                    continue
                content = content[: len(content) // 2]
            copy.writestr(item, content)
    said = install(broken, tmp_path / "user")
    assert "REFUSED" in said and "face_model.safetensors" in said and "einstall the extension" in said
    assert "objects 0 meshes 0" in said
