"""A real worker process: answers, progress, cancel, latest wins, death, bad requests, no torch."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from ml_backend.errors import UserError
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.skin_vector import sample_skin
from ml_backend.process.client import WorkerClient
from ml_backend.process.memory import resident_megabytes
from ml_backend.process.protocol import Decoder, Message, encode

pytestmark = pytest.mark.worker

ROOT = Path(__file__).resolve().parents[2]
FACE = BilinearFace.default()
FINAL = ("result", "error", "superseded", "cancelled", "died")


def person(seed=1, **expression):
    values = np.zeros(52, np.float32)
    for name, value in expression.items():
        values[FACE.expression_names.index(name)] = value
    return {"identity": FACE.sample_identity(seed), "skin": sample_skin(seed), "expression": values}


def clip(frames):
    arrays = person()
    values = np.random.default_rng(0).uniform(0, 1, (frames, 52)).astype(np.float32)
    uv = np.random.default_rng(1).uniform(0, 1, (500, 2)).astype(np.float32)
    return {"identity": arrays["identity"], "skin": arrays["skin"], "expressions": values, "sample_uv": uv}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    client = WorkerClient(sys.executable, ROOT, tmp_path_factory.mktemp("log"))
    yield client
    client.stop()


def test_says_who_it_is(client):
    event = client.wait(client.request("info"), 120)
    assert event.kind == "result" and event.parameters["device"] and event.parameters["torch"]
    assert client.state == "ready" and client.device == event.parameters["device"]


@pytest.mark.slow
def test_generate_is_deterministic_and_follows_the_expression(client):
    neutral, again, raised = (
        client.wait(client.request("generate", {"resolution": 256}, arrays), 120).arrays["map"]
        for arrays in (person(), person(), person(browInnerUp=1, browOuterUpLeft=1, browOuterUpRight=1))
    )
    assert neutral.shape == (256, 256) and neutral.dtype == np.float32 and np.isfinite(neutral).all()
    np.testing.assert_allclose(neutral, again, atol=1e-5)
    assert np.abs(raised - neutral).max() > 0.1


@pytest.mark.slow
def test_latest_wins(client):
    client.wait(client.request("generate", {"resolution": 256}, person()), 120)
    numbers = [
        client.request("generate", {"resolution": 1024}, person(jawOpen=step / 12), latest_of="face")
        for step in range(12)
    ]
    kinds = [client.wait(number, 60).kind for number in numbers]
    assert kinds[-1] == "result" and set(kinds[:-1]) <= {"result", "superseded"}
    assert kinds.count("superseded") >= 6


def test_requests_of_two_faces_do_not_displace_each_other(client):
    one = client.request("generate", {"resolution": 256}, person(1), latest_of="one")
    other = client.request("generate", {"resolution": 256}, person(2), latest_of="other")
    assert client.wait(one, 60).kind == client.wait(other, 60).kind == "result"


@pytest.mark.slow
def test_bake_reports_progress_and_a_basis(client):
    seen = []
    event = client.wait(
        client.request("bake_detail", {"resolution": 256}, clip(12)),
        120,
        lambda fraction, text: seen.append((fraction, text)),
    )
    assert event.kind == "result" and seen and all(0 <= fraction <= 1 for fraction, _ in seen)
    assert event.arrays["basis"].shape[1] == 500 and event.arrays["coefficients"].shape == (
        12,
        len(event.arrays["basis"]),
    )


def test_cancel_stops_a_long_job_and_short_ones_do_not_wait_for_it(client):
    long = client.request("bake_detail", {"resolution": 256}, clip(2000))
    short = client.wait(client.request("generate", {"resolution": 256}, person()), 60)
    assert short.kind == "result"
    client.cancel(long)
    assert client.wait(long, 30).kind == "cancelled"


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("generate", {"identity": np.zeros(3, np.float32)}, "identity"),
        ("generate", {"expression": np.full(52, np.nan, np.float32)}, "not finite"),
        ("dance", {}, "dance"),
    ],
)
def test_bad_requests_are_answered_and_the_next_works(client, name, change, words):
    event = client.wait(client.request(name, {"resolution": 256}, person() | change), 60)
    assert event.kind == "error" and words in event.message and event.remedy
    assert client.wait(client.request("generate", {"resolution": 256}, person()), 60).kind == "result"


def test_bad_resolution_and_missing_recording(client):
    assert "77" in client.wait(client.request("generate", {"resolution": 77}, person()), 60).message
    event = client.wait(client.request("animate", {"path": "/nowhere/voice.wav", "fps": 30.0, "seed": 0}), 60)
    assert event.kind == "error" and "voice.wav" in event.message and event.remedy


@pytest.mark.slow
def test_death_at_any_moment_is_reported_and_the_next_request_works(client):
    rng = np.random.default_rng(5)
    client.wait(client.request("generate", {"resolution": 256}, person()), 120)
    for round_ in range(6):
        job = client.request("bake_detail", {"resolution": 256}, clip(500))
        time.sleep(float(rng.uniform(0, 0.4)))
        if client.pid is None:
            pytest.fail("the worker ended by itself")
        os.kill(client.pid, signal.SIGKILL)
        killed = time.monotonic()
        event = client.wait(job, 10)
        assert event.kind == "died" and "ended" in event.message and event.remedy, round_
        assert time.monotonic() - killed < 5 and client.state == "died"
    assert client.wait(client.request("generate", {"resolution": 256}, person()), 120).kind == "result"


@pytest.mark.slow
def test_stop_ends_the_process(tmp_path):
    client = WorkerClient(sys.executable, ROOT, tmp_path)
    number = client.request("info")
    client.wait(number, 120)
    pid = client.pid
    assert 20 < resident_megabytes(pid) < 20000
    client.stop()
    assert resident_megabytes(pid) is None
    assert client.state == "stopped" and client.pid is None and pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.slow
def test_worker_ends_when_its_owner_goes(tmp_path):
    client = WorkerClient(sys.executable, ROOT, tmp_path)
    client.wait(client.request("info"), 120)
    process = client._process
    process.stdin.close()
    assert process.wait(10) == 0
    client.stop()


def test_interpreter_that_is_missing_or_lacks_torch(tmp_path):
    with pytest.raises(UserError, match="no-such-python"):
        WorkerClient(str(tmp_path / "no-such-python"), ROOT, tmp_path).request("info")
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    client = WorkerClient(str(bare), ROOT, tmp_path)
    event = client.wait(client.request("info"), 60)
    assert event.kind == "died" and "numpy" in event.remedy and "No module named" in event.remedy


def test_what_is_no_worker_is_noticed(tmp_path):
    liar = tmp_path / "liar"
    liar.write_text("#!/bin/sh\necho this is not the protocol at all\nsleep 30\n")
    liar.chmod(0o755)
    client = WorkerClient(str(liar), ROOT, tmp_path)
    event = client.wait(client.request("info"), 20)
    assert event.kind == "died" and "unreadable" in event.message


@pytest.mark.slow
def test_invert_reports_progress_and_ends_when_cancelled(client):
    values = np.random.default_rng(0).normal(0, 0.1, (64, 64)).astype(np.float32)
    shares = []
    number = client.request("invert", {"steps": 10, "resolution": 256}, {"map": values})
    event = client.wait(number, 120, lambda share, text: shares.append(share))
    assert event.kind == "result" and event.arrays["latent_offset"].shape == event.arrays["latent"].shape
    assert (
        event.arrays["map"].shape == (256, 256)
        and event.parameters["psnr_db"] > event.parameters["start_psnr_db"]
    )
    assert shares == sorted(shares) and len(shares) > 2
    offset = {"latent_offset": event.arrays["latent_offset"]}
    made = client.wait(client.request("generate", {"resolution": 256}, person() | offset), 60).arrays["map"]
    plain = client.wait(client.request("generate", {"resolution": 256}, person()), 60).arrays["map"]
    assert np.abs(made - plain).max() > 1e-3
    number = client.request("invert", {"steps": 10_000}, {"map": values})
    client.cancel(number)
    assert client.wait(number, 60).kind == "cancelled"
    event = client.wait(client.request("invert", {}, {"map": 0 * values}), 60)
    assert event.kind == "error" and "blank" in event.message


@pytest.mark.slow
def test_a_drag_during_a_bake_blocks_neither_requests_nor_polls(client):
    """Large requests and large answers at once: neither pipe keeps the caller waiting."""
    client.wait(client.request("generate", {"resolution": 256}, person()), 120)
    job = client.request("bake_detail", {"resolution": 256}, clip(60))
    latent = {"latent_offset": np.zeros((18, 512), np.float32)}
    ends = {}
    slowest = 0.0
    for step in range(2000):
        before = time.monotonic()
        client.request("generate", {"resolution": 512}, person(jawOpen=step / 2000) | latent, f"{step % 3}")
        asked = time.monotonic()
        ends |= {event.request_id: event.kind for event in client.poll() if event.kind in FINAL}
        slowest = max(slowest, asked - before, time.monotonic() - asked)
    last = client.request("info")
    assert client.wait(last, 120).kind == "result"
    limit = time.monotonic() + 120
    while len(ends) < 2001 and time.monotonic() < limit:
        ends |= {event.request_id: event.kind for event in client.poll() if event.kind in FINAL}
        time.sleep(0.01)
    assert len(ends) == 2001 and ends[job] == "result" and set(ends.values()) == {"result", "superseded"}
    assert slowest < 0.2, slowest


def test_a_child_that_never_reads_blocks_nobody(tmp_path):
    deaf = tmp_path / "deaf"
    deaf.write_text("#!/bin/sh\nexec sleep 60\n")
    deaf.chmod(0o755)
    client = WorkerClient(str(deaf), ROOT, tmp_path)
    begun = time.monotonic()
    numbers = [client.request("bake_detail", {}, clip(2000)) for _ in range(20)]  # about 8 MB
    assert client.poll() == [] and time.monotonic() - begun < 10
    client.stop(0.1)
    assert [(event.request_id, event.kind) for event in client.poll()] == [(n, "died") for n in numbers]


SMALL_WORKER = """
import os
import numpy as np
from ml_backend.process.worker import Worker, private_standard_output

