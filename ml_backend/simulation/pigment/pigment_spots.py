"""Spots of the skin at hashed places: freckles, moles, sun spots, blemishes, scars.

Candidates lie in the cells of a lattice in space, one jittered place a cell, wherever the cell meets the
face; they depend on neither layout nor resolution. Which of them a person has, and where exactly, are smooth
functions of the person's seed.
"""

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from .pigment_chart import PigmentChart


@dataclass(frozen=True)
class SpotKind:
    """A kind of spot.

    Attributes:
        name: what it is.
        cell: millimetres of a lattice cell.
        radius: least and greatest, millimetres.
        edge: exponent of its outline, 1 soft, 2 a disc with a soft rim.
        ragged: share of the radius by which its outline wobbles.
        drift: millimetres by which the seed moves it, one deviation.
        hash_seed: of its places.
    """

    name: str
    cell: float
    radius: tuple[float, float]
    edge: float
    ragged: float
    drift: float
    hash_seed: int


KINDS = (
    SpotKind("freckles", 3.2, (0.45, 1.15), 1.2, 0.25, 1.2, 1),
    SpotKind("moles", 15.0, (0.6, 1.8), 1.8, 0.12, 4.0, 2),
    SpotKind("age_spots", 9.0, (1.3, 3.8), 1.6, 0.16, 3.0, 3),
    SpotKind("blemishes", 9.0, (0.8, 2.2), 1.0, 0.25, 3.0, 4),
    SpotKind("scars", 13.0, (0.7, 1.9), 1.3, 0.30, 4.0, 5),
)
_SOFT = 0.12


@dataclass(frozen=True)
class SpotField:
    """The candidates of one kind on a map.

    Attributes:
        kind: the kind.
        texel: (N, 2) row and column of each candidate.
        step: (N, 2, 2) millimetres per texel there, (column, row).
        inverse: (N, 2, 2) its inverse.
        weight: (N,) 0..1, how common the kind is there.
        traits: (N, 4) hashed numbers in 0..1: size, strength, elongation, angle.
        presence: (N, 8) and drift: (N, 2, 8) directions of the seed.
        offsets: (P, 2) texels of a patch, (column, row).
        wobble: (R, R) noise of its outline.
    """

    kind: SpotKind
    texel: Tensor
    step: Tensor
    inverse: Tensor
    weight: Tensor
    traits: Tensor
    presence: Tensor
    drift: Tensor
    offsets: Tensor
    wobble: Tensor

    def to(self, device: torch.device) -> "SpotField":
        """Returns the same field on another device."""
        moved = {
            item.name: getattr(self, item.name).to(device) for item in fields(self) if item.name != "kind"
        }
        return replace(self, **moved)

    def paint(self, density: Tensor, seeds: Tensor) -> Tensor:
        """Paints the spots of B people.

        Args:
            density: (B,) 0..1, how many.
            seeds: (B, 8).

        Returns:
            (B, R, R), 0 between the spots, about 1 in the strongest.
        """
        resolution = self.wobble.shape[-1]
        chance = 0.5 * (1 + torch.erf((seeds @ self.presence.T) / math.sqrt(2)))  # (B, N), flat in 0..1
        amount = ((density[:, None] * self.weight - chance) / _SOFT + 0.5).clamp(0, 1)
        amount = amount * amount * (3 - 2 * amount) * (0.35 + 0.65 * self.traits[:, 1])
        amount = amount * (density[:, None] / 0.05).clamp(0, 1)
        person, spot = torch.nonzero(amount > 1e-3, as_tuple=True)
        moved = torch.einsum("nds,ns->nd", self.drift[spot], seeds[person]) * self.kind.drift
        centre = self.texel[spot].flip(-1) + torch.einsum("nij,nj->ni", self.inverse[spot], moved)
        corner = centre.round()
        low, high = self.kind.radius
        radius = low + (high - low) * self.traits[spot, 0] ** 2
        blurred = (radius.square() + 0.5 * torch.linalg.det(self.step[spot]).abs()).sqrt()
        strength = amount[person, spot] * (radius / blurred) ** 2  # a texel holds the mean of what it covers
        angle = math.pi * self.traits[spot, 3]
        longer = 1 + 0.6 * self.traits[spot, 2] ** 2
        at = corner[:, None] + self.offsets  # (M, P, 2) column, row
        away = torch.einsum("nij,npj->npi", self.step[spot], at - centre[:, None])
        turn = torch.stack([torch.cos(angle), torch.sin(angle)], -1)
        along = (away * turn[:, None]).sum(-1)
        beside = away[..., 1] * turn[:, None, 0] - away[..., 0] * turn[:, None, 1]
        column = at[..., 0].long().clamp(0, resolution - 1)
        row = at[..., 1].long().clamp(0, resolution - 1)
        flat = row * resolution + column
        distance = (along / longer[:, None]) ** 2 + (beside * longer[:, None].sqrt()) ** 2
        distance = distance / (blurred[:, None] * (1 + self.kind.ragged * self.wobble.flatten()[flat])) ** 2
        value = strength[:, None] * torch.exp(-(distance**self.kind.edge))
        inside = ((at >= 0) & (at < resolution)).all(-1)
        out = torch.zeros(len(seeds), resolution * resolution, device=seeds.device)
        index = person[:, None] * resolution**2 + flat
        out.view(-1).index_add_(0, index.flatten(), (value * inside).flatten())
        return out.view(-1, resolution, resolution)


