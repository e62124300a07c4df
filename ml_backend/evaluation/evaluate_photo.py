"""Measures the fit to photographs on real people, and the restoration of displacement maps on simulated ones.

--set names a folder with one folder for each state, `neutral` and `smiling`, that hold photos of the same
people under the same file names. Each photo is fitted by itself, once as it is and once degraded: cut to four
eye distances as FFHQ's portraits are, 64 pixels wide, blurred (0.8 pixels), JPEG at quality 20. Landmarks are
the detector's on that very picture.

figures:
  reprojection_median, reprojection_p95   over all points of all photos, clean and degraded, in inter-ocular
  distances
  smile_rises                             share of people whose mouthSmile coefficients are larger when
  smiling
  identity_auc                            cosine of identity coefficients: one person's two photos against
  those of two people
  degraded_identity_cosine                median cosine of a photo's identity coefficients with its degraded
  copy's
  degraded_rows                           the same for copies that are only small, only blurred and small, or
  only compressed
  wrinkle_ratio                           energy of crow's feet and nasolabial folds in the estimate, smiling
  over neutral, with controls; see photo_wrinkles.py
  seconds_per_photo                       median over whole fits: landmarks, fit, texture, wrinkles; also in
  processor time
  baselines                               the posed mean face; chance; two people's photos

examples:
  python -m ml_backend evaluate photo --set photos/ --json
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..fitting.attributes.fit_start import start_of_photos
from ..fitting.degraded_photo import degrade_photo, portrait_square
from ..fitting.face_fit import FaceFit, fit_face
from ..fitting.landmarks import FacePoints, choose_face, find_faces
from ..fitting.photo_file import Photo, read_photo
from ..pipelines.fit_from_image import FitFromImageRequest, fit_from_image, landmark_model, seen_face
from .evaluate_speech import area_under_curve
from .photo_wrinkles import measure_people

STATES = ("neutral", "smiling")
ENDINGS = (".jpg", ".jpeg", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp")
_SMILE = ("mouthSmileLeft", "mouthSmileRight")
ROWS = {
    "64 pixels": {"blur": 0.0, "quality": 95},
    "64 pixels, blurred": {"quality": 95},
    "128 pixels, blurred, JPEG 20": {"size": 128},
    "512 pixels, blurred by 6": {"size": 512, "blur": 6.0, "quality": 95},
    "512 pixels, JPEG 20": {"size": 512, "blur": 0.0},
}
"""Milder copies: what differs from `degrade_photo`'s own."""
PAPER = "the paper fits FaceScape's model to FFHQ and gives no figure for it"


