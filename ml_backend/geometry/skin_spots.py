"""Freckles, moles and age spots for the live skin: at hashed places of the mean face. numpy only.

Candidates lie in the cells of a lattice in space, one jittered place a cell, as in the simulation
(`simulation/pigment/pigment_spots.py`). A seed says in which order they appear as their number grows, so a
slider adds and removes single spots and never moves one.
"""

from dataclasses import dataclass

import numpy as np

from .skin_chart import SkinChart


@dataclass(frozen=True)
class SpotKind:
    """A kind of spot.

    Attributes:
        cell: millimetres of a lattice cell.
        radius: least and greatest, millimetres.
        edge: exponent of its outline, 1 soft, 2 a disc with a soft rim.
        ragged: share of the radius by which its outline wobbles.
        places: how common it is: share, then across, up, half width, half height of a soft ellipse (mm).
    """

    cell: float
    radius: tuple[float, float]
    edge: float
    ragged: float
    places: tuple[tuple[float, float, float, float, float], ...]


KINDS = {
    "freckles": SpotKind(3.2, (0.4, 1.05), 1.1, 0.3, (
        (1.0, 40, -34, 17, 15), (0.3, 36, -28, 11, 9), (0.95, 0, -30, 13, 15), (0.45, 0, 46, 46, 18),
        (0.25, 0, -96, 14, 9), (0.25, 52, -72, 16, 16), (0.4, 62, 16, 12, 16), (0.3, 20, -20, 12, 8),
    )),
    "moles": SpotKind(15.0, (0.5, 1.6), 1.8, 0.12, (
        (0.3, 40, -34, 17, 15), (0.2, 0, 46, 46, 18), (0.3, 0, -96, 14, 9), (0.35, 52, -72, 16, 16),
        (0.4, 62, 16, 12, 16), (0.3, 0, -64, 30, 14), (0.3, 40, -135, 40, 20),
    )),
    "age_spots": SpotKind(9.0, (1.3, 3.6), 1.5, 0.2, (
        (0.6, 40, -34, 17, 15), (0.95, 62, 16, 12, 16), (0.7, 0, 46, 46, 18), (0.45, 52, -72, 16, 16),
        (0.2, 0, -30, 13, 15),
    )),
}  # fmt: skip
"""The places where spots are common follow Flament et al. 2013, "Effect of the sun on visible clinical signs
of aging", Clin. Cosmet. Investig. Dermatol. 6, and the simulation's regions."""
_SOFT = 0.12


@dataclass(frozen=True)
class SpotPatches:
    """The spots of one kind and seed, drawn at full strength.

    Attributes:
        texel: (M,) flat indices of the texels that spots cover.
        value: (M,) 0..1, how much of a spot lies there.
        spot: (M,) the spot of each.
        chance: (N,) the number of spots of this kind, 0..1, at which each spot appears.
        strength: (N,) 0..1, of each spot.
        resolution: R.
    """

    texel: np.ndarray
    value: np.ndarray
    spot: np.ndarray
    chance: np.ndarray
    strength: np.ndarray
    resolution: int

    def paint(self, amount: float) -> np.ndarray:
        """Returns (R, R) float32: 0 between the spots, about 1 in the strongest.

        Args:
            amount: 0 to 1, how many.
        """
        size = (self.resolution, self.resolution)
        shown = np.clip((amount - self.chance) / _SOFT + 0.5, 0, 1) * min(amount / 0.05, 1.0)
        shown = shown * shown * (3 - 2 * shown) * self.strength
        if not shown.any():
            return np.zeros(size, np.float32)
        weight = shown[self.spot] * self.value
        drawn = np.bincount(self.texel, weight, self.resolution**2)
        return drawn.reshape(size).astype(np.float32)


def spot_patches(name: str, seed: int, chart: SkinChart, resolution: int) -> SpotPatches:
    """Finds the spots of a person.

    Args:
        name: of the kind.
        seed: of the person.
        chart: the mean face; its places are interpolated.
        resolution: R of the map, a multiple of the chart's.
    """
    kind = KINDS[name]
    weight = sum(place[0] * chart.blob(*place[1:]) for place in kind.places)
    weight = np.clip(weight * chart.free(), 0, 1)
    rows, columns = np.nonzero(weight > 0.03)
    place = chart.place[rows, columns].astype(np.float64)
    cell = np.floor(place / kind.cell).astype(np.int64)
    key = _hash(cell, 1 + list(KINDS).index(name))
    jitter = np.stack([_uniform(key, number) for number in range(3)], 1)
    distance = np.linalg.norm((cell + 0.15 + 0.7 * jitter) * kind.cell - place, axis=1)
    order = np.lexsort((distance, key))
    first = np.append(True, key[order][1:] != key[order][:-1])
    chosen = order[first]
    chosen = chosen[distance[chosen] < 0.5 * kind.cell]
    key, row, column = key[chosen], rows[chosen], columns[chosen]
    own = _scramble(key + 0x1F123BB5 * (seed + 1) % 0x7FFFFFFF)
    chance = _uniform(own, 1) / np.maximum(weight[row, column], 0.05)
    low, high = kind.radius
    radius = low + (high - low) * _uniform(own, 2) ** 2
    strength = 0.35 + 0.65 * _uniform(own, 3)
    scale = resolution // chart.resolution
    return _draw(kind, chart, (row, column), radius, own, scale, chance, strength)


