"""The shapes that complete a face's eyes: the eyeball with its cornea and iris, and what lies along the lids.

An eyeball has radius 1, looks along -Y, up is +Z. What lies along the lids has no shape of its own: each of
its vertices says between which skin vertices it hangs, so it follows every identity and every expression.
"""

import heapq
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from ..model.face_model import dense_mesh, dense_parts, face_model

EYE_RADIUS = 0.012
"""Metres, of the model's eyes."""
LIMBUS = np.arcsin(0.5)
"""Angle between the axis and the edge of the cornea: an iris of 12 mm."""
IRIS_RADIUS = np.sin(LIMBUS) * 1.06
"""Radii; its edge is behind the limbus."""
APEX = 1.085
"""Radii from the eye's centre to the front of the cornea."""
_AROUND = 64
_IRIS_RINGS = 6
_IRIS_DEPTH = 0.05
"""Radii by which the iris is hollow: 0.6 mm."""
_ROWS = 9
_CORNERS = {"inner": (0.0055, 0.0011, 0.55), "outer": (0.0030, 0.0, 0.35)}
"""Metres from the corner to where the eyeball is bare; height of the caruncle; how far it lies back."""
_MARGIN = (
    (0.000, 0.10, -0.10, 0.6),
    (0.008, 0.75, -0.05, 0.6),
    (0.028, 1.00, 0.22, 0.4),
    (0.050, 1.00, 0.09, 0.0),
    (0.080, 1.00, 0.015, 0.0),
    (0.110, 1.00, 0.001, 0.0),
)
"""Rows from a lid to the eyeball: share of the way to the other lid, sinking, millimetres above, flesh."""
_CARUNCLE_PLACE = 0.0019
_CARUNCLE_WIDTH = 0.0012


@dataclass(frozen=True)
class EyeballShape:
    """An eyeball.

    Attributes:
        positions: (N, 3) float32, radii.
        polygons: (F, 4) int32; a triangle repeats its last vertex as -1.
        is_iris: (F,) bool, the polygons of the iris behind the cornea.
        is_cornea: (F,) bool, those of the cornea before it.
    """

    positions: np.ndarray
    polygons: np.ndarray
    is_iris: np.ndarray
    is_cornea: np.ndarray


@dataclass(frozen=True)
class LidShape:
    """The parts between lids and eyeball: the wet line, the caruncle and the flesh of both corners.

    A vertex lies at (1 - t) P + t Q. P and Q are places on the rim of the lower and of the upper lid: the
    first vertex, the second vertex, and the share of the way between them.

    Attributes:
        lower, upper: (N, 3) float32: two vertices of the dense mesh and a share.
        place: (N, 3) float32: t; how far it sinks from the lids to the eyeball, 0 to 1; metres above that.
        flesh: (N,) float32: 1 flesh, 0.6 a lid's edge, 0 water.
        side: (N,) float32: 1 left eye, 0 right.
        lashes: (N,) float32: 1 at the edge of the upper lid, 0 elsewhere.
        polygons: (F, 4) int32.
    """

    lower: np.ndarray
    upper: np.ndarray
    place: np.ndarray
    flesh: np.ndarray
    side: np.ndarray
    lashes: np.ndarray
    polygons: np.ndarray


def cornea_radius(angle: np.ndarray) -> np.ndarray:
    """Returns the distance of the eyeball's surface from its centre, in radii, at angles from the axis."""
    base, half = np.cos(LIMBUS), np.sin(LIMBUS)
    rise = APEX - base
    curvature = (half**2 + rise**2) / (2 * rise)
    centre = APEX - curvature
    along = centre * np.cos(angle)
    cornea = along + np.sqrt(np.maximum(along**2 - centre**2 + curvature**2, 0.0))
    share = np.clip((angle / LIMBUS - 0.85) / 0.4, 0, 1)
    share = share**2 * (3 - 2 * share)
    return np.where(angle < LIMBUS * 1.25, cornea * (1 - share) + share, 1.0)


