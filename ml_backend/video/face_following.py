"""Follows one face through a video: 478 landmarks a frame in a steady square, and the cuts of the video.

Each frame is seen twice, as it is and mirrored: what the network errs to one side cancels, and the distance
of the two looks says how far a point is to be trusted.

Source: Kartynnik et al. 2019, "Real-time facial surface geometry from monocular video on mobile GPUs" (a face
is searched once and then followed by its own landmarks).
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..fitting.face_detector import detect_whole
from ..fitting.face_mesh import (
    LEAST_PRESENCE,
    face_points,
    settled_square,
    square_about_face,
    square_of_points,
)
from ..fitting.face_square import PictureSquare
from ..fitting.landmark_networks import LandmarkNetworks, fresh_networks
from ..fitting.landmarks import choose_face, find_faces, interocular_distance
from .video_file import VideoFrame

_THUMB = (48, 27)
_CUT, _CUT_OVER_USUAL = 0.10, 5.0
"""Mean difference of two frames' thumbnails in 0..1, and over the usual difference, that makes a cut."""
_STILL, _MOVING = 0.010, 0.06
"""Change of the square, over its side: below, it stays nearly; above, it follows at once."""
_LEAST_FOLLOW = 0.15
_JUMP = 0.5
"""Of the square's side: a face that moves so far in one frame is looked for anew."""
_FULL_SEARCH = 15
"""Frames without a face before a search in all tiles and turns; the wait doubles each time."""


@dataclass(frozen=True)
class FaceSighting:
    """One frame of a followed face.

    Attributes:
        index, seconds: of the frame.
        points: (478, 2) float32 pixels; NaN where no face is seen.
        presence: 0..1, how surely the network sees a face.
        scatter: (478,) float32, distance of the two looks from their mean, in inter-ocular distances.
        change: mean difference of the frame's thumbnail from the frame before, 0..1.
        change_over_two: the same from the last frame but one.
        faces: how many faces were seen when the face was looked for; 0 where it was followed.
    """

    index: int
    seconds: float
    points: np.ndarray
    presence: float
    scatter: np.ndarray
    change: float
    change_over_two: float
    faces: int


