"""Light from all around a head, for measuring: eight rooms and skies, and drawn ones; numpy alone.

A light is radiance over the directions of `geometry/light_transfer.py`. The face looks along -y, z is up,
x to the person's left.
"""

import numpy as np

from ...geometry.light_transfer import COUNT, DIRECTIONS


def _lobe(towards: tuple[float, float, float], width: float, strength: float, colour) -> np.ndarray:
    """Returns (48, 3) radiance of a lamp: `width` radians, `strength` its irradiance over pi."""
    axis = np.array(towards, float)
    axis /= np.linalg.norm(axis)
    away = np.arccos(np.clip(DIRECTIONS @ axis, -1, 1))
    shape = np.exp(-0.5 * (away / max(width, 0.22)) ** 2)
    return strength * COUNT / 4 * shape[:, None] / shape.sum() * np.array(colour)


def _around(level: float, colour, upward: float = 0.0) -> np.ndarray:
    """Returns (48, 3) radiance from everywhere, `upward` more of it from above."""
    return level * (1 + upward * DIRECTIONS[:, 2:]) * np.array(colour)


WHITE, WARM, LAMP, COOL, SKY = (1, 1, 1), (1.15, 1, 0.8), (1.4, 1, 0.55), (0.9, 1, 1.15), (0.75, 0.95, 1.25)
LIGHTS = {
    "overcast": _around(1.0, COOL, 0.75),
    "window": _lobe((-0.8, -0.55, 0.25), 0.5, 1.0, COOL) + _around(0.22, WARM),
    "sun": _lobe((0.4, -0.6, 0.75), 0.22, 1.6, (1.05, 1, 0.92)) + _around(0.35, SKY, 0.5),
    "bulbs": _lobe((-0.1, -0.45, 0.9), 0.35, 0.8, LAMP) + _lobe((0.6, -0.3, 0.7), 0.35, 0.5, LAMP)
    + _around(0.25, WARM),
    "backlit": _lobe((0.25, 0.85, 0.45), 0.4, 1.6, WHITE) + _around(0.45, COOL, 0.2),
    "studio": _lobe((-0.65, -0.7, 0.3), 0.4, 0.9, WHITE) + _lobe((0.7, -0.7, 0.1), 0.5, 0.4, WHITE)
    + _around(0.15, WHITE),
    "evening": _lobe((0.9, -0.4, 0.15), 0.3, 1.0, (1.3, 1, 0.62)) + _around(0.4, (0.8, 0.95, 1.2), 0.3),
    "flash": _lobe((0, -1, 0.08), 0.22, 1.2, WHITE) + _around(0.18, WARM, 0.3),
}  # fmt: skip
"""Radiance (48, 3) of each of the lights that are measured under."""


_BEHIND = 0.25


def drawn_light(random: np.random.Generator) -> np.ndarray:
    """Draws another light (48, 3): a sky or room, a main lamp, a second one, sometimes one from behind."""

    def tint() -> np.ndarray:
        warmth = random.normal(0, 0.26)
        return np.exp([warmth, 0.05 * random.normal(), -1.2 * warmth])

    light = _around(random.uniform(0.12, 0.9), tint(), random.uniform(0, 0.7))
    for most in (1.6, 0.7):
        towards = random.normal(0, 1, 3) * (0.7, 0.5, 0.5) + (0, -0.6, 0.4)
        light = light + _lobe(tuple(towards), random.uniform(0.22, 0.6), most * random.random(), tint())
    if random.random() < _BEHIND:
        towards = random.normal(0, 1, 3) * (0.6, 0.3, 0.4) + (0, 0.8, 0.4)
        light = light + _lobe(tuple(towards), random.uniform(0.22, 0.6), 1.6 * random.random(), tint())
    return light