@lru_cache(maxsize=1)
def eyeball_shape() -> EyeballShape:
    """Returns the eyeball: a sphere with its cornea, open behind, and the hollow iris."""
    angles = np.concatenate(
        [np.linspace(0, LIMBUS * 1.3, 17)[1:], np.linspace(LIMBUS * 1.3, np.pi * 0.72, 11)[1:]]
    )
    around = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    radius = cornea_radius(angles)[:, None]
    ball = _rings(
        radius * np.sin(angles)[:, None],
        np.broadcast_to(radius * np.cos(angles)[:, None], (len(angles), 1)),
        around,
    )
    share = np.linspace(0, 1, _IRIS_RINGS + 1)[1:, None]
    plane = np.cos(LIMBUS) - 0.03
    iris = _rings(share * IRIS_RADIUS, plane - _IRIS_DEPTH * (1 - share), around)
    positions = np.concatenate(
        [[(0.0, -APEX, 0.0)], ball, [(0.0, -(plane - _IRIS_DEPTH), 0.0)], iris]
    ).astype(np.float32)
    first = 1 + len(ball)
    polygons = [_fan_and_bands(0, len(angles)), _fan_and_bands(first, _IRIS_RINGS)]
    is_iris = np.repeat([False, True], [len(piece) for piece in polygons])
    polygons = np.concatenate(polygons).astype(np.int32)
    inner = positions[polygons[:, 0]]
    is_cornea = ~is_iris & (-inner[:, 1] > np.cos(LIMBUS) * np.linalg.norm(inner, axis=1))
    return EyeballShape(positions, polygons, is_iris, is_cornea)


def _rings(radius: np.ndarray, forward: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Returns (rings x around, 3) positions of circles about the axis."""
    right = radius * np.cos(around)
    up = radius * np.sin(around)
    return np.stack([right, np.broadcast_to(-forward, right.shape), up], 2).reshape(-1, 3)


def _fan_and_bands(centre: int, rings: int) -> np.ndarray:
    """Returns the polygons of a disc: a centre, then rings of `_AROUND` vertices behind it."""
    here = np.arange(_AROUND)
    following = (here + 1) % _AROUND
    start = centre + 1
    fan = np.stack([np.full(_AROUND, centre), start + here, start + following, np.full(_AROUND, -1)], 1)
    bands = [
        np.stack([low + here, low + _AROUND + here, low + _AROUND + following, low + following], 1)
        for low in start + _AROUND * np.arange(rings - 1)
    ]
    return np.concatenate([fan, *bands])


class LidsNotFound(LookupError):
    """The rims of the lids cannot be followed along the edges of a face model's mesh."""


def has_lids() -> bool:
    """Tells whether the rims of the present model's lids can be followed: only then eyes can be set in."""
    try:
        lid_shape()
    except LidsNotFound:
        return False
    return True


@lru_cache(maxsize=1)
def lid_shape() -> LidShape:
    """Returns what lies along the lids of both eyes."""
    pieces = [piece for side in ("left", "right") for piece in _pieces(side)]
    counts = np.cumsum([0, *(len(piece.flesh) for piece in pieces)])
    polygons = [piece.polygons + start for piece, start in zip(pieces, counts, strict=False)]
    names = ("lower", "upper", "place", "flesh", "side", "lashes")
    values = {name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in names}
    arrays = {name: array.astype(np.float32) for name, array in values.items()}
    return LidShape(polygons=np.concatenate(polygons).astype(np.int32), **arrays)


def _pieces(side: str) -> list[LidShape]:
    lower, upper = _rim(side, "lower"), _rim(side, "upper")
    pieces = [_corner(side, lower, upper, name) for name in _CORNERS]
    return [*pieces, _wet_line(side, lower, upper, 0.0), _wet_line(side, upper, lower, 1.0)]


def _corner(side: str, lower, upper, name: str) -> LidShape:
    """Returns the flesh between the lids at one corner of an eye."""
    reach, height, back = _CORNERS[name]
    away = np.linspace(0.0, reach, 15)
    along = np.linspace(0, 1, _ROWS)
    ends = [_places(rim, away, name == "outer") for rim in (lower, upper)]
    share = np.clip(away / reach, 0, 1)
    sink = back + (1 - back) * share * (2 - share)
    mound = height * np.exp(-(((away - _CARUNCLE_PLACE) / _CARUNCLE_WIDTH) ** 2))
    across = np.sin(np.pi * along) ** 0.8
    rise = mound[:, None] * across[None] - 0.0002 * (1 - across[None]) * (1 - share[:, None])
    rise = rise + np.where(share > 0.9, -0.00025, 0.0)[:, None]  # its edge lies inside the eyeball
    flesh = np.broadcast_to((1 - np.clip((share - 0.45) / 0.53, 0, 1))[:, None], rise.shape)
    place = np.stack(
        [np.broadcast_to(along, rise.shape), np.broadcast_to(sink[:, None], rise.shape), rise], 2
    )
    return _grid(side, ends, place, flesh, name == "outer")


def _wet_line(side: str, here, other, lashes: float) -> LidShape:
    """Returns the moist edge of a lid and the film of tears where it meets the eyeball."""
    away = np.linspace(0.001, _length(here) - 0.001, 72)
    share = away / _length(here)
    ends = [_places(here, away, False), _places(other, share * _length(other), False)]
    table = np.array(_MARGIN)
    shape = (len(away), len(table))
    columns = (np.broadcast_to(column, shape) for column in (table * (1, 1, 1e-3, 1)).T)
    share_of_way, sink, rise, flesh = columns
    turned = here[0][len(here[0]) // 2] < other[0][len(other[0]) // 2]
    return _grid(side, ends, np.stack([share_of_way, sink, rise], 2), flesh, turned, lashes)


def _grid(
    side: str, ends, place: np.ndarray, flesh: np.ndarray, turned: bool, lashes: float = 0.0
) -> LidShape:
    """Returns a grid (columns, rows) whose columns have their own places on both lids."""
    columns, rows = flesh.shape
    index = np.arange(columns * rows).reshape(columns, rows)
    polygons = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], 2).reshape(-1, 4)
    if turned != (side == "right"):
        polygons = polygons[:, ::-1]
    lower, upper = (np.repeat(end, rows, axis=0) for end in ends)
    return LidShape(
        lower,
        upper,
        place.reshape(-1, 3),
        flesh.ravel(),
        np.full(flesh.size, float(side == "left")),
        np.full(flesh.size, lashes),
        polygons,
    )


