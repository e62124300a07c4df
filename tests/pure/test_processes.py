"""Training in several processes: the same network as in one, one log, one file of weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from two_processes import STEPS, train

from ml_backend.errors import UserError
from ml_backend.layers import processes
from ml_backend.phonetics.phones import PHONES
from ml_backend.speech_data.build_speech_data import write_voice
from ml_backend.speech_data.synthesisers import Utterance

ROOT = Path(__file__).resolve().parents[2]
TINY = """
[encoder]
width = 24
blocks = 2
[decoder]
width = 16
heads = 2
layers = 1
[loss]
phone = 1.0
lips = 0.5
vertex = 0.05
expression = 0.1
square = 4.0
velocity = 0.1
gap = 0.05
closing = 2.0
[training]
seed = 0
steps = 4
minutes = 0
batch = 4
seconds = 1.5
rate = 2e-3
decay = 0.0
half_life = 2
given_phones = 0.25
bfloat16 = false
log_every = 2
leave_out = ["flite-b"]
"""


def torchrun(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
@pytest.mark.train
def test_two_processes_learn_what_one_learns(tmp_path):
    alone = train(tmp_path / "alone")
    ran = torchrun(str(Path(__file__).with_name("two_processes.py")), str(tmp_path))
    assert ran.returncode == 0, ran.stderr[-3000:]
    first, second = (json.loads((tmp_path / name / "losses.json").read_text()) for name in "01")
    assert len(first) == STEPS and np.abs(np.subtract(first, alone)).max() < 1e-4
    assert first == second and first[-1] < 0.7 * first[0]
    weights = [torch.load(tmp_path / name / "weights.pt", weights_only=True) for name in ("alone", "0", "1")]
    for name, value in weights[0].items():
        assert torch.equal(weights[1][name], weights[2][name]), name
        assert torch.allclose(weights[1][name], value, atol=1e-5), name


@pytest.mark.slow
@pytest.mark.train
def test_a_training_command_runs_under_torchrun_and_writes_once(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for name in ("flite-a", "flite-b"):
        phones = rng.integers(0, len(PHONES), 30).astype(np.uint8)
        ends = np.cumsum(rng.uniform(0.06, 0.2, 30)).astype(np.float32)
        sound = rng.normal(0, 0.1, int(ends[-1] * 16000)).astype(np.float32)
        write_voice(tmp_path / "data" / f"{name}.safetensors", [Utterance(sound, phones, ends)], name)
    config = tmp_path / "tiny.toml"
    config.write_text(TINY)
    out = tmp_path / "out"
    command = ["-m", "ml_backend", "train", "speech", "--config", str(config), "--device", "cpu"]
    command += ["--data", str(tmp_path / "data"), "--out", str(out)]
    ran = torchrun(*command)
    assert ran.returncode == 0, ran.stderr[-3000:]
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 4]
    assert "speech (4 steps)" in (out / "speech.md").read_text()
    ran = torchrun(*command, "--resume", "--steps", "6")
    assert ran.returncode == 0, ran.stderr[-3000:]
    steps = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 4, 6, 6]


def test_a_batch_that_cannot_be_shared_is_said(monkeypatch):
    assert np.array_equal(processes.own_share(np.arange(5)), np.arange(5))
    assert processes.agreed(0.3, torch.device("cpu")) == 0.3
    monkeypatch.setattr(processes, "process_count", lambda: 2)
    monkeypatch.setattr(processes, "process_rank", lambda: 1)
    assert processes.own_share(torch.arange(6)).tolist() == [1, 3, 5]
    with pytest.raises(UserError, match="batch of 5"):
        processes.own_share(np.arange(5))
