"""The worker killed at random moments: reported within two seconds, scene unchanged, next request works.

A few here; `make test-kills` does two hundred (D3DMM_KILLS).
"""

import os
import random
import signal
import time

import bpy
import numpy as np
import pytest
from scene_state import evaluated, state_of_scene

pytestmark = pytest.mark.usefixtures("worker")

KILLS = int(os.environ.get("D3DMM_KILLS", "4"))
MOST_SECONDS_TO_TELL = 2.0


def speech(face, module, recording):
    source = module("detailed3dmm_addon.clips.clip_sources").SpeechSource(recording)
    return next(source.curves(face.d3dmm_animation, 1, 25.0))[1:]


def wrinkles(face, module, _recording):
    expressions = np.random.default_rng(0).uniform(0, 1, (2000, 52)).astype(np.float32)
    skin = module("detailed3dmm_addon.model.face_model").skin_of(face)
    return module("detailed3dmm_addon.detail.bake").clip_request(face, expressions, skin)


def imported_map(face, module, _recording):
    values = np.random.default_rng(0).normal(0, 0.1, (64, 64)).astype(np.float32)
    return "invert", {"steps": 5000}, {"map": values}


def full_map(face, module, _recording):
    return (
        "generate",
        {"resolution": 1024},
        module("detailed3dmm_addon.detail.inputs").detail_inputs(face).arrays(),
    )


JOBS = (speech, wrinkles, imported_map, full_map)


def test_killed_at_any_moment_of_any_job(wrinkled, recording, module):
    backend, draw = (
        module("detailed3dmm_addon.worker.jobs"),
        random.Random(int(os.environ.get("D3DMM_KILLS_SEED", "0"))),
    )
    small = {"resolution": 256}
    before, surface = state_of_scene(), evaluated(wrinkled)
    slowest, finished = 0.0, 0
    for number in range(KILLS):
        job = backend.begin_job("Job", *draw.choice(JOBS)(wrinkled, module, recording))
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
    print(f"{KILLS} kills, {finished} after the job's own end, slowest message {slowest:.3f} s")
