"""Pairs the template's lids, lips, nostrils and ears with those of the light-stage scans.

Loops are paired by their length from corner to corner, single points by hand. Points are vertices: of
MakeHuman's base.obj, and of ICT-FaceKit's mesh (its 68 points are the table that comes with it, MIT). All lie
in the middle or on the person's left; the right side is its mirror image.
"""

import numpy as np
from scipy import sparse

from .anatomy import LID_EDGE, LID_INSIDE, LID_MARGIN, LIP_BORDER, LIP_CONTACT
from .anny import AnnyHead, edge_loop
from .registration import Landmarks
from .scans import Scans

# The third loop of the scans' lid from the socket is where it leaves the eye, the fifth its outer edge.
_LIDS = ((LID_INSIDE, 2), (LID_MARGIN, 3), (LID_EDGE, 4))
_INNER_LIPS = ((5533, 5796), (5517, 6443))  # edges of the scans' loops of the upper and of the lower lip
_UPPER_BORDER = (0, 4275, 6200, 6213)  # the red's edge from the middle to the left corner
_LOWER_BORDER = (5518, 6461, 6346, 6213)
# Point of base.obj, of the scans, weight.
_PAIRS = {
    "ear top": (12012, 6822, 1.0), "ear back": (12040, 6836, 1.0), "ear lobe": (12329, 7122, 1.0),
    "helix front": (12026, 7429, 1.0), "inner top": (12078, 6865, 0.5),
    "inner back": (12256, 7236, 0.5), "ear lower back": (12030, 6811, 0.5),
    "ear upper back": (12043, 6843, 0.5), "tragus": (12213, 7093, 0.5),
    "nostril septum": (7112, 5374, 0.7), "nostril front": (7110, 5125, 0.7),
    "nostril tip side": (7109, 5463, 0.7), "nostril wing front": (7106, 5262, 0.7),
    "nostril wing": (7107, 5252, 0.7), "nostril wing back": (7087, 5083, 0.7),
    "nostril back": (7096, 5080, 0.7), "nostril back septum": (7094, 5442, 0.7),
    "nostril roof front": (7156, 5461, 0.7), "nostril roof": (7154, 5277, 0.7),
    "nostril roof side": (7144, 5152, 0.7), "nostril roof back": (7151, 5269, 0.7),
    "wing base": (7119, 3482, 1.0), "wing": (7099, 5313, 1.0), "wing crease top": (7051, 5211, 0.7),
    "nose base": (343, 1147, 1.0), "nose root": (133, 978, 1.0),
}  # fmt: skip


def pair_landmarks(head: AnnyHead, scans: Scans) -> Landmarks:
    """Returns the landmarks of the template and their places on the scans' mean, both sides."""
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    goals: list[np.ndarray] = []
    weights: list[float] = []

    def add(vertices: np.ndarray, places: np.ndarray, weight: float) -> None:
        for side in (1, -1):
            for vertex, place in zip(vertices, places, strict=True):
                rows.append(vertex if side == 1 else head.mirror[vertex])
                goals.append(place * (side, 1, 1))
                weights.append(weight)

    quads = head.source_index[head.polygons[head.polygon_part == 0]]

    def loop(edge: tuple[int, int]) -> np.ndarray:
        return head.rows(edge_loop(quads, *edge))

    mean = scans.neutral
    socket = next(
        ring for ring in open_loops(scans.polygons) if 0.01 < mean[ring, 0].min() < mean[ring, 0].max() < 0.06
    )
    rings = rings_outside(scans.polygons, socket, 5)
    for edge, number in _LIDS:
        mine = _halves(head.positions, loop(edge))
        theirs = _halves(mean, rings[number])
        for one, other in zip(mine, theirs, strict=True):
            add(one, _along(mean[other], _fraction(head.positions[one])), 1.5)
    contact = loop(LIP_CONTACT)
    for half, edge in zip(_left_halves(head.positions, contact), _INNER_LIPS, strict=True):
        ring = np.array(edge_loop(scans.polygons[scans.polygons[:, 3] >= 0], *edge))
        other = _left_halves(mean, ring)[0 if edge is _INNER_LIPS[0] else 1]
        add(half, _along(mean[other], _fraction(head.positions[half])), 1.5)
    for half, border in zip(
        _left_halves(head.positions, loop(LIP_BORDER)), (_UPPER_BORDER, _LOWER_BORDER), strict=True
    ):
        add(half, _along(mean[list(border)], _fraction(head.positions[half])), 0.7)
    for mine, theirs, weight in _PAIRS.values():
        add(head.rows([mine]), mean[[theirs]], weight)
    used = np.array(rows)
    matrix = sparse.csr_matrix(
        (np.ones(len(used)), (np.arange(len(used)), used)), shape=(len(used), len(head.positions))
    )
    return Landmarks(matrix, np.array(goals), np.array(weights))


