"""Judges a fit, as a number and a sentence that names what limits it most."""

from dataclasses import dataclass

import numpy as np

from .face_fit import FittedView
from .landmarks import FacePoints

_TURNED, _PROFILE = 25.0, 55.0
_GOOD_ERROR, _BAD_ERROR = 0.02, 0.07
_BARE, _COVERED = 0.12, 0.5
_FIRM_FOCAL, _CONFLICT = (0.15, 0.55), (2.0, 5.0)
_CUT = 0.03, 0.55
_CONTRAST, _LEAST_CONTRAST = 35.0, 8.0
_FLAT = 0.3, 0.6
_INNER = 0.35


@dataclass(frozen=True)
class FitConfidence:
    """A judgement of one fit.

    Attributes:
        value: 0 to 1; below 0.5 the result should be looked at.
        sentence: what limits it, for people.
    """

    value: float
    sentence: str


@dataclass(frozen=True)
class FacePicture:
    """Quality of the picture of a face, apart from its size and sharpness.

    Attributes:
        outside: share of the landmarks that lie beyond the picture's edge.
        contrast: of the face's middle, from the 5th to the 95th percentile, in levels of 255.
        flat: share of the face's middle whose pixels equal their neighbours; 0.02 in photographs, up to 0.25
            in strongly compressed ones, 0.5 and more in drawings.
    """

    outside: float = 0.0
    contrast: float = 255.0
    flat: float = 0.0

    @classmethod
    def of(cls, pixels: np.ndarray, points: np.ndarray) -> "FacePicture":
        """Measures a picture (H, W, 3) uint8 around landmarks (478, 2)."""
        size = np.array(pixels.shape[1::-1])
        outside = float(1 - ((points >= 0) & (points <= size)).all(1).mean())
        low, high = points.min(0), points.max(0)
        middle, half = (low + high) / 2, _INNER * (high - low)
        first = np.clip(middle - half, 0, size - 2).astype(int)
        last = np.clip(np.ceil(middle + half).astype(int), first + 2, size)
        part = pixels[first[1] : last[1], first[0] : last[0]].astype(np.int16)
        grey = part.mean(2)
        contrast = float(np.quantile(grey, 0.95) - np.quantile(grey, 0.05))
        across = (part[1:, 1:] == part[1:, :-1]).all(2)
        down = (part[1:, 1:] == part[:-1, 1:]).all(2)
        return cls(outside, contrast, float((across & down).mean()))


def judge_fit(
    view: FittedView,
    face: FacePoints,
    degradation: float,
    covered: float,
    conflict: float = 0.0,
    picture: FacePicture | None = None,
) -> FitConfidence:
    """Judges one photo's fit.

    Args:
        view: as fitted.
        face: as found.
        degradation: 0 for a clear picture, 1 for one of 64 pixels.
        covered: 0..1, see `UnwrappedPhoto`.
        conflict: between the camera by EXIF and the face, see `CameraEvidence`.
        picture: quality of the picture; None counts as faultless.

    Returns:
        The product of what the head's turn, the landmarks' errors, their firmness, what covers the face and
        the picture's quality leave.
    """
    yaw, pitch, _ = (abs(angle) for angle in view.camera.head_angles())
    turn = max(yaw, 1.3 * pitch)
    picture = picture or FacePicture()
    error = float(np.quantile(view.residual, 0.8))
    contrast = float(np.interp(picture.contrast, [_LEAST_CONTRAST, _CONTRAST], [0.1, 1.0]))
    parts = {
        "the head is turned far aside: the far half of the face is guessed": _fall(
            turn, _TURNED, _PROFILE + 15
        ),
        "the landmarks do not agree with any face of the model: something may cover the face": _fall(
            error, _GOOD_ERROR * 1.6, _BAD_ERROR * 1.6
        ),
        "the landmarks are unsteady: the face may be covered or hardly seen": _fall(
            face.scatter, 0.010, 0.06
        ),
        "part of the face has not the colour of its skin: something covers it,"
        " and what lies beneath is guessed": _fall(covered, _BARE, _COVERED),
        "the picture is small or blurred: shape comes more from the average person than from the photo": (
            1 - 0.45 * degradation
        ),
        "the photo does not tell how far away the camera was: depth comes from the average person": float(
            np.interp(view.focal_spread, _FIRM_FOCAL, [1.0, 0.75])
        ),
        "the lens by EXIF does not fit the face: the picture may have been cut or edited": float(
            np.interp(conflict, _CONFLICT, [1.0, 0.5])
        ),
        "the face is cut off by the picture's edge: what lies beyond it is guessed": _fall(
            picture.outside, *_CUT
        ),
        "the face is almost black or without contrast: its shape is hardly seen": contrast,
        "large parts of the face have one flat colour: a drawing, or an overexposed photo": _fall(
            picture.flat, *_FLAT
        ),
    }
    value = float(np.prod(list(parts.values())))
    worst = min(parts, key=lambda name: parts[name])
    if value > 0.8:
        return FitConfidence(round(value, 3), f"Sure ({value:.0%}).")
    word = "Fairly sure" if value > 0.5 else ("Unsure" if value > 0.2 else "Hardly more than a guess")
    return FitConfidence(round(value, 3), f"{word} ({value:.0%}): {worst}.")


def _fall(value: float, good: float, bad: float) -> float:
    """Returns 1 up to `good`, falling to 0.1 at `bad`."""
    return float(np.interp(value, [good, bad], [1.0, 0.1]))
