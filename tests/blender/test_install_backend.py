"""The managed environment: greyed offline, honest when it fails, cancelled without a trace."""

import bpy
import pytest


@pytest.fixture
def online():
    """Allows online access; the tests themselves keep pip from using it."""
    system = bpy.context.preferences.system
    before = system.use_online_access
    system.use_online_access = True
    yield
    system.use_online_access = before


def test_grey_while_blender_is_offline():
    bpy.context.preferences.system.use_online_access = False
    assert not bpy.ops.d3dmm.install_backend.poll()
    with pytest.raises(RuntimeError, match="allow online access"):
        bpy.ops.d3dmm.install_backend()


def test_a_failed_installation_says_why_and_is_not_used(online, module, tmp_path, monkeypatch):
    environment, backend = module("detailed3dmm_addon.environment"), module("detailed3dmm_addon.backend")
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("d3dmm-no-such-package==1.0\n")
    monkeypatch.setattr(environment, "REQUIREMENTS", wanted)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(RuntimeError, match="d3dmm-no-such-package"):
        bpy.ops.d3dmm.install_backend()
    assert not environment.is_installed() and environment.running_installation() is None
    assert "press Install again" in backend.problem.remedy and environment.environment_python().exists()


def test_cancel_ends_it_and_it_can_begin_again(online, module, tmp_path, monkeypatch):
    environment = module("detailed3dmm_addon.environment")
    installation = environment.Installation()
    installation.start()
    environment.set_running_installation(installation)
    assert not installation.advance() and not bpy.ops.d3dmm.install_backend.poll()
    assert bpy.ops.d3dmm.cancel_job() == {"FINISHED"}
    assert environment.running_installation() is None and not environment.is_installed()
    assert bpy.ops.d3dmm.install_backend.poll()


def test_every_pin_names_one_version(module):
    lines = module("detailed3dmm_addon.environment").REQUIREMENTS.read_text().split("\n")
    assert all("==" in line for line in lines if line) and any(line.startswith("torch==") for line in lines)