def open_loops(polygons: np.ndarray) -> list[np.ndarray]:
    """The open edges of a mesh as closed chains of vertices; polygons (F, 4), -1 behind a triangle."""
    edges = np.concatenate(
        [
            polygons[(polygons[:, 3] >= 0) == (corners == 4)][:, [k, (k + 1) % corners]]
            for corners in (3, 4)
            for k in range(corners)
        ]
    )
    _, first, count = np.unique(np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True)
    following = dict(edges[first[count == 1]].tolist())
    loops = []
    while following:
        start, vertex = following.popitem()
        chain = [start]
        while vertex != start:
            chain.append(vertex)
            vertex = following.pop(vertex)
        loops.append(np.array(chain))
    return loops


def rings_outside(polygons: np.ndarray, loop: np.ndarray, count: int) -> list[np.ndarray]:
    """Loops of vertices parallel to an open edge: the edge itself, then `count - 1` further into the mesh.

    Raises:
        ValueError: a loop is not bordered by quads.
    """
    beside: dict[frozenset, list[int]] = {}
    for index, polygon in enumerate(polygons.tolist()):
        corners = [c for c in polygon if c >= 0]
        for k, corner in enumerate(corners):
            beside.setdefault(frozenset((corner, corners[k - 1])), []).append(index)
    rings = [np.asarray(loop)]
    seen: set[int] = set()
    for _ in range(count - 1):
        ring = rings[-1].tolist()
        onward: dict[int, int] = {}
        for one, other in zip(ring, [*ring[1:], ring[0]], strict=True):
            fresh = [f for f in beside.get(frozenset((one, other)), ()) if f not in seen]
            quad = polygons[fresh[0]].tolist() if fresh else [-1]
            if quad[-1] < 0:
                continue  # at a pole the loop cuts a corner
            seen.add(fresh[0])
            for vertex, partner in ((one, other), (other, one)):
                at = quad.index(vertex)
                onward.setdefault(
                    vertex, quad[at - 1] if quad[(at + 1) % 4] == partner else quad[(at + 1) % 4]
                )
        if len(onward) < 0.8 * len(ring):
            raise ValueError("a loop is not bordered by quads")
        rings.append(np.array([onward[vertex] for vertex in ring if vertex in onward]))
    return rings


def _halves(positions: np.ndarray, loop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A lid's loop as its upper and its lower part, both from the inner to the outer corner."""
    inner = int(np.abs(positions[loop, 0]).argmin())
    turned = np.roll(loop, -inner)
    outer = int(np.abs(positions[turned, 0]).argmax())
    parts = turned[: outer + 1], np.concatenate([turned[:1], turned[: outer - 1 : -1]])
    upper, lower = sorted(parts, key=lambda part: -positions[part, 2].mean())
    return upper, lower


def _left_halves(positions: np.ndarray, loop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A loop around the mouth as its upper and lower left part, from the middle to the corner."""
    corner = int(positions[loop, 0].argmax())
    turned = np.roll(loop, -corner)
    middle = np.flatnonzero(np.abs(positions[turned, 0]) < 1e-5)
    parts = turned[middle[0] :: -1], np.concatenate([turned[middle[-1] :], turned[:1]])
    upper, lower = sorted(parts, key=lambda part: -positions[part[0], 2])
    return upper, lower


def _fraction(points: np.ndarray) -> np.ndarray:
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    return length / length[-1]


def _along(points: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    """Places at fractions of a polyline's length."""
    own = _fraction(points)
    return np.stack([np.interp(fraction, own, points[:, axis]) for axis in range(3)], axis=1)
