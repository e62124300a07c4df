"""Bakes curves to displacement maps, one a frame: a sequence that any renderer reads.

CURVES is a curve file (docs/curves.md lists the programs it may come from), or a folder of them. The maps go
to OUT/NAME/0001.exr and so on, frame 1 at the first row, at the file's own rate; OUT/NAME/clip.json says rate
and frames. Maps are in millimetres along the surface normal. Frames that are there already are left as they
are.

examples:
  python -m ml_backend bake speech.csv --identity face.json --out maps/
  python -m ml_backend bake takes/ --identity-seed 7 --resolution 512 --format png --out maps/ --shard 3/16
  python -m ml_backend bake takes/ --identity face.json --out maps/ --cluster auto
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..farm.folder_job import add_farm_arguments, check_farm_arguments, run_folder_job
from ..farm.items import Item, Outcome
from ..farm.result_paths import result_paths
from ..files.atomic_write import make_folder, write_text_whole
from ..files.curve_file import CURVE_SUFFIXES, read_curves
from .generate import add_face_arguments, read_face_arguments

_FRAMES = 16
"""Frames of one piece of work."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("curves", metavar="CURVES", help="a curve file, or a folder of them")
    add_face_arguments(parser, with_expression=False)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the sequences")
    parser.add_argument(
        "--resolution",
        type=int,
        default=1024,
        choices=(256, 512, 1024),
        help="texels along each side (default: 1024)",
    )
    parser.add_argument(
        "--format",
        choices=("exr", "png", "npy"),
        default="exr",
        help="exr (half, mm), png (16 bit, (mm + 4) / 8) or npy (float32, mm); default exr",
    )
    parser.add_argument("--json", action="store_true", help="print what was made as JSON")
    add_farm_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Bakes every frame of every clip.

    Raises:
        UserError: there are no curves, or an option cannot be read.
    """
    check_farm_arguments(args)
    place = Path(args.curves)
    paths = [place]
    if place.is_dir():
        paths = sorted(
            path
            for path in place.rglob("*")
            if path.is_file() and path.suffix.lower() in CURVE_SUFFIXES and not path.name.startswith(".")
        )
        if not paths:
            raise UserError(f"{place}: holds no curves.", f"Put {', '.join(CURVE_SUFFIXES)} files into it.")
    folder = place if place.is_dir() else place.parent
    names = [path.relative_to(folder) for path in paths]
    clips = [target.with_suffix("") for target in result_paths(names, args.out, ".clip")]
    _, identity, skin, _ = read_face_arguments(args)
    resolution, ending = args.resolution, args.format
    items, unread = [], {}
    for path, clip in zip(paths, clips, strict=True):
        try:
            animation = read_curves(path)
        except UserError as error:
            if not place.is_dir():
                raise
            unread[str(path)] = error
            print(f"failed: {path}: {error}", file=sys.stderr)
            continue
        make_folder(clip)
        count = len(animation.frames)
        _write_clip(clip / "clip.json", {"fps": animation.fps, "frames": count, "curves": path.name})
        items += [
            Item(f"{path}, frames {start + 1} to {end}", clip / f"{end:04}.{ending}", str(path))
            for start in range(0, count, _FRAMES)
            for end in (min(count, start + _FRAMES),)
        ]

    def work(item: Item) -> Outcome:
        numbers = item.source.rpartition(", frames ")[2]
        first, last = (int(number) for number in numbers.split(" to "))
        frames = read_curves(item.reads).frames[first - 1 : last]
        bake_frames(item.target.parent, ending, first, frames, identity, skin, resolution)
        return Outcome(f"{item.target.parent}: frames {numbers}")

    settings = {
        "command": "bake",
        "options": {"resolution": resolution, "identity": identity.tolist(), "skin": skin.tolist()},
    }
    report = run_folder_job(items, work, settings, args.out, args, quiet=args.json)
    if args.json:
        failed = {name: str(error) for name, error in unread.items()} | report.failed
        print(json.dumps({"clips": len(clips) - len(unread), "pieces": len(items), "failed": failed}))
    return 1 if report.failed or unread else 0


def bake_frames(
    clip: Path,
    ending: str,
    first: int,
    frames: np.ndarray,
    identity: np.ndarray,
    skin: np.ndarray,
    resolution: int,
) -> None:
    """Writes the maps of some frames, the last one last.

    Args:
        clip: folder of the sequence.
        ending: exr, png or npy.
        first: number of the first frame.
        frames: (T, 52) float32.
        identity, skin: (K,) and (16,) float32 of the person.
        resolution: of the maps.

    Raises:
        UserError: a file cannot be written.
    """
    from ..files.displacement_file import write_displacement
    from ..pipelines.generate_detail import GenerateDetailRequest, generate_detail

    for number, expression in enumerate(frames, first):
        made = generate_detail(GenerateDetailRequest(identity, skin, expression, resolution))
        write_displacement(clip / f"{number:04}.{ending}", made)


def _write_clip(path: Path, content: dict) -> None:
    try:
        write_text_whole(path, json.dumps(content) + "\n")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}).", "Choose another folder, or make room."
        ) from error
