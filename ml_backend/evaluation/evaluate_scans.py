"""Holds a face model against heads drawn anew from a model of light-stage scans.

Each scan is fitted by least squares over the identity, nearest places found anew between steps; the distances
are from the refined surface, as an artist sees it, to the scan's surface.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..face_building.closest_point import ClosestOnMesh, Places
from ..face_building.scans import Scans
from ..geometry.dense_face import dense_face_mesh
from ..geometry.texture_space import triangles_of
from ..models.bilinear_face import BilinearFace

_NECK = 0.05  # metres below the chin that count
_ROUNDS = 8
_PRIOR = 1e-9  # square metres a point and squared deviation: holds what no point shows
_FARTHEST = 0.01  # metres beyond which a nearest place is not a partner
_MOST_POINTS = 9000


@dataclass(frozen=True)
class SurfaceFit:
    """The result of fitting the model to one scan.

    identity (K,); distance (P,) metres of each point to the scan.
    """

    identity: np.ndarray
    distance: np.ndarray


class ScanFitter:
    """Fits a face model's identity to scanned surfaces.

    Args:
        face: the model.
        scans: the scans' model.
        moved: takes the model's places into the scans' space (the identity, or a similarity).
    """

    def __init__(
        self, face: BilinearFace, scans: Scans, moved: Callable[[np.ndarray], np.ndarray] = lambda p: p
    ):
        self.face = face
        self.scans = scans
        self.dense = dense_face_mesh(face)
        nobody = np.zeros(face.identity_size, np.float32)
        mean = face.neutral(nobody)
        rows = self.measured_points(mean)
        self.rows = rows
        self.mean = moved(self.dense.refine(mean)[rows].astype(np.float64))
        origin = moved(np.zeros((1, 3)))
        modes = (face.core[1:, 0] @ face.basis).reshape(face.identity_size, -1, 3)
        self.modes = np.stack(
            [moved(self.dense.refine(mode)[rows].astype(np.float64)) - origin for mode in modes]
        )
        self._turn = moved(np.eye(3)) - origin

    def measured_points(self, mean: np.ndarray) -> np.ndarray:
        """Dense vertices of face, ears and upper neck that can be seen, thinned evenly."""
        face = self.face
        marks = face.landmarks
        skin = (face.vertex_part == face.part_names.index("skin")).astype(np.float32)
        hidden = np.zeros_like(skin)
        hidden[marks["pocket"]] = 1
        dense = self.dense.refine(np.stack([skin, hidden, mean[:, 1], mean[:, 2]], axis=1))
        ear = mean[marks["ear_top_left"][0]]
        front = dense[:, 2] < ear[1] + 0.03
        low = dense[:, 3] > mean[marks["chin_bottom"][0], 2] - _NECK
        high = dense[:, 3] < mean[marks["forehead_top"][0], 2]
        found = np.flatnonzero((dense[:, 0] > 0.999) & (dense[:, 1] < 0.01) & front & low & high)
        return found[:: max(1, len(found) // _MOST_POINTS)]

    def fit(self, target: ClosestOnMesh, known: Places | None = None) -> SurfaceFit:
        """Fits the identity to a surface.

        Args:
            target: the surface.
            known: places of the measured points on it from a surface of the same mesh, to start with.
        """
        identity = np.zeros(len(self.modes))
        if known is not None:
            near = known.distance < 3 * float(np.percentile(known.distance, 90))
            gap = (target.points(known) - self.mean)[near]
            flat = self.modes[:, near].reshape(len(self.modes), -1)
            system = flat @ flat.T + _PRIOR * near.sum() * np.eye(len(flat))
            identity = np.linalg.solve(system, flat @ gap.ravel())
        for _ in range(_ROUNDS):
            points = self.points(identity)
            places = target(points)
            normals = target.normals(places)
            trusted = places.distance < max(_FARTHEST, 3 * float(np.median(places.distance)))
            slopes = np.einsum("kpc,pc->pk", self.modes[:, trusted], normals[trusted])
            # Along the surface a point may slide; a little it is held, so that nothing drifts.
            gap = target.points(places) - points
            away = (gap[trusted] * normals[trusted]).sum(axis=1)
            held = self.modes[:, trusted][:, ::8].reshape(len(self.modes), -1).T
            still = gap[trusted][::8].ravel()
            system = slopes.T @ slopes + 0.05 * held.T @ held + _PRIOR * len(slopes) * np.eye(len(identity))
            side = slopes.T @ away + 0.05 * held.T @ still - _PRIOR * len(slopes) * identity
            identity = identity + np.linalg.solve(system, side)
        return SurfaceFit(identity, target(self.points(identity)).distance)

    def points(self, identity: np.ndarray) -> np.ndarray:
        """The measured points of an identity at rest, in the scans' space."""
        return self.mean + np.tensordot(identity, self.modes, 1)

    def expression_points(self, identity: np.ndarray, name: str) -> np.ndarray:
        """The measured points of an identity under one full expression, in the scans' space."""
        deltas = self.face.shapes(identity.astype(np.float32))[1]
        delta = self.dense.refine(deltas[self.face.expression_names.index(name)])[self.rows]
        return self.points(identity) + delta.astype(np.float64) @ self._turn


