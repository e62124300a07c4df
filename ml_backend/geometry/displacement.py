"""Moves vertices along their normals by a displacement map: the residual face V_r of DNPM's Eq. 2 and 4."""

import numpy as np

from .texture_space import sample_map


def vertex_normals(positions: np.ndarray, polygons: np.ndarray) -> np.ndarray:
    """Area-weighted vertex normals.

    Args:
        positions: (V, 3) float32.
        polygons: (F, 4) int32; the last corner is -1 in a triangle; counter-clockwise seen from outside.

    Returns:
        (V, 3) float32, unit length; (0, 0, 1) where a vertex has no area around it.
    """
    last = np.where(polygons[:, 3] < 0, polygons[:, 2], polygons[:, 3])
    diagonals = (
        positions[polygons[:, 2]] - positions[polygons[:, 0]],
        positions[last] - positions[polygons[:, 1]],
    )
    triangle = polygons[:, 3] < 0
    face = np.cross(diagonals[0], diagonals[1])  # [F3]
    corners = np.concatenate([polygons[:, 0], polygons[:, 1], polygons[:, 2], polygons[~triangle, 3]])
    faces = np.concatenate([face, face, face, face[~triangle]])
    normals = np.stack([np.bincount(corners, faces[:, axis], len(positions)) for axis in range(3)], 1)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 0, normals / np.maximum(length, 1e-30), (0.0, 0.0, 1.0)).astype(np.float32)


def displace_vertices(positions, normals, uv, displacement_map, weight=None):
    """Moves each vertex along its normal by the map's value at its texture coordinate.

    Args:
        positions: (V, 3) float32, metres, Blender axes (Z up, face looks along -Y).
        normals: (V, 3) float32, unit length.
        uv: (V, 2) float32 in [0, 1], origin bottom left.
        displacement_map: (H, W) float32, millimetres, row 0 at the bottom.
        weight: (V,) float32 in 0..1 that scales the displacement, or None.

    Returns:
        (V, 3) float32, metres.

    Raises:
        ValueError: a shape disagrees, or the map holds a value that is not finite.

    Source: Cao et al. 2024, "DNPM", Eq. 2 and 4.
    """
    if positions.shape != normals.shape or uv.shape != (len(positions), 2) or displacement_map.ndim != 2:
        raise ValueError("positions and normals must be (V, 3), uv (V, 2), the map (H, W)")
    if not np.isfinite(displacement_map).all():
        raise ValueError("the displacement map holds a value that is not finite")
    millimetres = sample_map(displacement_map, uv)
    if weight is not None:
        millimetres = millimetres * weight
    return (positions + normals * (millimetres * 1e-3)[:, None]).astype(np.float32)
