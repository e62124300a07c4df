"""Tracks an actor's face through a video: curves, head, gaze, camera and identity.

Source: the steps are those of landmark-driven reenactment (landmarks in normalised coordinates, displacement
from a neutral face); the solve is `video/clip_solve.py`.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..animation.curve_editing import eyes_from_look
from ..animation.voice_lips import lips_from_voice
from ..errors import UserError
from ..expression_names import EXPRESSION_NAMES
from ..files.curve_file import HEAD_NAMES
from ..files.take_file import Take
from ..fitting.landmark_networks import load_networks
from ..models.bilinear_face import BilinearFace
from ..models.reenactment import default_mapping
from ..video.clip_landmarks import ClipLandmarks
from ..video.clip_model import UNSEEN
from ..video.face_following import FaceFollower, shot_starts
from ..video.formats import is_sequence
from ..video.head_displacement import head_displacement
from ..video.held_channels import HeldChannels
from ..video.solve_clip import DOUBTFUL, HELD, SolvedClip, solve_clip
from ..video.video_file import SEQUENCE_RATE, Video, open_video
from .animate_from_audio import AnimateFromAudioRequest, animate_in_layers
from .fit_from_image import landmark_model
from .generate_detail import detail_model

_POINTS = 478
_FOLLOWED = 0.55
"""Share of the progress that following the face takes."""
_POOR = 0.04
"""Median landmark error, in inter-ocular distances, above which the face may be none of a person."""
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class TrackVideoRequest:
    """A request to track one face.

    Attributes:
        path: a video, a folder of pictures, or a pattern of pictures.
        face: which face is meant, counted from 1, left to right, where the first is seen; 0 for the largest.
        identity: (K,) of the person, or None to find it in the video.
        neutral: frames, counted from 0 in the video, on which the face is at rest; none to find the rest.
        start: seconds; end: seconds, or None for the video's end.
        rate: frames a second of a sequence of pictures.
        landmark_model: a `face_landmarker.task` of the user's, or empty.
        voice: whether jaw and lips follow the video's sound where the picture is unsure of them.
        detail: "expression": the curves make the wrinkles; "network": the take keeps how the landmarks move
            the wrinkles' latent.
        held: corrections of an artist that a second solve holds, or None.
    """

    path: str
    face: int = 0
    identity: np.ndarray | None = None
    neutral: tuple[int, ...] = ()
    start: float = 0.0
    end: float | None = None
    rate: float = SEQUENCE_RATE
    landmark_model: str = ""
    voice: bool = False
    detail: str = "expression"
    held: HeldChannels | None = None


def track_video(request: TrackVideoRequest, progress: Progress) -> Take:
    """Tracks a face.

    Memory does not grow with the video but for the curves: frames are decoded one by one, and landmarks wait
    in a temporary file.

    Args:
        request: the video.
        progress: told (share done, text); may raise to cancel.

    Returns:
        The take, raw.

    Raises:
        UserError: the video cannot be read or shows no face, or a frame or number is not there.
    """
    if request.end is not None and request.end <= request.start:
        raise UserError(
            f"{request.path}: the end, {request.end:g} s, is not behind the start, {request.start:g} s.",
            "Give an end that is later.",
        )
    video = open_video(request.path, request.rate)
    with _followed(video, request, progress) as (clip, numbers):
        neutral = _rows_of(request, numbers)
        face = BilinearFace.default()
        solved = solve_clip(
            landmark_model(),
            face,
            clip,
            lambda share, text: progress(_FOLLOWED + (1 - _FOLLOWED) * share, text),
            request.identity,
            neutral,
            held=request.held,
        )
        take = take_of(clip, solved, face, video.full_size, tuple(video.notes), video.path.name)
        if request.detail == "network":
            take = replace(take, latent_change=_latent_change(clip, solved))
    return _with_voice(take, request, progress) if request.voice else take


def _latent_change(clip: ClipLandmarks, solved: SolvedClip) -> np.ndarray:
    """Returns how the landmarks move the latent of a person with the average skin, (T, C) float32."""
    detail, mapping = detail_model(), default_mapping()
    moved = head_displacement(solved.model, clip, solved.poses, solved.expression)
    skin = np.zeros((1, detail.skin_size), np.float32)
    rest = detail.latent(solved.model.identity[None], skin, np.zeros((1, len(EXPRESSION_NAMES)), np.float32))
    with torch.inference_mode():
        codes = mapping.codes((rest - detail.generator.mean_latent).cpu()).expand(len(moved), -1)
        return mapping.coefficients(torch.from_numpy(moved).flatten(1), codes).numpy()


def _with_voice(take: Take, request: TrackVideoRequest, progress: Progress) -> Take:
    """Returns the take with jaw and lips from the video's sound where the picture is unsure of them.

    Raises:
        UserError: the video has no sound, or the sound holds no speech.
    """
    if is_sequence(Path(request.path)):
        raise UserError(f"{request.path}: pictures have no sound.", "Switch Use Voice off.")
    length = float(take.seconds[-1]) if len(take.seconds) > 1 else 0.0
    spoken = animate_in_layers(
        AnimateFromAudioRequest(request.path, start=request.start, length=length),
        lambda share, text: progress(1.0, text),
    ).speech
    order = [spoken.names.index(name) for name in EXPRESSION_NAMES]
    raw, share = lips_from_voice(take, spoken.frames[:, order], spoken.fps)
    count = int((share > 0.5).sum())
    note = f"jaw and lips follow the voice in {count} of {len(share)} frames"
    return replace(take, raw=raw, notes=(*take.notes, note))


@contextmanager
def _followed(
    video: Video, request: TrackVideoRequest, progress: Progress
) -> Iterator[tuple[ClipLandmarks, np.ndarray]]:
    """Follows the face, and gives its landmarks and the numbers (T,) of their frames.

    Raises:
        UserError: see `track_video`.
    """
    networks = load_networks(request.landmark_model)
    follower = FaceFollower(networks, request.face or None, request.path, request.landmark_model)
    numbers, seconds, presence, change, over_two = [], [], [], [], []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        kept = Path(folder) / "landmarks"
        with kept.open("wb") as file:
            for sighting in follower.follow(video.frames(request.start, request.end)):
                file.write(np.column_stack([sighting.points, sighting.scatter]).tobytes())
                numbers.append(sighting.index)
                seconds.append(sighting.seconds)
                presence.append(sighting.presence)
                change.append(sighting.change)
                over_two.append(sighting.change_over_two)
                if len(numbers) % 5 == 1:
                    of = f" of {video.expected}" if video.expected else ""
                    share = min(len(numbers) / max(video.expected, len(numbers) + 1), 1.0)
                    progress(_FOLLOWED * share, f"Following the face, frame {sighting.index + 1}{of}")
        if not numbers:
            raise UserError(
                f"{request.path}: no frame lies between these times.", "Give a start within the video."
            )
        if not follower.seen:
            raise UserError(
                f"{request.path}: no face was found in any frame.",
                "Give a video of a face from the front or half aside, or cut the picture nearer to it.",
            )
        # the map is released before the folder goes: some systems keep files that are mapped
        whole = np.memmap(kept, np.float32, "r", shape=(len(numbers), _POINTS, 3))
        try:
            clip = ClipLandmarks(
                np.array(seconds) - seconds[0],
                whole[..., :2],
                np.array(presence),
                whole[..., 2],
                tuple(shot_starts(np.array(change), np.array(over_two))),
                *video.size,
            )
            yield clip, np.array(numbers)
        finally:
            del whole


def _rows_of(request: TrackVideoRequest, numbers: np.ndarray) -> tuple[int, ...]:
    """Returns the rows of the neutral frames."""
    for frame in request.neutral:
        if frame not in numbers:
            raise UserError(
                f"{request.path}: there is no frame {frame}.",
                f"Frames are counted from 0; {numbers[0]} to {numbers[-1]} were tracked.",
            )
    return tuple(int(np.searchsorted(numbers, frame)) for frame in request.neutral)


def take_of(
    clip: ClipLandmarks,
    solved: SolvedClip,
    face: BilinearFace,
    full_size: tuple[int, int],
    notes: tuple[str, ...],
    source: str,
) -> Take:
    """Returns a solved clip as a take.

    Args:
        clip: its landmarks.
        solved: its solution.
        face: the model.
        full_size: width and height of the video's pictures, pixels.
        notes: sentences for the user.
        source: name of the video.
    """
    shrink = full_size[0] / max(clip.width, 1)
    model = solved.model
    head = np.zeros((len(clip.seconds), len(HEAD_NAMES)), np.float32)
    head[:, :3] = np.radians([pose.angles() for pose in solved.poses])
    head[:, 3:] = eyes_from_look(solved.expression)
    return Take(
        solved.seconds,
        solved.expression.astype(np.float32),
        head,
        solved.confidence,
        np.array([pose.rotation for pose in solved.poses]),
        np.array([pose.translation for pose in solved.poses]),
        solved.marks,
        UNSEEN,
        {
            "focal": round(model.focal * shrink, 3),
            "column": round(float(model.centre[0]) * shrink, 3),
            "row": round(float(model.centre[1]) * shrink, 3),
            "width": float(full_size[0]),
            "height": float(full_size[1]),
        },
        model.identity.astype(np.float32),
        face.fingerprint(),
        clip.shots,
        notes + _notes(clip, solved),
        source,
    )


def _notes(clip: ClipLandmarks, solved: SolvedClip) -> tuple[str, ...]:
    """Returns sentences on what is doubtful in a take."""
    notes = []
    for mark, said in ((HELD, "show no face and are held"), (DOUBTFUL, "are doubtful")):
        rows = np.flatnonzero([other == mark for other in solved.marks])
        if len(rows):
            spans = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
            listed = ", ".join(
                f"{clip.seconds[span[0]]:.2f} to {clip.seconds[span[-1]]:.2f} s" for span in spans[:4]
            )
            more = f" and {len(spans) - 4} more stretches" if len(spans) > 4 else ""
            notes.append(f"{len(rows)} frames {said}: {listed}{more}")
    if len(clip.shots) > 1:
        listed = ", ".join(f"{clip.seconds[shot]:.2f} s" for shot in clip.shots[1:5])
        notes.append(f"the video has {len(clip.shots)} shots, solved apart; cuts at {listed}")
    seen = np.isfinite(solved.residual)
    if seen.any() and float(np.median(solved.residual[seen])) > _POOR:
        notes.append("the landmarks agree with no face of the model: a drawing, a mask, or a covered face")
    return tuple(notes)
