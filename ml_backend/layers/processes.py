"""Several processes that train one network, as torchrun starts them; one process needs nothing of this.

Every process draws the same batch and works on its own part; the gradients are averaged before each step, so
the network learns what one process would teach it. This is the arithmetic of DistributedDataParallel. Its
wrapper is not used: trainings with several losses and second derivatives go through it badly.
"""

import datetime
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as distributed
from torch import Tensor

from ..errors import UserError

_PATIENCE = datetime.timedelta(days=2)
"""A process may simulate for long while the others wait."""
_BUCKET = 2**24
"""Numbers that are averaged at once."""
Rows = TypeVar("Rows", np.ndarray, Tensor)


def started_by_torchrun() -> bool:
    """Returns whether this process is one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def join_processes(graphics: bool) -> None:
    """Joins the other processes; all draw from the same random seed from now on.

    Args:
        graphics: whether to train on NVIDIA GPUs, one for each process of a machine (nccl), else on CPUs
            (gloo).
    """
    if graphics:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("nccl" if graphics else "gloo", timeout=_PATIENCE)
    seed = torch.tensor([torch.initial_seed() % 2**31], device="cuda" if graphics else "cpu")
    distributed.broadcast(seed, 0)
    torch.manual_seed(int(seed))


def wait_for_all() -> None:
    """Returns once every process has come here."""
    if process_count() > 1:
        distributed.barrier()


def leave_processes() -> None:
    """Waits for the others and parts."""
    wait_for_all()
    distributed.destroy_process_group()


def process_count() -> int:
    """Returns the number of processes that train together, 1 without torchrun."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def process_rank() -> int:
    """Returns this process's number, 0 for the first."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def own_share(rows: Rows) -> Rows:
    """Returns this process's part of a batch: every N-th row of N processes.

    Raises:
        UserError: the batch cannot be shared evenly.
    """
    count = process_count()
    if len(rows) % count:
        raise UserError(
            f"A batch of {len(rows)} cannot be shared by {count} processes.",
            "Change `batch` in the configuration, or the number of processes.",
        )
    return rows[process_rank() :: count]


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replaces the gradients by their means over the processes; one that is missing counts as zero."""
    count = process_count()
    if count == 1:
        return
    bucket: list[Tensor] = []
    for parameter in parameters:
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            bucket.append(parameter.grad)
            if sum(gradient.numel() for gradient in bucket) >= _BUCKET:
                _average(bucket, count)
                bucket = []
    _average(bucket, count)


def _average(gradients: list[Tensor], count: int) -> None:
    if not gradients:
        return
    flat = torch.cat([gradient.reshape(-1).float() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= count
    at = 0
    for gradient in gradients:
        gradient.copy_(flat[at : at + gradient.numel()].view(gradient.shape))
        at += gradient.numel()


def same_everywhere(tensors: Iterable[Tensor]) -> None:
    """Gives tensors the values of the first process."""
    if process_count() > 1:
        for tensor in tensors:
            values = tensor.detach().contiguous()
            distributed.broadcast(values, 0)
            with torch.no_grad():
                tensor.copy_(values)


def agreed(number: float, device: torch.device) -> float:
    """Returns the first process's number."""
    if process_count() == 1:
        return number
    value = torch.tensor([number], dtype=torch.float64, device=device)
    distributed.broadcast(value, 0)
    return float(value)


@contextmanager
def first_alone() -> Iterator[None]:
    """Lets the first process through the block before the others: it fills what they then read."""
    if process_count() > 1 and process_rank():
        distributed.barrier()
    yield
    if process_count() > 1 and not process_rank():
        distributed.barrier()
