"""How far a fit is to be trusted, as a number and a sentence: turned, covered and blurred faces say so."""

from dataclasses import dataclass

import numpy as np

from .face_fit import FittedView
from .landmarks import FacePoints

_TURNED, _PROFILE = 25.0, 55.0
_GOOD_ERROR, _BAD_ERROR = 0.02, 0.07
_BARE, _COVERED = 0.12, 0.5
_FIRM_FOCAL, _CONFLICT = (0.2, 0.45), (2.0, 5.0)


@dataclass(frozen=True)
class FitConfidence:
    """A judgement.

    Attributes:
        value: 0 to 1; below 0.5 the result should be looked at.
        sentence: what limits it, for people.
    """

    value: float
    sentence: str


def judge_fit(
    view: FittedView, face: FacePoints, degradation: float, covered: float, conflict: float = 0.0
) -> FitConfidence:
    """Judges one photo's fit.

    Args:
        view: as fitted.
        face: as found.
        degradation: 0 for a clear picture, 1 for one of 64 pixels.
        covered: 0..1, see `UnwrappedPhoto`.
        conflict: between the camera by EXIF and the face, see `CameraEvidence`.

    Returns:
        The product of what the head's turn, the landmarks' errors, their firmness, what covers the face and
        the picture's quality leave.
    """
    yaw, pitch, _ = (abs(angle) for angle in view.camera.head_angles())
    turn = max(yaw, 1.3 * pitch)
    parts = {
        "the head is turned far aside: the far half of the face is guessed": _fall(turn, _TURNED, _PROFILE + 15),
        "the landmarks do not agree with any face of the model: something may cover the face": _fall(
            float(np.quantile(view.residual, 0.8)), _GOOD_ERROR * 1.6, _BAD_ERROR * 1.6
        ),
        "the landmarks are unsteady: the face may be covered or hardly seen": _fall(face.scatter, 0.010, 0.06),
        "part of the face has not the colour of its skin: something covers it, and what lies beneath is guessed": _fall(
            covered, _BARE, _COVERED
        ),
        "the picture is small or blurred: shape comes more from the average person than from the photo": 1 - 0.45 * degradation,
        "the photo does not tell how far away the camera was: depth comes from the average person": float(
            np.interp(view.focal_spread, _FIRM_FOCAL, [1.0, 0.85])
        ),
        "the lens by EXIF does not fit the face: the picture may have been cut or edited": float(
            np.interp(conflict, _CONFLICT, [1.0, 0.5])
        ),
    }  # fmt: skip
    value = float(np.prod(list(parts.values())))
    worst = min(parts, key=lambda name: parts[name])
    if value > 0.8:
        return FitConfidence(round(value, 3), f"Sure ({value:.0%}).")
    word = "Fairly sure" if value > 0.5 else ("Unsure" if value > 0.2 else "Hardly more than a guess")
    return FitConfidence(round(value, 3), f"{word} ({value:.0%}): {worst}.")


def _fall(value: float, good: float, bad: float) -> float:
    """1 up to `good`, falling to 0.1 at `bad`."""
    return float(np.interp(value, [good, bad], [1.0, 0.1]))
