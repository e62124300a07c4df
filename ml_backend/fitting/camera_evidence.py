"""Fits photos with the lens and the size that EXIF states, where these agree with picture and face.

A lens that contradicts the face by far - the picture was cut or padded later - is not used.
"""

from dataclasses import dataclass, replace

import numpy as np

from .face_fit import FaceFit, FitStart, FittedView, LandmarkModel, fit_face
from .photo_camera import DIRECTION_SPREAD, SeenFace

REFUSED = 4.0
"""Standard deviations between the cameras of file and face from which on the file is not used."""


@dataclass(frozen=True)
class CameraEvidence:
    """Evidence for the camera of one photo.

    Attributes:
        source: "whole" (EXIF states the lens and the picture is not cut), "lens" (EXIF states the lens, the
            picture may be cut), "none" (nothing is stated), or "refused" (it contradicts the face).
        conflict: distance between the cameras of file and face, in standard deviations.
    """

    source: str
    conflict: float

    @property
    def sentence(self) -> str:
        """Says for people what was used."""
        return {
            "whole": "Camera: lens by EXIF, whole picture.",
            "lens": "Camera: lens by EXIF; the picture may be cut, so its centre is not used.",
            "none": "Camera: the file names no lens and the picture may be cut; distance and lens are"
            " estimated from the face.",
            "refused": "Camera: the lens by EXIF does not fit the face and is not used; the picture may have"
            " been cut or padded.",
        }[self.source]


def fit_photos(
    model: LandmarkModel, faces: list[SeenFace], start: FitStart | None = None
) -> tuple[FaceFit, list[CameraEvidence]]:
    """Fits one person with what the files say of their cameras, where it can be true.

    Args:
        model: the face model at the landmarks.
        faces: the person's face in each photo, at least one.
        start: where to start; None: at the mean face.

    Returns:
        The fit, and for each photo what its camera was fitted with.
    """
    fit = fit_face(model, faces, start=start)
    stated = [face.focal is not None for face in faces]
    if not any(stated):
        return fit, [CameraEvidence("none", 0.0) for _ in faces]
    silent = [replace(face, focal=None, whole=False) for face in faces]
    free = fit_face(model, silent, start=start)
    evidence = [
        _judge(face, view, other) for face, view, other in zip(faces, fit.views, free.views, strict=True)
    ]
    if any(item.source == "refused" for item in evidence):
        kept = [
            other if item.source == "refused" else face
            for item, face, other in zip(evidence, faces, silent, strict=True)
        ]
        fit = fit_face(model, kept, start=start)
    return fit, evidence


def _judge(face: SeenFace, view: FittedView, free: FittedView) -> CameraEvidence:
    if face.focal is None:
        return CameraEvidence("none", 0.0)
    centre = (face.points.min(0) + face.points.max(0)) / 2
    directions = [
        (centre - item.camera.principal_point) / item.camera.focal for item in (view, free)
    ]  # tangents of the angle off the optical axis
    distances = [np.log(item.camera.translation[2]) for item in (view, free)]
    aside = float(np.linalg.norm(directions[0] - directions[1])) / (3 * DIRECTION_SPREAD)
    farther = abs(float(distances[0] - distances[1])) / free.focal_spread
    conflict = max(aside, farther)
    source = "refused" if conflict > REFUSED else ("whole" if face.whole else "lens")
    return CameraEvidence(source, round(conflict, 2))
