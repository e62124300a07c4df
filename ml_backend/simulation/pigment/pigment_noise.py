"""Solid noise by octave: the same at a place of the face whatever the map's layout and resolution."""

import torch
from torch import Tensor
from torch.nn import functional

_CELLS = 64
_CELLS_A_WAVE = 4


def solid_noise(
    place: Tensor, wavelength: float, count: int, seed: int, stretch: tuple[float, float, float] = (1, 1, 1)
) -> Tensor:
    """Samples noise around one wavelength that fills space.

    A periodic volume of white noise, band-passed by an octave's half to either side, is turned and sampled
    on the surface; it repeats after sixteen waves.

    Args:
        place: (3, H, W) millimetres.
        wavelength: millimetres.
        count: how many independent fields.
        seed: of the noise.
        stretch: how many times longer the waves are along each axis.

    Returns:
        (count, H, W), deviation about 0.75: sampling between the cells takes the rest of 1.
    """
    random = torch.Generator().manual_seed(seed)
    white = torch.randn(count, _CELLS, _CELLS, _CELLS, generator=random)
    axis = torch.fft.fftfreq(_CELLS)
    last = torch.fft.rfftfreq(_CELLS)
    cycles = (axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + last[None, None] ** 2).sqrt()
    octaves = torch.log2((cycles * _CELLS_A_WAVE).clamp_min(1e-4))
    band = torch.exp(-0.5 * (octaves / 0.45) ** 2)
    volume = torch.fft.irfftn(torch.fft.rfftn(white, dim=(1, 2, 3)) * band, s=(_CELLS,) * 3, dim=(1, 2, 3))
    volume = volume / volume.std((1, 2, 3), keepdim=True)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=random))
    scaled = place / torch.tensor(stretch).view(3, 1, 1)
    at = torch.einsum("ij,jhw->hwi", turn, scaled) / wavelength * _CELLS_A_WAVE  # in cells
    padded = functional.pad(volume[None], (0, 1) * 3, mode="circular")
    at = torch.remainder(at, _CELLS) * (2 / _CELLS) - 1
    sampled = functional.grid_sample(padded, at[None, None], mode="bilinear", align_corners=True)
    return sampled[0, :, 0]


def mixing(outputs: int, count: int, seed_size: int, seed: int) -> Tensor:
    """Returns (outputs, count, seed_size) fixed matrices with orthonormal rows."""
    random = torch.Generator().manual_seed(seed)
    square = torch.randn(outputs, max(count, seed_size), max(count, seed_size), generator=random)
    return torch.linalg.qr(square)[0][:, :count, :seed_size].contiguous()


def mix_weights(matrices: Tensor, seeds: Tensor) -> Tensor:
    """Turns people's seeds into weights of noise fields whose squares sum to nearly 1.

    Args:
        matrices: (O, K, S) from `mixing`.
        seeds: (B, S).

    Returns:
        (B, O, K).
    """
    raw = torch.einsum("oks,bs->bok", matrices, seeds)
    return raw / (raw.square().sum(-1, keepdim=True) + 0.02).sqrt()


def ridges(noise: Tensor, width: float) -> Tensor:
    """Returns thin lines where noise crosses zero, 0..1, `width` in deviations of the noise."""
    return torch.exp(-((noise / width) ** 2))
