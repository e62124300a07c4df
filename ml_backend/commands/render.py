"""Draws a face file from several sides, without Blender: mesh, wrinkles, skin colour, light, camera.

Pictures are PNG, one for each pair of yaw and pitch. Blender's renders are far better; these take a second.
A network, the residual, adds hair, eyes, mouth and outline as Blender renders them; it works at 256 pixels.
`--decoder field` draws with a small radiance field instead, which knows no mesh and no wrinkles and is
softer; yaw to 50 degrees, pitch to 22.

examples:
  python -m ml_backend render face.json --yaw -40:40:20 --out views
  python -m ml_backend render face.json --yaw 0 30 --pitch 10 --albedo skin.png --size 768 --out views
  python -m ml_backend render face.json --yaw -40:40:20 --decoder field --size 256 --out views
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np

from ..errors import UserError

_MOST_VIEWS = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser._negative_number_matcher = re.compile(r"-[\d.][-\d.:]*")  # -40:40:20 is a value, not an option
    parser.add_argument("face", metavar="FACE.json", help="a face file")
    parser.add_argument(
        "--yaw",
        nargs="+",
        default=["0"],
        metavar="DEGREES",
        help="angles, or FIRST:LAST:STEP; positive: the head turns to its left (default: 0)",
    )
    parser.add_argument(
        "--pitch", nargs="+", default=["0"], metavar="DEGREES", help="likewise; positive: it looks up"
    )
    parser.add_argument(
        "--size", type=int, default=512, help="pixels along a side, 64 to 2048 (default: 512)"
    )
    parser.add_argument(
        "--decoder",
        choices=("exact", "field"),
        default="exact",
        help="exact: mesh, colour, harmonics, camera; field: a radiance field (default: exact)",
    )
    parser.add_argument(
        "--albedo", metavar="FILE.png", help="the skin's colour in texture space, as `fit --albedo` writes it"
    )
    parser.add_argument("--seed", type=int, default=0, help="of skin, hair and eyes (default: 0)")
    parser.add_argument("--without-light", action="store_true", help="soft light, not the file's own")
    parser.add_argument("--without-detail", action="store_true", help="the smooth face")
    parser.add_argument(
        "--without-residual", action="store_true", help="hair, eyes and mouth as painted on the mesh"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the pictures")
    parser.add_argument("--json", action="store_true", help="print the files as JSON")


def run(args: argparse.Namespace) -> None:
    """Draws and writes the pictures."""
    from ..files.image_writers import write_png
    from ..models.bilinear_face import BilinearFace
    from ..models.skin_vector import sample_skin
    from ..pipelines.render_face import RenderFaceRequest, render_face
    from ..pipelines.render_field import render_field
    from ..pipelines.transfer_attributes import attributes_of_file

    if not 64 <= args.size <= 2048:
        raise UserError(f"--size {args.size}: out of range.", "Use 64 to 2048 pixels.")
    if args.seed < 0:
        raise UserError("--seed must not be negative.")
    angles = tuple(
        (yaw, pitch) for pitch in _angles("--pitch", args.pitch) for yaw in _angles("--yaw", args.yaw)
    )
    if len(angles) > _MOST_VIEWS:
        raise UserError(f"{len(angles)} views are too many.", f"Ask for {_MOST_VIEWS} at most.")
    known, _ = attributes_of_file(args.face)
    size = BilinearFace.default().identity_size
    identity = np.zeros(size, np.float32) if known.shape is None else known.shape
    skin = sample_skin(0) if known.skin is None else known.skin
    expression = np.zeros(52, np.float32) if known.expression is None else known.expression
    light = None if args.without_light else known.light
    albedo = _read_albedo(args.albedo) if args.albedo else None
    draw = render_field if args.decoder == "field" else render_face
    views = draw(
        RenderFaceRequest(
            identity, skin, expression, angles, args.size, light, albedo, args.seed,
            not args.without_detail, not args.without_residual,
        )
    )  # fmt: skip
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for (yaw, pitch), pixels in zip(angles, views, strict=True):
        path = folder / f"{Path(args.face).stem}_yaw{yaw:+.0f}_pitch{pitch:+.0f}.png"
        write_png(path, np.ascontiguousarray(pixels[::-1]))  # its rows begin at the bottom
        files.append(str(path))
    print(json.dumps({"files": files}) if args.json else "\n".join(files))


def _angles(option: str, words: list[str]) -> list[float]:
    """Reads angles and FIRST:LAST:STEP."""
    angles: list[float] = []
    for word in words:
        try:
            parts = [float(part) for part in word.split(":")]
        except ValueError:
            parts = []
        if len(parts) == 1:
            angles.append(parts[0])
        elif len(parts) == 3 and parts[2] and (parts[1] - parts[0]) / parts[2] >= 0:
            count = int((parts[1] - parts[0]) / parts[2] + 1e-6) + 1
            angles += [parts[0] + parts[2] * index for index in range(min(count, _MOST_VIEWS + 1))]
        else:
            raise UserError(f"{option} {word}: no angle.", "Use degrees, or FIRST:LAST:STEP as -40:40:20.")
    if any(not abs(angle) <= 90 for angle in angles):
        raise UserError(f"{option}: an angle is beyond 90 degrees.", "Use -90 to 90.")
    return angles


def _read_albedo(path: str) -> np.ndarray:
    """Returns a map (R, R, 3) linear, row 0 at the bottom."""
    from ..fitting.photo_file import read_photo
    from ..geometry.srgb import from_srgb

    pixels = read_photo(path).pixels
    if pixels.shape[0] != pixels.shape[1]:
        raise UserError(f"{path}: not a square map.", "Use the file that `fit --albedo` wrote.")
    return from_srgb(pixels[::-1].astype(np.float32) / 255)
