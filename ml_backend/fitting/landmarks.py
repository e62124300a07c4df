"""Finds faces in a picture and 478 points on each.

The first 468 points are those of the face mesh, the last ten the irises, the person's right eye first. Faces
are searched in the whole picture; where it shows nothing large, also on their side and in tiles at full size.

A small or blurred face is made clear first (`clear_face.py`) and looked at more often.
"""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import UserError
from .clear_face import SMALL, ClearFace, clear_face
from .face_detector import DetectedFace, detect_in_tiles, detect_turned, detect_whole, tile_sides
from .face_mesh import LEAST_PRESENCE, face_points, settled_square, square_about_face, square_of_points
from .face_square import PictureSquare
from .landmark_networks import LandmarkNetworks, load_networks
from .mesh_layout import ALL_POINTS, MIRRORED

POINT_COUNT = ALL_POINTS
MOST_FACES = 12
_LARGE = 0.36
"""Of a picture's shorter side: beside a face of this size no smaller ones are searched for."""
_APART = 0.4
"""Of a face's size: faces whose middles are nearer are one."""
_LOST = 0.25
"""Of a face's size: a second look whose middle is farther away shows something else."""
_MESH_OVER_BOX = 1.25
"""The size of the mesh's points over that of a detector's box."""
_LOOKS = ((1.0, (0.0, 0.0), 0.0), (0.97, (0.008, 0.008), 0.012), (1.035, (-0.006, -0.006), -0.012))
"""Scale, shift and turn of the squares whose points are averaged, each seen as it is and mirrored."""
_MORE_LOOKS = tuple(
    (scale, (shift, shift), 2 * shift)
    for scale, shift in ((0.965, 0.008), (0.99, -0.008), (1.01, 0.008), (1.035, -0.008))
)
_lock = threading.Lock()


@dataclass(frozen=True)
class FacePoints:
    """The points of one face.

    Attributes:
        points: (478, 2) float64 pixels from the picture's top left corner.
        scatter: the median distance of the points of slightly moved looks from their middle, in inter-ocular
            distances: large where the picture shows little.
    """

    points: np.ndarray
    scatter: float

    @property
    def size(self) -> float:
        """The longer side of the points' box, pixels."""
        return _size(self.points)


def find_faces(pixels: np.ndarray, model_file: str | Path | None = None) -> list[FacePoints]:
    """All faces of a picture, the largest first.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        model_file: a `face_landmarker.task` of the user's, or None for the carried networks.

    Returns:
        At most 12 faces; none where the picture shows none.

    Raises:
        UserError: the landmark library is missing, or the model file cannot be used.
    """
    with _lock:
        networks = load_networks(str(model_file) if model_file else "")
        looks = [_look_closely(networks, pixels, points) for points in _first_look(networks, pixels)]
    faces = [face for face in looks if face is not None]
    return [faces[index] for index in _distinct([face.points for face in faces])]


def choose_face(faces: list[FacePoints], number: int | None, name: str) -> FacePoints:
    """The largest face, or the one of a number counted from 1, left to right.

    Raises:
        UserError: there is none, or not so many.
    """
    if not faces:
        raise UserError(
            f"{name}: no face was found.",
            "Give a picture with a face seen from the front or half aside, or cut the picture nearer to it.",
        )
    if number is None:
        return faces[0]
    if not 1 <= number <= len(faces):
        raise UserError(
            f"{name}: there is no face {number}.",
            f"It shows {len(faces)}; they are counted from 1, left to right.",
        )
    return sorted(faces, key=lambda face: face.points[:, 0].mean())[number - 1]


def interocular_distance(points: np.ndarray) -> float:
    """Pixels between the middles of the two eyes, each taken between its corners.

    In a turned head the eye's width corrects nothing.
    """
    right, left = points[[33, 133]].mean(0), points[[362, 263]].mean(0)
    return float(max(np.linalg.norm(left - right), 1e-6))


def level_frame(points: np.ndarray) -> tuple[np.ndarray, float]:
    """(2, 2) that turns a picture until the eyes are level, and the inter-ocular distance in pixels."""
    right, left = points[[33, 133]].mean(0), points[[362, 263]].mean(0)
    along = (left - right) / max(np.linalg.norm(left - right), 1e-9)
    return np.array([[along[0], along[1]], [-along[1], along[0]]]), interocular_distance(points)


def _size(points: np.ndarray) -> float:
    return float(np.ptp(points, axis=0).max())


def _first_look(networks: LandmarkNetworks, pixels: np.ndarray) -> list[np.ndarray]:
    """Points of faces in the whole picture; where none fills much of it, also in tiles of it."""
    picture = Image.fromarray(pixels)
    faces = _meshes(networks, pixels, detect_whole(networks, picture))
    if any(_size(points) > _LARGE * min(picture.size) for points in faces):
        return faces
    if not faces:
        faces = _meshes(networks, pixels, detect_turned(networks, picture))
        if faces:
            return faces
    for side in tile_sides(*picture.size):
        faces += _meshes(networks, pixels, detect_in_tiles(networks, picture, side))
        if faces:
            break
    return [faces[index] for index in _distinct(faces)]


