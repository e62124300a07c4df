"""The square about a face that the encoder's convolutions see, level and in inter-ocular distances."""

import numpy as np

from ...geometry.camera_view import Camera, rotation_about
from ...models.attribute_encoder import CROP, SIDE
from ..face_square import PictureSquare
from .levelled_face import LevelledFace


def face_crop(pixels: np.ndarray, face: LevelledFace) -> np.ndarray:
    """Cuts the square (192, 192, 3) float32, sRGB in 0..1, out of a picture (H, W, 3) uint8."""
    right = np.array([np.cos(face.roll), np.sin(face.roll)])
    return PictureSquare(face.centre, right, SIDE * face.unit).cut(pixels, CROP)


def crop_camera(camera: Camera, face: LevelledFace) -> Camera:
    """Returns the camera whose whole picture is the square that `face_crop` cuts out of a camera's."""
    scale = CROP / (SIDE * face.unit)
    turn = rotation_about(2, -face.roll)
    middle = scale * turn[:2, :2] @ (camera.principal_point - face.centre) + CROP / 2
    return Camera(
        turn @ camera.rotation, turn @ camera.translation, scale * camera.focal, CROP, CROP,
        (float(middle[0]), float(middle[1])),
    )  # fmt: skip
