"""Learns the places and errors of a landmark detector's 478 points on the face model.

Painted portraits of random people, whose every vertex is known, are shown to the detector, as they are and at
64 pixels. The network that makes small photographs clear has to be there (`train photo-upscaler`).

With --network-out it converts the detector's mesh network instead, once, for `train photo-upscaler`: a loss
compares its features.

examples:
  python -m ml_backend build-landmarks --out ml_backend/assets/landmarks.safetensors
  python -m ml_backend build-landmarks --network-out build/landmark_network.safetensors
"""

import argparse
import json
import time
from pathlib import Path

from .progress_line import print_progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    made = parser.add_mutually_exclusive_group(required=True)
    made.add_argument("--out", metavar="FILE.safetensors", help="the landmark map")
    made.add_argument(
        "--network-out", type=Path, metavar="FILE.safetensors", help="the landmark network, for training only"
    )
    parser.add_argument(
        "--face-model", metavar="FILE", help="a face model of another making (default: the embedded one)"
    )
    parser.add_argument(
        "--pictures", type=int, default=240, help="painted portraits to look at, at least 30 (default: 240)"
    )


def run(args: argparse.Namespace) -> None:
    """Writes the landmark map, or the landmark network."""
    if args.network_out:
        _write_network(args.network_out)
    else:
        _write_map(args)


def _write_network(path: Path) -> None:
    """Converts the detector's mesh network and writes it."""
    from ..files.network_file import write_network_file
    from ..fitting.landmark_conversion import SOURCE, convert_landmark_network

    network = convert_landmark_network()
    path.parent.mkdir(parents=True, exist_ok=True)
    sha256 = write_network_file(path, network, network.config, {"source": SOURCE, "licence": "Apache-2.0"})
    print(json.dumps({"out": str(path), "sha256": sha256}))


def _write_map(args: argparse.Namespace) -> None:
    """Calibrates and writes the landmark map."""
    from ..errors import UserError
    from ..files.model_card import ModelCard
    from ..files.tensor_file import write_tensors
    from ..fitting.landmark_calibration import calibrate
    from ..models.bilinear_face import BilinearFace

    if args.pictures < 30:
        raise UserError(f"{args.pictures} pictures are too few to learn errors from.", "Give at least 30.")
    face = BilinearFace.load(args.face_model) if args.face_model else BilinearFace.default()
    began = time.monotonic()
    landmark_map, figures = calibrate(face, args.pictures, print_progress)
    write_tensors(args.out, *landmark_map.tensors())
    minutes = (time.monotonic() - began) / 60
    ModelCard(
        "Landmarks",
        "Places of the 478 points of MediaPipe's face mesh on the face model (vertices with weights), and "
        "the\n"
        "errors of that detector: a mean, common factors and each coordinate's own deviation, in "
        "inter-ocular\n"
        "distances.",
        source=f"{args.pictures} painted portraits of random people of the model "
        "(`ml_backend/simulation/portraits/painted_portrait.py`); no photograph of any person",
        command=f"python -m ml_backend build-landmarks --pictures {args.pictures} --out FILE"
        + (" --face-model FILE" if args.face_model else ""),
        device=f"cpu; {minutes:.0f} minutes",
        evaluation="\n".join(f"- {name}: {value:g}" for name, value in figures.items())
        + "\n\n`python -m ml_backend evaluate photo` measures fits to photographs.",
    ).write(Path(args.out))
    print(json.dumps({"out": args.out} | figures))
