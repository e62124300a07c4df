"""Tracks an actor live, from a camera or from a film that is played in real time, and keeps the performance.

The actor holds still for a moment; then each frame is solved as it comes, smoothed by a causal filter. All
landmarks are kept, and when the recording ends it is solved anew, all frames together.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..animation.curve_editing import eyes_from_look
from ..errors import UserError
from ..expression_names import EXPRESSION_NAMES
from ..files.curve_file import HEAD_NAMES
from ..files.take_file import Take
from ..fitting.landmark_networks import load_networks
from ..models.bilinear_face import BilinearFace
from ..video.face_following import FaceFollower, FaceSighting
from ..video.live_frames import LiveFrames
from ..video.live_solve import LiveSolver, landmarks_of
from ..video.solve_clip import solve_clip
from .fit_from_image import landmark_model
from .track_video import take_of

WAITING, RESTING, LIVE, ENDED, FAILED = "waiting", "resting", "live", "ended", "failed"
LONGEST = 30 * 60 * 20
"""Frames that are kept; the recording ends behind them."""
_REST_FRAMES = 10
_PACE_FRAMES = 30
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class TrackLiveRequest:
    """A request to track a face live.

    Attributes:
        source: path of a video, or a camera: a number or the system's name.
        identity: (K,) of the person, or None to find it.
        rest: seconds for which the actor holds still at first.
        landmark_model: a `face_landmarker.task` of the user's, or empty.
    """

    source: str
    identity: np.ndarray | None = None
    rest: float = 1.0
    landmark_model: str = ""


@dataclass(frozen=True)
class LiveState:
    """The newest solved frame.

    Attributes:
        phase: WAITING for a face, RESTING, LIVE, ENDED or FAILED.
        curves: (52,) float32; head: (9,) float32 radians.
        seen: whether this frame shows the face.
        frames: solved so far.
        seconds: of the newest frame.
        frames_per_second: at present.
        missed: frames that came too fast.
        message, remedy: of a failure.
    """

    phase: str
    curves: np.ndarray
    head: np.ndarray
    seen: bool = False
    frames: int = 0
    seconds: float = 0.0
    frames_per_second: float = 0.0
    missed: int = 0
    message: str = ""
    remedy: str = ""


class LiveSession:
    """A recording under way; a thread of its own solves the frames.

    Args:
        request: the source.

    Raises:
        UserError: the source or the landmark library cannot be opened.
    """

    def __init__(self, request: TrackLiveRequest):
        self._request = request
        networks = load_networks(request.landmark_model)
        self._follower = FaceFollower(networks, None, request.source, request.landmark_model)
        self._source = LiveFrames(request.source)
        self._sightings: list[FaceSighting] = []
        self._resting: list[FaceSighting] = []
        self._rest_rows: list[int] = []
        self._moments: list[float] = []
        zeros = np.zeros(len(EXPRESSION_NAMES), np.float32), np.zeros(len(HEAD_NAMES), np.float32)
        self._state = LiveState(WAITING, *zeros)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def state(self) -> LiveState:
        """Returns the newest solved frame."""
        return self._state

    def wait(self, seconds: float) -> bool:
        """Waits for the film's end, at most so long; returns whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Ends the recording and closes the camera."""
        self._source.stop()
        self._thread.join(timeout=30)

    def stop(self, progress: Progress) -> Take:
        """Ends the recording and solves all of it together.

        Args:
            progress: told (share done, text); may raise to cancel.

        Raises:
            UserError: nothing was seen, or the source broke off before.
        """
        self.close()
        seen = [sighting for sighting in self._sightings if np.isfinite(sighting.points[0, 0])]
        if self._state.phase == FAILED and not seen:
            raise UserError(
                f"{self._request.source}: the live recording failed ({self._state.message})",
                self._state.remedy,
            )
        if not seen:
            raise UserError(
                f"{self._request.source}: no face was seen.", "Sit before the camera, in even light."
            )
        face = BilinearFace.default()
        video = self._source.video
        clip = landmarks_of(self._sightings, video.size)
        neutral = tuple(self._rest_rows)
        solved = solve_clip(landmark_model(), face, clip, progress, self._request.identity, neutral)
        notes = tuple(video.notes)
        if self._source.missed:
            notes += (f"{self._source.missed} frames came faster than they could be solved",)
        return take_of(clip, solved, face, video.full_size, notes, self._request.source)

    def _run(self) -> None:
        try:
            self._follow()
            self._state = self._changed(phase=ENDED)
        except UserError as error:
            self._state = self._changed(phase=FAILED, message=error.message, remedy=error.remedy)
        finally:
            self._source.stop()

    def _follow(self) -> None:
        solver = None
        for sighting in self._follower.follow(self._source.frames()):
            self._sightings.append(sighting)
            if len(self._sightings) >= LONGEST:
                break
            if solver is None:
                solver = self._rest(sighting)
                continue
            curves, angles, seen = solver.solve(sighting)
            head = np.zeros(len(HEAD_NAMES), np.float32)
            head[:3] = angles
            head[3:] = eyes_from_look(curves[None])[0]
            self._state = self._changed(
                phase=LIVE, curves=curves.astype(np.float32), head=head, seen=seen, seconds=sighting.seconds
            )

    def _rest(self, sighting: FaceSighting) -> LiveSolver | None:
        """Takes a frame of the face at rest; returns the solver once there are enough."""
        if not np.isfinite(sighting.points[0, 0]):
            return None
        self._resting.append(sighting)
        self._rest_rows.append(len(self._sightings) - 1)
        self._state = self._changed(phase=RESTING, seconds=sighting.seconds)
        span = sighting.seconds - self._resting[0].seconds
        if len(self._resting) < _REST_FRAMES or span < self._request.rest:
            return None
        size = self._source.video.size
        return LiveSolver(
            landmark_model(), BilinearFace.default(), self._resting, size, self._request.identity
        )

    def _changed(self, **values) -> LiveState:
        """Returns the state with other values, and the pace of the last frames."""
        now = time.monotonic()
        frames = self._state.frames
        if values.get("phase") == LIVE:
            self._moments = [*self._moments[1 - _PACE_FRAMES :], now]
            frames += 1
        span = self._moments[-1] - self._moments[0] if len(self._moments) > 1 else 0.0
        pace = (len(self._moments) - 1) / span if span > 0 else 0.0
        kept = {name: getattr(self._state, name) for name in ("phase", "curves", "head", "seen", "seconds")}
        return LiveState(**(kept | values), frames=frames, frames_per_second=pace, missed=self._source.missed)


_running: LiveSession | None = None
_lock = threading.Lock()


def start_session(request: TrackLiveRequest) -> None:
    """Starts the one recording of this process; one that runs still is given up.

    Raises:
        UserError: the source or the landmark library cannot be opened.
    """
    global _running
    with _lock:
        if _running is not None:
            _running.close()
        _running = LiveSession(request)


def running_session() -> LiveSession:
    """Returns the recording under way.

    Raises:
        UserError: there is none.
    """
    if _running is None:
        raise UserError("No live recording is under way.", "Press Live.")
    return _running


def end_session(keep: bool, progress: Progress) -> Take | None:
    """Ends the recording.

    Args:
        keep: whether it is solved and returned.
        progress: told (share done, text); may raise to cancel.

    Returns:
        The take, or None where it is not kept.

    Raises:
        UserError: there is no recording, or it shows no face.
    """
    global _running
    session = running_session()
    with _lock:
        _running = None
    if keep:
        return session.stop(progress)
    session.close()
    return None
