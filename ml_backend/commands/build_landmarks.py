"""Learns where on the face model the landmark detector's 478 points lie, and how it errs on clear and on bad pictures.

Painted portraits of random people, whose every vertex is known, are shown to the detector, as they are and at
64 pixels. The network
that makes small photographs clear has to be there (`train photo-upscaler`).

example:
  python -m ml_backend build-landmarks --out ml_backend/assets/landmarks.safetensors
"""

import argparse
import json
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--out", required=True, metavar="FILE.safetensors", help="the landmark map")
    parser.add_argument(
        "--face-model", metavar="FILE", help="a face model of another making (default: the embedded one)"
    )
    parser.add_argument(
        "--pictures", type=int, default=240, help="painted portraits to look at, at least 30 (default: 240)"
    )


def run(args: argparse.Namespace) -> None:
    """Calibrates and writes."""
    from ..errors import UserError
    from ..files.tensor_file import write_tensors
    from ..fitting.landmark_calibration import calibrate
    from ..models.bilinear_face import BilinearFace

    if args.pictures < 30:
        raise UserError(f"{args.pictures} pictures are too few to learn errors from.", "Give at least 30.")
    face = BilinearFace.load(args.face_model) if args.face_model else BilinearFace.default()
    landmark_map, figures = calibrate(face, args.pictures, _tell)
    write_tensors(args.out, *landmark_map.tensors())
    print(json.dumps({"out": args.out} | figures))


def _tell(share: float, text: str) -> None:
    if sys.stderr.isatty():
        print(
            f"\r{100 * share:3.0f} % {text:50.50s}",
            end="\n" if share >= 1 else "",
            file=sys.stderr,
            flush=True,
        )
