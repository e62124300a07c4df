"""Fixtures: an empty file with the extension enabled, its modules, a face, a recording."""

import importlib
import math
import os
import struct
import subprocess
import wave
from pathlib import Path
from types import ModuleType

import bpy
import pytest

EXTENSION = "bl_ext.user_default.detailed3dmm"


def pytest_collection_modifyitems(items):
    """Marks every test that asks the worker."""
    for item in items:
        if "worker" in item.fixturenames:
            item.add_marker("worker")


@pytest.fixture(scope="session")
def module():
    """Imports one of the extension's modules by its path inside it."""

    def load(name: str) -> ModuleType:
        return importlib.import_module(f".{name}", EXTENSION)

    return load


@pytest.fixture(autouse=True)
def empty_file(module):
    """Begins every test with an empty file, the given interpreter and no error on display."""
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.context.preferences.addons[EXTENSION].preferences.interpreter = os.environ.get(
        "D3DMM_WORKER_PYTHON", ""
    )
    module("detailed3dmm_addon.worker.jobs").clear_problem()
    return None


@pytest.fixture
def worker(module):
    """Skips without a Python with torch and says why; one that D3DMM_WORKER_PYTHON names must work."""
    reason = module("detailed3dmm_addon.worker.jobs").missing_reason()
    if reason:
        (pytest.fail if os.environ.get("D3DMM_WORKER_PYTHON") else pytest.skip)(reason)


@pytest.fixture
def face():
    """A face with its detail switched off and painted brows: just the model's shape."""
    assert bpy.ops.d3dmm.create_face(identity_seed=3, hair=False, update_detail=False) == {"FINISHED"}
    made = bpy.context.active_object
    made.d3dmm.resolution = "512"
    made.d3dmm.show_detail = False
    return made


@pytest.fixture
def wrinkled(face):
    """A face with its detail on, by the distilled model alone until a test asks the worker."""
    face.d3dmm.show_detail = True
    return face


@pytest.fixture
def no_worker(module, monkeypatch):
    """As with nothing but the zip: no Python with torch is found."""
    module("detailed3dmm_addon.worker.jobs").stop()
    monkeypatch.setattr(module("detailed3dmm_addon.worker.interpreter"), "find_interpreter", lambda: None)


@pytest.fixture
def groom(module):
    """The module that grows hair."""
    return module("detailed3dmm_addon.hair.groom")


@pytest.fixture
def settings(module):
    """The module of the sliders of hair."""
    return module("detailed3dmm_addon.hair.settings")


@pytest.fixture
def recording(tmp_path) -> Path:
    """A second of a voice-like sound: a buzz whose loudness rises and falls as syllables do."""
    path = tmp_path / "buzz.wav"
    rate = 16000
    samples = [
        int(
            9000
            * max(0.0, math.sin(2 * math.pi * 3 * i / rate))
            * sum(math.sin(2 * math.pi * 120 * k * i / rate) / k for k in range(1, 12))
            / 2
        )
        for i in range(rate)
    ]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{rate}h", *samples))
    return path


@pytest.fixture(scope="session")
def photo(tmp_path_factory) -> Path:
    """The astronaut that scikit-image carries; D3DMM_TOOLS_PYTHON or the worker's Python writes it."""
    path = tmp_path_factory.mktemp("photo") / "astronaut.png"
    code = (
        "import sys, skimage.data, PIL.Image; PIL.Image.fromarray(skimage.data.astronaut()).save(sys.argv[1])"
    )
    python = os.environ.get("D3DMM_TOOLS_PYTHON") or os.environ["D3DMM_WORKER_PYTHON"]
    subprocess.run([python, "-c", code, str(path)], check=True, timeout=300)
    return path


@pytest.fixture(scope="session")
def performance(tmp_path_factory) -> Path:
    """24 frames of a painted actor at 30 a second, who blinks and opens the mouth."""
    path = tmp_path_factory.mktemp("video") / "actor.mp4"
    code = (
        "import sys, pathlib; from ml_backend.datasets.painted_clips import paint_clip; "
        "from ml_backend.models.bilinear_face import BilinearFace; "
        "paint_clip(pathlib.Path(sys.argv[1]), BilinearFace.default(), 610_000, 0, 24)"
    )
    python = os.environ.get("D3DMM_TOOLS_PYTHON") or os.environ["D3DMM_WORKER_PYTHON"]
    root = Path(__file__).resolve().parents[2]
    subprocess.run([python, "-c", code, str(path)], check=True, timeout=900, cwd=root)
    return path


@pytest.fixture
def interactive(module):
    """The behaviour of a window: handlers act, work is left to the timer's tick, which the test calls."""
    follow = module("detailed3dmm_addon.detail.follow")
    with follow.STATE.as_in_a_window():
        yield follow


@pytest.fixture
def failing_at(module, monkeypatch):
    """Lets the n-th request of the worker fail, as if it had died."""
    backend = module("detailed3dmm_addon.worker.jobs")
    errors = module("ml_backend.errors")

    def arrange(number):
        calls = []
        ask = backend.session.ask

        def fail(*request, **more):
            calls.append(request[0])
            if len(calls) == number:
                raise errors.UserError("The worker ended unexpectedly (status -9).", "Try again.")
            return ask(*request, **more)

        monkeypatch.setattr(backend, "ask", fail)
        return calls

    return arrange