@dataclass(frozen=True)
class MeasuredPhoto:
    """One photo, fitted as it is and degraded.

    Attributes:
        person, state: whose, and which of STATES.
        clean, degraded: the fits; `degraded` is None where no face was found in the degraded picture.
        milder: by name of ROWS the fits to milder copies; None where no face was found.
        mean_face: (478,) errors of the posed mean face in inter-ocular distances.
    """

    person: str
    state: str
    clean: FaceFit
    degraded: FaceFit | None
    milder: dict[str, FaceFit | None]
    mean_face: np.ndarray


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument(
        "--set",
        required=True,
        type=Path,
        metavar="DIR",
        help="holds neutral/ and smiling/ with photos of the same names",
    )
    parser.add_argument(
        "--landmark-model",
        default="",
        metavar="FILE",
        help="a face_landmarker.task to use in place of the carried networks",
    )
    parser.add_argument(
        "--timed",
        type=int,
        default=6,
        metavar="N",
        help="photos over which whole fits are timed (default: 6)",
    )
    parser.add_argument(
        "--people",
        type=int,
        default=10,
        help="simulated people of the restoration table; 0 leaves it out (default: 10)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Measures and prints."""
    pairs = paired_photos(args.set)
    measured = []
    for index, (person, paths) in enumerate(pairs.items()):
        measured += [
            measure_photo(person, state, path, args.landmark_model)
            for state, path in zip(STATES, paths, strict=True)
        ]
        _tell(f"{index + 1} of {len(pairs)} people")
    figures = figures_of(measured)
    figures["wrinkle_ratio"] = measure_people(pairs, args.landmark_model, progress=_tell)
    paths = [path for both in pairs.values() for path in both]
    figures |= time_fits(paths[:: max(1, len(paths) // args.timed)][: args.timed], args.landmark_model)
    figures["n_photos"] = len(measured)
    if args.people:
        from .evaluate_restoration import restoration_table

        try:
            figures["restoration"] = restoration_table(people=args.people, progress=_tell)
        except UserError as error:  # the photos' figures stand without it
            figures["restoration"] = {"missing": str(error)}
            print(f"restoration: {error}", file=sys.stderr)
    figures["paper"] = PAPER
    print(
        json.dumps(figures)
        if args.json
        else "\n".join(f"{name:28s} {value}" for name, value in figures.items())
    )


def paired_photos(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Returns by person the neutral and the smiling photo.

    Raises:
        UserError: the folder has no such pairs.
    """
    by_state = []
    for state in STATES:
        files = sorted((folder / state).glob("*"))
        by_state.append({path.stem: path for path in files if path.suffix.lower() in ENDINGS})
    pairs = {name: (path, by_state[1][name]) for name, path in by_state[0].items() if name in by_state[1]}
    if len(pairs) < 2:
        raise UserError(
            f"{folder}: fewer than two people in neutral/ and smiling/.",
            "Give photos of the same people the same file names.",
        )
    return pairs


def measure_photo(person: str, state: str, path: Path, model_file: str = "") -> MeasuredPhoto:
    """Fits one photo, as it is and degraded."""
    photo = read_photo(path)
    face = choose_face(find_faces(photo.pixels, model_file or None), None, str(path))
    model = landmark_model()
    mean = fit_face(model, [seen_face(photo, face)], iterations=0).views[0].residual
    milder = {name: _fit_copy(photo, face, model_file, **change) for name, change in ROWS.items()}
    clean = _fit(photo, face)
    return MeasuredPhoto(person, state, clean, _fit_copy(photo, face, model_file), milder, mean)


def _fit_copy(photo: Photo, face: FacePoints, model_file: str, **change) -> FaceFit | None:
    """Returns the fit to a degraded copy, or None where the detector sees no face in it."""
    small = degrade_photo(photo.pixels, *portrait_square(face.points), **change)
    found = find_faces(small, model_file or None)
    if not found:
        return None
    return _fit(Photo(small, photo.path, (small.shape[1], small.shape[0])), found[0])


def _fit(photo: Photo, face: FacePoints) -> FaceFit:
    """Fits one photo as *Face From Photo* does."""
    model, seen = landmark_model(), [seen_face(photo, face)]
    return fit_face(model, seen, start=start_of_photos([photo.pixels], seen, model))


def figures_of(measured: list[MeasuredPhoto]) -> dict:
    """Returns the figures that this module's head explains."""
    fits = [item.clean for item in measured] + [item.degraded for item in measured if item.degraded]
    errors = np.concatenate([fit.views[0].residual for fit in fits])
    mean = np.concatenate([item.mean_face for item in measured])
    clean = np.concatenate([item.clean.views[0].residual for item in measured])
    smile = [list(landmark_model().names).index(name) for name in _SMILE]
    people = sorted({item.person for item in measured})
    strength = {(item.person, item.state): item.clean.views[0].expression[smile].mean() for item in measured}
    same, other = [], []
    for index, first in enumerate(measured):
        for second in measured[index + 1 :]:
            (same if first.person == second.person else other).append(
                cosine(first.clean.identity, second.clean.identity)
            )
    kept = [(item.clean.identity, item.degraded.identity) for item in measured if item.degraded]
    others = [
        cosine(first.clean.identity, second.degraded.identity)
        for first in measured
        for second in measured
        if second.degraded and first.person != second.person
    ]
    is_same = np.arange(len(same) + len(other)) < len(same)
    rises = [strength[name, "smiling"] > strength[name, "neutral"] for name in people]
    milder = {name: _median_cosine([(item.clean, item.milder[name]) for item in measured]) for name in ROWS}
    return {
        "reprojection_median": _round(np.median(errors)),
        "reprojection_p95": _round(np.quantile(errors, 0.95)),
        "reprojection_clean": [_round(np.median(clean)), _round(np.quantile(clean, 0.95))],
        "smile_rises": _round(np.mean(rises)),
        "identity_auc": _round(area_under_curve(np.array(same + other), is_same)),
        "degraded_identity_cosine": _round(np.median([cosine(*both) for both in kept])) if kept else None,
        "degraded_found": len(kept),
        "degraded_rows": milder,
        "baselines": {
            "mean_face": {
                "reprojection_median": _round(np.median(mean)),
                "reprojection_p95": _round(np.quantile(mean, 0.95)),
            },
            "chance": {"smile_rises": 0.5, "identity_auc": 0.5},
            "two_people": {
                "identity_cosine": _round(np.median(other)),
                "degraded_identity_cosine": _round(np.median(others)) if others else None,
            },
            "one_person": {"identity_cosine": _round(np.median(same))},
        },
    }


def _median_cosine(pairs: list[tuple[FaceFit, FaceFit | None]]) -> float | None:
    found = [cosine(first.identity, second.identity) for first, second in pairs if second is not None]
    return _round(np.median(found)) if found else None


def time_fits(paths: list[Path], model_file: str) -> dict[str, float]:
    """Returns median seconds of whole fits, on the clock and of processors, after a first one."""
    fit_from_image(FitFromImageRequest((str(paths[0]),), (), model_file), _quiet)
    seconds, processor = [], []
    for path in paths:
        began, used = time.perf_counter(), time.process_time()
        fit_from_image(FitFromImageRequest((str(path),), (), model_file), _quiet)
        seconds.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    return {
        "seconds_per_photo": round(float(np.median(seconds)), 2),
        "processor_seconds_per_photo": round(float(np.median(processor)), 2),
    }


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the cosine of two vectors; 0 if one has no length."""
    length = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / length if length > 0 else 0.0


def _round(value) -> float:
    return round(float(value), 4)


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)


def _quiet(share: float, text: str) -> None:
    """Drops progress."""
