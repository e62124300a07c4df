"""Measures the solve of videos on simulated clips with known curves, of people that no setting was chosen on.

Most clips are landmarks with the detector's measured errors (`datasets/simulated_clips.py`); --painted adds
clips that are painted, encoded and go through decoder and detector.

figures:
  rmse              of the channels that landmarks show, over all clips
  ard_deg           mean error of the head's yaw, pitch and roll, each clip's mean apart (degrees)
  gaze_deg          mean error of the eyes' yaw and pitch (degrees)
  lag_frames        mean distance of the best cross-correlation from 0: fast release, blinks, lips
  ramp_late_frames  the same of slow ramps, where small values are held back as errors
  jitter_rms        of the second difference of the curves while the head is still
  jitter_deviation  of the curves about their mean over the same clips
  blink_recall      share of blinks found
  blink_peak        their mean height, 1 is closed
  closure           share of p, b, m whose lips are closed in the solved curves
  pose_leak         the largest value of any channel while a neutral head turns by 40 degrees
  outlier_step      the largest change of any channel by one wrong frame
  frames_per_second of the whole on painted clips: decode, landmarks, solve, filter
  solve_frames_per_second  of the solve alone
  painted           the same figures of painted clips
  baselines         frame_by_frame (no filter), first_frame_neutral (its first frame subtracted),
                    blendshape_scores (of MediaPipe's own network, with --blendshapes FILE)
  mapping           wrinkles beside those of the true curves (`mapping_rows.py`)
  self, cross       a face driven by another (`reenactment_tables.py`)
  inversion         latents fitted to maps, term by term (`inversion_rows.py`)

examples:
  python -m ml_backend evaluate video --json
  python -m ml_backend evaluate video --people 1 --painted 0 --inversions 0
  python -m ml_backend evaluate video --json --blendshapes face_landmarker.task
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...animation.curve_editing import CLOSED_MM, eyes_from_look, lip_gap
from ...datasets.simulated_clips import CASES, SimulatedClip, simulate_clip
from ...expression_names import EXPRESSION_NAMES
from ...fitting.face_fit import LandmarkModel
from ...models.bilinear_face import BilinearFace
from ...pipelines.fit_from_image import landmark_model
from ...video.clip_landmarks import ClipLandmarks
from ...video.clip_model import UNSEEN
from ...video.clip_solution import SolveSettings
from ...video.solve_clip import SolvedClip, solve_clip
from .blendshape_scores import BlendshapeScores
from .inversion_rows import inversion_figures
from .mapping_rows import CASES as MAPPED
from .mapping_rows import MappingRows
from .painted_clips import evaluate_painted

FIRST_SEED = 400_000
"""Settings were chosen on people from 500000 on."""
SEEN = np.array([index for index, name in enumerate(EXPRESSION_NAMES) if name not in UNSEEN])
_LIDS = [EXPRESSION_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]
_FOUND, _NEAR = 0.5, 2
_MOST_LAG = 6
_OF_THE_SOLVE = ("rmse_", "ard_", "head_")
"""Figures that the baselines share: their curves differ, their poses do not."""
ROWS = ("solve", "frame_by_frame", "first_frame_neutral")


@dataclass
class ClipFigures:
    """Figures of some rows of curves, gathered over clips: lists by name."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, *values: float) -> None:
        """Adds values of a figure."""
        self.values.setdefault(name, []).extend(float(value) for value in values)

    def summary(self) -> dict[str, float]:
        """Returns the figures over all clips."""
        found = {}
        for name, values in self.values.items():
            if name in ("rmse", "jitter_rms", "jitter_deviation") or name.startswith("rmse_"):
                found[name] = float(np.sqrt(np.mean(np.square(values))))
            elif name in ("pose_leak", "outlier_step"):
                found[name] = max(values)
            else:
                found[name] = float(np.mean(values))
        return {name: round(value, 4) for name, value in found.items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--people", type=int, default=2, metavar="N", help="people a case (default: 2)")
    parser.add_argument(
        "--painted",
        type=int,
        default=1,
        metavar="N",
        help="painted clips through decoder and detector (default: 1)",
    )
    parser.add_argument(
        "--inversions", type=int, default=1, metavar="N", help="maps that latents are fitted to (default: 1)"
    )
    parser.add_argument(
        "--blendshapes",
        default="",
        metavar="FILE",
        help="MediaPipe's face_landmarker.task: its own scores as a baseline",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Measures and prints."""
    scores = BlendshapeScores.load(args.blendshapes) if args.blendshapes else None
    figures = evaluate(args.people, FIRST_SEED, scores=scores, tell=_tell)
    if args.painted:
        figures |= evaluate_painted(args.painted, _tell)
        figures["frames_per_second"] = figures["painted"]["frames_per_second"]
    if args.inversions:
        figures["inversion"] = inversion_figures(args.inversions)
    if args.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value}")


def evaluate(
    people: int,
    first: int,
    settings: SolveSettings | None = None,
    cases: tuple[str, ...] = CASES,
    scores: BlendshapeScores | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict:
    """Returns the figures of simulated clips.

    Args:
        people: of each case.
        first: seed of the first person.
        settings: of the solve, or None for the usual ones.
        cases: to simulate.
        scores: MediaPipe's own network for one more row, or None.
        tell: told a line for each clip, or None.
    """
    model, face = landmark_model(), BilinearFace.default()
    names = ROWS if scores is None else (*ROWS, "blendshape_scores")
    rows = {name: ClipFigures() for name in names}
    mapping = MappingRows()
    frames, spent, count = 0, 0.0, 0
    for case in cases:
        for seed in range(people):
            clip = simulate_clip(case, model, face, first, seed)
            begin = time.perf_counter()
            solved = solve(model, face, clip, clip.points, settings)
            spent += time.perf_counter() - begin
            frames += len(clip.seconds)
            count += 1
            base = np.clip(solved.by_frame, 0, 1)
            curves = [solved.expression, base, np.clip(base - base[:1], 0, 1)]
            if scores is not None:
                curves.append(scores.curves(clip.points, clip.cameras[0].width, clip.cameras[0].height))
            for name, expression in zip(names, curves, strict=True):
                measure(rows[name], clip, solved, expression)
            if case in MAPPED and seed == 0:
                mapping.add(clip, detected(clip, clip.points), solved, first + seed)
            if clip.wrong is not None and clip.clean is not None:
                other = solve(model, face, clip, clip.clean, settings)
                rows["solve"].add("outlier_step", np.abs(solved.expression - other.expression)[:, SEEN].max())
                plain = np.abs(solved.by_frame - other.by_frame)[:, SEEN].max()
                rows["frame_by_frame"].add("outlier_step", plain)
            if tell is not None:
                tell(f"{case} {seed}: rmse {rows['solve'].values[f'rmse_{case}'][-1]:.3f}")
    summaries = {name: row.summary() for name, row in rows.items()}
    by_case = {name: summaries["solve"].pop(f"rmse_{name}") for name in cases}
    for name in names[1:]:
        summaries[name] = {
            key: value for key, value in summaries[name].items() if not key.startswith(_OF_THE_SOLVE)
        }
    speed = round(frames / max(spent, 1e-9), 1)
    figures = summaries["solve"] | {
        "frames_per_second": speed,
        "solve_frames_per_second": speed,
        "n_clips": count,
        "by_case": by_case,
        "baselines": {name: summaries[name] for name in names[1:]},
    }
    return figures | ({"mapping": mapping.figures()} if mapping.truth else {})


def solve(
    model: LandmarkModel,
    face: BilinearFace,
    clip: SimulatedClip,
    points: np.ndarray,
    settings: SolveSettings | None,
) -> SolvedClip:
    """Solves a simulated clip from its detected points."""
    return solve_clip(model, face, detected(clip, points), lambda share, text: None, settings=settings)


def detected(clip: SimulatedClip, points: np.ndarray) -> ClipLandmarks:
    """Returns the landmarks of a clip as the solve takes them, with points (T, 478, 2)."""
    return ClipLandmarks(
        clip.seconds,
        points.astype(np.float32),
        clip.presence,
        clip.scatter.astype(np.float32),
        clip.shots,
        clip.cameras[0].width,
        clip.cameras[0].height,
    )


def measure(figures: ClipFigures, clip: SimulatedClip, solved: SolvedClip, expression: np.ndarray) -> None:
    """Adds the figures of one clip's curves (T, 52)."""
    wrong = (expression - clip.expression)[:, SEEN]
    rmse = float(np.sqrt((wrong**2).mean()))
    figures.add("rmse", rmse)
    figures.add(f"rmse_{clip.case}", rmse)
    true = np.array([camera.head_angles() for camera in clip.cameras])
    found = np.array([pose.angles() for pose in solved.poses])
    off = found - true
    for first, last in zip(clip.shots, [*clip.shots[1:], len(off)], strict=True):
        off[first:last] -= np.median(off[first:last], axis=0)
    figures.add("ard_deg", np.abs(off).mean())
    figures.add("head_offset_deg", np.abs(np.median(found - true, axis=0)).mean())
    eyes = np.degrees(eyes_from_look(expression) - eyes_from_look(clip.expression))[:, [0, 1, 3, 4]]
    figures.add("gaze_deg", np.abs(eyes).mean())
    if clip.case in ("release", "blinks", "lips"):
        figures.add("lag_frames", abs(best_lag(clip.expression, expression)))
    if clip.case == "ramp":
        figures.add("ramp_late_frames", best_lag(clip.expression, expression))
    if clip.case == "still":
        second = expression[2:] - 2 * expression[1:-1] + expression[:-2]
        figures.add("jitter_rms", np.sqrt((second[:, SEEN] ** 2).mean()))
        figures.add("jitter_deviation", np.sqrt((expression[:, SEEN].std(0) ** 2).mean()))
    if clip.case == "turn":
        figures.add("pose_leak", expression[:, SEEN].max())
        figures.add("pose_leak_mean", expression[:, SEEN].max(0).mean())
    closed = expression[:, _LIDS].mean(1)
    for top in clip.blinks:
        if not np.isfinite(clip.points[top, 0, 0]):
            continue
        peak = float(closed[max(top - _NEAR, 0) : top + _NEAR + 1].max())
        figures.add("blink_recall", peak > _FOUND)
        if peak > _FOUND:
            figures.add("blink_peak", peak)
    if clip.contacts:
        gaps = lip_gap(expression.astype(np.float32))
        figures.add("closure", *(gaps[frame - 1 : frame + 2].min() <= CLOSED_MM for frame in clip.contacts))


def best_lag(true: np.ndarray, found: np.ndarray) -> int:
    """Returns the frames by which found curves (T, C) come late, by cross-correlation with the true ones."""
    moving = true.std(0) > 0.05
    if not moving.any():
        return 0
    inner = slice(_MOST_LAG, len(true) - _MOST_LAG)
    one = true[inner][:, moving] - true[inner][:, moving].mean(0)
    scores = []
    for lag in range(-_MOST_LAG, _MOST_LAG + 1):
        other = found[_MOST_LAG + lag : len(found) - _MOST_LAG + lag][:, moving]
        other = other - other.mean(0)
        alike = (one * other).sum(0) / np.sqrt(np.maximum((one**2).sum(0) * (other**2).sum(0), 1e-12))
        scores.append(float((alike * true.std(0)[moving]).sum()))
    return int(np.argmax(scores)) - _MOST_LAG


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)
