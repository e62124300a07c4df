"""Between meshes and maps: rasterises UV triangles, spreads vertex values, samples maps.

Maps have row 0 at v = 0 and column 0 at u = 0; the centre of texel (row, column) of an R x R map is ((column
+ .5) / R, (row + .5) / R).
"""

from dataclasses import dataclass

import numpy as np


def triangles_of(polygons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Splits polygons along their first diagonal.

    Args:
        polygons: (F, 4) integers, the last -1 for a triangle.

    Returns:
        (T, 3) int32 triangles with the polygons' orientation, and (T,) int32 the polygon of each.
    """
    polygons = np.asarray(polygons)
    quad = polygons[:, 3] >= 0
    triangles = np.concatenate([polygons[:, :3], polygons[quad][:, [0, 2, 3]]])
    owner = np.concatenate([np.arange(len(polygons)), np.flatnonzero(quad)])
    order = np.argsort(owner, kind="stable")
    return triangles[order].astype(np.int32), owner[order].astype(np.int32)


def signed_areas(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Returns (T,) areas of triangles in the plane, positive where counter-clockwise; points (N, 2)."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    return 0.5 * ((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0]))


def covered_texels(points: np.ndarray, triangles: np.ndarray, resolution: int, margin: float = 1e-9):
    """Every pair of a texel and a triangle that covers its centre.

    Args:
        points: (N, 2) in [0, 1].
        triangles: (T, 3) integers into points.
        resolution: R texels along each side.
        margin: how far below 0 a barycentric coordinate may lie.

    Returns:
        (M,) flat texel indices (row * R + column), (M,) triangle indices and (M, 3) float64 barycentric
        coordinates, by triangle.
    """
    corners = (
        np.asarray(points, np.float64)[triangles] * resolution - 0.5
    )  # (T, 3, 2) in texels, centres at integers
    low = np.clip(np.ceil(corners.min(axis=1) - 1e-6), 0, resolution).astype(np.int64)
    high = np.clip(np.floor(corners.max(axis=1) + 1e-6), -1, resolution - 1).astype(np.int64)
    size = np.maximum(high - low + 1, 0)
    count = size[:, 0] * size[:, 1]
    triangle = np.repeat(np.arange(len(triangles)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    width = size[triangle, 0]
    column = low[triangle, 0] + within % width
    row = low[triangle, 1] + within // width
    a = corners[:, 0]
    b = corners[:, 1]
    c = corners[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    inverse = np.divide(1.0, area, out=np.zeros_like(area), where=np.abs(area) > 1e-14)
    dx = column - a[triangle, 0]
    dy = row - a[triangle, 1]
    second = (dx * (c - a)[triangle, 1] - dy * (c - a)[triangle, 0]) * inverse[triangle]
    third = (dy * (b - a)[triangle, 0] - dx * (b - a)[triangle, 1]) * inverse[triangle]
    barycentric = np.stack([1 - second - third, second, third], axis=1)
    inside = (barycentric >= -margin).all(axis=1) & (inverse[triangle] != 0)
    return (row * resolution + column)[inside], triangle[inside], barycentric[inside]


@dataclass(frozen=True)
class TexelLookup:
    """The triangle that each texel shows.

    Attributes:
        triangle: (R, R) int32, -1 where no triangle is.
        barycentric: (R, R, 3) float32, zero where no triangle is.
        triangles: (T, 3) int32 into the vertices.
    """

    triangle: np.ndarray
    barycentric: np.ndarray
    triangles: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """(R, R) bool, True where a triangle is."""
        return self.triangle >= 0

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Spreads vertex values over the map, linearly in each triangle, 0 outside.

        (V,) or (V, C) becomes (R, R) or (R, R, C) float32.
        """
        values = np.asarray(values, np.float32)
        corners = values[self.triangles[self.triangle.clip(0)]]  # (R, R, 3[, C])
        weights = self.barycentric if values.ndim == 1 else self.barycentric[..., None]
        return (corners * weights).sum(axis=2)


def rasterise(
    uv: np.ndarray, uv_triangles: np.ndarray, triangles: np.ndarray, resolution: int
) -> TexelLookup:
    """Finds the triangle under each texel centre.

    Args:
        uv: (U, 2) texture coordinates; triangles outside [0, 1] are not seen.
        uv_triangles: (T, 3) integers into uv.
        triangles: (T, 3) integers into the vertices, same order.
        resolution: R.

    Raises:
        ValueError: the two triangle lists differ in length.
    """
    if len(uv_triangles) != len(triangles):
        raise ValueError(f"{len(uv_triangles)} triangles in the texture but {len(triangles)} on the mesh")
    texel, owner, weights = covered_texels(uv, uv_triangles, resolution)
    triangle = np.full(resolution * resolution, -1, np.int32)
    barycentric = np.zeros((resolution * resolution, 3), np.float32)
    triangle[texel] = owner
    barycentric[texel] = weights.clip(0) / weights.clip(0).sum(axis=1, keepdims=True)
    return TexelLookup(
        triangle.reshape(resolution, resolution),
        barycentric.reshape(resolution, resolution, 3),
        np.asarray(triangles, np.int32),
    )


def sample_map(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Samples a map bilinearly, its border repeated outwards.

    Args:
        texture: (H, W) or (H, W, C).
        uv: (N, 2), origin bottom left.

    Returns:
        (N,) or (N, C) float32.
    """
    height, width = texture.shape[:2]
    corners, weights = bilinear_corners(uv, height, width)
    flat = texture.reshape(height * width, *texture.shape[2:])
    if texture.ndim == 3:
        weights = weights[..., None]
    values = flat[corners[:, 0]] * weights[:, 0]
    for corner in range(1, 4):
        values = values + flat[corners[:, corner]] * weights[:, corner]
    return values.astype(np.float32)


def bilinear_corners(uv: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds the four texels around texture coordinates and their weights, the map's border repeated outwards.

    Args:
        uv: (N, 2), origin bottom left.
        height, width: of the map, texels.

    Returns:
        (N, 4) int64 flat texel indices, row * width + column, and (N, 4) float32 weights with sum 1.
    """
    column = np.clip(uv[:, 0] * width - 0.5, 0, width - 1)
    row = np.clip(uv[:, 1] * height - 0.5, 0, height - 1)
    left = np.floor(column).astype(np.int64)
    below = np.floor(row).astype(np.int64)
    right = np.minimum(left + 1, width - 1)
    above = np.minimum(below + 1, height - 1)
    across = (column - left).astype(np.float32)
    up = (row - below).astype(np.float32)
    corners = np.stack(
        [below * width + left, below * width + right, above * width + left, above * width + right], 1
    )
    weights = np.stack([(1 - across) * (1 - up), across * (1 - up), (1 - across) * up, across * up], 1)
    return corners, weights
