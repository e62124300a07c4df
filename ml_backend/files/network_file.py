"""A network and its sizes in one safetensors file, stored as float16."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from ..errors import UserError
from .tensor_file import read_tensors, write_tensors

_REMEDY = "Reinstall the extension, or train the network again."
_Network = TypeVar("_Network", bound=nn.Module)


def write_network_file(path: Path, network: nn.Module, config: Any, made_by: dict[str, str]) -> str:
    """Writes a network's parameters and buffers.

    Args:
        path: the file.
        network: what is stored.
        config: a dataclass of its sizes.
        made_by: strings for the file's metadata.

    Returns:
        The file's sha256.
    """
    arrays = {
        name: value.detach().cpu().numpy().astype(np.float16) for name, value in network.state_dict().items()
    }
    write_tensors(path, arrays, {"config": json.dumps(dataclasses.asdict(config)), **made_by})
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_network_file(path: Path, build: Callable[[dict[str, Any]], _Network]) -> _Network:
    """Reads what `write_network_file` wrote, ready to be asked.

    Args:
        path: the file.
        build: makes the empty network from its configuration.

    Raises:
        UserError: the file is missing, broken or of another kind.
    """
    arrays, metadata = read_tensors(path)
    try:
        network = build(json.loads(metadata["config"]))
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise UserError(f"{path}: holds no network of this kind.", _REMEDY) from error
    try:
        network.load_state_dict(
            {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}
        )
    except RuntimeError as error:
        raise UserError(f"{path}: weights and configuration disagree.", _REMEDY) from error
    return network.eval().requires_grad_(False)
