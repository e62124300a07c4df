"""Places 478 points on one face in a square about it: the mesh, then lids, brows and irises from near.

Source: Kartynnik et al. 2019, "Real-time facial surface geometry from monocular video on mobile GPUs" (468
points); Ablavatski et al. 2020, "Real-time pupil tracking from monocular video for digital puppetry" (71
points about an eye and five on its iris). The layout of the points is MediaPipe's (Apache-2.0).
"""

import numpy as np

from .face_detector import DetectedFace, detect
from .face_square import PictureSquare, level_square
from .landmark_networks import LandmarkNetworks, Network
from .mesh_layout import (
    ALL_POINTS,
    LEFT_EYE,
    LEFT_IRIS,
    MESH_POINTS,
    MIRRORED,
    MIRRORED_IRIS,
    RIGHT_EYE,
    RIGHT_IRIS,
)

_FACE_SCALE, _EYE_SCALE = 1.5, 2.3
"""Sides of the squares that the networks learned from, over the face's box and over the eye's width."""
LEAST_PRESENCE = 0.5
_MOST_LOOKS, _SETTLED = 6, 0.015
"""Looks until a square has settled; the change of its side, over the side, that counts as none."""
_ROOM = 1.35
"""Of the mesh's square: the square in which the detector looks at a face from near."""
_UPRIGHT = 0.08
"""The detector's score for another turn must be higher by this; right turns led by 0.13 and more."""
_RIGHT_CORNERS, _LEFT_CORNERS = (33, 133), (362, 263)


def square_about_face(detector: Network, pixels: np.ndarray, face: DetectedFace) -> PictureSquare:
    """The square in which the mesh network looks at a detected face, level with the eyes.

    A detector looks at the face once more, from near, and also turned by quarters: from afar its box is
    rough, and it takes an upside-down face for a face too, with the mouth on the forehead.

    Args:
        detector: the short range network.
        pixels: (H, W, 3) uint8 sRGB.
        face: as it was seen from afar.
    """
    rough = PictureSquare(face.box.mean(0), face.right, _FACE_SCALE * face.side)
    square, best = rough, 0.0
    for quarter in range(4):
        look = rough.moved(_ROOM, (0.0, 0.0), quarter * np.pi / 2)
        for near in detect(detector, look.cut(pixels, detector.side))[:1]:
            score = near.score + (_UPRIGHT if quarter == 0 else 0.0)
            if score > best:
                centre, right, left = look.to_picture(
                    np.array([near.box.mean(0), *near.keypoints[:2]]) / detector.side
                )
                line = (left - right) / max(float(np.linalg.norm(left - right)), 1e-9)
                square = PictureSquare(centre, line, _FACE_SCALE * near.side / detector.side * look.side)
                best = score
    return square


def square_of_points(points: np.ndarray) -> PictureSquare:
    """The square for another look at a face whose points (468 or more, 2), pixels, are there already."""
    return level_square(points[:MESH_POINTS], _RIGHT_CORNERS[0], _LEFT_CORNERS[1], _FACE_SCALE)


def settled_square(
    networks: LandmarkNetworks, pixels: np.ndarray, square: PictureSquare
) -> PictureSquare | None:
    """Moves a square until the points that the mesh network sees in it ask for that very square.

    A square that is too large or too small by a third makes the points too wide or too narrow by a tenth;
    each look halves that.

    Args:
        networks: of the landmark detector.
        pixels: (H, W, 3) uint8 sRGB.
        square: roughly about the face.

    Returns:
        The square; None where the network is not sure to see a face in it.
    """
    for _ in range(_MOST_LOOKS):
        points, presence = _mesh(networks.mesh, pixels, square)
        if presence < LEAST_PRESENCE:
            return None
        before, square = square, square_of_points(points)
        if abs(square.side / before.side - 1) < _SETTLED:
            break
    return square


def face_points(
    networks: LandmarkNetworks, pixels: np.ndarray, square: PictureSquare, mirrored: bool = False
) -> tuple[np.ndarray, float]:
    """The points of the face in a square.

    Args:
        networks: of the landmark detector.
        pixels: (H, W, 3) uint8 sRGB.
        square: about the face.
        mirrored: the mesh network sees the square's mirror image; its own left and right errors change sides.

    Returns:
        (478, 2) float64 pixels of the picture, and 0..1, how surely the square shows a face.
    """
    mesh, presence = _mesh(networks.mesh, pixels, square, mirrored)
    if networks.eye is None:
        return mesh, presence
    points = np.concatenate([mesh, np.zeros((ALL_POINTS - MESH_POINTS, 2))])
    right = level_square(mesh[list(_RIGHT_CORNERS)], 0, 1, _EYE_SCALE)
    left = level_square(mesh[list(_LEFT_CORNERS)], 0, 1, _EYE_SCALE)
    points[list(RIGHT_EYE)], points[RIGHT_IRIS] = _eye_points(networks.eye, pixels, right, False)
    points[list(LEFT_EYE)], points[LEFT_IRIS] = _eye_points(networks.eye, pixels, left, True)
    return points, presence


def _mesh(
    network: Network, pixels: np.ndarray, square: PictureSquare, mirrored: bool = False
) -> tuple[np.ndarray, float]:
    """(468 or 478, 2) pixels of the picture, and 0..1, how surely the square shows a face."""
    picture = square.cut(pixels, network.side)
    outputs = network(picture[:, ::-1] if mirrored else picture)
    points = outputs[0].reshape(-1, 3)[:, :2].astype(np.float64) / network.side
    if mirrored:
        points = points[MIRRORED[: len(points)]]
        points[:, 0] = 1 - points[:, 0]
    presence = 1 / (1 + np.exp(-np.clip(float(outputs[1].ravel()[0]), -80, 80)))
    return square.to_picture(points), presence


def _eye_points(
    network: Network, pixels: np.ndarray, square: PictureSquare, mirrored: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(71, 2) contour and (5, 2) iris, pixels; a left eye is mirrored, as the network learned right ones."""
    picture = square.cut(pixels, network.side)
    outputs = network(picture[:, ::-1] if mirrored else picture)
    points = (
        np.concatenate([output.reshape(-1, 3)[:, :2] for output in outputs]).astype(np.float64) / network.side
    )
    if mirrored:
        points[:, 0] = 1 - points[:, 0]
    contour, iris = square.to_picture(points[:-5]), square.to_picture(points[-5:])
    return contour, iris[MIRRORED_IRIS] if mirrored else iris
