"""The shaping of strands: clumps, curls, frizz, cuts. Arrays are (N, M, 3), metres, root first."""

import numpy as np

from .strands import unit

_CELLS = 96
"""Cells in which leaders of clumps are looked for."""


def lengths_along(points: np.ndarray) -> np.ndarray:
    """Returns (N, M): the length of each strand up to each of its points."""
    steps = np.linalg.norm(np.diff(points, axis=1), axis=2)
    return np.concatenate([np.zeros_like(steps[:, :1]), np.cumsum(steps, 1)], 1)


def trim(points: np.ndarray, lengths: np.ndarray, count: int) -> np.ndarray:
    """Cuts strands to a length and gives each the same number of points, evenly along it.

    Args:
        points: (N, M, 3).
        lengths: (N,) metres; a strand that is shorter stays whole.
        count: K, points of the result.

    Returns:
        (N, K, 3).
    """
    along = lengths_along(points).astype(np.float32)
    ends = np.minimum(lengths, along[:, -1]).astype(np.float32)
    wanted = ends[:, None] * np.linspace(0, 1, count, dtype=np.float32)
    low = np.zeros(wanted.shape, np.int32)
    for index in range(1, points.shape[1] - 1):
        low += along[:, index, None] <= wanted
    row = np.arange(len(points))[:, None]
    begin = along[row, low]
    share = (wanted - begin) / np.maximum(along[row, low + 1] - begin, 1e-9)
    share = share.clip(0, 1)[..., None].astype(np.float32)
    return points[row, low] * (1 - share) + points[row, low + 1] * share


def clump_guides(places: np.ndarray, locks: int, random: np.random.Generator) -> np.ndarray:
    """Returns (N,) int: the strand by which each one's clump is led, the nearest of a random choice.

    Args:
        places: (N, D) of the roots, with what keeps clumps apart as further axes.
        locks: strands in a clump, on average.
        random: its state moves on.
    """
    count = max(1, len(places) // max(locks, 1))
    guides = random.choice(len(places), count, replace=False)
    places = places.astype(np.float32)
    centres = places[guides]
    if count <= _CELLS:
        return guides[nearest(places, centres)]
    cells = centres[:_CELLS]
    cell = nearest(places, cells)
    leader = np.empty(len(places), np.int64)
    for index in range(_CELLS):
        here = np.flatnonzero(cell == index)
        if len(here):
            reach = np.linalg.norm(places[here] - cells[index], axis=1).max()
            apart = np.linalg.norm(centres - cells[index], axis=1)
            near = np.flatnonzero(apart <= 1.15 * reach + 1e-6)
            leader[here] = guides[near[nearest(places[here], centres[near])]]
    return leader


def nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Returns (N,) int: the nearest of centres (C, D) to each of points (N, D)."""
    found = np.empty(len(points), np.int64)
    squares = (centres**2).sum(1)
    for start in range(0, len(points), 4096):
        found[start : start + 4096] = (squares - 2 * points[start : start + 4096] @ centres.T).argmin(1)
    return found


def clump(points: np.ndarray, guide: np.ndarray, amount: np.ndarray, shape: float) -> np.ndarray:
    """Draws strands towards the leaders of their clumps, more so towards the tip.

    Args:
        points: (N, M, 3).
        guide: (N,) int, strand that leads each one.
        amount: (N,) 0 to 1 at the tip.
        shape: power of the place along the strand; 1 is even, 2 late.
    """
    along = np.linspace(0, 1, points.shape[1], dtype=np.float32) ** shape
    share = (amount[:, None].astype(np.float32) * along)[..., None]
    return points + (points[guide] - points) * share


def strand_axes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns two unit directions (N, M, 3) across each strand, which turn little along it."""
    tangent = unit(np.gradient(points, axis=1))
    reference = np.where(np.abs(tangent[:, :1, 2:]) > 0.8, [0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    first = unit(reference - tangent * (reference * tangent).sum(2, keepdims=True))
    return first, np.cross(tangent, first)


def curl(
    points: np.ndarray,
    radius: float,
    pitch: np.ndarray,
    phase: np.ndarray,
    flat: bool,
    random: np.random.Generator,
) -> np.ndarray:
    """Winds strands into helices around their course, or waves them in a plane.

    Args:
        points: (N, M, 3).
        radius: of the helix, metres; it grows from the root over three centimetres.
        pitch: (N,) length of a turn along the strand, metres.
        phase: (N,) radians; strands of a clump share it.
        flat: waves in a plane.
        random: varies the radius by strand.
    """
    count = len(points)
    along = lengths_along(points)
    first, second = strand_axes(points)
    reach = radius * np.minimum(along / np.minimum(0.03, 2.5 * pitch)[:, None], 1)
    reach *= random.uniform(0.75, 1.2, count)[:, None]
    turn = 2 * np.pi * along / pitch[:, None] + phase[:, None]
    wound = first * (np.cos(turn) * reach)[..., None]
    wound -= first * (np.cos(phase)[:, None] * reach)[..., None] * (0.0 if flat else 0.3)
    wound += second * (np.sin(turn) * reach * (0.25 if flat else 1.0))[..., None]
    return points + wound


def frizz(points: np.ndarray, amount: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Lets strands stray smoothly from their course.

    Args:
        points: (N, M, 3).
        amount: (N,) metres at the tip.
        random: its state moves on.
    """
    count, steps = points.shape[:2]
    along = np.linspace(0, 1, steps, dtype=np.float32)
    offset = np.zeros_like(points)
    for waves in (0.8, 2.1, 4.3):
        if 4 * waves > steps + 1:
            break  # a polyline of so few points would only kink
        phase = random.uniform(0, 2 * np.pi, (count, 1, 3)).astype(np.float32)
        size = random.standard_normal((count, 1, 3)).astype(np.float32) / (0.6 + waves)
        offset += size * (np.sin(2 * np.pi * waves * along[None, :, None] + phase) - np.sin(phase))
    return points + offset * (amount[:, None] * along)[..., None].astype(np.float32)
