"""Checkpoints as safetensors: networks, optimisers, random states and counters.

They are read without unpickling.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ..errors import UserError
from ..files.atomic_write import atomic_path

RandomSource = np.random.Generator | torch.Generator


class Stateful(Protocol):
    """A part of a training whose state is a dictionary of tensors."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


def save_checkpoint(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
    state: dict,
    kept: Mapping[str, Stateful] | None = None,
    random: Sequence[RandomSource] = (),
) -> None:
    """Writes everything a run needs to go on, complete or not at all.

    Args:
        path: the file.
        modules: networks by name.
        optimisers: by name; per-parameter tensors are kept, the settings come from the configuration again.
        state: JSON values, e.g. the step.
        kept: other parts with a state of tensors, by name.
        random: generators whose states are kept, beside torch's own.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors.update({f"module.{name}.{key}": value for key, value in module.state_dict().items()})
    for name, part in (kept or {}).items():
        tensors.update(
            {f"kept.{name}.{key}": torch.as_tensor(value) for key, value in part.state_dict().items()}
        )
    for name, optimiser in optimisers.items():
        for index, entries in optimiser.state_dict()["state"].items():
            tensors.update(
                {f"optimiser.{name}.{index}.{key}": torch.as_tensor(value) for key, value in entries.items()}
            )
    tensors["random.torch"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    generators: dict[str, Any] = {}
    for index, source in enumerate(random):
        if isinstance(source, torch.Generator):
            tensors[f"random.{index}"] = source.get_state()
        else:
            generators[str(index)] = source.bit_generator.state
    stored = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    with atomic_path(path) as partial:
        save_file(stored, partial, {"state": json.dumps(state), "random": json.dumps(generators)})


def load_checkpoint(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
    kept: Mapping[str, Stateful] | None = None,
    random: Sequence[RandomSource] | None = None,
) -> dict:
    """Restores what `save_checkpoint` wrote.

    Files of earlier versions hold neither `kept` parts nor random states: the parts stay as they are, and the
    generators get a seed from the number of steps done.

    Args:
        path: the file.
        modules, optimisers, kept: restored in place.
        random: generators to restore in place, together with torch's own; None leaves all as they are.

    Returns:
        The state.

    Raises:
        UserError: the file is missing or broken, or belongs to another configuration.
    """
    try:
        tensors = load_file(path)
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        metadata = header["__metadata__"]
        state = json.loads(metadata["state"])
        generators = json.loads(metadata.get("random", "{}"))
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: not a readable checkpoint ({error}).", "Start again without --resume."
        ) from error
    try:
        for name, module in modules.items():
            module.load_state_dict(_below(tensors, f"module.{name}."))
        for name, part in (kept or {}).items():
            if entries := _below(tensors, f"kept.{name}."):
                part.load_state_dict(entries)
    except RuntimeError as error:
        raise UserError(
            f"{path}: made by another configuration ({error}).", "Use the configuration that began the run."
        ) from error
    for name, optimiser in optimisers.items():
        entries = {}
        for key, value in _below(tensors, f"optimiser.{name}.").items():
            index, field = key.split(".", 1)
            entries.setdefault(int(index), {})[field] = value
        optimiser.load_state_dict({"state": entries, "param_groups": optimiser.state_dict()["param_groups"]})
    if random is not None:
        _restore_random(tensors, generators, random, int(state.get("done", state.get("step", 0))))
    return state


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _restore_random(
    tensors: dict[str, Tensor], generators: dict, random: Sequence[RandomSource], done: int
) -> None:
    if "random.torch" in tensors:
        torch.set_rng_state(tensors["random.torch"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
    for index, source in enumerate(random):
        if isinstance(source, torch.Generator):
            if f"random.{index}" in tensors:
                source.set_state(tensors[f"random.{index}"])
            else:
                source.manual_seed(done)
        else:
            fresh = np.random.default_rng([index, done]).bit_generator.state
            source.bit_generator.state = generators.get(str(index), fresh)


def average_rule(half_life: float) -> Callable[[Any, Any, Tensor | int], None]:
    """Returns the rule of a weight average for `AveragedModel(multi_avg_fn=...)`.

    Args:
        half_life: steps after which an old weight counts half. Early on the average is the plain mean, so
            that the start is forgotten.
    """

    @torch.no_grad()
    def update(averages: Sequence[Tensor], weights: Sequence[Tensor], averaged: Tensor | int) -> None:
        count = int(averaged)
        keep = min(0.5 ** (1 / half_life), count / (count + 1))
        for average, weight in zip(averages, weights, strict=True):
            if average.is_floating_point():
                average.lerp_(weight, 1 - keep)
            else:
                average.copy_(weight)

    return update


class WeightAverage(AveragedModel):
    """An exponential moving average of a network's parameters and buffers; its weights are what is shipped.

    Args:
        network: the network in training.
        average: a network of the same kind that receives the mean; starts as a copy.
        half_life: steps after which an old weight counts half.
    """

    def __init__(self, network: nn.Module, average: nn.Module, half_life: float):
        super().__init__(average, multi_avg_fn=average_rule(half_life), use_buffers=True)
        self.module = average.eval().requires_grad_(False)
        self._networks = (network,)  # in a tuple, so that it is no part of the average
        self.update()  # the start counts as the first

    def update(self) -> None:
        """Moves the average one step."""
        self.update_parameters(self._networks[0])


class BestWeights:
    """The weights of a network at the least error so far.

    Attributes:
        error: the least error, infinite at the start.
        weights: the state of the network then.
    """

    def __init__(self, network: nn.Module):
        self.error = float("inf")
        self.weights = copy.deepcopy(network.state_dict())

    def update(self, error: float, network: nn.Module) -> None:
        """Keeps the network's weights if their error is the least so far."""
        if error < self.error:
            self.error = error
            self.weights = copy.deepcopy(network.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """The error and the weights as tensors."""
        weights = {f"weights.{name}": value for name, value in self.weights.items()}
        return {"error": torch.tensor(self.error, dtype=torch.double), **weights}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Restores what `state_dict` returned."""
        self.error = float(state_dict["error"])
        for name, value in self.weights.items():
            value.copy_(state_dict[f"weights.{name}"])
