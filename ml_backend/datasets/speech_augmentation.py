"""Other speakers, rooms, microphones and noises made out of log-mel spectra, batched."""

import math

import torch
from torch import Tensor

from ..audio.log_mel import BANDS, FRAME_RATE, band_frequencies


def warp_frequency(mel: Tensor, factor: Tensor) -> Tensor:
    """Moves the spectra up (factor > 1: a shorter vocal tract) or down.

    Args:
        mel: (B, T, 64).
        factor: (B,) or, by band, (B, 64).

    Returns:
        (B, T, 64).
    """
    hz = torch.from_numpy(band_frequencies()).float()
    source_hz = hz / (
        factor[:, None] if factor.ndim == 1 else factor
    )  # (B, 64): where each band's content comes from
    position = torch.searchsorted(hz, source_hz).clamp(1, BANDS - 1)
    share = ((source_hz - hz[position - 1]) / (hz[position] - hz[position - 1])).clamp(0, 1)
    matrix = torch.zeros(len(mel), BANDS, BANDS)
    matrix.scatter_(1, (position - 1)[:, None], (1 - share)[:, None])
    matrix.scatter_add_(1, position[:, None], share[:, None])
    return mel @ matrix


def random_curves(count: int, generator: torch.Generator, decibels: float) -> Tensor:
    """Smooth random functions of the band, nepers of power with the given spread: (count, 64)."""
    axis = torch.linspace(0, math.pi, BANDS)
    waves = torch.cos(axis[None] * torch.arange(1, 6)[:, None])  # (5, 64)
    weights = torch.randn(count, 5, generator=generator) / torch.arange(1, 6).sqrt()
    return weights @ waves * (decibels * math.log(10) / 10 / 1.5)


def augment(mel: Tensor, generator: torch.Generator) -> Tensor:
    """Puts every sequence of a batch into another vocal tract, room, microphone, line and noise.

    Args:
        mel: (B, T, 64) natural-log mel powers, 100 frames a second.
        generator: decides everything.

    Returns:
        (B, T, 64), the same kind; the phones' times are untouched.
    """
    batch, count, _ = mel.shape

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(batch, generator=generator)

    def chosen(probability: float) -> Tensor:
        return torch.rand(batch, generator=generator) < probability

    length = torch.where(chosen(0.85), uniform(math.log(0.8), math.log(1.25)), torch.zeros(batch))
    shape = (
        random_curves(batch, generator, 0.25) * chosen(0.7)[:, None]
    )  # throat and mouth differ between people, not only in scale
    mel = warp_frequency(mel, torch.exp(length[:, None] + shape.clamp(-0.1, 0.1)))
    mel = mel + random_curves(batch, generator, 4.0)[:, None]
    power = mel.exp()

    reverberant = torch.where(chosen(0.5), uniform(0.05, 0.6), torch.zeros(batch))  # seconds to fall by 60 dB
    taps = torch.arange(1, 50) / FRAME_RATE
    tail = (
        torch.exp(-taps * 13.8 / reverberant.clamp(min=0.01)[:, None])
        * (uniform(0.02, 0.35) * (reverberant > 0))[:, None]
    )  # (B, 49)
    kernel = torch.cat([torch.ones(batch, 1), tail], 1).flip(1)[:, None]  # (B, 1, 50)
    rows = torch.nn.functional.pad(power.transpose(1, 2), (49, 0)).transpose(0, 1)  # (64, B, T + 49)
    power = torch.nn.functional.conv1d(rows, kernel, groups=batch).permute(1, 2, 0)

    level = power.mean(2).quantile(0.95, dim=1)  # (B,)
    noise = random_curves(batch, generator, 8.0)[:, None].exp() * torch.empty(
        batch, count, BANDS
    ).exponential_(generator=generator).clamp(min=0.05)
    wobble = torch.nn.functional.interpolate(
        torch.randn(batch, 1, 8, generator=generator), count, mode="linear"
    )[:, 0, :, None]
    noise = noise * (wobble * uniform(0, 1.2)[:, None, None]).exp()
    ratio = torch.where(chosen(0.8), uniform(2, 40), torch.full((batch,), 70.0))  # dB
    power = power + noise * (level * 10 ** (-ratio / 10) / noise.mean((1, 2)))[:, None, None]
    babble = torch.where(chosen(0.15), 10 ** (-uniform(8, 25) / 10), torch.zeros(batch))
    power = power + power.roll(1, 0) * (babble * level / level.roll(1).clamp(min=1e-8))[:, None, None]

    hz = torch.from_numpy(band_frequencies()).float()
    top = torch.where(chosen(0.35), uniform(3000, 5500), torch.full((batch,), 1e5))[:, None]
    bottom = torch.where(chosen(0.35), uniform(80, 350), torch.ones(batch))[:, None]
    cut = -torch.relu(torch.log2(hz / top)) * 60 - torch.relu(torch.log2(bottom / hz)) * 12  # dB
    power = power * 10 ** (cut.clamp(min=-60) / 10)[:, None]
    power = power + (level * 10 ** (-uniform(45, 80) / 10))[:, None, None] * torch.empty(
        batch, count, BANDS
    ).exponential_(generator=generator).clamp(min=0.05)
    compression = torch.where(chosen(0.2), uniform(0.6, 1.0), torch.ones(batch))[:, None, None]
    loud = power.mean(2, keepdim=True)
    power = power * (loud / level[:, None, None]).clamp(min=1e-5) ** (compression - 1)
    return _mask((power + 1e-9).log(), generator)


def _mask(mel: Tensor, generator: torch.Generator) -> Tensor:
    """Hides a stretch of bands and one of time in half of the sequences each, at that sequence's mean.

    Source: SpecAugment, Park et al. 2019.
    """
    batch, count, bands = mel.shape
    mean = mel.mean((1, 2), keepdim=True)
    for size, most, axis in ((bands, 12, 2), (count, 12, 1)):
        width = torch.randint(1, most + 1, (batch, 1), generator=generator) * (
            torch.rand(batch, 1, generator=generator) < 0.5
        )
        begin = torch.randint(0, size - most, (batch, 1), generator=generator)
        place = torch.arange(size)
        hidden = (place >= begin) & (place < begin + width)
        mel = torch.where(hidden[:, None] if axis == 2 else hidden[:, :, None], mean, mel)
    return mel


def normalise(mel: Tensor) -> tuple[Tensor, Tensor]:
    """`audio.log_mel.normalise` for a batch: (B, T, 64) -> (B, T, 64) and the relative loudness (B, T)."""
    energy = mel.logsumexp(2) - math.log(BANDS)
    level = energy.quantile(0.95, dim=1).clamp(min=math.log(1e-6))
    loud = (energy > level[:, None] - 6.9).float()
    mean = torch.einsum("bt,btc->bc", loud, mel) / loud.sum(1, keepdim=True).clamp(min=1)
    mean = torch.where(loud.sum(1, keepdim=True) > 0, mean, level[:, None])
    return ((mel - mean[:, None]) / 2).clamp(-3, 3), ((energy - level[:, None]) / 4).clamp(-3, 0.5)
