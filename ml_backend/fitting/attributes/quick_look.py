"""Looks at the largest face of a picture once: some 25 ms where `find_faces` takes 150.

One detector sees the whole picture, the mesh network looks until its square has settled, the eye network
once at each eye. Where that shows no face the thorough search takes over.
"""

import numpy as np
from PIL import Image

from ..face_detector import detect
from ..face_mesh import LEAST_PRESENCE, face_points, square_of_points
from ..face_square import PictureSquare
from ..landmark_networks import LandmarkNetworks, load_networks
from ..landmarks import FacePoints, find_faces

_SQUARE = 1.5
"""Side of the square about a face, over the detector's box."""
_LEAST = 0.2
"""Of the picture's shorter side: a smaller face is left to the thorough search."""
_SETTLED, _LOOKS = 0.06, 3


def look_once(pixels: np.ndarray, model_file: str = "") -> FacePoints | None:
    """Finds the largest face.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        model_file: a `face_landmarker.task` of the user's, or empty.

    Returns:
        Its points, or None where the picture shows no face.

    Raises:
        UserError: the landmark library is missing, or the model file cannot be used.
    """
    networks = load_networks(model_file)
    points = _quick(networks, pixels)
    if points is not None:
        return FacePoints(points, 0.0)
    faces = find_faces(pixels, model_file or None)
    return faces[0] if faces else None


def _quick(networks: LandmarkNetworks, pixels: np.ndarray) -> np.ndarray | None:
    """Returns (478, 2) pixels, or None where a quick look is not sure to see an upright, large face."""
    detector = networks.detectors[0]
    picture = Image.fromarray(pixels)
    scale = detector.side / max(picture.size)
    small = picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.BOX
    )
    found = detect(detector, np.asarray(small, np.float32) / 255)
    faces = [face for face in found if face.right[0] > 0.5 and face.side > _LEAST * min(small.size)]
    if not faces:
        return None
    face = max(faces, key=lambda one: one.side).enlarged(np.array(picture.size) / small.size)
    square = PictureSquare(face.box.mean(0), face.right, _SQUARE * face.side)
    for _ in range(_LOOKS):
        points, presence = face_points(networks, pixels, square)
        if presence < LEAST_PRESENCE:
            return None
        before, square = square, square_of_points(points)
        if abs(square.side / before.side - 1) < _SETTLED:
            break
    return points