def spot_field(kind: SpotKind, chart: PigmentChart, weight: Tensor, wobble: Tensor) -> SpotField:
    """Finds the candidates of a kind on a map.

    Args:
        kind: the kind.
        chart: the mean face.
        weight: (R, R) 0..1, how common the kind is.
        wobble: (R, R) noise, clipped here to two.
    """
    usable = (weight > 0.03) & (chart.seen > 0.5)
    rows, columns = torch.nonzero(usable, as_tuple=True)
    place = chart.place[:, rows, columns].T.double()  # (M, 3)
    cell = torch.floor(place / kind.cell).long()
    key = _hash(cell, kind.hash_seed)
    jitter = torch.stack([_uniform(key, number) for number in range(3)], -1)
    distance = ((cell + 0.15 + 0.7 * jitter) * kind.cell - place).norm(dim=1)
    order = torch.argsort(distance, stable=True)
    order = order[torch.argsort(key[order], stable=True)]
    first = torch.ones(len(order), dtype=torch.bool)
    first[1:] = key[order][1:] != key[order][:-1]
    chosen = order[first]
    chosen = chosen[distance[chosen] < 0.5 * kind.cell]
    row, column, key = rows[chosen], columns[chosen], key[chosen]
    step = chart.step[:, :, row, column].permute(2, 0, 1)
    texel = torch.linalg.det(step).abs().sqrt().median()
    reach = math.ceil(1.5 * kind.radius[1] / float(texel)) + 1
    window = torch.arange(-reach, reach + 1)
    offsets = torch.stack(torch.meshgrid(window, window, indexing="xy"), -1).view(-1, 2).float()
    directions = torch.stack([_uniform(key, 20 + number) for number in range(24)], -1).clamp(1e-4, 1 - 1e-4)
    normal = math.sqrt(2) * torch.erfinv(2 * directions - 1)
    presence, drift = normal[:, :8], normal[:, 8:].view(-1, 2, 8)
    return SpotField(
        kind,
        torch.stack([row, column], -1).float(),
        step.contiguous(),
        torch.linalg.inv(step),
        weight[row, column],
        torch.stack([_uniform(key, 10 + number) for number in range(4)], -1).float(),
        (presence / presence.norm(dim=1, keepdim=True)).float(),
        (drift / drift.norm(dim=2, keepdim=True)).float(),
        offsets,
        wobble.clamp(-2, 2),
    )


def _hash(cell: Tensor, seed: int) -> Tensor:
    """Returns (M,) a number of each lattice cell (M, 3), 31 bits."""
    value = cell[:, 0] * 73856093 ^ cell[:, 1] * 19349663 ^ cell[:, 2] * 83492791 ^ seed * 2654435
    return _scramble(value)


def _scramble(value: Tensor) -> Tensor:
    mask = 0x7FFFFFFF
    value = value & mask
    value = ((value ^ (value >> 15)) * 0x2C1B3C6D) & mask
    value = ((value ^ (value >> 12)) * 0x297A2D39) & mask
    return value ^ (value >> 15)


def _uniform(key: Tensor, number: int) -> Tensor:
    """Returns (M,) float64 in 0..1, another one for each number."""
    return _scramble(key + 0x3779B1 * (number + 1)).double() / 0x7FFFFFFF
