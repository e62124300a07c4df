"""The parts that every training command shares: options, configuration, map sets, device and log."""

import argparse
import json
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import torch

from ..datasets.map_set import MapSet, MapSetSpec, make_map_set
from ..errors import UserError
from ..files.training_log import read_records, write_records
from ..layers.device import device_name, pick_device
from ..layers.processes import first_alone, process_rank

CONFIGURATIONS = Path(__file__).resolve().parent / "configurations"


def add_run_arguments(
    parser: argparse.ArgumentParser,
    out: str,
    data: str = "build/maps",
    holds: str = "simulated maps, filled on first use",
) -> None:
    """Declares --config, --data, --out, --resume, --steps, --device, --threads.

    Args:
        parser: the command's parser.
        out, data: default folders.
        holds: what the data are, for the help.
    """
    parser.add_argument(
        "--config",
        default="2core",
        help="2core, gpu, a TOML file, or a folder with one for each model (default: 2core)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(data),
        help=f"folder; it holds {holds} (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(out),
        help="folder for checkpoints, log.jsonl, sheets, weights, card (default: %(default)s)",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoints in --out")
    parser.add_argument(
        "--steps",
        nargs="+",
        metavar="[STAGE=]NUMBER",
        help="steps of stages, instead of the configuration's steps and minutes; a card names those of "
        "its run",
    )
    parser.add_argument("--device", default="", help="cpu, cuda or mps (default: a GPU if there is one)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: torch's choice)")


def read_configuration(name: str, what: str) -> dict[str, Any]:
    """Reads a configuration.

    Args:
        name: 2core, gpu, the path of a TOML file, or a folder with a file WHAT.toml for each model.
        what: the model.

    Raises:
        UserError: there is no such file, or it is not TOML.
    """
    if name.endswith(".toml"):
        path = Path(name)
    elif Path(name).is_dir():
        path = Path(name) / f"{what}.toml"
    else:
        path = CONFIGURATIONS / f"{what}-{name}.toml"
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}).",
            "Use 2core, gpu, the path of a TOML file or a folder of such files.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: not TOML ({error}).", "Compare it with the shipped configurations."
        ) from error


def choose_device(args: argparse.Namespace) -> torch.device:
    """Returns the device that --device and --threads ask for.

    Raises:
        UserError: there is no such device.
    """
    if args.threads:
        torch.set_num_threads(args.threads)
    return pick_device(args.device)


def device_text(device: torch.device) -> str:
    """Returns the device's name for a model card, with the threads of a CPU."""
    if device.type == "cpu":
        return f"{device.type}, {torch.get_num_threads()} threads"
    return device_name(device)


def open_maps(data: Path, sets: dict[str, dict], device: torch.device) -> dict[str, MapSet]:
    """Makes or opens the map sets of the [sets.*] tables.

    Args:
        data: folder of the sets.
        sets: settings of `MapSetSpec` by name.
        device: where to simulate.

    Returns:
        The sets by name.
    """
    opened = {}
    for name, table in sets.items():
        spec = MapSetSpec(**table)
        print(
            f"maps {name}: {spec.people} people x {spec.expressions} expressions at {spec.resolution}",
            file=sys.stderr,
            flush=True,
        )

        def report(done: int, total: int, name: str = name) -> None:
            print(f"  {name}: {done} of {total} people simulated", file=sys.stderr, flush=True)

        with first_alone():
            opened[name] = make_map_set(data / name, spec, str(device), report)
    return opened


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
            records = read_records(self.path)
            write_records(self.path, records)  # without a line that a killed process left half-written
            self.earlier = max((record["seconds"] / 60 for record in records), default=0.0)
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
        if not process_rank():
            print(text, file=sys.stderr, flush=True)
