"""Solves a clip's landmarks: identity and camera, the neutral face, every frame, then all frames together."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..expression_names import EXPRESSION_NAMES
from ..fitting.face_fit import LandmarkModel, fit_face
from ..fitting.photo_camera import SeenFace
from ..models.bilinear_face import BilinearFace
from .clip_landmarks import ClipLandmarks, interocular_distances, wrong_frames
from .clip_model import UNSEEN, ClipModel, HeadPose
from .clip_solution import ClipSolution, SolveSettings
from .clip_solve import ClipSolver
from .held_channels import HeldChannels
from .neutral import LidRange, close_lids, lid_ranges, rest_of, turned_rest_of, with_offsets

REFERENCES, SAMPLED = 8, 120
"""Frames that identity and camera come from, and frames that the rest of a long clip is found in."""
_FOCALS = (0.6, 0.8, 1.0, 1.3, 1.7, 2.3)
"""Of the longer side: tried where the identity is given."""
_DOUBTFUL = 0.7
SEEN, DOUBTFUL, HELD = "seen", "doubtful", "held"
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class SolvedClip:
    """A clip as solved; raw, nothing is smoothed beyond the motion prior.

    Attributes:
        seconds: (T,) time stamps.
        expression: (T, 52) float64, 0..1.
        confidence: (T, 52) float32 in 0..1.
        poses: (T,) of the head.
        marks: (T,) SEEN, DOUBTFUL or HELD.
        residual: (T,) landmark error in inter-ocular distances; NaN without a face.
        model: person, camera and offsets.
        lids: by side.
        references: frames that identity and camera came from.
        by_frame: (T, 52), each frame by itself from a warm start, without the motion prior.
    """

    seconds: np.ndarray
    expression: np.ndarray
    confidence: np.ndarray
    poses: list[HeadPose]
    marks: tuple[str, ...]
    residual: np.ndarray
    model: ClipModel
    lids: dict[str, LidRange]
    references: tuple[int, ...]
    by_frame: np.ndarray


def solve_clip(
    landmarks: LandmarkModel,
    face: BilinearFace,
    clip: ClipLandmarks,
    progress: Progress,
    identity: np.ndarray | None = None,
    neutral: tuple[int, ...] = (),
    settings: SolveSettings | None = None,
    held: HeldChannels | None = None,
) -> SolvedClip:
    """Solves a clip.

    Args:
        landmarks: the face model at the landmarks.
        face: the same model whole.
        clip: the landmarks of one face; at least one frame shows it.
        progress: told (share done, text); may raise to cancel.
        identity: (K,) of the person, or None to find it in the clip.
        neutral: frames (rows of the clip) on which the face is at rest; none to find the rest itself.
        settings: of the solve.
        held: corrections of an artist; all frames are solved together once more with them.

    Returns:
        The solution.

    Raises:
        ValueError: no frame shows a face.
    """
    settings = settings or SolveSettings()
    wrong = wrong_frames(clip)
    usable = np.flatnonzero(clip.seen & ~wrong)
    if not len(usable):
        raise ValueError("no frame of the clip shows a face")
    progress(0.0, "Fitting the person and the camera")
    references = reference_frames(clip, usable)
    centre = np.array([clip.width, clip.height]) / 2
    model = person_model(landmarks, face, clip, references, identity, centre, settings)
    progress(0.15, "Finding the neutral face")
    model = with_neutral(model, clip, wrong, neutral, settings)
    solver = ClipSolver(model, clip, wrong, settings)
    count = len(clip.seconds)

    def tell(done: int) -> None:
        if done % 30 == 0:
            progress(0.3 + 0.4 * done / count, f"Solving frame {done} of {count}")

    single = solver.by_frames(np.arange(count), tell)
    solution = single
    if settings.smooth:
        solution = solver.together(single, progress=lambda share, text: progress(0.7 + 0.28 * share, text))
    lids = lid_ranges(clip.seconds, solution.expression)
    if held is not None:
        solver.hold(*held.targets(clip.seconds, solution.expression))
        solution = solver.together(solution)
    expression = np.clip(close_lids(solution.expression, lids), 0.0, 1.0)
    confidence = _confidence(solution, clip)
    marks = _marks(clip, wrong, confidence)
    progress(1.0, "Solved")
    return SolvedClip(
        clip.seconds,
        expression,
        confidence,
        solution.poses,
        marks,
        solution.residual,
        model,
        lids,
        tuple(int(index) for index in references),
        single.expression,
    )


def with_neutral(
    model: ClipModel,
    clip: ClipLandmarks,
    wrong: np.ndarray,
    neutral: tuple[int, ...],
    settings: SolveSettings,
) -> ClipModel:
    """Returns the model with the neutral face as this clip's detector sees it.

    Args:
        model: of the person.
        clip: the landmarks.
        wrong: (T,) bool, frames that show something else.
        neutral: frames on which the face is at rest; none to find the rest.
        settings: of the solve.
    """
    usable = np.flatnonzero(clip.seen & ~wrong)
    for sampled in (SAMPLED // 2, SAMPLED):
        sample = usable[np.unique(np.linspace(0, len(usable) - 1, min(sampled, len(usable))).astype(int))]
        sample = np.unique(np.concatenate([sample, usable[np.isin(usable, neutral)]]))
        at_rest = np.isin(sample, neutral) if neutral else None
        found = ClipSolver(model, clip, wrong, settings).by_frames(sample)
        chosen = found.weight > 0
        turned_rest = turned_rest_of(found, chosen)
        rest = rest_of(found, chosen, turned_rest, at_rest)
        shown = at_rest & chosen if at_rest is not None and (at_rest & chosen).any() else chosen
        model = with_offsets(model, clip, sample[shown], _part(found, shown), rest, turned_rest)
    return model


def reference_frames(clip: ClipLandmarks, usable: np.ndarray, count: int = REFERENCES) -> np.ndarray:
    """Chooses frames that show the face well and differ from each other.

    Args:
        clip: the landmarks.
        usable: frames to choose from.
        count: at most.

    Returns:
        Their indices, ascending.
    """
    few = usable[np.unique(np.linspace(0, len(usable) - 1, min(len(usable), 400)).astype(int))]
    points = np.array(clip.points[few], np.float64)
    unit = interocular_distances(points)
    shape = (points - points.mean(1, keepdims=True)) / unit[:, None, None]
    shape = shape[:, ::6].reshape(len(few), -1)
    scatter = np.nanmedian(np.asarray(clip.scatter[few], np.float64), axis=1)
    turned = _turned(points)
    good = np.flatnonzero(
        (scatter <= np.quantile(scatter, 0.7)) & (turned <= max(0.35, np.quantile(turned, 0.3)))
    )
    chosen = [int(good[np.argmin(turned[good])])]
    apart = np.linalg.norm(shape[good] - shape[chosen[0]], axis=1)
    while len(chosen) < min(count, len(good)):
        nearest = int(good[np.argmax(apart)])
        chosen.append(nearest)
        apart = np.minimum(apart, np.linalg.norm(shape[good] - shape[nearest], axis=1))
    return np.sort(few[np.unique(chosen)])


def _turned(points: np.ndarray) -> np.ndarray:
    """Returns (T,) how far the nose's tip lies off the middle of the face, over half of its width."""
    left, right, nose = points[:, 454], points[:, 234], points[:, 4]
    across = left - right
    width = np.maximum(np.linalg.norm(across, axis=1), 1e-6)
    along = ((nose - right) * across).sum(1) / width**2
    return np.abs(2 * along - 1)


