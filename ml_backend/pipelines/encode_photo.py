"""Reads all attributes of a photo's face in one pass of the attribute encoder, without iteration.

Source: Zhang et al., "Zero-shot Real Facial Attribute Separation and Transfer at Novel Views".
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from threadpoolctl import ThreadpoolController

from ..errors import UserError
from ..fitting.attributes.encode_face import encode_points
from ..fitting.attributes.head_places import HeadPlaces
from ..fitting.attributes.quick_look import look_once
from ..fitting.landmarks import choose_face, find_faces, interocular_distance
from ..fitting.photo_file import read_photo
from ..geometry.camera_view import Camera
from ..models.attribute_encoder import AttributeEncoder, default_encoder
from ..models.bilinear_face import BilinearFace
from ..models.face_attributes import FaceAttributes
from ..models.face_codes import FaceCodes
from .fit_from_image import likely_skin

_SMALLEST = 12.0
"""Inter-ocular pixels below which a face shows too little."""


@dataclass(frozen=True)
class EncodedFace:
    """A face as one pass read it.

    Attributes:
        codes: the seven codes.
        camera: of the photo.
        focal_known: whether EXIF gave the focal length; else the face counts as 1.2 m away.
        milliseconds: from pixels to codes, the detector included.
    """

    codes: FaceCodes
    camera: Camera
    focal_known: bool
    milliseconds: float

    def attributes(self) -> FaceAttributes:
        """Returns the attributes as transfers take them; skin's age as it suits the shape."""
        pose = np.array(self.camera.head_angles(), np.float32)
        skin = likely_skin(BilinearFace.default(), self.codes.shape)
        return FaceAttributes(self.codes.shape, self.codes.expression, skin, self.codes.light, pose)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Holds torch and the numerical libraries to one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _pools().limit(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=1)
def _pools() -> ThreadpoolController:
    """Returns the thread pools of the libraries, which take milliseconds to find."""
    return ThreadpoolController()


def encode_pixels(
    pixels: np.ndarray,
    focal: float | None = None,
    landmark_model: str = "",
    points: np.ndarray | None = None,
    encoder: AttributeEncoder | None = None,
) -> EncodedFace | None:
    """Reads the largest face of a picture, in one thread: the networks are too small for more.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        focal: pixels, or None.
        landmark_model: a `face_landmarker.task` of the user's, or empty.
        points: (478, 2) of the face, where they are there already.
        encoder: None: the package's.

    Returns:
        None where no face is found.

    Raises:
        UserError: weights or the landmark library are missing.
    """
    encoder = encoder or default_encoder()
    _pools()
    HeadPlaces.default()  # prepared once
    began = time.perf_counter()
    with _one_thread():
        if points is None:
            found = look_once(pixels, landmark_model)
            if found is None:
                return None
            points = found.points
        codes, camera = encode_points(encoder, pixels, points, focal)
    return EncodedFace(codes, camera, focal is not None, 1000 * (time.perf_counter() - began))


def encode_photo(path: str, face_number: int = 0, landmark_model: str = "") -> EncodedFace:
    """Reads a photo's face.

    Args:
        path: of the photo.
        face_number: counted from 1, left to right; 0 for the largest.
        landmark_model: a `face_landmarker.task` of the user's, or empty.

    Raises:
        UserError: the photo cannot be read, shows no such face, or one that is too small.
    """
    photo = read_photo(path)
    height, width = photo.pixels.shape[:2]
    focal = photo.focal * max(width, height) if photo.focal is not None and photo.whole else None
    if face_number:
        points = choose_face(find_faces(photo.pixels, landmark_model or None), face_number, path).points
    else:
        found = look_once(photo.pixels, landmark_model)
        points = choose_face([] if found is None else [found], None, path).points
    if interocular_distance(points) < _SMALLEST:
        raise UserError(
            f"{path}: the face is too small to take something from it.",
            "Use a photo with a larger face, from the front and with nothing before it.",
        )
    encoded = encode_pixels(photo.pixels, focal, landmark_model, points if face_number else None)
    if encoded is None:
        raise UserError(f"{path}: no face was found.", "Give a picture with a face seen from the front.")
    return encoded
