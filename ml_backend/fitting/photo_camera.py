"""The camera of one photo while a face is fitted to it: pose, distance, focal length and principal point.

Everything is relative to the face, never to the picture's edges: a photo that is cut, padded, scaled or that
shows several faces gives the same camera. Only a picture that is known to be whole says where its optical
axis is; else the axis is expected near the face, and how far off it lies is estimated with the pose.

Source: Hartley and Zisserman 2004, "Multiple View Geometry", chapter 6 (the camera); the priors are ours.
"""

from dataclasses import dataclass

import numpy as np

from ..geometry.camera_view import Camera

POSE = 9
"""Turn 3, place of the face's origin 2, log of scale, log of distance, direction off the optical axis 2."""
DISTANCE, DISTANCE_SPREAD = 1.2, 0.45
"""Metres, and the standard deviation of their logarithm: from a selfie to a portrait lens."""
DIRECTION_SPREAD = 0.12
"""Tangent of the angle between optical axis and face, where the picture may be cut."""
FOCAL_SPREAD, LOOSE_FOCAL_SPREAD = 0.03, 0.35
"""Standard deviation of the focal length's logarithm: EXIF of a whole picture, and of one that may be cut."""
PERSPECTIVE_ERROR = 0.8
"""Standard deviation of one over the distance (1 / metre) that the landmarks of one picture suggest.

The detector draws every face much as if it were 0.9 m away. Set so that the errors of focal lengths on 300
painted heads of known cameras, 0.4 to 4 m away, are as large as `focal_spread` says: in the median 0.66 of it
(0.67 in a normal distribution), in the root mean square 0.95 of it nearer than 0.8 m."""
CENTRE_SPREAD = 0.02
"""Of a whole picture: distance of its optical axis from its centre, in longer sides."""


@dataclass(frozen=True)
class SeenFace:
    """One photo's face, as the fit takes it.

    Attributes:
        points: (478, 2) pixels.
        width: of the picture, pixels.
        height: of the picture, pixels.
        focal: focal length by EXIF, in units of the picture's longer side; None where it is not stated.
        whole: whether the picture is as the camera took it, so that the optical axis meets its centre.
    """

    points: np.ndarray
    width: int
    height: int
    focal: float | None = None
    whole: bool = False


@dataclass
class CameraPose:
    """Pose and camera of a face in a photo, as the values that Gauss-Newton changes.

    Attributes:
        seen: the face in the photo.
        centre: (2,) of the points' box, pixels.
        unit: inter-ocular distance, pixels.
        rotation: (3, 3) from the face's axes to the camera's.
        place: (2,) the face's origin from `centre`, in units.
        log_scale: logarithm of pixels a metre at the face's origin.
        log_distance: logarithm of the depth of the face's origin in metres.
        direction: (2,) x / z and y / z of `centre` from the optical axis.
    """

    seen: SeenFace
    centre: np.ndarray
    unit: float
    rotation: np.ndarray
    place: np.ndarray
    log_scale: float
    log_distance: float
    direction: np.ndarray

    def camera(self) -> Camera:
        """Returns the camera in pixels of the photo."""
        scale = np.exp(self.log_scale)
        distance = np.exp(self.log_distance)
        focal = float(scale * distance)
        column, row = self.centre - focal * self.direction
        across = self.place * self.unit / scale + distance * self.direction
        return Camera(
            self.rotation,
            np.array([*across, distance]),
            focal,
            self.seen.width,
            self.seen.height,
            (float(column), float(row)),
        )

    def move(self, step: np.ndarray) -> None:
        """Applies a step (9,): the turn as a rotation vector in the camera's axes, the rest added."""
        angle = float(np.linalg.norm(step[:3]))
        axis = step[:3] / max(angle, 1e-12)
        cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
        turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
        self.rotation = turn @ self.rotation
        self.place = self.place + step[3:5]
        self.log_scale += float(step[5])
        self.log_distance += float(step[6])
        self.direction = self.direction + step[7:9]

    def jacobian(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the derivatives of the projection of points (L, 3), in pixels.

        Returns:
            (L, 2, 9) by the pose and (L, 2, 3) by the points in the face's axes.
        """
        camera = self.camera()
        turned = points @ self.rotation.T
        local = turned + camera.translation
        depth = local[:, 2]
        zoom = camera.focal / depth
        by_local = np.zeros((len(points), 2, 3))
        by_local[:, 0, 0] = zoom
        by_local[:, 1, 1] = zoom
        by_local[:, :, 2] = -zoom[:, None] * local[:, :2] / depth[:, None]
        scale = np.exp(self.log_scale)
        distance = np.exp(self.log_distance)
        off_axis = camera.focal * self.direction
        centred = local[:, :2] * zoom[:, None] - off_axis
        jacobian = np.empty((len(points), 2, POSE))
        swept = np.stack([np.cross(axis, turned) for axis in np.eye(3)], 1)  # [L, 3, 3]
        jacobian[..., :3] = np.einsum("lik,lak->lia", by_local, swept)
        jacobian[..., 3:5] = by_local[..., :2] * (self.unit / scale)
        jacobian[..., 5] = centred - by_local[..., :2] @ (self.place * self.unit / scale)
        jacobian[..., 6] = centred + by_local @ np.array([*(distance * self.direction), distance])
        jacobian[..., 7:9] = by_local[..., :2] * distance - camera.focal * np.eye(2)
        return jacobian, by_local @ self.rotation

    def focal_spread(self, variance: float) -> float:
        """Returns the standard deviation of the focal length's logarithm.

        Args:
            variance: of that logarithm in the solved fit, which takes the landmarks' perspective for true.

        The error of the landmarks' perspective is added as far as the fit follows it.
        """
        expected = 1 / DISTANCE_SPREAD**2
        if self.seen.focal is not None:
            expected += 1 / (FOCAL_SPREAD if self.seen.whole else LOOSE_FOCAL_SPREAD) ** 2
        followed = max(1 - expected * variance, 0.0)
        hidden = PERSPECTIVE_ERROR * np.exp(self.log_distance)
        return float(np.hypot(np.sqrt(variance), followed * hidden))

    def prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the prior's derivatives (R, 9) and residuals (R,), in standard deviations."""
        rows = [np.eye(POSE)[6] / DISTANCE_SPREAD]
        wrong = [(self.log_distance - np.log(DISTANCE)) / DISTANCE_SPREAD]
        log_focal = self.log_scale + self.log_distance
        longer = max(self.seen.width, self.seen.height)
        if self.seen.focal is not None:
            spread = FOCAL_SPREAD if self.seen.whole else LOOSE_FOCAL_SPREAD
            rows.append((np.eye(POSE)[5] + np.eye(POSE)[6]) / spread)
            wrong.append((log_focal - np.log(self.seen.focal * longer)) / spread)
        middle = np.array([self.seen.width, self.seen.height]) / 2
        for axis in range(2):
            row = np.zeros(POSE)
            if self.seen.whole:
                off_axis = np.exp(log_focal) * self.direction[axis]
                row[5:7] = off_axis
                row[7 + axis] = np.exp(log_focal)
                off_centre = off_axis - (self.centre - middle)[axis]
                rows.append(row / (CENTRE_SPREAD * longer))
                wrong.append(off_centre / (CENTRE_SPREAD * longer))
            else:
                row[7 + axis] = 1
                rows.append(row / DIRECTION_SPREAD)
                wrong.append(self.direction[axis] / DIRECTION_SPREAD)
        return np.array(rows), np.array(wrong)
