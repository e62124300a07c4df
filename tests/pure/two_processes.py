"""A small training for one process or several: `torchrun --nproc-per-node 2 two_processes.py OUT`."""

import json
import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
BATCH, STEPS = 8, 20


def train(out: Path, device: str = "cpu") -> list[float]:
    """Trains two networks with two optimisers and an average; returns the loss of the whole batch by step."""
    from ml_backend.layers.processes import own_share, process_rank
    from ml_backend.training.checkpoints import WeightAverage
    from ml_backend.training.steps import TrainingRun
    from ml_backend.training.training_run import RunLog

    torch.manual_seed(process_rank())  # the first process's start counts
    made = [
        torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3)).to(device)
        for _ in range(3)
    ]
    network, other, average = made
    numbers = np.random.default_rng(0)
    run = TrainingRun(RunLog(out, False), device=torch.device(device))
    run.keep({"network": network}, False)
    optimisers = {
        "one": torch.optim.AdamW(network.parameters(), weight_decay=0.01),
        "two": torch.optim.SGD(other.parameters()),
    }
    truth = torch.linspace(-1, 1, 15, device=device).reshape(5, 3)
    settings = {"steps": STEPS, "minutes": 1e6, "rate": 0.03, "log_steps": 5}
    losses = []
    averages = [WeightAverage(network, average, 4)]
    for step in run.steps("fit", optimisers, averages, settings, random=[numbers]):
        whole = torch.from_numpy(numbers.normal(size=(BATCH, 5)).astype(np.float32)).to(device)
        with torch.no_grad():
            losses.append(float((network(whole) + other(whole) - whole @ truth).square().mean()))
        inputs = own_share(whole)
        loss = (network(inputs) + other(inputs).detach() - inputs @ truth).square().mean()
        step.descend(loss, "one", clip=1.0, loss=loss)
        loss = (network(inputs).detach() + other(inputs) - inputs @ truth).square().mean()
        step.descend(loss, "two")
    (out / "losses.json").write_text(json.dumps(losses))
    torch.save(network.state_dict() | average.state_dict(prefix="average."), out / "weights.pt")
    return losses


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from ml_backend.layers.processes import join_processes, leave_processes, process_rank

    graphics = "cuda" in sys.argv
    join_processes(graphics)
    folder = Path(sys.argv[1]) / str(process_rank())
    train(folder, f"cuda:{torch.cuda.current_device()}" if graphics else "cpu")
    leave_processes()