class FaceFollower:
    """Follows a face from frame to frame.

    Args:
        networks: of the landmark detector.
        number: of the face, counted from 1, left to right, in the first frame that shows one; None for the
            largest.
        name: of the video, for messages.
        model_file: a landmark model of the user's, or empty.
    """

    def __init__(self, networks: LandmarkNetworks, number: int | None, name: str, model_file: str = ""):
        self._networks = networks
        self._mirrored = fresh_networks(model_file)
        self._beside = ThreadPoolExecutor(1)
        self._number = number
        self._name = name
        self._model_file = model_file
        self._square: PictureSquare | None = None
        self._last: PictureSquare | None = None
        self._blind = 0
        self._usual = 0.02
        self._before: list[np.ndarray] = []
        self.seen = False

    def follow(self, frames: Iterable[VideoFrame]) -> Iterator[FaceSighting]:
        """Yields a sighting for each frame.

        Raises:
            UserError: the first frame with a face does not show so many.
        """
        for frame in frames:
            yield self._look(frame)

    def _look(self, frame: VideoFrame) -> FaceSighting:
        change, over_two = self._changes(frame.pixels)
        cut = change > max(_CUT, _CUT_OVER_USUAL * self._usual)
        self._usual += 0.1 * (min(change, 2 * self._usual) - self._usual)
        if cut:
            self._last = self._square or self._last
            self._square = None
            self._blind = 0
        faces = 0
        found = None
        if self._square is not None:
            found = self._points(frame.pixels, self._square)
        if found is None:
            square, faces = self._search(frame.pixels, cut)
            if square is not None:
                found = self._points(frame.pixels, square)
                self._square = square
        if found is None:
            self._last = self._square or self._last
            self._square = None
            self._blind += 1
            empty = np.full((478, 2), np.nan, np.float32)
            scatter = np.full(478, np.nan, np.float32)
            return FaceSighting(frame.index, frame.seconds, empty, 0.0, scatter, change, over_two, faces)
        points, presence, scatter = found
        self.seen = True
        self._blind = 0
        self._square = _steadied(self._square, square_of_points(points))
        return FaceSighting(
            frame.index,
            frame.seconds,
            points.astype(np.float32),
            presence,
            scatter.astype(np.float32),
            change,
            over_two,
            faces,
        )

    def _points(
        self, pixels: np.ndarray, square: PictureSquare
    ) -> tuple[np.ndarray, float, np.ndarray] | None:
        """Returns points (478, 2), presence and scatter (478,); None where the square shows no face."""
        # both looks at once, each with networks of its own
        beside = self._beside.submit(face_points, self._mirrored, pixels, square, mirrored=True)
        first, presence = face_points(self._networks, pixels, square)
        if presence < LEAST_PRESENCE or not np.isfinite(first).all():
            return None
        wanted = square_of_points(first)
        if _apart(square, wanted) > _MOVING:  # the face has moved: look again where it is now
            if _apart(square, wanted) > _JUMP:
                return None
            square = wanted
            first, presence = face_points(self._networks, pixels, square)
            if presence < LEAST_PRESENCE:
                return None
            beside = self._beside.submit(face_points, self._mirrored, pixels, square, mirrored=True)
        second, other = beside.result()
        if other < LEAST_PRESENCE:
            second = first
        unit = interocular_distance(first)
        scatter = np.linalg.norm(second - first, axis=1) / 2 / unit
        return (first + second) / 2, min(presence, other), scatter

    def _search(self, pixels: np.ndarray, cut: bool) -> tuple[PictureSquare | None, int]:
        """Returns the square of the face that is meant, or None, and how many faces were seen."""
        turns, rest = divmod(self._blind + (1 if self.seen else _FULL_SEARCH), _FULL_SEARCH)
        if cut or (rest == 0 and turns & (turns - 1) == 0):
            return self._search_thoroughly(pixels, cut)
        square, count = self._search_quickly(pixels)
        if square is not None and not self.seen:  # the first sight: all faces are counted
            return self._search_thoroughly(pixels, cut)
        return square, count

    def _search_thoroughly(self, pixels: np.ndarray, cut: bool) -> tuple[PictureSquare | None, int]:
        """Searches at full size, in tiles and in turned copies; a second or two where there is no face."""
        faces = find_faces(pixels, self._model_file or None)
        if not faces:
            return None, 0
        if self.seen and not cut:
            near = self._nearest([face.points.mean(0) for face in faces])
            return square_of_points(faces[near or 0].points), len(faces)
        number = self._number
        if self.seen and number is not None and number > len(faces):
            number = None
        return square_of_points(choose_face(faces, number, self._name).points), len(faces)

    def _search_quickly(self, pixels: np.ndarray) -> tuple[PictureSquare | None, int]:
        """Searches in the whole picture made small."""
        detected = sorted(detect_whole(self._networks, Image.fromarray(pixels)), key=lambda face: -face.side)
        if not detected:
            return None, 0
        near = self._nearest([face.box.mean(0) for face in detected])
        rough = square_about_face(self._networks.detectors[0], pixels, detected[near or 0])
        return settled_square(self._networks, pixels, rough), len(detected)

    def _nearest(self, places: list[np.ndarray]) -> int | None:
        """Returns the index of the place nearest to the face's last one; None where it was never seen."""
        if self._last is None:
            return None
        return int(np.argmin([np.linalg.norm(place - self._last.centre) for place in places]))

    def _changes(self, pixels: np.ndarray) -> tuple[float, float]:
        """Returns the mean differences of a frame's thumbnail from the two frames before."""
        thumb = np.asarray(
            Image.fromarray(pixels).resize(_THUMB, Image.Resampling.BOX, reducing_gap=1.0), np.float32
        )
        thumb /= 255
        changes = [float(np.abs(thumb - other).mean()) for other in self._before]
        self._before = [thumb, *self._before[:1]]
        return (changes + [0.0, 0.0])[0], (changes + [0.0, 0.0])[1]


def _apart(one: PictureSquare, other: PictureSquare) -> float:
    """Returns how far two squares differ in place, size and turn, over the side."""
    shift = float(np.linalg.norm(other.centre - one.centre)) / one.side
    size = abs(float(np.log(max(other.side, 1e-6) / one.side)))
    turn = float(np.linalg.norm(other.right - one.right))
    return max(shift, size, 0.5 * turn)


def _steadied(square: PictureSquare | None, wanted: PictureSquare) -> PictureSquare:
    """Returns a square that moves little while the face rests: so the crop adds no tremor of its own."""
    if square is None:
        return wanted
    share = float(np.interp(_apart(square, wanted), [_STILL, _MOVING], [_LEAST_FOLLOW, 1.0]))
    right = (1 - share) * square.right + share * wanted.right
    side = float(np.exp((1 - share) * np.log(square.side) + share * np.log(max(wanted.side, 1e-6))))
    centre = (1 - share) * square.centre + share * wanted.centre
    return PictureSquare(centre, right / max(float(np.linalg.norm(right)), 1e-9), side)


def shot_starts(change: np.ndarray, over_two: np.ndarray) -> list[int]:
    """Returns the first frame of each shot.

    A flash differs from the frames on both of its sides, but these are alike: it makes no cut.

    Args:
        change: (T,) differences of each frame from the one before.
        over_two: (T,) differences from the last frame but one.
    """
    starts = [0]
    for index in range(1, len(change)):
        near = np.delete(change[max(1, index - 12) : index + 13], min(index - 1, 12 - 1) if index else 0)
        usual = float(np.median(near)) if len(near) else 0.0
        limit = max(_CUT, _CUT_OVER_USUAL * usual)
        back = index + 1 < len(change) and over_two[index + 1] < 0.4 * change[index]
        after_flash = index >= 1 and over_two[index] < 0.4 * change[index]
        if change[index] > limit and not back and not after_flash:
            starts.append(index)
    return starts
