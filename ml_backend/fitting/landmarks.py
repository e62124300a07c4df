"""Finds faces in a picture and 478 points on each, with MediaPipe's networks, which the package carries: no network is needed.

The first 468 points are those of the face mesh, the last ten the irises (the person's right eye first). With
a model file of the user's
own (`face_landmarker.task`) its networks are used in place of the carried ones.

A small or blurred face is made clear first (`clear_face.py`) and looked at more often.
"""

import importlib
import os
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import UserError
from .clear_face import clear_face

POINT_COUNT = 478
MOST_FACES = 12
_CROP, _CROP_SIZE = 1.9, 320
_JITTER = ((1.0, 0.0), (0.92, 0.02), (1.09, -0.015))
"""Scale and shift of the crops whose points are averaged."""
_MORE_JITTER = tuple((scale, shift) for scale in (0.91, 0.97, 1.03, 1.09) for shift in (-0.02, 0.02))
_SMALL, _LARGE = 256, 0.36
_asking = threading.Lock()


@dataclass(frozen=True)
class FacePoints:
    """The points of one face.

    Attributes:
        points: (478, 2) float64 pixels from the picture's top left corner.
        scatter: how far the points of slightly moved crops lie apart, in inter-ocular distances (median over
            points): large where the
            picture says little.
    """

    points: np.ndarray
    scatter: float

    @property
    def size(self) -> float:
        """The longer side of the points' box, pixels."""
        return float(np.ptp(self.points, axis=0).max())


def find_faces(pixels: np.ndarray, model_file: str | Path | None = None) -> list[FacePoints]:
    """All faces of a picture, the largest first.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        model_file: a `face_landmarker.task` of the user's, or None for the networks that the package carries.

    Returns:
        At most 12 faces; none where none is found.

    Raises:
        UserError: the landmark library is missing, or the model file cannot be used.
    """
    with _asking:
        detector = _detector(str(model_file) if model_file else "")
        found = [_looked_closely(detector, pixels, points) for points in _first_look(detector, pixels)]
    distinct: list[FacePoints] = []
    for face in sorted(found, key=lambda face: -face.size):
        apart = [
            np.linalg.norm(face.points.mean(0) - other.points.mean(0)) > 0.4 * other.size
            for other in distinct
        ]
        if all(apart):
            distinct.append(face)
    return distinct


