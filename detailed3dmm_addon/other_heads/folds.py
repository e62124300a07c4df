"""Compares how each expression folds the skin of another maker's head and of ours.

A key that folds a place less than ours wrinkles it less, and the other way round; a key that shows its whole
expression only at a value beyond 1 is known by its small movement.
"""

import numpy as np
from mathutils.bvhtree import BVHTree

from ...ml_backend.expression_names import EXPRESSION_NAMES
from ...ml_backend.geometry.surface_strain import compression_at_vertices
from .correspondence import Correspondence, barycentric
from .our_skin import Skin, our_movements, our_skin
from .target_shape import TargetShape

_SMOOTHING = 3
_CALM = 0.03
"""Compression that either head may have anywhere: it keeps the ratio of two small numbers near 1."""
_MOST = 1.6
_WEAK = 0.5
"""A key that moves less than this share of our expression shows it only at a larger value."""
_LONGEST_IN_UV = 0.15


class FoldRatios:
    """The strength with which the expressions fold a head's skin, compared with ours.

    Attributes:
        ratio: (52, V) float32, factors of the wrinkles' depth at our skin's vertices, for a value of 1.
        moved: (52, V, 3) metres on our head, the movement of the skin under each key at its whole expression;
            0 without a key.
        wrapped: (V, 3) metres on our head: our skin's vertices as they lie on the head.
    """

    def __init__(self, shape: TargetShape, match: Correspondence):
        skin = our_skin()
        triangles, weights = _carriers(shape, match, skin)
        corners = shape.triangles[triangles]

        def carried(values: np.ndarray) -> np.ndarray:
            return (values[corners] * weights[:, :, None]).sum(1)

        self.wrapped = carried(shape.positions) / match.scale
        self.moved = np.zeros((len(EXPRESSION_NAMES), *skin.positions.shape), np.float32)
        self.ratio = np.ones((len(EXPRESSION_NAMES), len(skin.positions)), np.float32)
        ours = our_movements()
        for index, name in enumerate(EXPRESSION_NAMES):
            if name not in shape.keys:
                continue
            delta = carried(shape.deltas(name)) / match.scale
            whole = _whole_value(shape, name, delta[skin.wrinkles], ours[index][skin.wrinkles])
            self.moved[index] = whole * delta
            theirs = _folded(self.wrapped, self.moved[index], skin)
            same = _folded(skin.positions, ours[index], skin)
            self.ratio[index] = np.minimum((theirs + _CALM) / (same + _CALM), _MOST) / whole

    def at(self, uv: np.ndarray) -> np.ndarray:
        """Returns (52, N) float32: the ratios at texture coordinates (N, 2) on our skin; 1 off it."""
        texture = our_skin().texture(self.ratio.T)
        return np.where((uv >= 0).all(1)[:, None], texture(uv), 1).T.astype(np.float32)


def _carriers(shape: TargetShape, match: Correspondence, skin: Skin) -> tuple[np.ndarray, np.ndarray]:
    """Finds the triangle of the mesh, and the place in it, on which each vertex of our skin lies."""
    if match.wrapped is not None:
        points, places = match.wrapped, shape.positions
        kept = np.arange(len(shape.triangles))
    else:
        points = np.pad(skin.vertex_uv(), ((0, 0), (0, 1)))
        places = np.pad(
            np.pad(match.uv, ((0, len(shape.positions) - shape.count), (0, 0)), constant_values=-1),
            ((0, 0), (0, 1)),
        )
        uv = places[shape.triangles]
        kept = np.flatnonzero((uv[:, :, :2] >= 0).all((1, 2)) & (np.ptp(uv, axis=1) < _LONGEST_IN_UV).all(1))
    tree = BVHTree.FromPolygons(places.tolist(), shape.triangles[kept].tolist())
    found = [tree.find_nearest(point) for point in points.tolist()]
    triangle = kept[[index for _, _, index, _ in found]]
    nearest = np.array([place for place, _, _, _ in found])
    return triangle, barycentric(nearest, places[shape.triangles[triangle]])


def _whole_value(shape: TargetShape, name: str, theirs: np.ndarray, ours: np.ndarray) -> float:
    """Returns the value at which a key shows its whole expression: 1, or more where its range allows it."""
    keys = shape.mesh.shape_keys.key_blocks
    most = max(keys[key].slider_max for key in shape.keys[name])
    size, full = (float(np.sqrt((delta**2).sum(1).mean())) for delta in (theirs, ours))
    if most <= 1 or size >= _WEAK * full:
        return 1.0
    return float(min(full / max(size, 1e-9), most))


def _folded(rest: np.ndarray, moved: np.ndarray, skin: Skin) -> np.ndarray:
    return compression_at_vertices(rest, rest + moved, skin.triangles, _SMOOTHING)
