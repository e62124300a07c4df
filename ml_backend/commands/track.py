"""Tracks an actor's face through a video: 52 ARKit curves, head, gaze, camera and identity.

VIDEO is a file that PyAV reads, a folder of pictures, or a pattern such as shot_####.png; a folder of videos
is tracked one by one, and what is there already is left out. The person should have agreed to it.

take.json holds the curves, and beside them the raw solve, a confidence for each channel and frame, head,
camera and identity. take.csv is Live Link Face's. --smoothing acts after the solve; 0 is the raw solve.

examples:
  python -m ml_backend track actor.mp4 --out take.json
  python -m ml_backend track actor.mov --out take.csv --face 2 --neutral 0 140 --smoothing 0.3
  python -m ml_backend track takes/ --out curves/ --smoothing head=0.5,brows=0.3
"""

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..farm.folder_job import add_farm_arguments, check_farm_arguments, run_folder_job
from ..farm.items import Item, Outcome
from ..farm.result_paths import result_paths
from .photo_options import add_landmark_model
from .progress_line import print_progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument(
        "video", metavar="VIDEO", help="a video, a folder of pictures or of videos, or a pattern of pictures"
    )
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="take.json or take.csv; a folder for a folder of videos"
    )
    parser.add_argument(
        "--face",
        type=int,
        default=0,
        metavar="N",
        help="which face, from 1, left to right (default: the largest)",
    )
    parser.add_argument("--identity", default="", metavar="FACE.json", help="the person, as `fit` writes it")
    parser.add_argument(
        "--neutral",
        type=int,
        nargs="+",
        default=[],
        metavar="FRAME",
        help="frames, from 0, on which the face is at rest (default: the rest is found)",
    )
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="seconds (default: 0)")
    parser.add_argument("--end", type=float, default=None, metavar="S", help="seconds (default: to the end)")
    parser.add_argument(
        "--fps", type=float, default=30.0, metavar="X", help="rate of a sequence of pictures (default: 30)"
    )
    parser.add_argument(
        "--smoothing",
        default="0",
        metavar="X",
        help="0 to 1 for all curves, or by group: lids, gaze, lips, brows, cheeks, head (default: 0)",
    )
    parser.add_argument(
        "--format", choices=("json", "csv"), default="json", help="of the takes of a folder (default: json)"
    )
    add_landmark_model(parser)
    add_farm_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")


def run(args: argparse.Namespace) -> int:
    """Tracks one video, or a folder of them."""
    from ..files.curve_file import check_extension
    from ..pipelines.track_video import TrackVideoRequest
    from ..video.formats import VIDEO_SUFFIXES

    request = TrackVideoRequest(
        args.video,
        args.face,
        _identity(args.identity) if args.identity else None,
        tuple(args.neutral),
        args.start,
        args.end,
        args.fps,
        args.landmark_model,
    )
    dials = parse_dials(args.smoothing)
    folder = Path(args.video)
    if folder.is_dir():
        videos = sorted(
            path
            for path in folder.rglob("*")
            if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")
        )
        if videos:
            return _track_folder(folder, videos, args, request, dials)
    check_extension(args.out)
    if not Path(args.out).resolve().parent.is_dir():
        raise UserError(f"{args.out}: there is no such folder.", "Make it first, or choose another.")
    described = _track(request, dials, args.out)
    for note in described["notes"]:
        print(f"note: {note}", file=sys.stderr)
    print(json.dumps(described) if args.json else _sentence(described))
    return 0


def parse_dials(text: str) -> dict[str, float]:
    """Returns the smoothing of each group.

    Args:
        text: a number for all groups, or GROUP=X,...

    Raises:
        UserError: a group is unknown, or a number is not 0 to 1.
    """
    from ..animation.curve_filters import GROUPS

    dials: dict[str, float] = dict.fromkeys(GROUPS, 0.0)
    for part in text.split(","):
        name, _, value = part.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not 0 <= number <= 1 or (name and name.strip() not in GROUPS):
            raise UserError(
                f"{part}: no smoothing.", f"Give 0 to 1, or GROUP=X with a group of {', '.join(GROUPS)}."
            )
        dials |= dict.fromkeys((name.strip(),) if name else GROUPS, number)
    return dials


def _identity(path: str) -> np.ndarray:
    from ..files.face_file import read_face
    from ..models.bilinear_face import BilinearFace

    face, model = read_face(path), BilinearFace.default()
    if face.identity is None:
        raise UserError(f"{path}: holds no identity.", "Make it with: python -m ml_backend fit.")
    if len(face.identity) != model.identity_size or face.model not in ("", model.fingerprint()):
        raise UserError(f"{path}: the identity belongs to another face model.", "Fit the person again.")
    return face.identity


def _track(request, dials: dict[str, float], out: str | Path) -> dict:
    """Tracks one video, writes the take, and returns what was found."""
    from ..animation.take_curves import smoothed
    from ..files.take_file import write_take
    from ..pipelines.track_video import track_video

    begin = time.perf_counter()
    take = track_video(request, print_progress)
    animation = smoothed(take, dials)
    write_take(out, take, animation, dials)
    spent = time.perf_counter() - begin
    seen = [index for index, name in enumerate(animation.names) if name not in take.not_seen]
    return {
        "video": request.path,
        "out": str(out),
        "frames": len(take.seconds),
        "fps": animation.fps,
        "seconds": round(float(take.seconds[-1]), 3),
        "confidence": round(float(take.confidence[:, seen].mean()), 3),
        "held": take.marks.count("held"),
        "doubtful": take.marks.count("doubtful"),
        "shots": len(take.shots),
        "not_seen": list(take.not_seen),
        "camera": take.camera,
        "frames_per_second": round(len(take.seconds) / max(spent, 1e-9), 1),
        "notes": list(take.notes),
    }


def _sentence(described: dict) -> str:
    return (
        f"{described['out']}: {described['frames']} frames ({described['seconds']:.2f} s), confidence "
        f"{described['confidence']:.2f}, {described['held']} held, {described['doubtful']} doubtful; "
        f"{described['frames_per_second']:.1f} frames a second"
    )


def _track_folder(folder: Path, videos: list[Path], args, request, dials: dict[str, float]) -> int:
    """Tracks the videos below a folder.

    Takes are written whole, so one that is there is finished: a run that was cut off goes on behind it.
    """
    check_farm_arguments(args)
    targets = result_paths([path.relative_to(folder) for path in videos], Path(args.out), f".{args.format}")

    def work(item: Item) -> Outcome:
        described = _track(dataclasses.replace(request, path=item.source), dials, item.target)
        return Outcome(_sentence(described), tuple(described["notes"]), described)

    items = [Item(str(path), target) for path, target in zip(videos, targets, strict=True)]
    shaping = "face identity neutral start end fps smoothing landmark_model".split()
    settings = {"command": "track", "options": {name: getattr(args, name) for name in shaping}}
    report = run_folder_job(items, work, settings, Path(args.out), args, quiet=args.json)
    if args.json:
        rows = [outcome.facts for outcome in report.outcomes.values() if not outcome.error]
        print(json.dumps(rows + [{"video": video, "error": text} for video, text in report.failed.items()]))
    return 1 if report.failed else 0
