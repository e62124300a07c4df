"""Wavefront OBJ: writes meshes with texture coordinates, reads vertices."""

from pathlib import Path

import numpy as np

from ..errors import UserError

_METRES = 3.0  # a head larger than this is in millimetres


def write_obj(
    path: str | Path, positions: np.ndarray, polygons: np.ndarray, uv: np.ndarray, uv_polygons: np.ndarray
) -> None:
    """Writes a mesh with texture coordinates.

    Args:
        path: the file to write.
        positions: (V, 3) float32; written as they are (metres, Blender axes).
        polygons: (F, 4) integers; the last corner is -1 in a triangle.
        uv: (U, 2) float32.
        uv_polygons: (F, 4) integers, texture coordinates by corner.
    """
    with Path(path).open("w", encoding="ascii") as file:
        file.write("# Detailed3DMM face; metres, Z up, the face looks along -Y\n")
        np.savetxt(file, positions, fmt="v %.6f %.6f %.6f")
        np.savetxt(file, uv, fmt="vt %.6f %.6f")
        for corners, texture in zip((polygons + 1).tolist(), (uv_polygons + 1).tolist(), strict=True):
            file.write(
                "f " + " ".join(f"{v}/{t}" for v, t in zip(corners, texture, strict=True) if v > 0) + "\n"
            )


def read_obj_vertices(path: Path, count: int) -> np.ndarray:
    """Reads the vertices of a Wavefront OBJ: (count, 3) float64 in metres.

    Files in millimetres are recognised by their size.

    Raises:
        UserError: the file cannot be read, or has another number of vertices.
    """
    try:
        rows = [
            line.split()[1:4]
            for line in path.read_text("utf-8", errors="replace").splitlines()
            if line.startswith("v ")
        ]
        vertices = np.array(rows, np.float64).reshape(-1, 3)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a mesh that can be read ({error}).", "Give a Wavefront OBJ.") from error
    if len(vertices) != count or not np.isfinite(vertices).all():
        raise UserError(
            f"{path}: {len(vertices)} vertices, the face model has {count}.",
            "Identities are fitted to meshes registered to the face model; build the model of your meshes "
            "with build-face-model.",
        )
    return vertices / 1000 if np.ptp(vertices, 0).max() > _METRES else vertices
