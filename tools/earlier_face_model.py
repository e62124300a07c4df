"""Keeps what is needed to know the persons of a face model that is about to be replaced.

python -m tools.earlier_face_model face_model.safetensors earlier_face_model.safetensors

Run it with the model that is replaced, before it is. Faces and face files that were made with it can then be
carried over to the next one. The file holds the mean face, the modes of identity and the named directions at
a few hundred points: landmarks, and places spread evenly over the outer skin.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from ml_backend.files.tensor_file import write_tensors
from ml_backend.geometry.dense_face import dense_face_mesh
from ml_backend.geometry.surface_places import fan_triangles
from ml_backend.geometry.surface_wrap import triangle_normals
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.earlier_face import EarlierFace

POINTS = 300
_MARKS_OF_ONE_OR_A_LINE = ("lid_", "lip_")
"""Landmarks of several vertices that are lines; others of several are sets without an order."""
_CLEAR = 0.25
"""Metres along the normal in which nothing may lie before a place of the outer skin."""
_CHUNK = 32


def keep_points(face: BilinearFace, count: int) -> EarlierFace:
    """Chooses the points of a model and keeps their shapes.

    Args:
        face: the model.
        count: of points, landmarks included.
    """
    skin = face.polygons[face.polygon_part == face.part_names.index("skin")]
    triangles = fan_triangles(skin)
    normals = triangle_normals(face.mean, triangles)
    marks = {
        name: indices
        for name, indices in face.landmarks.items()
        if len(indices) == 1 or name.startswith(_MARKS_OF_ONE_OR_A_LINE)
    }
    chosen = list(dict.fromkeys(int(index) for indices in marks.values() for index in indices))
    outer = _outer_vertices(face, triangles, normals)
    nearest = np.linalg.norm(face.mean[outer][:, None] - face.mean[chosen][None], axis=2).min(1)
    while len(chosen) < count:
        chosen.append(int(outer[nearest.argmax()]))
        nearest = np.minimum(nearest, np.linalg.norm(face.mean[outer] - face.mean[chosen[-1]], axis=1))
    place = {vertex: index for index, vertex in enumerate(chosen)}
    modes = (face.core[1:, 0] @ face.basis).reshape(face.identity_size, -1, 3)
    return EarlierFace(
        fingerprint=face.fingerprint(),
        mesh_vertices=dense_face_mesh(face).vertex_count,
        mean=face.mean[chosen],
        normals=normals[chosen].astype(np.float32),
        modes=modes[:, chosen],
        marks={name: np.array([place[int(index)] for index in indices]) for name, indices in marks.items()},
        direction_names=face.direction_names,
        directions=face.directions,
        direction_ranges=face.direction_ranges,
        part_names=face.part_names,
    )


def _outer_vertices(face: BilinearFace, triangles: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Returns the skin's vertices above the neck's middle from which nothing is met along the normal.

    The inside of the mouth, of the nose and of the eye sockets is left out, and what lies behind the lips.
    """
    used = np.unique(triangles)
    lowest = face.mean[face.landmarks["neck_middle"]][:, 2].min()
    used = used[face.mean[used, 2] > lowest]
    everything = fan_triangles(face.polygons)
    free = []
    for start in range(0, len(used), _CHUNK):
        here = used[start : start + _CHUNK]
        free.append(~_met(face.mean[here] + 5e-4 * normals[here], normals[here], face.mean[everything]))
    return used[np.concatenate(free)]


def _met(origins: np.ndarray, ways: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Returns (N,) bool: a ray of length `_CLEAR` meets a triangle.

    Source: Möller and Trumbore 1997, "Fast, Minimum Storage Ray/Triangle Intersection".
    """
    first = triangles[:, 0]
    along = triangles[:, 1] - first
    across = triangles[:, 2] - first
    turned = np.cross(ways[:, None], across[None])
    determinant = (turned * along).sum(2)
    determinant = np.where(np.abs(determinant) < 1e-15, np.inf, determinant)
    away = origins[:, None] - first[None]
    u = (away * turned).sum(2) / determinant
    crossed = np.cross(away, along[None])
    v = (ways[:, None] * crossed).sum(2) / determinant
    reach = (crossed * across).sum(2) / determinant
    return ((u >= 0) & (v >= 0) & (u + v <= 1) & (reach > 0) & (reach < _CLEAR)).any(1)


def main() -> None:
    """Reads the model and writes its points."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="the face model that is replaced")
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--points", type=int, default=POINTS, help=f"how many (default: {POINTS})")
    args = parser.parse_args()
    kept = keep_points(BilinearFace.load(args.model), args.points)
    write_tensors(args.out, *kept.tensors())
    print(
        json.dumps(
            {
                "out": str(args.out),
                "fingerprint": kept.fingerprint,
                "points": len(kept.mean),
                "bytes": args.out.stat().st_size,
            }
        )
    )


if __name__ == "__main__":
    main()