def _meshes(networks: LandmarkNetworks, pixels: np.ndarray, detected: list[DetectedFace]) -> list[np.ndarray]:
    """Points of the largest detected faces; what the mesh network takes for no face is left out."""
    meshes = []
    for face in sorted(detected, key=lambda face: -face.side)[:MOST_FACES]:
        square = square_about_face(networks.detectors[0], pixels, face)
        points = _sure_points(networks, pixels, square)
        if points is None:
            points = _points_in_clear_picture(networks, pixels, face, square)
        if points is not None:
            meshes.append(points)
    return meshes


def _sure_points(networks: LandmarkNetworks, pixels: np.ndarray, square: PictureSquare) -> np.ndarray | None:
    """Points of the face in a rough square; None where the mesh network is not sure to see one."""
    settled = settled_square(networks, pixels, square)
    if settled is None:
        return None
    points, presence = face_points(networks, pixels, settled)
    return points if presence >= LEAST_PRESENCE else None


def _points_in_clear_picture(
    networks: LandmarkNetworks, pixels: np.ndarray, face: DetectedFace, square: PictureSquare
) -> np.ndarray | None:
    """Points of a small face that is too blurred for the mesh network as it is; None where there is none."""
    distance = float(np.linalg.norm(face.keypoints[1] - face.keypoints[0]))
    if distance >= SMALL:
        return None
    middle = face.box.mean(0)
    clear = clear_face(pixels, middle + _MESH_OVER_BOX * (face.box - middle), distance)
    if clear is None:
        return None
    points = _sure_points(networks, clear.pixels, square.enlarged(clear.low, clear.scale))
    return None if points is None else points / clear.scale + clear.low


def _distinct(faces: list[np.ndarray]) -> list[int]:
    """Indices of points (478, 2) of different faces, the largest first, at most 12."""
    chosen: list[int] = []
    for index in sorted(range(len(faces)), key=lambda index: -_size(faces[index])):
        middle = faces[index].mean(0)
        if all(
            np.linalg.norm(middle - faces[other].mean(0)) > _APART * _size(faces[other]) for other in chosen
        ):
            chosen.append(index)
    return chosen[:MOST_FACES]


def _look_closely(networks: LandmarkNetworks, pixels: np.ndarray, points: np.ndarray) -> FacePoints | None:
    """Points of a face from the first look's; a small or blurred one is looked at in a clearer picture.

    What the clearer picture guesses errs to one side, so the mirror image is made clear as well. None where
    the looks from near show no face.
    """
    clear = clear_face(pixels, points, interocular_distance(points))
    if clear is None:
        return _refined(networks, pixels, points, _LOOKS)
    face = _look_at_clear(networks, clear, points)
    image, width = np.ascontiguousarray(pixels[:, ::-1]), pixels.shape[1]
    clear = clear_face(image, _mirrored(points, width), interocular_distance(points))
    other = clear and _look_at_clear(networks, clear, _mirrored(points, width))
    if face is None or other is None:
        return face
    mean = (face.points + _mirrored(other.points, width)) / 2
    return FacePoints(mean, (face.scatter + other.scatter) / 2)


def _look_at_clear(networks: LandmarkNetworks, clear: ClearFace, points: np.ndarray) -> FacePoints | None:
    """Points of a face, seen in the clear picture of it."""
    face = _refined(networks, clear.pixels, (points - clear.low) * clear.scale, _MORE_LOOKS)
    return face and FacePoints(face.points / clear.scale + clear.low, face.scatter)


def _mirrored(points: np.ndarray, width: int) -> np.ndarray:
    """Returns points (478, 2) as they are in the mirror image of a picture."""
    return points[MIRRORED] * (-1, 1) + (width, 0)


def _refined(
    networks: LandmarkNetworks,
    pixels: np.ndarray,
    points: np.ndarray,
    looks: tuple[tuple[float, tuple[float, float], float], ...],
) -> FacePoints | None:
    """Looks again at squares around the face and averages: steadier than one look.

    Half of the looks are mirrored, so that what the network errs to one side cancels.
    """
    square = square_of_points(points)
    kept: list[np.ndarray] = []
    scatters = []
    for mirrored in (False, True):
        results = []
        for scale, shift, turn in looks:
            look, presence = face_points(networks, pixels, square.moved(scale, shift, turn), mirrored)
            apart = float(np.linalg.norm(look.mean(0) - points.mean(0)))
            if presence >= LEAST_PRESENCE and apart < _LOST * _size(points):
                results.append(look)
        if results:
            spread = np.linalg.norm(np.array(results) - np.median(results, axis=0), axis=2)
            scatters.append(float(np.median(spread)))
            kept += results
    if not kept:
        return None
    mean = np.mean(kept, axis=0)
    return FacePoints(mean, float(np.mean(scatters)) / interocular_distance(mean))
