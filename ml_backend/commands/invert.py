"""Fits a latent of the detail generator to a displacement map - a scan, a sculpt - so that it can be edited.

The map is in millimetres along the surface normal, the face upright in the face model's texture space: .exr
(mm), .png (16 bit grey, (mm + 4) / 8) or .npy (mm), any size. Say with --identity and --expression where the
face's sliders stand for this map; other positions edit it later: `generate --latent FILE` with another
--expression or --direction.

examples:
  python -m ml_backend invert sculpt.exr --out sculpt.safetensors --preview sculpt.png
  python -m ml_backend invert smile.png --identity face.json --expression mouthSmileLeft=1 mouthSmileRight=1
  --out smile.safetensors
"""

import argparse
import json
import time
from pathlib import Path

from .progress_line import print_progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    from .generate import add_face_arguments

    parser.add_argument("map", metavar="MAP", help="the displacement map")
    parser.add_argument("--out", required=True, metavar="FILE.safetensors", help="where the latent goes")
    parser.add_argument(
        "--preview",
        type=Path,
        metavar="FILE.png",
        help="also write map, generated map and difference as shaded relief",
    )
    add_face_arguments(parser)
    parser.add_argument(
        "--start",
        default="encoder",
        choices=("encoder", "mean"),
        help="begin at the encoder's latent or at the mean one (default: encoder)",
    )
    parser.add_argument("--steps", type=int, default=600, help="of the optimiser, 10 to 10000 (default: 600)")
    parser.add_argument(
        "--resolution",
        type=int,
        default=512,
        choices=(256, 512),
        help="at which the maps are compared (default: 512)",
    )
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")


def run(args: argparse.Namespace) -> None:
    """Fits and writes the latent."""
    from ..errors import UserError
    from ..pipelines.invert_map import InvertMapRequest, invert_map, write_preview
    from .generate import read_face_arguments

    if Path(args.out).suffix != ".safetensors" or not Path(args.out).resolve().parent.is_dir():
        raise UserError(
            f"{args.out}: not a .safetensors file in a folder that exists.", "Name one with --out."
        )
    _, identity, skin, expression = read_face_arguments(args)
    began = time.monotonic()

    def tell(share: float, text: str) -> None:
        left = (time.monotonic() - began) * (1 - share) / max(share, 1e-3)
        print_progress(share, f"{text:40s} {left:4.0f} s left")

    request = InvertMapRequest(
        args.map, None, identity, skin, expression, args.start, args.steps, args.resolution
    )
    inversion = invert_map(request, tell)
    inversion.saved.write(args.out)
    if args.preview:
        write_preview(args.preview, inversion)
    made = {
        "out": args.out,
        "psnr_db": round(inversion.psnr_db, 2),
        "start_psnr_db": round(inversion.start_psnr_db, 2),
        "steps": args.steps,
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(made) if args.json else ", ".join(f"{key} {value}" for key, value in made.items()))