def choose_face(faces: list[FacePoints], number: int | None, name: str) -> FacePoints:
    """The largest face, or the one of a number counted from 1, left to right.

    Raises:
        UserError: there is none, or not so many.
    """
    if not faces:
        raise UserError(
            f"{name}: no face was found.",
            "Give a picture with a face seen from the front or half aside, cropped nearer to it if it is small.",
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
    """Pixels between the middles of the two eyes, each taken between its corners; in a turned head the eye's width corrects nothing."""
    right, left = points[[33, 133]].mean(0), points[[362, 263]].mean(0)
    return float(max(np.linalg.norm(left - right), 1e-6))


def level_frame(points: np.ndarray) -> tuple[np.ndarray, float]:
    """(2, 2) that turns a picture until the eyes are level, and the inter-ocular distance in pixels."""
    right, left = points[[33, 133]].mean(0), points[[362, 263]].mean(0)
    along = (left - right) / max(np.linalg.norm(left - right), 1e-9)
    return np.array([[along[0], along[1]], [-along[1], along[0]]]), interocular_distance(points)


def _first_look(detector, pixels: np.ndarray) -> list[np.ndarray]:
    """Points of faces in the whole picture; where none fills much of it, also in enlarged parts of it."""
    height, width = pixels.shape[:2]
    found = _ask(detector, pixels)
    if any(np.ptp(points, axis=0).max() > _LARGE * min(height, width) for points in found):
        return found
    for share in (0.66, 0.4):
        side = max(round(share * max(height, width)), 16)
        for top in _starts(height, side):
            for left in _starts(width, side):
                part = pixels[top : top + side, left : left + side]
                found += [points + (left, top) for points in _ask(detector, np.ascontiguousarray(part))]
        if found:
            break
    return found


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = int(np.ceil((length - side) / (0.5 * side))) + 1
    return np.linspace(0, length - side, count).round().astype(int).tolist()


def _looked_closely(detector, pixels: np.ndarray, points: np.ndarray) -> FacePoints:
    """Points of a face that the first look found; a small or blurred one is looked at in a clearer picture."""
    clear = clear_face(pixels, points, interocular_distance(points))
    if clear is None:
        return _refined(detector, pixels, points)
    face = _refined(detector, clear.pixels, (points - clear.low) * clear.scale, _MORE_JITTER)
    return FacePoints(face.points / clear.scale + clear.low, face.scatter)


def _refined(
    detector, pixels: np.ndarray, points: np.ndarray, jitter: tuple[tuple[float, float], ...] = _JITTER
) -> FacePoints:
    """Looks again at crops around the face and averages: steadier than one look at the whole picture."""
    centre, size = (points.min(0) + points.max(0)) / 2, float(np.ptp(points, axis=0).max())
    seen = []
    for scale, shift in jitter:
        half = 0.5 * _CROP * size * scale
        corner = centre + shift * size - half
        crop = _crop(pixels, corner, 2 * half)
        looked = [found * (2 * half / _CROP_SIZE) + corner for found in _ask(detector, crop)]
        near = [found for found in looked if np.linalg.norm(found.mean(0) - points.mean(0)) < 0.25 * size]
        seen += near[:1]
    if not seen:
        return FacePoints(points, 0.1)
    stack = np.array(seen)
    middle = np.median(stack, axis=0)
    spread = np.linalg.norm(stack - middle, axis=2)
    return FacePoints(stack.mean(0), float(np.median(spread) / interocular_distance(middle)))


def _crop(pixels: np.ndarray, corner: np.ndarray, side: float) -> np.ndarray:
    """A square part, brought to the detector's size; what lies outside the picture has its mean colour."""
    low, high = np.floor(corner).astype(int) - 2, np.ceil(corner + side).astype(int) + 2
    height, width = pixels.shape[:2]
    inside = (slice(max(low[1], 0), min(high[1], height)), slice(max(low[0], 0), min(high[0], width)))
    ground = np.empty((int(high[1] - low[1]), int(high[0] - low[0]), 3), np.uint8)
    ground[:] = pixels[:: max(1, height // 64), :: max(1, width // 64)].reshape(-1, 3).mean(0)
    part = pixels[inside]
    top, left = max(-low[1], 0), max(-low[0], 0)
    ground[top : top + part.shape[0], left : left + part.shape[1]] = part
    start = (float(corner[0] - low[0]), float(corner[1] - low[1]))
    method = Image.Resampling.LANCZOS if side > _CROP_SIZE else Image.Resampling.BICUBIC
    return np.array(
        Image.fromarray(ground).resize(
            (_CROP_SIZE, _CROP_SIZE), method, (*start, start[0] + side, start[1] + side)
        )
    )


def _ask(detector, pixels: np.ndarray) -> list[np.ndarray]:
    """(478, 2) pixels of each face that the networks see; small pictures are enlarged for them."""
    height, width = pixels.shape[:2]
    if max(height, width) < _SMALL:
        factor = _SMALL / max(height, width)
        size = (max(round(width * factor), 1), max(round(height * factor), 1))
        pixels = np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    return [points * (width, height) for points in detector(np.ascontiguousarray(pixels))]


@lru_cache(maxsize=2)
def _detector(model_file: str):
    """A function from pixels to a list of (478, 2) points in 0..1."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        mediapipe = importlib.import_module("mediapipe")
    except ImportError as error:
        raise UserError(
            f"The landmark library cannot be loaded ({error}).",
            "Install the backend again; a bare Linux also needs libgl1 and libglib2.0-0.",
        ) from error
    return _task_detector(model_file) if model_file else _carried_detector(mediapipe)


def _carried_detector(mediapipe):
    if not hasattr(mediapipe, "solutions"):
        raise UserError(
            "This version of the landmark library carries no networks.",
            "Choose a face_landmarker.task (--landmark-model, or Landmark Model in the panel).",
        )
    mesh = mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=True, max_num_faces=MOST_FACES, refine_landmarks=True, min_detection_confidence=0.3
    )

    def detect(pixels: np.ndarray) -> list[np.ndarray]:
        found = mesh.process(pixels).multi_face_landmarks or []
        return [np.array([(point.x, point.y) for point in face.landmark]) for face in found]

    return detect


def _task_detector(model_file: str):
    if not Path(model_file).is_file():
        raise UserError(f"{model_file}: no such file.", "Choose a face_landmarker.task.")
    vision = importlib.import_module("mediapipe.tasks.python.vision")
    base = importlib.import_module("mediapipe.tasks.python").BaseOptions
    framework = importlib.import_module("mediapipe")
    try:
        options = vision.FaceLandmarkerOptions(
            base_options=base(model_asset_buffer=Path(model_file).read_bytes()),
            num_faces=MOST_FACES,
            min_face_detection_confidence=0.3,
        )
        landmarker = vision.FaceLandmarker.create_from_options(options)
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(
            f"{model_file}: not a face landmark model ({str(error)[:120]}).", "Choose a face_landmarker.task."
        ) from error

    def detect(pixels: np.ndarray) -> list[np.ndarray]:
        result = landmarker.detect(framework.Image(image_format=framework.ImageFormat.SRGB, data=pixels))
        return [
            np.array([(point.x, point.y) for point in face])
            for face in result.face_landmarks
            if len(face) == POINT_COUNT
        ]

    return detect
