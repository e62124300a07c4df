"""Light that reaches a head from directions all around where it does not hide them, and a picture of such a
surround; numpy alone.

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
_LEAST_RADIANCE = 0.02
"""Of the mean radiance: nothing in a surround is darker."""
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


def surround_directions(rows: int) -> np.ndarray:
    """Returns (rows, 2 rows, 3) unit vectors of an equirectangular picture, row 0 at the bottom.

    The middle of the picture looks along +X, its left quarter along +Y, as an environment texture of Blender
    has them.
    """
    height = (np.arange(rows) + 0.5) * np.pi / rows - np.pi / 2
    around = np.pi - (np.arange(2 * rows) + 0.5) * np.pi / rows
    flat = np.cos(height)[:, None]
    up = np.broadcast_to(np.sin(height)[:, None], (rows, 2 * rows))
    return np.stack([flat * np.cos(around), flat * np.sin(around), up], -1)


def surround_of_light(light: np.ndarray, rows: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Makes a surround whose light on matt surfaces is that of harmonics.

    Radiance cannot be negative: where harmonics ask for that it is nearly nothing, and the light differs.

    Args:
        light: (9, 3) as `harmonics(normals) @ light` is the shading.
        rows: of the picture.

    Returns:
        (rows, 2 rows, 3) float32 radiance, and the light (9, 3) that it gives.

    Source: Ramamoorthi and Hanrahan 2001, "An efficient representation for irradiance environment maps".
    """
    directions = surround_directions(rows)
    lobes = harmonics(directions)
    wanted = lobes @ (np.asarray(light, np.float64) * _CONVOLVED[:, None])
    radiance = np.maximum(wanted, _LEAST_RADIANCE * np.maximum(np.asarray(light)[0], 1e-4))
    weights = np.cos(np.arcsin(directions[..., 2]))
    weights = weights / weights.sum()
    found = np.einsum("hw,hwk,hwc->kc", weights, lobes, radiance) / _CONVOLVED[:, None]
    return radiance.astype(np.float32), found
