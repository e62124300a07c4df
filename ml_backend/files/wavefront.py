"""Writes meshes as Wavefront OBJ."""

from pathlib import Path

import numpy as np


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
