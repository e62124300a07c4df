"""Reads a model of light-stage scans, ICT-FaceKit ("light" release), as a source of shape.

Either the arrays of one .npz (see `ict_facekit`) or the folder as published: `FaceXModel/` with
`generic_neutral_mesh.obj`, `identity000.obj` ... and one OBJ an expression. MIT licence.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..expression_names import EXPRESSION_NAMES

_REMEDY = "Give ICT-FaceKit's light release: its folder FaceXModel, or its arrays as one .npz."
_VERTICES = 26719
_OUTER = slice(0, 11144)  # polygons of the published mesh that are seen skin; mouth and sockets follow
_EYEBALLS = {"left": (21451, 23021), "right": (23021, 24591)}  # vertices, half-open
_TEETH = (17039, 21451)
_NEUTRAL = "generic_neutral_mesh.obj"


@dataclass(frozen=True)
class Scans:
    """A linear model of scanned heads, metres, Blender axes.

    Attributes:
        neutral: (V, 3) the mean head.
        modes: (I, V, 3) identity, per standard deviation.
        expressions: by ARKit name, (V, 3) displacement, the same for everybody.
        polygons: (F, 4) what is seen of the skin; the last -1 for a triangle.
        eyes: by side, (n,) vertices of the eyeball.
        teeth: (n,) vertices of both rows.
    """

    neutral: np.ndarray
    modes: np.ndarray
    expressions: dict[str, np.ndarray]
    polygons: np.ndarray
    eyes: dict[str, np.ndarray]
    teeth: np.ndarray

    @cached_property
    def triangles(self) -> np.ndarray:
        """(T, 3) of `polygons`."""
        quads = self.polygons[self.polygons[:, 3] >= 0]
        return np.concatenate([self.polygons[:, :3], quads[:, [0, 2, 3]]]).astype(np.int64)

    def person(self, random: np.random.Generator) -> np.ndarray:
        """Draws a head at rest as the scans' spread says, (V, 3)."""
        return self.neutral + np.tensordot(random.standard_normal(len(self.modes)), self.modes, 1)


def read_scans(path: Path) -> Scans:
    """Reads the scans' model.

    Args:
        path: an .npz or the folder of OBJ files.

    Raises:
        UserError: it is missing or holds something else.
    """
    try:
        arrays = _read_folder(path) if path.is_dir() else _read_arrays(path)
        scans = _from_arrays(arrays)
    except (OSError, KeyError, ValueError, IndexError, EOFError) as error:
        raise UserError(f"{path}: not ICT-FaceKit's light release ({error}).", _REMEDY) from error
    return scans


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {
            name: file[name] for name in ("neutral", "identity", "expression", "expression_names", "faces")
        }


def _read_folder(folder: Path) -> dict[str, np.ndarray]:
    """The folder's OBJ files as the same arrays."""
    folder = next((f for f in (folder, folder / "FaceXModel") if (f / _NEUTRAL).is_file()), folder)
    neutral, faces = _read_obj(folder / _NEUTRAL)
    modes = sorted(folder.glob("identity[0-9]*.obj"))
    names = [
        file.stem for file in sorted(folder.glob("*.obj")) if file not in modes and file.name != _NEUTRAL
    ]
    return {
        "neutral": neutral,
        "faces": faces,
        "identity": np.stack([_read_obj(file)[0] - neutral for file in modes]),
        "expression": np.stack([_read_obj(folder / f"{name}.obj")[0] - neutral for name in names]),
        "expression_names": np.array(names),
    }


def _read_obj(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) float32 and polygons (F, 4), -1 behind a triangle."""
    vertices = []
    faces = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        if line.startswith("v "):
            vertices.append([float(word) for word in line.split()[1:4]])
        elif line.startswith("f "):
            corners = [int(word.split("/")[0]) - 1 for word in line.split()[1:]]
            faces.append([*corners, -1][:4])
    return np.array(vertices, np.float32), np.array(faces, np.int32).reshape(-1, 4)


def _from_arrays(arrays: dict[str, np.ndarray]) -> Scans:
    if arrays["neutral"].shape != (_VERTICES, 3):
        raise ValueError(f"{len(arrays['neutral'])} vertices, not {_VERTICES}")
    moving = dict(zip((str(name) for name in arrays["expression_names"]), arrays["expression"], strict=True))
    expressions = {}
    for name in EXPRESSION_NAMES:
        found = [moving[theirs] for theirs in scan_names(name) if theirs in moving]
        if found:
            expressions[name] = _metres(np.sum(found, axis=0))
    values = (_metres(arrays["neutral"]), _metres(arrays["identity"]))
    if len(expressions) < 40 or not all(np.isfinite(v).all() for v in (*values, *expressions.values())):
        raise ValueError(f"{len(expressions)} ARKit expressions, or values that are not finite")
    eyes = {side: np.arange(*span) for side, span in _EYEBALLS.items()}
    return Scans(
        values[0], values[1], expressions, arrays["faces"][_OUTER].astype(np.int64), eyes, np.arange(*_TEETH)
    )


def scan_names(name: str) -> list[str]:
    """The scans' names of an ARKit expression; those that they split into sides are both of them."""
    for side, mark in (("Left", "_L"), ("Right", "_R")):
        if name.endswith(side) and name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            return [name.removesuffix(side) + mark]
    return [name, f"{name}_L", f"{name}_R"]


def _metres(centimetres: np.ndarray) -> np.ndarray:
    values = np.asarray(centimetres, np.float64)
    return np.stack([values[..., 0], -values[..., 2], values[..., 1]], axis=-1) * 0.01
