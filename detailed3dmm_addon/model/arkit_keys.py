"""Finds ARKit's expressions among the shape keys of any mesh, however they are spelt."""

import bpy
import numpy as np

from ...ml_backend.expression_matching import match_expressions

FEWEST = 8
"""Expressions that a mesh must have to count as a face."""


def expression_keys(mesh: bpy.types.Mesh) -> dict[str, list[str]]:
    """Returns the shape keys that show each expression, by ARKit's name: see `match_expressions`."""
    if mesh.shape_keys is None:
        return {}
    return match_expressions(key.name for key in mesh.shape_keys.key_blocks[1:])


def moved_places(positions: np.ndarray, deltas: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Returns the place (E, 3) where each expression acts: the mean of its vertices by squared way and area.

    Args:
        positions: (N, 3).
        deltas: (E, N, 3), the movement of each vertex.
        areas: (N,) of the surface around each vertex.

    Returns:
        (E, 3), in the units of the positions.
    """
    weight = (deltas**2).sum(2) * areas
    return (weight @ positions) / np.maximum(weight.sum(1, keepdims=True), 1e-30)
