"""Chooses where torch computes: an NVIDIA GPU, an Apple GPU, or the CPU."""

import torch

from ..errors import UserError

KINDS = ("cuda", "mps", "cpu")


def available_kinds() -> tuple[str, ...]:
    """The kinds of device that this PyTorch can use here, the fastest first."""
    usable = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return tuple(kind for kind in KINDS if usable[kind])


def pick_device(name: str = "") -> torch.device:
    """Picks a device.

    Args:
        name: cuda, mps or cpu, with a number where there are several (`cuda:1`); empty for the fastest.

    Returns:
        The device.

    Raises:
        UserError: there is no such device.
    """
    kinds = available_kinds()
    if not name:
        return torch.device(kinds[0])
    kind, _, number = name.partition(":")
    most = torch.cuda.device_count() if kind == "cuda" else 1
    if kind not in kinds or (number and not (number.isdecimal() and int(number) < most)):
        raise UserError(
            f"--device {name}: this PyTorch finds no such device.", f"Use one of: {', '.join(kinds)}."
        )
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """The device's name for people and cards: the GPU's name, "Apple GPU" or "cpu"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "Apple GPU" if device.type == "mps" else device.type
