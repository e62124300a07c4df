"""The anatomical frame: millimetres of the mean adult, so that a place means the same on every face model."""

import numpy as np

MOUTH_UP = -66.0
CHIN_UP = -103.0
EYE_ACROSS = 29.0
"""Of the mean adult: heights of mouth and chin below the eyes, an eye's distance from the middle; mm."""


def anatomical_places(face, rest: np.ndarray) -> np.ndarray:
    """Returns (V, 3) float32: across, up, behind of every vertex, millimetres in the anatomical frame.

    Args:
        face: a `BilinearFace`.
        rest: (V, 3) its vertices at rest, millimetres.
    """
    marks = face.landmarks
    eyes = [
        rest[np.concatenate([marks[f"lid_upper_{side}"], marks[f"lid_lower_{side}"]])].mean(0)
        for side in ("left", "right")
    ]
    mouth = rest[[*np.atleast_1d(marks["lip_corner_left"]), *np.atleast_1d(marks["lip_corner_right"])]].mean(
        0
    )
    chin = rest[np.atleast_1d(marks["chin_tip"])].mean(0)
    middle = (eyes[0] + eyes[1]) / 2
    across = (rest[:, 0] - middle[0]) * (2 * EYE_ACROSS / (eyes[0][0] - eyes[1][0]))
    height = rest[:, 2] - middle[2]
    per_mm = MOUTH_UP / (mouth[2] - middle[2])
    knots = np.array([chin[2] - middle[2] - 100, chin[2] - middle[2], mouth[2] - middle[2], 0, 100])
    up = np.interp(height, knots, [CHIN_UP - 100, CHIN_UP, MOUTH_UP, 0, 100 * per_mm])
    return np.stack([across, up, (rest[:, 1] - middle[1]) * per_mm], 1).astype(np.float32)