def scan_figures(
    face: BilinearFace, scans: Scans, seed: int, count: int, baseline: Callable[[], BilinearFace] | None
) -> dict:
    """Measures a model against scans drawn anew.

    Args:
        face: the model, in the scans' own place.
        scans: the scans' model.
        seed: of the drawn heads.
        count: how many.
        baseline: makes the model of people without scans, in a place of its own; None: no such row.

    Returns:
        The keys of `evaluate face-model --scans`, distances in millimetres.
    """
    from ..geometry.similarity import fit_similarity

    random = np.random.default_rng(seed)
    heads = [scans.person(random) for _ in range(count)]
    fitter = ScanFitter(face, scans)
    middle = ClosestOnMesh(scans.neutral, scans.triangles)
    start = fitter.fit(middle).identity
    known = middle(fitter.points(start))
    rest: list[np.ndarray] = []
    moved: list[float] = []
    faces = []
    mean_head = []
    for index, head in enumerate(heads):
        target = ClosestOnMesh(head, scans.triangles)
        found = fitter.fit(target, known)
        rest.append(found.distance)
        mean_head.append(target(fitter.points(start)).distance)
        faces.append(found.identity)
        for name in _expressions_of(index, count, scans):
            moving = ClosestOnMesh(head + scans.expressions[name], scans.triangles)
            away = moving(fitter.expression_points(found.identity, name)).distance
            moved.append(float(away.mean()))
    figures = {
        "scans": count,
        "scan_mean_mm": round(1000 * float(np.concatenate(rest).mean()), 3),
        "scan_p99_mm": round(1000 * float(np.percentile(np.concatenate(rest), 99)), 3),
        "scan_expression_mean_mm": round(1000 * float(np.mean(moved)), 3),
        "scan_expressions": len(moved),
    }
    figures |= shape_figures(face, faces)
    rows = {"mean_head": {"scan_mean_mm": round(1000 * float(np.concatenate(mean_head).mean()), 3)}}
    if baseline is not None:
        other = baseline()
        nobody = np.zeros(other.identity_size, np.float32)
        ours = face.neutral(start.astype(np.float32))
        skin = (face.vertex_part == face.part_names.index("skin")).astype(float)
        moved_to = fit_similarity(other.neutral(nobody), ours, skin)
        without = ScanFitter(other, scans, moved_to)
        theirs = middle(without.points(without.fit(middle).identity))
        away = [without.fit(ClosestOnMesh(head, scans.triangles), theirs).distance for head in heads]
        rows["without_scans"] = {"scan_mean_mm": round(1000 * float(np.concatenate(away).mean()), 3)}
    return figures | {"scan_baselines": rows}


def _expressions_of(index: int, count: int, scans: Scans) -> list[str]:
    """The expressions measured on one head: each of them on at least two heads of all."""
    names = [name for name in scans.expressions if name != "mouthClose"]  # means another shape there
    share = max(1, -(-2 * len(names) // count))
    return [names[(share * index + k) % len(names)] for k in range(share)]


def shape_figures(face: BilinearFace, identities: list[np.ndarray]) -> dict:
    """Folded and thin triangles of faces at rest, on the refined skin.

    Returns:
        flipped_triangles: triangles of all faces more than 120 degrees turned against each of its neighbours;
        least_aspect: of any triangle of the control mesh, twice its height over its longest edge, 1 for the
        regular one.
    """
    dense = dense_face_mesh(face)
    skin = dense.polygons[face.polygon_part[dense.base_polygon] == face.part_names.index("skin")]
    triangles = triangles_of(skin)[0]
    neighbours = _neighbours(triangles)
    coarse = triangles_of(face.polygons[face.polygon_part == face.part_names.index("skin")])[0]
    flipped = 0
    least = np.inf
    for identity in identities:
        neutral = face.neutral(identity.astype(np.float32))
        normals = _normals(dense.refine(neutral).astype(np.float64), triangles)
        turned = (normals[neighbours] * normals[:, None]).sum(axis=2) < -0.5
        flipped += int(turned.all(axis=1).sum())
        least = min(least, float(_aspects(neutral.astype(np.float64), coarse).min()))
    return {"flipped_triangles": flipped, "least_aspect": round(least, 3)}


def _neighbours(triangles: np.ndarray) -> np.ndarray:
    """(T, 3) the triangle across each edge, itself where there is none."""
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, edge = np.unique(edges, axis=0, return_inverse=True)
    edge = edge.ravel()
    order = np.argsort(edge, kind="stable")
    owner = np.repeat(np.arange(len(triangles)), 3)
    across = owner.copy()
    same = edge[order][:-1] == edge[order][1:]
    first, second = order[:-1][same], order[1:][same]
    across[first], across[second] = owner[second], owner[first]
    return across.reshape(-1, 3)


def _normals(positions: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (positions[triangles[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)


def _aspects(positions: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    corners = positions[triangles]
    edges = corners[:, [1, 2, 0]] - corners
    longest = np.linalg.norm(edges, axis=2).max(axis=1)
    area = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
    return area / longest**2 * 2 / np.sqrt(3)
