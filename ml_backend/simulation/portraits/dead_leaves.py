"""Draws opaque shapes that hide each other: pictures with the edges and the spectrum of photographs.

Source: Lee, Mumford and Huang 2001, "Occlusion models for natural images"; Achddou, Gousseau and Ladjal 2021,
"Synthetic images as a regularity prior for image restoration neural networks".
"""

import numpy as np

_FEWEST, _MOST = 80, 500
_SMALLEST, _POWER = 3.0, 0.6
_EXPONENTS = (1, 2, 2, 2, 6)
"""Of the shapes' outlines: rhombi, ellipses, rounded boxes."""
_SOFTNESS = (0.0, 0.0, 0.1, 0.5)


def dead_leaves(size: int, random: np.random.Generator) -> np.ndarray:
    """Draws shapes one over the other, sizes by a power law, each with its gradient and its stripes.

    Args:
        size: pixels along a side.
        random: the source of chance.

    Returns:
        (size, size, 3) float64, 0..1, sRGB encoded.
    """
    tones = random.uniform(0, 1, (random.integers(3, 9), 1))
    colours = (
        tones
        + random.uniform(0.02, 0.35) * random.standard_normal((1, 3))
        + random.uniform(0, 0.2) * random.standard_normal((1, 3))
    )
    picture = np.ones((size, size, 3)) * random.uniform(0, 1, 3)
    largest = random.uniform(0.08, 0.47) * size
    for _ in range(random.integers(_FEWEST, _MOST)):
        radius = min(_SMALLEST * random.random() ** -_POWER, largest) * random.uniform(0.7, 1.8)
        _draw_shape(picture, radius, colours[random.integers(len(colours))], random)
    return np.clip(picture, 0, 1)


def _draw_shape(picture: np.ndarray, radius: float, colour: np.ndarray, random: np.random.Generator) -> None:
    size = len(picture)
    centre, flatness, angle = (
        random.uniform(-0.08 * size, 1.08 * size, 2),
        random.uniform(0.25, 1),
        random.uniform(0, np.pi),
    )
    reach = int(1.3 * radius) + 3
    low, high = np.clip(centre.astype(int) - reach, 0, size), np.clip(centre.astype(int) + reach, 0, size)
    if (high <= low).any():
        return
    down, across = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    across, down = across - centre[0], down - centre[1]
    along = (across * np.cos(angle) + down * np.sin(angle)) / radius
    aside = (down * np.cos(angle) - across * np.sin(angle)) / (radius * flatness)
    exponent, softness = random.choice(_EXPONENTS), random.choice(_SOFTNESS)
    inside = 1 - np.abs(along) ** exponent - np.abs(aside) ** exponent
    cover = np.clip(inside * radius / 2 / (1 + softness * radius) + 0.5, 0, 1)[..., None]
    waves = random.uniform(0.2, 1.6) * (across * random.standard_normal() + down * random.standard_normal())
    shade = (
        1
        + random.uniform(-0.5, 0.5) * along.clip(-1, 1)
        + random.uniform(0, 0.15) * np.sin(waves + random.uniform(0, 6))
    )
    own = np.clip(
        (colour * random.uniform(0.6, 1.3) + 0.08 * random.standard_normal(3)) * shade[..., None], 0, 1
    )
    window = slice(low[1], high[1]), slice(low[0], high[0])
    picture[window] += (own - picture[window]) * cover
