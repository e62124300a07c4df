"""Solves frames as they come: a moment of rest first, then pose and expression from frame to frame."""

from collections import deque

import numpy as np

from ..animation.causal_filter import CausalFilter
from ..expression_names import EXPRESSION_NAMES
from ..fitting.face_fit import LandmarkModel
from ..models.bilinear_face import BilinearFace
from .clip_landmarks import ClipLandmarks
from .clip_model import HeadPose
from .clip_solution import SolveSettings
from .clip_solve import ClipSolver
from .face_following import FaceSighting
from .neutral import close_lids, lid_ranges
from .solve_clip import person_model, reference_frames, with_neutral

_TURNS = ("headYaw", "headPitch", "headRoll")
_WINDOW = 45
"""Frames that say how far the eyes are usually open."""
_LEARNED = 450
"""Frames that the blinks' range is found in."""
_LOST_SECONDS = 0.5
_POOR = 0.08
"""Landmark error, in inter-ocular distances, of a frame that shows something else."""


def landmarks_of(sightings: list[FaceSighting], size: tuple[int, int]) -> ClipLandmarks:
    """Returns sightings of one face as the landmarks of a clip without cuts.

    Args:
        sightings: in order.
        size: width and height of the pictures, pixels.
    """
    return ClipLandmarks(
        np.array([sighting.seconds for sighting in sightings]) - sightings[0].seconds,
        np.stack([sighting.points for sighting in sightings]),
        np.array([sighting.presence for sighting in sightings]),
        np.stack([sighting.scatter for sighting in sightings]),
        (0,),
        *size,
    )


class LiveSolver:
    """Solves one face from frame to frame.

    Args:
        landmarks: the face model at the landmarks.
        face: the same whole.
        rest: frames of the face at rest, which identity, camera and the neutral face come from.
        size: width and height of the pictures, pixels.
        identity: (K,) of the person, or None to find it.
    """

    def __init__(
        self,
        landmarks: LandmarkModel,
        face: BilinearFace,
        rest: list[FaceSighting],
        size: tuple[int, int],
        identity: np.ndarray | None = None,
    ):
        clip = landmarks_of(rest, size)
        self._settings = SolveSettings()
        wrong = np.zeros(len(rest), bool)
        references = reference_frames(clip, np.flatnonzero(clip.seen), 4)
        centre = np.array(size) / 2
        model = person_model(landmarks, face, clip, references, identity, centre, self._settings)
        self.model = with_neutral(model, clip, wrong, tuple(range(len(rest))), self._settings)
        self._size = size
        self._window: deque[FaceSighting] = deque(rest, maxlen=_WINDOW)
        self._expression = np.zeros(len(EXPRESSION_NAMES))
        self._pose: HeadPose | None = None
        self._seen = -1.0
        self._filter = CausalFilter((*EXPRESSION_NAMES, *_TURNS))
        self._past: deque[np.ndarray] = deque(maxlen=_LEARNED)
        self._moments: deque[float] = deque(maxlen=_LEARNED)
        self._ranges = lid_ranges(np.zeros(1), np.zeros((1, len(EXPRESSION_NAMES))))
        self._angles = np.zeros(3)

    def solve(self, sighting: FaceSighting) -> tuple[np.ndarray, np.ndarray, bool]:
        """Returns expression (52,) in 0..1, yaw, pitch and roll (3,) in radians, and whether a face was seen.

        A frame without the face holds the one before.
        """
        seen = bool(np.isfinite(sighting.points[0, 0]))
        if seen:
            self._window.append(sighting)
            clip = landmarks_of(list(self._window), self._size)
            solver = ClipSolver(self.model, clip, np.zeros(len(self._window), bool), self._settings)
            if sighting.seconds - self._seen > _LOST_SECONDS:
                self._pose = None
            expression, pose, residual = solver.follow(len(self._window) - 1, self._expression, self._pose)
            seen = residual < _POOR
            if seen:
                self._expression, self._pose, self._seen = expression, pose, sighting.seconds
                self._angles = np.radians(pose.angles())
                self._past.append(expression)
                self._moments.append(sighting.seconds)
                if len(self._past) % 30 == 0:
                    self._ranges = lid_ranges(np.array(self._moments), np.array(self._past))
        shown = np.clip(close_lids(self._expression[None], self._ranges)[0], 0, 1)
        smooth = self._filter(sighting.seconds, np.concatenate([shown, self._angles]))
        return np.clip(smooth[: len(EXPRESSION_NAMES)], 0, 1), smooth[len(EXPRESSION_NAMES) :], seen
