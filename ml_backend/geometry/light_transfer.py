"""Light that reaches a head from directions all around where it does not hide them; numpy alone.

Source: Sloan, Kautz and Snyder 2002, "Precomputed radiance transfer for real-time rendering in dynamic,
low-frequency lighting environments"; the spiral: Gonzalez 2010, "Measurement of areas on a sphere using
Fibonacci and latitude-longitude lattices".
"""

import numpy as np

from .camera_view import rasterise_view
from .spherical_harmonics import harmonics

COUNT = 48
GLOSS_POWER = 14.0
"""Exponent of the lobe around the half vector that skin mirrors in."""
_SIDE, _SLACK, _SOFT = 160, 0.004, 0.003
_FAR = 50.0
_CONVOLVED = np.array([1.0, *[1.5] * 3, *[4.0] * 5])
"""From radiance to what a matt surface receives: the inverse of 1, 2/3 and 1/4 (Ramamoorthi and Hanrahan)."""


def _spiral(count: int) -> np.ndarray:
    """Returns (count, 3) unit vectors, evenly spread."""
    steps = np.arange(count) + 0.5
    up = 1 - 2 * steps / count
    turn = np.pi * (1 + 5**0.5) * steps
    flat = np.sqrt(1 - up * up)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), up], 1)


DIRECTIONS = _spiral(COUNT)
"""(48, 3) unit vectors in the face's axes."""


def light_transfer(positions: np.ndarray, normals: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Measures what radiance from each direction adds to the light on a vertex, cast shadows included.

    Args:
        positions: (V, 3) metres.
        normals: (V, 3) unit.
        triangles: (T, 3) of what casts shadows.

    Returns:
        (V, 48) float32, so that a radiance of 1 from everywhere lights a vertex by 1 that nothing hides.
    """
    found = np.zeros((len(positions), COUNT), np.float32)
    centred = positions - (positions.min(0) + positions.max(0)) / 2
    for number, towards in enumerate(DIRECTIONS):
        aside = np.cross(towards, (0, 0, 1) if abs(towards[2]) < 0.9 else (1, 0, 0))
        aside /= np.linalg.norm(aside)
        flat = centred @ np.stack([aside, np.cross(towards, aside)], 1)
        low, high = flat.min(0), flat.max(0)
        pixels = (flat - low) * ((_SIDE - 2) / float((high - low).max())) + 1
        depth = _FAR - centred @ towards
        view = rasterise_view(pixels, depth, triangles, _SIDE, _SIDE)
        at = np.clip(np.round(pixels - 0.5).astype(int), 0, _SIDE - 1)
        behind = depth - view.depth[at[:, 1], at[:, 0]] - _SLACK
        hidden = np.clip(np.where(np.isfinite(behind), behind, 0) / _SOFT, 0, 1)
        found[:, number] = np.clip(normals @ towards, 0, None) * (1 - hidden) * (4 / COUNT)
    return found


def mirrored_transfer(
    positions: np.ndarray, normals: np.ndarray, transfer: np.ndarray, eye: np.ndarray
) -> np.ndarray:
    """Measures how much radiance from each direction a rough surface mirrors into a camera.

    A lobe around the half vector, whose integral over all directions is that of `transfer` at right angles.

    Args:
        positions: (V, 3) metres.
        normals: (V, 3) unit.
        transfer: (V, 48) from `light_transfer`, with its shadows.
        eye: (3,) the camera's place, metres.

    Returns:
        (V, 48) float32, to be multiplied by the share of light that the surface mirrors.

    Source: Blinn 1977, "Models of light reflection for computer synthesized pictures".
    """
    towards = eye - positions
    towards = towards / np.linalg.norm(towards, axis=1, keepdims=True)
    half = towards[:, None] + DIRECTIONS
    half /= np.linalg.norm(half, axis=2, keepdims=True)
    lobe = (GLOSS_POWER + 8) / 8 * np.clip((normals[:, None] * half).sum(2), 0, 1) ** GLOSS_POWER
    return (lobe * transfer).astype(np.float32)


def shadowed_harmonics(transfer: np.ndarray) -> np.ndarray:
    """Returns (V, 9) what `harmonics` of the normals would be if nothing hid the light, with shadows.

    Args:
        transfer: (V, 48) from `light_transfer`.
    """
    return (transfer @ (harmonics(DIRECTIONS) * _CONVOLVED)).astype(np.float32)