def _rim(side: str, lid: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rim of a lid from corner to corner: vertices of the dense mesh, and metres along it."""
    model = face_model()
    landmarks = model.landmarks
    stops = [
        landmarks[f"eye_inner_{side}"][0],
        *landmarks[f"lid_{lid}_{side}"],
        landmarks[f"eye_outer_{side}"][0],
    ]
    ends = {int(stops[0]), int(stops[-1])}
    path = [int(stops[0])]
    for start, end in pairwise(stops):
        path += _shortest(side, int(start), int(end), ends)[1:]
    positions = dense_mesh().refine(model.mean)[path]
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    return np.array(path), np.concatenate([[0.0], np.cumsum(steps)])


def _length(rim) -> float:
    return float(rim[1][-1])


def _places(rim, away: np.ndarray, from_outer: bool) -> np.ndarray:
    """Returns (n, 3): the two vertices of a rim and the share between them, at metres from a corner."""
    vertices, along = rim
    at = np.clip(_length(rim) - away if from_outer else away, 0, _length(rim))
    index = np.clip(np.searchsorted(along, at, side="right") - 1, 0, len(along) - 2)
    share = (at - along[index]) / np.maximum(along[index + 1] - along[index], 1e-9)
    return np.stack([vertices[index], vertices[index + 1], share], 1)


@lru_cache(maxsize=2)
def _lid_graph(side: str) -> dict[int, list[tuple[int, float]]]:
    """Returns neighbours and distances of the skin's dense vertices around an eye."""
    model = face_model()
    dense = dense_mesh()
    positions = dense.refine(model.mean)
    centre = model.mean[model.landmarks[f"eye_{side}"]].mean(0)
    skin = dense_parts() == model.part_names.index("skin")
    near = skin & (np.linalg.norm(positions - centre, axis=1) < 0.024)
    corners = dense.polygons
    pairs = np.concatenate([corners[:, [first, (first + 1) % 4]] for first in range(4)])
    pairs = pairs[(pairs >= 0).all(1)]
    pairs = np.unique(np.sort(pairs[near[pairs].all(1)], axis=1), axis=0)
    graph: dict[int, list[tuple[int, float]]] = {}
    for first, second in pairs.tolist():
        length = float(np.linalg.norm(positions[first] - positions[second]))
        graph.setdefault(first, []).append((second, length))
        graph.setdefault(second, []).append((first, length))
    return graph


def _shortest(side: str, start: int, end: int, avoided: set[int]) -> list[int]:
    """Returns the vertices of the shortest way along edges."""
    graph = _lid_graph(side)
    reached = {start: (0.0, start)}
    queue = [(0.0, start)]
    while queue:
        length, here = heapq.heappop(queue)
        if here == end:
            break
        for there, step in graph.get(here, ()):
            if there in avoided and there != end:
                continue
            total = length + step
            if there not in reached or total < reached[there][0]:
                reached[there] = (total, here)
                heapq.heappush(queue, (total, there))
    if end not in reached:
        raise LidsNotFound(f"no way from vertex {start} to {end} along the lids of the {side} eye")
    path = [end]
    while path[-1] != start:
        path.append(reached[path[-1]][1])
    return path[::-1]
