"""A face's landmarks in the levelled picture, and the way back to the photo's camera.

The levelled picture is the one whose optical axis goes through the landmarks' middle and whose eyes are
level; in it rotation and translation are small numbers.
"""

from dataclasses import dataclass

import numpy as np

from ...geometry.camera_view import rotation_about
from ...models.face_codes import FaceCodes, angles_of_rotation, rotation_of_angles
from ...models.head_steps.seen_places import EYES_APART
from ..landmarks import interocular_distance, level_frame

USUAL_DISTANCE = 1.2
"""Metres to a face whose photo does not tell its focal length."""


@dataclass(frozen=True)
class LevelledFace:
    """A face's landmarks in its levelled picture.

    Attributes:
        points: (2 L + 4,) float32, landmarks in inter-ocular distances, then distance and direction.
        centre: (2,) pixels; unit: inter-ocular pixels; roll: radians; ray: (3, 3) from the levelled picture's
            axes to the camera's; focal: pixels.
    """

    points: np.ndarray
    centre: np.ndarray
    unit: float
    roll: float
    ray: np.ndarray
    focal: float


def usual_focal(points: np.ndarray) -> float:
    """Returns the focal length in pixels at which a face of points (478, 2) is `USUAL_DISTANCE` away."""
    return USUAL_DISTANCE * interocular_distance(points) / EYES_APART


def levelled_points(points: np.ndarray, focal: float, width: int, height: int) -> LevelledFace:
    """Levels landmarks.

    Args:
        points: (478, 2) pixels.
        focal: pixels, `usual_focal` where it is not known; the optical axis meets the picture's centre.
        width, height: of the picture, pixels.
    """
    level, unit = level_frame(points)
    roll = float(np.arctan2(level[0, 1], level[0, 0]))
    centre = points[[33, 133, 362, 263, 1, 61, 291]].mean(0)
    across, down = (centre - (width / 2, height / 2)) / focal
    ray = _ray(float(across), float(down)) @ rotation_about(2, roll)
    even = (points - centre) @ level.T / unit
    more = np.array([np.log(focal / unit * EYES_APART), across, down, roll])
    return LevelledFace(
        np.concatenate([even.ravel(), more]).astype(np.float32), centre, unit, roll, ray, focal
    )


def _ray(across: float, down: float) -> np.ndarray:
    """Returns the smallest rotation (3, 3) that turns the optical axis to a direction (across, down, 1)."""
    aim = np.array([across, down, 1.0]) / np.sqrt(across**2 + down**2 + 1)
    axis = np.array([-aim[1], aim[0], 0.0])
    sine = float(np.linalg.norm(axis))
    if sine < 1e-9:
        return np.eye(3)
    x, y, z = axis / sine
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + sine * cross + (1 - aim[2]) * cross @ cross


def place_face(face: LevelledFace, rotation: np.ndarray, translation: np.ndarray, width: int, height: int):
    """Takes rotation and translation out of the levelled picture.

    Args:
        face: the levelled landmarks.
        rotation: (3,) degrees in the levelled picture.
        translation: (3,): place of the face's origin from the landmarks' middle, level, in inter-ocular
            distances, and the logarithm of its scale: pixels a metre, times `EYES_APART`, over the
                inter-ocular
            distance.
        width, height: of the picture.

    Returns:
        The codes of rotation (3,) degrees and translation (3,) metres.
    """  # fmt: skip
    turned = face.ray @ rotation_of_angles(rotation)
    scale = np.exp(translation[2]) * face.unit / EYES_APART
    depth = face.focal / scale
    cos, sin = np.cos(face.roll), np.sin(face.roll)
    offset = np.array([[cos, -sin], [sin, cos]]) @ translation[:2] * face.unit
    pixel = face.centre + offset - (width / 2, height / 2)
    return angles_of_rotation(turned).astype(np.float32), np.array([*(pixel / scale), depth], np.float32)


def levelled_place(face: LevelledFace, codes: FaceCodes, width: int, height: int):
    """Returns what `place_face` takes to give the rotation and translation of codes: its inverse."""
    rotation = angles_of_rotation(face.ray.T @ rotation_of_angles(codes.rotation))
    across, down, depth = codes.translation.astype(np.float64)
    pixel = np.array([across, down]) * face.focal / depth + (width / 2, height / 2)
    cos, sin = np.cos(face.roll), np.sin(face.roll)
    offset = np.array([[cos, sin], [-sin, cos]]) @ (pixel - face.centre) / face.unit
    scale = np.log(face.focal / depth * EYES_APART / face.unit)
    return rotation.astype(np.float32), np.array([*offset, scale], np.float32)