def large(parameters, arrays, progress):
    return {"number": parameters["number"]}, {"map": np.zeros((1024, 1024), np.float32)}

def infinite(parameters, arrays, progress):
    return {"value": float("inf")}, {}

sink = private_standard_output()
Worker(os.fdopen(0, "rb", buffering=0), sink, {"large": large, "infinite": infinite}).run(dict)
"""


@pytest.fixture
def small_worker():
    """A worker process with two short handlers, spoken to over its pipes without a client."""
    process = subprocess.Popen(
        [sys.executable, "-c", SMALL_WORKER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    yield process
    process.kill()
    process.communicate()


def send_request(process, number, name, parameters, arrays=None):
    body = {"name": name, "parameters": parameters, "latest_of": "drag"}
    for piece in encode(Message("request", number, body, arrays or {})):
        process.stdin.write(piece)


def ends_of(process, count) -> dict[int, str]:
    decoder, ends = Decoder(), {}
    while len(ends) < count and (data := os.read(process.stdout.fileno(), 2**20)):
        ends |= {message.id: message.kind for message in decoder.feed(data) if message.kind in FINAL}
    return ends


def test_the_worker_reads_on_while_nobody_takes_its_answers(small_worker):
    """The thread that reads requests never writes: answers fill the pipe, and requests still arrive."""
    count = 60
    latent = {"latent": np.zeros((18, 512), np.float32)}
    written = threading.Event()

    def write():
        for number in range(1, count + 1):
            send_request(small_worker, number, "large", {"number": number}, latent)  # 2 MB in all
        written.set()

    threading.Thread(target=write, daemon=True).start()
    assert written.wait(30), "the worker stopped reading"
    ends = ends_of(small_worker, count)
    assert sorted(ends) == list(range(1, count + 1)) and ends[count] == "result"
    assert set(ends.values()) == {"result", "superseded"}


def test_an_answer_that_cannot_be_sent_is_an_error_and_the_lane_goes_on(small_worker):
    send_request(small_worker, 1, "infinite", {})
    assert ends_of(small_worker, 1) == {1: "error"}
    send_request(small_worker, 2, "large", {"number": 2})
    assert ends_of(small_worker, 1) == {2: "result"}


def test_a_cancelled_animation_says_that_it_was_cancelled(client):
    """Wherever the cancellation meets the job."""
    path = str(ROOT / "ml_backend/assets/demo_speech.wav")
    client.wait(client.request("animate", {"path": path}), 120)
    kinds = []
    for delay in (0.0, 0.05, 0.1, 0.2):
        number = client.request("animate", {"path": path})
        time.sleep(delay)
        client.cancel(number)
        event = client.wait(number, 60)
        kinds.append(event.kind)
        assert event.kind in ("cancelled", "result"), event.message
    assert kinds[0] == "cancelled"


def test_a_child_that_sends_senseless_values_is_noticed(tmp_path):
    frame = b"".join(map(bytes, encode(Message("progress", 1, {"fraction": "half"}))))
    (tmp_path / "frame").write_bytes(frame)
    liar = tmp_path / "liar"
    liar.write_text(f"#!/bin/sh\ncat '{tmp_path / 'frame'}'\nsleep 30\n")
    liar.chmod(0o755)
    client = WorkerClient(str(liar), ROOT, tmp_path)
    event = client.wait(client.request("info"), 20)
    assert event.kind == "died" and "unreadable" in event.message
