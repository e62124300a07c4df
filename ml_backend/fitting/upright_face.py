"""Finds the face that is meant in a photo, even if the photo lies on its side or stands on its head."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .landmarks import FacePoints, choose_face, find_faces, level_frame

_STEADY = 0.012
"""Scatter of landmarks in inter-ocular distances; more than this and other turns of the photo are tried."""
_BETTER, _AS_LARGE = 0.6, 0.6
"""A turned photo's face counts if its scatter is at most and its size at least this share of the first's."""


@dataclass(frozen=True)
class PhotoFace:
    """The face that is meant in a photo.

    Attributes:
        face: its landmarks, in pixels of the photo as it was read.
        count: how many faces the photo shows.
        quarters: quarter turns, counted against the clock, that make the photo upright.
    """

    face: FacePoints
    count: int
    quarters: int


def find_photo_face(
    pixels: np.ndarray, model_file: str | Path | None, number: int | None, name: str
) -> PhotoFace:
    """Finds a face, and turns the photo if the face is hardly seen.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        model_file: a landmark model of the user's, or None.
        number: of the face, counted from 1, left to right; None for the largest.
        name: of the photo, for messages.

    Returns:
        The face.

    Raises:
        UserError: the photo shows no face, or not so many.
    """
    faces = find_faces(pixels, model_file)
    best = None
    if faces:
        chosen = choose_face(faces, number, name)
        best = PhotoFace(chosen, len(faces), _quarters_of(chosen.points))
    if best is not None and (best.face.scatter <= _STEADY or number is not None):
        return best
    for quarters in (2, 1, 3):
        turned = np.ascontiguousarray(np.rot90(pixels, quarters))
        others = find_faces(turned, model_file)
        if not others or (number is not None and number > len(others)):
            continue
        face = choose_face(others, number, name)
        axes, _ = level_frame(face.points)
        if axes[0, 0] < 0.5:  # the eyes are not level in the turned photo either
            continue
        clearer = best is None or (
            face.scatter < _BETTER * best.face.scatter and face.size > _AS_LARGE * best.face.size
        )
        if clearer:
            points = _turned_back(face.points, quarters, pixels.shape[1], pixels.shape[0])
            best = PhotoFace(replace(face, points=points), len(others), quarters)
    return best if best is not None else PhotoFace(choose_face(faces, number, name), 0, 0)


def _quarters_of(points: np.ndarray) -> int:
    """Returns the quarter turns, counted against the clock, that bring the eyes of landmarks (L, 2) level."""
    axes, _ = level_frame(points)
    return round(float(np.degrees(np.arctan2(axes[0, 1], axes[0, 0]))) / 90) % 4


def _turned_back(points: np.ndarray, quarters: int, width: int, height: int) -> np.ndarray:
    """Returns points (L, 2) of a photo that `numpy.rot90` turned, in pixels of the photo before."""
    column, row = points[:, 0], points[:, 1]
    if quarters == 1:
        return np.stack([width - row, column], 1)
    if quarters == 2:
        return np.stack([width - column, height - row], 1)
    return np.stack([row, height - column], 1)
