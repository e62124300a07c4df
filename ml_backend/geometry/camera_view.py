"""A perspective camera in front of a face: projection and a depth-tested raster. numpy only.

Camera axes: x to the right of the picture, y down, z away from the camera. Pixels: column and row from the
top left corner, the centre of the first pixel at (0.5, 0.5).
"""

from dataclasses import dataclass

import numpy as np

from .texture_space import covered_texels

FRONTAL = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Turns the face's axes (Z up, looking along -Y) into those of a camera that looks straight at it."""


def rotation_about(axis: int, angle: float) -> np.ndarray:
    """Returns the rotation (3, 3) about one of the axes, radians."""
    cos = np.cos(angle)
    sin = np.sin(angle)
    first, second = [other for other in range(3) if other != axis]
    turn = np.eye(3)
    turn[first, first] = turn[second, second] = cos
    turn[first, second] = -sin
    turn[second, first] = sin
    return turn


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        rotation: (3, 3) float64, from the face's axes to the camera's.
        translation: (3,) float64, the face's origin in the camera's axes, metres.
        focal: focal length in pixels.
        width, height: of the picture in pixels.
        principal: (column, row) where the optical axis meets the picture plane, pixels; a cut picture may not
            contain it. None for the picture's centre.
    """

    rotation: np.ndarray
    translation: np.ndarray
    focal: float
    width: int
    height: int
    principal: tuple[float, float] | None = None

    @property
    def principal_point(self) -> np.ndarray:
        """Returns (2,) the point of the picture plane on the optical axis, pixels."""
        return np.array(self.principal or (self.width / 2, self.height / 2), np.float64)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Projects points (N, 3) in the face's axes, metres, to pixels (N, 2) and depths (N,), metres."""
        seen = np.asarray(points, np.float64) @ self.rotation.T + self.translation
        return seen[:, :2] * (self.focal / seen[:, 2:]) + self.principal_point, seen[:, 2]

    @property
    def position(self) -> np.ndarray:
        """Returns the camera's place (3,) in the face's axes, metres."""
        return -self.rotation.T @ self.translation

    def resized(self, width: int, height: int) -> "Camera":
        """Returns the same view in a picture of another size and the same shape."""
        factor = np.array([width / self.width, height / self.height])
        principal = None
        if self.principal is not None:
            column, row = self.principal_point * factor
            principal = float(column), float(row)
        return Camera(
            self.rotation, self.translation, self.focal * float(factor[0]), width, height, principal
        )

    def head_angles(self) -> tuple[float, float, float]:
        """Returns yaw, pitch and roll in degrees.

        Positive: the person turns to their left, looks up, leans to their left shoulder.
        """
        turned = FRONTAL.T @ self.rotation  # from the face's axes at rest to where it looks
        yaw = np.arctan2(turned[0, 1], turned[1, 1])
        pitch = np.arcsin(np.clip(turned[2, 1], -1, 1))
        roll = np.arctan2(-turned[2, 0], turned[2, 2])
        return float(np.degrees(-yaw)), float(np.degrees(-pitch)), float(np.degrees(-roll))


@dataclass(frozen=True)
class ViewRaster:
    """The triangle that each pixel shows.

    Attributes:
        triangle: (H, W) int32, -1 where none is.
        barycentric: (H, W, 3) float32 on the surface (perspective undone), zero where no triangle is.
        depth: (H, W) float32, metres; infinite where no triangle is.
        triangles: (T, 3) int32 into the vertices.
    """

    triangle: np.ndarray
    barycentric: np.ndarray
    depth: np.ndarray
    triangles: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """Returns (H, W) bool, True where a triangle is."""
        return self.triangle >= 0

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Spreads vertex values (V,) or (V, C) over the picture: (H, W) or (H, W, C) float32, 0 outside."""
        values = np.asarray(values, np.float32)
        spread = np.zeros((*self.triangle.shape, *values.shape[1:]), np.float32)
        mask = self.mask
        weights = self.barycentric[mask]
        corners = values[self.triangles[self.triangle[mask]]]
        spread[mask] = (corners * (weights if values.ndim == 1 else weights[..., None])).sum(1)
        return spread


def rasterise_view(
    pixels: np.ndarray, depth: np.ndarray, triangles: np.ndarray, height: int, width: int
) -> ViewRaster:
    """Draws triangles with a depth test.

    Args:
        pixels: (V, 2) float, as `Camera.project` gives them.
        depth: (V,) float, metres; triangles that reach behind the camera are left out.
        triangles: (T, 3) integers; both sides are drawn.
        height, width: of the picture.

    Returns:
        The nearest triangle of each pixel.
    """
    side = max(height, width)
    triangles = np.asarray(triangles, np.int32)
    front = (depth[triangles] > 1e-6).all(1) & np.isfinite(pixels[triangles]).all((1, 2))
    chosen = np.flatnonzero(front)
    texel, owner, flat = covered_texels(pixels / side, triangles[chosen], side)
    owner = chosen[owner]
    weights = flat / depth[triangles[owner]]
    total = weights.sum(1)
    near = 1 / total
    order = np.argsort(-near, kind="stable")  # the nearest is written last
    texel = texel[order]
    owner = owner[order]
    triangle = np.full(side * side, -1, np.int32)
    distance = np.full(side * side, np.inf, np.float32)
    barycentric = np.zeros((side * side, 3), np.float32)
    triangle[texel] = owner
    distance[texel] = near[order]
    barycentric[texel] = (weights / total[:, None])[order]
    shape = (side, side)
    cut = (slice(0, height), slice(0, width))
    return ViewRaster(
        triangle.reshape(shape)[cut],
        barycentric.reshape(*shape, 3)[cut],
        distance.reshape(shape)[cut],
        triangles,
    )
