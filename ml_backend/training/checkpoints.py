"""Checkpoints as safetensors: networks, optimisers and counters, resumable and readable without unpickling."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import UserError
from ..files.atomic_write import atomic_path


def save_checkpoint(
    path: Path, modules: dict[str, nn.Module], optimisers: dict[str, torch.optim.Optimizer], state: dict
) -> None:
    """Writes everything a run needs to go on, complete or not at all.

    Args:
        path: the file.
        modules: networks by name.
        optimisers: by name; per-parameter tensors are kept, the settings come from the configuration again.
        state: JSON values, e.g. the step.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors.update({f"module.{name}.{key}": value for key, value in module.state_dict().items()})
    for name, optimiser in optimisers.items():
        for index, entries in optimiser.state_dict()["state"].items():
            tensors.update(
                {f"optimiser.{name}.{index}.{key}": torch.as_tensor(value) for key, value in entries.items()}
            )
    kept = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    with atomic_path(path) as partial:
        save_file(kept, partial, {"state": json.dumps(state)})


def load_checkpoint(
    path: Path, modules: dict[str, nn.Module], optimisers: dict[str, torch.optim.Optimizer]
) -> dict:
    """Restores what `save_checkpoint` wrote.

    Returns:
        The state.

    Raises:
        UserError: the file is missing or broken, or belongs to another configuration.
    """
    try:
        tensors = load_file(path)
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        state = json.loads(header["__metadata__"]["state"])
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: not a readable checkpoint ({error}).", "Start again without --resume."
        ) from error
    for name, module in modules.items():
        try:
            module.load_state_dict(_below(tensors, f"module.{name}."))
        except RuntimeError as error:
            raise UserError(
                f"{path}: made by another configuration ({error}).",
                "Use the configuration that began the run.",
            ) from error
    for name, optimiser in optimisers.items():
        entries: dict[int, dict[str, Tensor]] = {}
        for key, value in _below(tensors, f"optimiser.{name}.").items():
            index, field = key.split(".", 1)
            entries.setdefault(int(index), {})[field] = value
        optimiser.load_state_dict({"state": entries, "param_groups": optimiser.state_dict()["param_groups"]})
    return state


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


class WeightAverage:
    """An exponential moving average of a network's parameters and buffers; its weights are what is shipped.

    Args:
        module: the network in training.
        average: a network of the same kind that receives the mean; starts as a copy.
        half_life: steps after which an old weight counts half.
    """

    def __init__(self, module: nn.Module, average: nn.Module, half_life: float):
        self.module, self.average = module, average.eval().requires_grad_(False)
        self.half_life = half_life
        self.steps = 0
        average.load_state_dict(module.state_dict())

    @torch.no_grad()
    def update(self) -> None:
        """Moves the average one step; early on it is the plain mean, so that the start is forgotten."""
        self.steps += 1
        keep = min(0.5 ** (1 / self.half_life), self.steps / (self.steps + 1))
        mine = self.average.state_dict()
        for key, value in self.module.state_dict().items():
            if value.is_floating_point():
                mine[key].lerp_(value, 1 - keep)
            else:
                mine[key].copy_(value)