def _draw(
    kind: SpotKind,
    chart: SkinChart,
    at: tuple[np.ndarray, np.ndarray],
    radius: np.ndarray,
    own: np.ndarray,
    scale: int,
    chance: np.ndarray,
    strength: np.ndarray,
) -> SpotPatches:
    """Draws every spot as an ellipse on the surface, its outline ragged.

    Args:
        kind: the kind.
        chart: the mean face.
        at: rows and columns (N,) of the spots on the chart.
        radius: (N,) millimetres.
        own: (N,) hashes of the spots of this person.
        scale: texels of the map per texel of the chart.
        chance, strength: (N,).
    """
    row, column = at
    size = chart.resolution * scale
    right, above = _steps(chart, row, column, scale)
    texel = np.sqrt(np.linalg.norm(np.cross(right, above), axis=1))
    typical = float(np.median(texel)) if len(texel) else 1.0
    blurred = np.sqrt(radius**2 + 0.35 * typical**2)
    strength = strength * (radius / blurred) ** 2  # a texel holds the mean of what it covers
    reach = int(np.ceil(1.6 * kind.radius[1] / max(typical, 1e-3))) + 1
    window = np.arange(-reach, reach + 1)
    offset = np.stack(np.meshgrid(window, window), -1).reshape(-1, 2)  # column, row
    shift = np.stack([_uniform(own, 4), _uniform(own, 5)], 1) * scale
    centre = np.stack([column, row], 1) * scale + shift
    corner = np.round(centre).astype(np.int64)
    texels = corner[:, None] + offset
    away = (texels - centre[:, None]).astype(np.float32)
    flat = away[..., :1] * right[:, None] + away[..., 1:] * above[:, None]  # (N, P, 3) millimetres
    angle = np.pi * _uniform(own, 6)
    first, second = _tangents(right, above)
    turn = np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * second
    along = (flat * turn[:, None]).sum(-1)
    squared = (flat**2).sum(-1)
    longer = 1 + 0.5 * _uniform(own, 7) ** 2
    round_to = np.arctan2(away[..., 1], away[..., 0])
    phase = 2 * np.pi * np.stack([_uniform(own, 8), _uniform(own, 9)], 1)
    wobble = np.sin(2 * round_to + phase[:, :1]) + 0.7 * np.sin(3 * round_to + phase[:, 1:])
    outline = blurred[:, None] * (1 + kind.ragged * 0.6 * wobble)
    spread = (squared - along**2) * longer[:, None] + along**2 / longer[:, None]
    value = np.exp(-((spread / outline**2) ** kind.edge))
    inside = (value > 0.01) & ((texels >= 0) & (texels < size)).all(-1)
    spot = np.broadcast_to(np.arange(len(row))[:, None], inside.shape)[inside]
    index = (texels[..., 1] * size + texels[..., 0])[inside]
    return SpotPatches(index, value[inside].astype(np.float32), spot, chance, strength, size)


def _steps(chart: SkinChart, row: np.ndarray, column: np.ndarray, scale: int):
    """Returns (N, 3) each: millimetres on the face for a texel to the right and one upwards."""
    high = chart.resolution - 1
    pairs = []
    for rows, columns in ((0, 1), (1, 0)):
        after = chart.place[np.minimum(row + rows, high), np.minimum(column + columns, high)]
        before = chart.place[np.maximum(row - rows, 0), np.maximum(column - columns, 0)]
        step = (after - before) / (2 * scale)
        length = np.linalg.norm(step, axis=1, keepdims=True)
        pairs.append(step * np.minimum(3.0 / scale / np.maximum(length, 1e-6), 1))  # not across a seam
    return pairs


def _tangents(right: np.ndarray, above: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first = right / np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-9)
    second = above - (above * first).sum(1, keepdims=True) * first
    return first, second / np.maximum(np.linalg.norm(second, axis=1, keepdims=True), 1e-9)


def _hash(cell: np.ndarray, seed: int) -> np.ndarray:
    """Returns (M,) a number of each lattice cell (M, 3), 31 bits."""
    value = cell[:, 0] * 73856093 ^ cell[:, 1] * 19349663 ^ cell[:, 2] * 83492791 ^ seed * 2654435
    return _scramble(value)


def _scramble(value: np.ndarray) -> np.ndarray:
    mask = 0x7FFFFFFF
    value = value & mask
    value = ((value ^ (value >> 15)) * 0x2C1B3C6D) & mask
    value = ((value ^ (value >> 12)) * 0x297A2D39) & mask
    return value ^ (value >> 15)


def _uniform(key: np.ndarray, number: int) -> np.ndarray:
    """Returns (M,) float64 in 0..1, another one for each number."""
    return _scramble(key + 0x3779B1 * (number + 1)).astype(np.float64) / 0x7FFFFFFF