def person_model(
    landmarks: LandmarkModel,
    face: BilinearFace,
    clip: ClipLandmarks,
    references: np.ndarray,
    identity: np.ndarray | None,
    centre: np.ndarray,
    settings: SolveSettings,
) -> ClipModel:
    """Returns the model of the person and the camera of the clip."""
    if identity is None:
        seen = [
            SeenFace(np.asarray(clip.points[index], np.float64), clip.width, clip.height)
            for index in references
        ]
        fit = fit_face(landmarks, seen)
        weight = np.array([1 / max(view.focal_spread, 0.05) ** 2 for view in fit.views])
        logs = np.log([view.camera.focal for view in fit.views])
        focal = float(np.exp((weight * logs).sum() / weight.sum()))
        return ClipModel.of(landmarks, face, fit.identity, focal, centre)
    best, least = None, np.inf
    for share in _FOCALS:
        model = ClipModel.of(landmarks, face, identity, share * max(clip.width, clip.height), centre)
        solver = ClipSolver(model, clip, np.zeros(len(clip.seconds), bool), settings)
        cost = float(np.median(solver.by_frames(references).residual))
        cost *= 1 + 0.02 * abs(np.log(share / 1.2))
        if cost < least:
            best, least = model, cost
    if best is None:
        raise ValueError("the identity fits no frame of the clip")
    return best


def _part(solution: ClipSolution, chosen: np.ndarray) -> ClipSolution:
    """Returns the frames of a solution where (T,) is True."""
    poses = [pose for pose, kept in zip(solution.poses, chosen, strict=True) if kept]
    return ClipSolution(
        solution.expression[chosen],
        poses,
        solution.evidence[chosen],
        solution.residual[chosen],
        solution.weight[chosen],
    )


def _confidence(solution: ClipSolution, clip: ClipLandmarks) -> np.ndarray:
    """Returns (T, 52) in 0..1: what the landmarks tell of a channel, and how well they fit in that frame."""
    fits = solution.weight * np.asarray(clip.presence)
    confidence = np.sqrt(np.clip(solution.evidence, 0, 1)) * fits[:, None]
    for name in UNSEEN:
        confidence[:, EXPRESSION_NAMES.index(name)] = 0.0
    return confidence.astype(np.float32)


def _marks(clip: ClipLandmarks, wrong: np.ndarray, confidence: np.ndarray) -> tuple[str, ...]:
    seen = clip.seen & ~wrong
    channels = [index for index, name in enumerate(EXPRESSION_NAMES) if name not in UNSEEN]
    mean = confidence[:, channels].mean(1)
    return tuple(
        HELD if not here else (DOUBTFUL if sure < _DOUBTFUL else SEEN)
        for here, sure in zip(seen, mean, strict=True)
    )
