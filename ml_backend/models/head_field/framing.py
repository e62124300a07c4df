"""The framing of a head in a drawn view: a camera at a distance, aimed below the eyes."""

import numpy as np

from ...geometry.camera_view import FRONTAL, Camera, rotation_about
from ..bilinear_face import BilinearFace

DISTANCE = 1.2
"""Metres from the camera to the face."""
SHOWN = 0.34
"""Metres that a picture is wide at the face."""
_BELOW_EYES = 0.035


def view_camera(face: BilinearFace, yaw: float, pitch: float, size: int) -> Camera:
    """Returns a camera 1.2 m before the face, turned so that `Camera.head_angles` are yaw, pitch and 0.

    Args:
        face: the model.
        yaw, pitch: degrees.
        size: pixels along a side.
    """
    rotation = rotation_about(1, np.radians(yaw)) @ rotation_about(0, np.radians(-pitch)) @ FRONTAL
    eyes = np.mean([face.mean[face.landmarks[f"eye_{side}"]].mean(0) for side in ("left", "right")], 0)
    aim = eyes + (0.0, 0.04, -_BELOW_EYES)
    return Camera(rotation, np.array([0, 0, DISTANCE]) - rotation @ aim, size * DISTANCE / SHOWN, size, size)
