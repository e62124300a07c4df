"""Restores the power that a regression leaves out, so that unseen people have creases of true depth."""

import math

import numpy as np
import torch
from torch import Tensor

from ..datasets.map_set import MapSet
from ..layers.windowed_basis import cut_tiles
from .pair_training import Pair, maps_through_gate
from .principal_start import CoefficientTargets, latents_of, style_of

FINEST_RING = 1.0  # octaves above a wavelength of one texel: two texels
RINGS = 10  # half octaves from there
LARGEST_GAIN = 1.5
LARGEST_COMPONENT_GAIN = 1.7


def ring_power(maps: Tensor) -> Tensor:
    """Returns the summed power of maps in rings of half an octave of wavelength, from 2 texels on.

    Args:
        maps: (B, R, R).

    Returns:
        (RINGS,).
    """
    size = maps.shape[-1]
    frequency = torch.sqrt(torch.fft.fftfreq(size)[:, None] ** 2 + torch.fft.rfftfreq(size) ** 2)
    ring = torch.floor(2 * (-torch.log2(frequency.clamp_min(1e-6)) - FINEST_RING)).long()
    power = torch.fft.rfft2(maps).abs().square().sum(0)
    inside = (ring >= 0) & (ring < RINGS)
    return torch.zeros(RINGS).index_add(0, ring[inside], power[inside])


def filtered(images: Tensor, gains: Tensor, shift: float) -> Tensor:
    """Scales the octaves of images (N, R, R).

    Args:
        images: any images.
        gains: (RINGS,) factors at the rings' middles; linear in between, the last one's log fades to 1
            beyond.
        shift: octaves from a ring's wavelength in texels of the maps that were measured to texels of these
            images.
    """
    size = images.shape[-1]
    frequency = torch.sqrt(torch.fft.fftfreq(size)[:, None] ** 2 + torch.fft.rfftfreq(size) ** 2)
    place = 2 * (-torch.log2(frequency.clamp_min(1e-6)) + shift - FINEST_RING) - 0.5  # in rings
    knots = torch.cat([gains.log(), torch.zeros(2)])
    low = place.floor().clamp(0, RINGS).long()
    share = (place - low).clamp(0, 1)
    log_gain = torch.where(
        place >= RINGS + 1, torch.zeros(()), (1 - share) * knots[low] + share * knots[low + 1]
    )
    return torch.fft.irfft2(torch.fft.rfft2(images) * log_gain.exp(), s=images.shape[-2:])


@torch.no_grad()
def restore_octaves(
    pair: Pair, maps: MapSet, device: torch.device, count: int = 64, rounds: int = 2
) -> list[float]:
    """Scales octaves of the positional constants so that held-out people's maps have the truth's power.

    The constants' mean stays as it is.

    Args:
        pair: its averages are measured and changed, then taken over.
        maps: the last tenth are people whom training did not see.
        device: where the networks are.
        count: maps to measure.
        rounds: measuring and scaling again; what the convolutions add is not scaled.

    Returns:
        Power of generated over true maps per ring before the last round, finest first, dB.
    """
    size = maps.maps.shape[-1]
    rows = np.linspace(int(0.9 * len(maps)), len(maps) - 1, count).astype(int)
    mask = torch.from_numpy(maps.mask)
    generator, encoder = pair.generator_average, pair.encoder_average
    encoder.eval()
    decibels: list[float] = []
    for _ in range(rounds):
        own_power, true_power = torch.zeros(RINGS), torch.zeros(RINGS)
        for part in np.array_split(rows, max(1, count // 8)):
            truth, *given = maps.batch(part, device)
            generated = maps_through_gate(generator, encoder, list(given), size)[:, 0] * generator.millimetres
            own_power += ring_power(generated.cpu().float() * mask)
            true_power += ring_power(truth[:, 0].cpu() * mask)
        decibels = (10 * torch.log10(own_power / true_power.clamp_min(1e-12))).tolist()
        gains = (true_power / own_power.clamp_min(1e-12)).sqrt().clamp(1 / LARGEST_GAIN, LARGEST_GAIN)
        for block in generator.synthesis_blocks:
            if block.count and block.resolution <= size:
                images = block.basis.images()
                scaled = filtered(images[1:].cpu(), gains, math.log2(size / block.resolution)).to(
                    images.device
                )
                block.basis.tiles.copy_(cut_tiles(torch.cat([images[:1], scaled]), block.basis.grid))
    pair.keep_average()
    return decibels


@torch.no_grad()
def restore_power(pair: Pair, maps: MapSet, targets: CoefficientTargets, device: torch.device) -> float:
    """Scales a block's components to the power that held-out people's own coefficients have.

    A regression leaves out the part that the inputs do not determine; the octave would be faint.

    What cannot be told from the inputs, a regression leaves out; the octave would be faint.

    Returns:
        The factor, 1 to 1.7.
    """
    unseen = slice(int(len(maps) * 0.9), None)
    given = [
        torch.from_numpy(np.ascontiguousarray(v[unseen])).to(device)
        for v in (maps.identity, maps.skin, maps.expression)
    ]
    block = pair.generator.synthesis_blocks[targets.block]
    pair.encoder.eval()
    latents = latents_of(pair.encoder, pair.generator, [style_of(targets.block)], given)[:, 0]
    predicted = block.coefficient(latents)[:, 1 : 1 + targets.values.shape[1]].cpu()
    power = [float((values.square() * targets.power).sum()) for values in (targets.values[unseen], predicted)]
    gain = min(LARGEST_COMPONENT_GAIN, max(1.0, (power[0] / max(power[1], 1e-12)) ** 0.5))
    block.basis.tiles[:, 1:] *= gain
    return gain
