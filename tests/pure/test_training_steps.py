"""The training loop: rates, several optimisers, log, and a killed run that goes on with the same numbers."""

import json
from math import cos, pi

import numpy as np
import pytest
import torch

from ml_backend.errors import UserError
from ml_backend.training.checkpoints import BestWeights, WeightAverage, save_checkpoint
from ml_backend.training.stages import StageKeeper
from ml_backend.training.steps import Schedule, TrainingRun, follow_schedule, stage_lengths
from ml_backend.training.training_run import RunLog


class Killed(Exception):
    """The process ends in the middle of a step."""


def train(folder, steps=12, killed_at=None, resume=False):
    """A stage that draws from every source of randomness, with an average, a best state and a checkpoint."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1))
    average = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1))
    run = TrainingRun(RunLog(folder, resume))
    run.keep({"network": network, "average": average}, resume)
    numbers = np.random.default_rng(1)
    generator = torch.Generator().manual_seed(2)
    best = BestWeights(average)
    truth = torch.tensor([[1.0], [-2.0], [0.5]])

    def measure():
        inputs = torch.eye(3)
        error = float((average(inputs) - truth).square().mean().detach())
        best.update(error, average)
        return {"unseen": error}

    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    averages = [WeightAverage(network, average, 4)]
    settings = {"steps": steps, "rate": 0.05, "log_steps": 5, "save_steps": 3}
    for step in run.steps(
        "fit", {"adam": optimiser}, averages, settings, measure=measure, kept={"best": best},
        random=[numbers, generator],
    ):  # fmt: skip
        if step.number == killed_at:
            raise Killed
        inputs = torch.randn(4, 3, generator=generator) + torch.rand(()) + float(numbers.normal())
        loss = (network(inputs) - inputs @ truth).square().mean()
        step.descend(loss, clip=1.0, loss=loss)
    return run, network, average, best


def test_a_killed_run_that_is_resumed_gives_the_numbers_of_an_unbroken_one(tmp_path):
    _, network, average, best = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "broken", killed_at=8)
    torch.rand(5)  # another process has another random state
    run, again, again_average, again_best = train(tmp_path / "broken", resume=True)
    for one, other in ((network, again), (average, again_average)):
        for name, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name
    assert best.error == again_best.error
    assert all(torch.equal(value, again_best.weights[name]) for name, value in best.weights.items())
    logs = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("whole", "broken")
    ]
    assert [row["step"] for row in logs[0]] == [5, 10, 12] == [row["step"] for row in logs[1]]
    for row, other in zip(*logs, strict=True):
        assert row["loss"] == other["loss"] and row["unseen"] == other["unseen"]
    assert run.reached == {"fit": 12}
    assert run.facts("c", ["linear", "fit"])["stages"] == "linear, fit (12 steps)"
    assert run.facts("c", ["fit"])["steps"] == "--steps fit=12"


def test_checkpoints_of_earlier_versions_are_resumed(tmp_path):
    network = torch.nn.Linear(1, 1)
    network(torch.ones(1, 1)).sum().backward()
    adam = torch.optim.Adam(network.parameters())
    adam.step()
    path = tmp_path / "checkpoint.safetensors"
    for state in (
        {"finished": ["linear"], "stage": "fit", "done": 4, "spent": 2.5},
        {"step": 4, "minutes": 2.5},
    ):
        save_checkpoint(path, {"network": network}, {"adam": adam}, state)
        other = torch.nn.Linear(1, 1)
        keeper = StageKeeper(path, {"network": other}, True)
        average = WeightAverage(other, torch.nn.Linear(1, 1), 10)
        numbers = np.random.default_rng(0)
        optimiser = torch.optim.Adam(other.parameters())
        run = TrainingRun(keeper=keeper)
        settings = {"steps": 6, "rate": 1e-3}
        steps = run.steps("fit", {"adam": optimiser}, [average], settings, random=[numbers])
        first = next(steps)
        assert first.number == 4 and torch.equal(other.weight, network.weight)
        assert int(average.n_averaged) == 5
        assert keeper.finished("linear") == ("finished" in state)
        first.descend(other(torch.ones(1, 1)).sum())
        assert [step.number for step in steps] == [5]


def test_rates_follow_steps_and_minutes():
    weight = torch.nn.Parameter(torch.zeros(1))
    other = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.Adam([{"params": [weight]}, {"params": [other], "scale": 0.1}])
    schedule = Schedule(200)
    rates = follow_schedule(optimiser, schedule, 3.0)
    for done in range(200):
        progress = done / 200
        shape = min(1.0, (progress + 1e-3) / 0.02) * (0.02 + 0.98 * 0.5 * (1 + cos(pi * progress)))
        first, second = (group["lr"] for group in optimiser.param_groups)
        assert first == pytest.approx(3 * shape) and second == pytest.approx(0.3 * shape)
        schedule.done += 1
        optimiser.step()
        rates.step()
    clock = Schedule(1000, 2.0, done=100, spent=1.0)
    assert clock.progress == pytest.approx(0.5, abs=0.01)  # half of the minutes, a tenth of the steps


def test_steps_of_two_optimisers_and_an_end_by_the_clock(tmp_path):
    one, two = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    optimisers = {"one": torch.optim.SGD([one]), "two": torch.optim.SGD([two])}
    run = TrainingRun(RunLog(tmp_path, False))
    for step in run.steps("both", optimisers, [], {"steps": 4, "rate": 0.1}):
        with pytest.raises(ValueError, match="unpack"):
            step.descend(one.square().sum())
        step.descend(one.square().sum(), "one", first=one)
        assert float(two.detach()) == 1 or step.number
        step.descend(two.square().sum(), "two", second=2.0)
    assert 0 < float(one.detach()) < 1 and float(one.detach()) == float(two.detach())
    row = json.loads((tmp_path / "log.jsonl").read_text())
    assert row["step"] == 4 and row["second"] == 2.0 and "first" in row
    ended = run.steps("timed", optimisers, [], {"steps": 10**9, "minutes": 1e-4, "rate": 0.1})
    assert 0 < len(list(ended)) == run.reached["timed"] < 10**6
    run.lengths = {"timed": 3}
    assert len(list(run.steps("timed", optimisers, [], {"steps": 10**9, "minutes": 1e-9, "rate": 0.1}))) == 3


def test_steps_of_the_shell_name_their_stages():
    assert stage_lengths(["coarse=30", "fine=7"], ("coarse", "fine")) == {"coarse": 30, "fine": 7}
    assert stage_lengths(["12"], ("speech",)) == {"speech": 12} and stage_lengths(None, ("a",)) == {}
    for word in ("12", "other=3", "coarse=0", "coarse=x", "coarse=-1"):
        with pytest.raises(UserError, match="--steps"):
            stage_lengths([word], ("coarse", "fine"))
