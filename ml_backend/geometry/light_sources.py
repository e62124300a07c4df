"""Turns light in nine spherical harmonics into an even surround and a few lamps. numpy only."""

import itertools
from dataclasses import dataclass

import numpy as np

from .spherical_harmonics import harmonics

_DIRECTIONS = 300
_NORMALS = 600
_LEAST_SHARE = 0.04
"""Of the whole light: a weaker lamp is left out."""
_APART = np.cos(np.radians(35))
"""Two lamps nearer than that are one."""


@dataclass(frozen=True)
class LightSource:
    """A lamp far away.

    Attributes:
        direction: (3,) unit vector from the face to the lamp, in the face's axes (Z up, the face looks
            along -Y).
        colour: (3,) linear RGB: the shading that it gives to a surface that faces it.
    """

    direction: np.ndarray
    colour: np.ndarray


@dataclass(frozen=True)
class LightSetup:
    """An even surround and lamps.

    Attributes:
        surround: (3,) linear RGB: the shading that it gives to every surface.
        lamps: the brightest first.
    """

    surround: np.ndarray
    lamps: tuple[LightSource, ...]

    def shading(self, normals: np.ndarray) -> np.ndarray:
        """Returns the shading (N, 3) of a convex, matt surface with unit normals (N, 3)."""
        lit = np.repeat(self.surround[None], len(normals), 0)
        for lamp in self.lamps:
            lit = lit + np.clip(normals @ lamp.direction, 0, None)[:, None] * lamp.colour
        return lit


def sphere_points(count: int) -> np.ndarray:
    """Returns (count, 3) unit vectors, evenly spread (a Fibonacci spiral)."""
    index = np.arange(count) + 0.5
    up = 1 - 2 * index / count
    turn = np.pi * (1 + 5**0.5) * index
    across = np.sqrt(1 - up * up)
    return np.stack([across * np.cos(turn), across * np.sin(turn), up], 1)


def light_sources(light: np.ndarray, count: int = 3) -> LightSetup:
    """Finds the surround and the lamps whose shading of a face is nearest to that of the harmonics.

    Surfaces that look away from a viewer in front of the face hardly count: a photo does not show them.
    Lamps are found one after the other, all strengths anew after each (orthogonal matching pursuit with
    strengths that are not negative).

    Args:
        light: (9, 3) as `harmonics(normals) @ light` is the shading.
        count: lamps at most.

    Returns:
        Surround and lamps; fewer lamps where more would be too weak or too near to each other.

    Source: Pati et al. 1993, "Orthogonal matching pursuit".
    """
    normals = sphere_points(_NORMALS)
    weights = np.sqrt(np.clip(0.15 - normals[:, 1], 0.02, None))  # the face looks along -Y
    wanted = np.clip(harmonics(normals) @ np.asarray(light, np.float64), 0, None)
    grey = wanted.mean(1)
    directions = sphere_points(_DIRECTIONS)
    directions = directions[directions[:, 1] < 0.6]
    shading = np.clip(normals @ directions.T, 0, None)
    chosen: list[int] = []
    for _ in range(count):
        columns = np.column_stack([np.ones(len(normals)), shading[:, chosen]])
        strengths = _without_negatives(columns * weights[:, None], grey * weights)
        left = (grey - columns @ strengths) * weights
        apart = np.ones(len(directions), bool)
        for index in chosen:
            apart &= directions @ directions[index] < _APART
        if not apart.any():
            break
        column = shading * weights[:, None]
        gain = (column - column.mean(0)).T @ (left - left.mean()) / np.linalg.norm(column, axis=0)
        chosen.append(int(np.argmax(np.where(apart, gain, -np.inf))))
    columns = np.column_stack([np.ones(len(normals)), shading[:, chosen]])
    grey_strengths = _without_negatives(columns * weights[:, None], grey * weights)
    kept = [
        index
        for index, strength in zip(chosen, grey_strengths[1:], strict=True)
        if strength > _LEAST_SHARE * grey.mean()
    ]
    columns = np.column_stack([np.ones(len(normals)), shading[:, kept]])
    strengths = np.stack(
        [_without_negatives(columns * weights[:, None], wanted[:, i] * weights) for i in range(3)], 1
    )
    lamps = [
        LightSource(directions[index], strength) for index, strength in zip(kept, strengths[1:], strict=True)
    ]
    return LightSetup(strengths[0], tuple(sorted(lamps, key=lambda lamp: -float(lamp.colour.sum()))))


def _without_negatives(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Solves least squares with solutions of at least 0: (N, K), (N,) -> (K,), exact for few columns.

    Every subset of columns is tried, so K should be at most 6.
    """
    count = columns.shape[1]
    best, found = np.inf, np.zeros(count)
    for size in range(count + 1):
        for subset in itertools.combinations(range(count), size):
            part = np.zeros(count)
            if subset:
                part[list(subset)] = np.linalg.lstsq(columns[:, subset], values, rcond=None)[0]
            error = float(((columns @ part - values) ** 2).sum())
            if (part >= 0).all() and error < best:
                best, found = error, part
    return found
