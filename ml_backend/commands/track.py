"""Tracks an actor's face through a video: 52 ARKit curves, head, gaze, camera and identity.

VIDEO is a file that PyAV reads, a folder of pictures, or a pattern such as shot_####.png; a folder of videos
is tracked one by one, and what is there already is left out. The person should have agreed to it.

take.json holds the curves, and beside them the raw solve, a confidence for each channel and frame, head,
camera and identity. take.csv is Live Link Face's. --smoothing acts after the solve; 0 is the raw solve.

examples:
  python -m ml_backend track actor.mp4 --out take.json
  python -m ml_backend track actor.mov --out take.csv --face 2 --neutral 0 140 --smoothing 0.3
  python -m ml_backend track takes/ --out curves/ --smoothing head=0.5,brows=0.3
  python -m ml_backend track --live 0 --out take.json --seconds 30
"""

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

import numpy as np

from ..errors import UserError
from .files_of_folder import each_file, result_paths
from .photo_options import add_landmark_model
from .progress_line import print_progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument(
        "video",
        metavar="VIDEO",
        nargs="?",
        default="",
        help="a video, a folder of pictures or of videos, or a pattern of pictures",
    )
    parser.add_argument(
        "--live",
        default="",
        metavar="DEVICE|FILE",
        help="a camera (0 is the first), or a video that is played in real time, instead of VIDEO; hold "
        "still for a second; Ctrl-C ends it",
    )
    parser.add_argument(
        "--seconds", type=float, default=0.0, metavar="S", help="length of --live (default: until it ends)"
    )
    parser.add_argument(
        "--voice",
        action="store_true",
        help="jaw and lips follow the video's sound where the picture is unsure of them",
    )
    parser.add_argument(
        "--detail",
        choices=("expression", "network"),
        default="expression",
        help="wrinkles come from the curves, or landmarks move the latent directly and the take keeps how "
        "(default: %(default)s; `evaluate video` compares both)",
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
    parser.add_argument(
        "--again", action="store_true", help="track videos of a folder that have a take already"
    )
    parser.add_argument(
        "--preview",
        default="",
        metavar="FILE.mp4",
        help="a film of the video, the solved face and its wrinkles side by side; of one video",
    )
    add_landmark_model(parser)
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
        args.voice,
        args.detail,
    )
    dials = parse_dials(args.smoothing)
    if bool(args.video) == bool(args.live):
        raise UserError("One source is needed.", "Give a VIDEO, or --live DEVICE|FILE.")
    if args.live:
        check_extension(args.out)
        return _track_live(args, request.identity, dials)
    folder = Path(args.video)
    if folder.is_dir():
        videos = sorted(
            path
            for path in folder.rglob("*")
            if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")
        )
        if videos:
            if args.preview:
                raise UserError("A preview is of one video.", "Leave --preview out for a folder.")
            return _track_folder(folder, videos, args, request, dials)
    check_extension(args.out)
    if not Path(args.out).resolve().parent.is_dir():
        raise UserError(f"{args.out}: there is no such folder.", "Make it first, or choose another.")
    described = _track(request, dials, args.out, args.preview)
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


def _track_live(args: argparse.Namespace, identity: np.ndarray | None, dials: dict[str, float]) -> int:
    """Records from a camera or a film in real time, and writes the take."""
    from ..pipelines.track_live import ENDED, FAILED, LiveSession, TrackLiveRequest

    session = LiveSession(TrackLiveRequest(args.live, identity, landmark_model=args.landmark_model))
    begin = time.monotonic()
    try:
        while not session.wait(0.25) and (not args.seconds or time.monotonic() - begin < args.seconds):
            state = session.state()
            if sys.stderr.isatty():
                print(
                    f"\r{state.phase}, {state.frames} frames, {state.frames_per_second:.0f} a second ",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
    except KeyboardInterrupt:
        print("", file=sys.stderr)
    state = session.state()
    if state.phase == FAILED:
        print(f"note: {state.message}", file=sys.stderr)
    live = {"live_frames": state.frames, "live_frames_per_second": round(state.frames_per_second, 1)}
    take = session.stop(print_progress)
    described = _written(take, dials, args.out) | live | {"ended": state.phase == ENDED}
    described["frames_per_second"] = live["live_frames_per_second"]
    print(json.dumps(described) if args.json else _sentence(described))
    return 0


def _track(request, dials: dict[str, float], out: str | Path, preview: str = "") -> dict:
    """Tracks one video, writes the take, and returns what was found."""
    from ..pipelines.track_video import track_video

    begin = time.perf_counter()
    take = track_video(request, print_progress)
    described = _written(take, dials, out)
    spent = time.perf_counter() - begin
    if preview:
        from ..pipelines.preview_take import preview_take
        from ..video.video_writer import write_video

        frames = preview_take(take, request.path, None, 256, request.start, request.rate)
        write_video(Path(preview), frames, max(round(described["fps"]), 1))
    pace = round(described["frames"] / max(spent, 1e-9), 1)
    return {"video": request.path, **described, "frames_per_second": pace}


def _written(take, dials: dict[str, float], out: str | Path) -> dict:
    """Writes a take, and returns what is in it."""
    from ..animation.take_curves import smoothed
    from ..files.take_file import write_take

    animation = smoothed(take, dials)
    write_take(out, take, animation, dials)
    for note in take.notes:
        print(f"note: {note}", file=sys.stderr)
    seen = [index for index, name in enumerate(animation.names) if name not in take.not_seen]
    return {
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
        "notes": list(take.notes),
        "detail": "expression" if take.latent_change is None else "network",
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
    targets = result_paths([path.relative_to(folder) for path in videos], Path(args.out), f".{args.format}")
    rows = []

    def work(path: Path, target: Path) -> str:
        rows.append(_track(dataclasses.replace(request, path=str(path)), dials, target))
        return "" if args.json else _sentence(rows[-1])

    failed = each_file(videos, targets, work, keep=not args.again)
    if args.json:
        print(
            json.dumps(rows + [{"video": str(path), "error": str(error)} for path, error in failed.items()])
        )
    return 1 if failed else 0
