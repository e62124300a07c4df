"""The face at display density: its skin refined twice, its other parts once."""

from dataclasses import dataclass

import numpy as np

from .subdivision import DenseMesh, build_dense_mesh

SKIN_LEVELS = 2
OTHER_LEVELS = 1


def dense_face_mesh(face) -> DenseMesh:
    """Refines a face model's mesh.

    Args:
        face: a `BilinearFace`; its first part is the skin.

    Returns:
        The dense mesh, at least 60,000 vertices for the default face.
    """
    levels = [SKIN_LEVELS if name == "skin" else OTHER_LEVELS for name in face.part_names]
    return build_dense_mesh(face.polygons, face.polygon_part, face.uv, face.uv_polygons, levels)


@dataclass(frozen=True)
class CoarseCorners:
    """The corners of the model's own polygons on the dense mesh.

    Attributes:
        polygon: (M,) int64, the model's polygon of each corner, ascending, corners in their order.
        vertex: (M,) int64, the dense vertex there.
        uv: (M, 2) float32, the dense mesh's texture coordinate there.
    """

    polygon: np.ndarray
    vertex: np.ndarray
    uv: np.ndarray


def coarse_corners(face, dense: DenseMesh) -> CoarseCorners:
    """Finds the model's polygons on its dense mesh: refinement keeps each corner as the first one of a quad.

    Args:
        face: a `BilinearFace`.
        dense: what `dense_face_mesh` made of it.
    """
    levels = np.where(np.array(face.part_names) == "skin", SKIN_LEVELS, OTHER_LEVELS)[face.polygon_part]
    step = (4 ** (levels - 1))[dense.base_polygon]  # dense quads a corner of the model's polygon
    order = np.argsort(dense.base_polygon, kind="stable")
    start = np.searchsorted(dense.base_polygon[order], dense.base_polygon)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    chosen = order[((place - start) % step == 0)[order]]
    vertex = dense.polygons[chosen, 0].astype(np.int64)
    return CoarseCorners(
        dense.base_polygon[chosen].astype(np.int64), vertex, dense.uv[dense.uv_polygons[chosen, 0]]
    )
