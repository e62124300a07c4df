"""The worker killed at random moments: reported within two seconds, scene unchanged, next request works.

Each job once here; `make test-kills` does two hundred, and some in operators (D3DMM_KILLS). Commands of
the shell are killed in `tests/pure/test_killed_commands.py`.
"""

import os
import random
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
import pytest
from scene_state import evaluated, state_of_scene

pytestmark = pytest.mark.usefixtures("worker")

KILLS = int(os.environ.get("D3DMM_KILLS", "8"))
MOST_SECONDS_TO_TELL = 2.0


@dataclass(frozen=True)
class Given:
    """The files that jobs work on."""

    recording: Path
    photo: Path
    film: Path


@pytest.fixture
def given(recording, photo, performance) -> Given:
    return Given(recording, photo, performance)


def speech(face, module, given):
    source = module("detailed3dmm_addon.clips.clip_sources").SpeechSource(given.recording)
    return next(source.curves(face.d3dmm_animation, 1, 25.0))[1:]


def video(face, module, given):
    source = module("detailed3dmm_addon.clips.clip_sources").VideoSource(given.film, same_person=True)
    return next(source.curves(face.d3dmm_animation, 1, 25.0))[1:]


def live(_face, _module, given):
    return "live_start", {"source": str(given.film)}, {}


def photo_fit(_face, module, given):
    return module("operators.transfer_attributes")._photo_request(given.photo, True)


def attribute_codes(_face, module, given):
    return module("operators.transfer_attributes")._photo_request(given.photo, False)


def wrinkles(face, module, _given):
    expressions = np.random.default_rng(0).uniform(0, 1, (2000, 52)).astype(np.float32)
    skin = module("detailed3dmm_addon.model.face_model").skin_of(face)
    return module("detailed3dmm_addon.detail.bake").clip_request(face, expressions, skin)


def imported_map(face, module, _given):
    values = np.random.default_rng(0).normal(0, 0.1, (64, 64)).astype(np.float32)
    return "invert", {"steps": 5000}, {"map": values}


def full_map(face, module, _given):
    return (
        "generate",
        {"resolution": 1024},
        module("detailed3dmm_addon.detail.inputs").detail_inputs(face).arrays(),
    )


JOBS = (speech, video, live, photo_fit, attribute_codes, wrinkles, imported_map, full_map)


def test_killed_at_any_moment_of_any_job(wrinkled, given, module):
    backend, draw = (
        module("detailed3dmm_addon.worker.jobs"),
        random.Random(int(os.environ.get("D3DMM_KILLS_SEED", "0"))),
    )
    small = {"resolution": 256}
    before, surface = state_of_scene(), evaluated(wrinkled)
    slowest, finished = 0.0, 0
    killed_in = dict.fromkeys((job.__name__ for job in JOBS), 0)
    jobs = [job for _ in range(KILLS) for job in draw.sample(JOBS, len(JOBS))]  # each as often, in any order
    for number, request in enumerate(jobs[:KILLS]):
        killed_in[request.__name__] += 1
        job = backend.begin_job("Job", *request(wrinkled, module, given))
        moment = time.monotonic() + draw.uniform(0.0, 6.0)
        while time.monotonic() < moment and job.outcome is None:
            backend.pump()
            time.sleep(0.002)
        process = backend.worker_pid()
        assert process is not None, (
            f"kill {number}: the worker ended by itself: {backend.problem.message} {backend.problem.remedy}"
        )
        finished += job.outcome is not None
        backend.clear_problem()
        os.kill(process, signal.SIGKILL)
        killed = time.monotonic()
        while backend.state() != "died":
            assert time.monotonic() - killed < MOST_SECONDS_TO_TELL, f"kill {number}: nothing was told"
            backend.pump()
            time.sleep(0.002)
        slowest = max(slowest, time.monotonic() - killed)
        assert "ended unexpectedly" in backend.problem.message and "Try again" in backend.problem.remedy
        assert job.outcome is not None and backend.running_job() is None
        assert state_of_scene() == before and np.array_equal(evaluated(wrinkled), surface)
        answer = backend.ask(
            "generate",
            small,
            module("detailed3dmm_addon.detail.inputs").detail_inputs(wrinkled).arrays(),
            timeout=300,
        )
        assert np.isfinite(answer.arrays["map"]).all()
        if number % 10 == 9:
            print(f"{number + 1} kills, slowest message {slowest:.3f} s", flush=True)
    assert bpy.ops.d3dmm.update_detail() == {"FINISHED"}
    print(f"{KILLS} kills, {finished} after the job's own end, slowest message {slowest:.3f} s; {killed_in}")


def import_audio(given):
    return bpy.ops.d3dmm.import_audio(filepath=str(given.recording))


def import_video(given):
    return bpy.ops.d3dmm.import_video(filepath=str(given.film))


def face_from_photo(given):
    return bpy.ops.d3dmm.fit_from_image(filepath=str(given.photo))


def transfer_of_a_photo(_given):
    return bpy.ops.d3dmm.transfer_attributes()


def transfer_of_a_fit(_given):
    return bpy.ops.d3dmm.transfer_attributes()


PRESSES = (import_audio, import_video, face_from_photo, transfer_of_a_photo, transfer_of_a_fit)


def killing_after(backend, seconds: float) -> threading.Thread:
    """Starts a thread that kills the worker so long after it is there."""

    def wait_and_kill():
        until = time.monotonic() + 60
        while backend.worker_pid() is None and time.monotonic() < until:
            time.sleep(0.002)
        time.sleep(seconds)
        os.kill(backend.worker_pid(), signal.SIGKILL)

    thread = threading.Thread(target=wait_and_kill)
    thread.start()
    return thread


@pytest.mark.parametrize("press", PRESSES)
def test_an_operator_whose_worker_is_killed_changes_nothing(wrinkled, given, module, press):
    backend, draw = module("detailed3dmm_addon.worker.jobs"), random.Random(press.__name__)
    settings = wrinkled.d3dmm_transfer
    settings.source_kind, settings.source_path, settings.use_shape = "FILE", str(given.photo), True
    settings.use_expression, settings.fit_photo = True, press is transfer_of_a_fit
    count, killed = max(1, KILLS // 10), 0
    for number in range(count):  # each half a second later than the one before
        backend.stop()
        before, surface = state_of_scene(), evaluated(wrinkled)
        thread = killing_after(backend, (number + draw.random()) / 2)
        try:
            press(given)
        except RuntimeError as error:
            assert "ended unexpectedly" in str(error)
        else:  # the operator was done first, and what it made stays: later moments would be too late too
            break
        finally:
            thread.join()
        killed += 1
        assert state_of_scene() == before, f"kill {number}"
        assert np.array_equal(evaluated(wrinkled), surface), f"kill {number}"
    assert killed
    wrinkled.d3dmm.detail_source = "LIVE"  # the last press may have come through and baked its clip
    assert bpy.ops.d3dmm.update_detail() == {"FINISHED"}
    print(f"{press.__name__}: {killed} kills")
