"""Networks with their sizes in one safetensors file, stored as float16.

The metadata hold the sizes as JSON under "config", and facts of the training as strings. Files of earlier
versions, with the sizes elsewhere, are read by way of `older_config`.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from ..errors import UserError
from .tensor_file import read_tensors, write_tensors

REMEDY = "Reinstall the extension, or train the network again."
_STEP = ".step"
"""Ending of the name of the steps that belong to an array of whole numbers."""
_Network = TypeVar("_Network", bound=nn.Module)


def write_network_file(
    path: Path,
    network: nn.Module,
    config: Any,
    made_by: Mapping[str, str],
    full_precision: Collection[str] = (),
    whole_numbers: Collection[str] = (),
) -> str:
    """Writes a network's parameters and buffers.

    Args:
        path: the file.
        network: its parameters and buffers are stored as float16, those of uint8 as they are.
        config: a dataclass of its sizes, or a dictionary of JSON values.
        made_by: strings for the file's metadata.
        full_precision: names of arrays that are stored as float32.
        whole_numbers: names of arrays that are stored as int8, with a step for each row of their last axis.

    Returns:
        The file's sha256.
    """
    arrays = {
        name: value.detach().cpu().numpy().astype(np.float32 if name in full_precision else np.float16)
        for name, value in network.state_dict().items()
        if value.dtype != torch.uint8
    }
    arrays |= {
        name: value.cpu().numpy()
        for name, value in network.state_dict().items()
        if value.dtype == torch.uint8
    }
    for name in whole_numbers:
        arrays[name], arrays[name + _STEP] = _in_steps(network.state_dict()[name].detach().cpu().numpy())
    table = config if isinstance(config, dict) else dataclasses.asdict(config)
    write_tensors(path, arrays, {"config": json.dumps(table), **made_by})
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _in_steps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns an array (..., N) as int8 and its steps (..., 1) float16."""
    step = np.maximum(np.abs(values).max(-1, keepdims=True) / 127, 1e-7).astype(np.float16)
    return np.clip(np.round(values / step.astype(np.float32)), -127, 127).astype(np.int8), step


def _values(array: np.ndarray, step: np.ndarray | None) -> np.ndarray:
    """Returns a stored array as float32, with its steps where it has some."""
    values = array.astype(np.float32)
    return values if step is None else values * step.astype(np.float32)


def read_network_file(
    path: Path,
    build: Callable[[dict[str, Any]], _Network],
    kind: str = "network of this kind",
    *,
    older_config: Callable[[dict[str, str]], dict[str, Any]] | None = None,
    required: Mapping[str, str] | None = None,
    optional: Collection[str] = (),
    former: tuple[str, ...] = (),
) -> _Network:
    """Reads a network for inference.

    Args:
        path: the file.
        build: makes the empty network from its configuration.
        kind: the network's name, for messages.
        older_config: makes the configuration from the metadata of files of earlier versions without "config".
        required: metadata that the file must have, e.g. the phones that a network tells apart.
        optional: names of arrays that files of earlier versions lack; they stay as built.
        former: beginnings of the names of arrays that files of earlier versions held; they are left out.

    Returns:
        The network in evaluation mode, without gradients.

    Raises:
        UserError: the file is missing, broken or of another kind.
    """
    arrays, metadata = read_tensors(path)
    other_kind = UserError(f"{path}: holds no {kind}.", REMEDY)
    if any(metadata.get(name) != value for name, value in (required or {}).items()):
        raise other_kind
    try:
        if "config" in metadata or older_config is None:
            config = json.loads(metadata["config"])
        else:
            config = older_config(metadata)
        network = build(config)
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise other_kind from error
    tensors = {
        name: torch.from_numpy(_values(array, arrays.get(name + _STEP)))
        for name, array in arrays.items()
        if not name.startswith(former) and not name.endswith(_STEP)
    }
    built = network.state_dict()
    tensors.update({name: built[name] for name in optional if name not in tensors})
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(f"{path}: weights and configuration of the {kind} disagree.", REMEDY) from error
    return network.eval().requires_grad_(False)
