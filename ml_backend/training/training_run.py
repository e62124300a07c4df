"""What every training command shares: configuration, folder, log, progress with time left."""

import argparse
import dataclasses
import json
import sys
import time
import tomllib
from math import cos, pi
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from ..layers.device import pick_device

CONFIGURATIONS = Path(__file__).resolve().parent / "configurations"


def add_run_arguments(
    parser: argparse.ArgumentParser, out: str, data: str = "build/maps", holds: str = "simulated maps"
) -> None:
    """Declares --config, --data, --out, --resume, --device, --threads."""
    parser.add_argument("--config", default="2core", help="2core, gpu, or a TOML file (default: 2core)")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(data),
        help=f"folder of {holds}, filled on first use (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(out),
        help="folder for checkpoints, log.jsonl, sheets, weights, card (default: %(default)s)",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoints in --out")
    parser.add_argument("--device", default="", help="cpu, cuda or mps (default: a GPU if there is one)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: torch's choice)")


def read_configuration(name: str, what: str) -> dict[str, Any]:
    """Reads a configuration by its short name or its path.

    Raises:
        UserError: there is no such file, or it is not TOML.
    """
    path = Path(name) if name.endswith(".toml") else CONFIGURATIONS / f"{what}-{name}.toml"
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}).", "Use 2core, gpu or the path of a TOML file."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(
            f"{path}: not TOML ({error}).", "Compare it with the shipped configurations."
        ) from error


def choose_device(args: argparse.Namespace) -> torch.device:
    """The device that --device and --threads ask for.

    Raises:
        UserError: there is no such device.
    """
    if args.threads:
        torch.set_num_threads(args.threads)
    return pick_device(args.device)


class RunLog:
    """log.jsonl and progress lines on stderr.

    Args:
        folder: the run's folder, made if need be.
        resume: whether log.jsonl goes on or starts anew.
    """

    def __init__(self, folder: Path, resume: bool):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / "log.jsonl"
        self.began = time.monotonic()
        self.earlier = 0.0
        if resume and self.path.exists():
            self.earlier = max(
                (json.loads(line)["seconds"] / 60 for line in self.path.read_text().splitlines()), default=0.0
            )
        else:
            self.path.unlink(missing_ok=True)

    @property
    def minutes(self) -> float:
        """Wall clock of the run's processes together."""
        return self.earlier + (time.monotonic() - self.began) / 60

    def write(self, stage: str, **figures: float | int | str) -> None:
        """Appends one record."""
        record = {"stage": stage, "seconds": round(self.minutes * 60, 1), **figures}
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        text = "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in record.items())
        print(text, file=sys.stderr, flush=True)


@dataclasses.dataclass
class Schedule:
    """Length of a stage and the learning rate along it: it ends after `steps`, or after `minutes` if that comes first.

    Attributes:
        steps: optimiser steps.
        minutes: wall clock, 0 for no bound. The rate follows whichever bound is nearer.
        done: steps done, restored on resume.
        spent: minutes spent before this process.
    """

    steps: int
    minutes: float = 0.0
    done: int = 0
    spent: float = 0.0
    _began: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Minutes in this stage, earlier processes included."""
        return self.spent + (time.monotonic() - self._began) / 60

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end."""
        share = self.done / max(self.steps, 1)
        return min(1.0, max(share, self.elapsed / self.minutes if self.minutes else 0.0))

    @property
    def minutes_left(self) -> float:
        """Estimate from the pace so far."""
        return self.elapsed * (1 - self.progress) / max(self.progress, 1e-6)

    def rate(self, peak: float, warm: float = 0.02) -> float:
        """Linear warm-up, then half a cosine down to a fiftieth of the peak."""
        now = self.progress
        return peak * min(1.0, (now + 1e-3) / warm) * (0.02 + 0.98 * 0.5 * (1 + cos(pi * now)))


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Sets every group's learning rate to `rate` times the group's own `scale`, 1 where it has none."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("scale", 1.0)
