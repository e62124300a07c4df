"""Gives a face attributes of a photo or of another face: shape, expression, skin, light, pose.

Amounts run from 0 (nothing) to 1 (all of it); up to 2 exaggerates. The person, and everything that is not
named, stays. Use photos of people who agree to it.

examples:
  python -m ml_backend transfer --from smile.jpg --to face.json --attributes expression --out smiling.json
  python -m ml_backend transfer --from a.json --to b.json --attributes shape,skin --amount 0.5 --out c.json
  python -m ml_backend transfer --from talk.jpg --to face.json --attributes expression=0.8,light \\
      --regions mouth,cheeks --out face2.json
"""

import argparse
import json

from ..errors import UserError
from .photo_options import add_landmark_model
from .progress_line import print_progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument(
        "--from", dest="source", required=True, metavar="FILE", help="a photo, or a face file (.json)"
    )
    parser.add_argument(
        "--to", dest="target", required=True, metavar="FILE.json", help="the face file that receives"
    )
    parser.add_argument(
        "--attributes",
        required=True,
        metavar="LIST",
        help="some of shape, expression, skin, light, pose; each may have its own amount: expression=0.8",
    )
    parser.add_argument(
        "--amount", type=float, default=1.0, help="of attributes without their own, 0 to 2 (default: 1)"
    )
    parser.add_argument(
        "--regions",
        default="brows,eyes,cheeks,mouth",
        metavar="LIST",
        help="of the expression (default: brows,eyes,cheeks,mouth)",
    )
    parser.add_argument(
        "--face",
        type=int,
        default=0,
        metavar="N",
        help="which face of the photo, counted from 1, left to right",
    )
    parser.add_argument(
        "--fit",
        action="store_true",
        help="fit a photo by iteration, some seconds, instead of reading it in one pass",
    )
    parser.add_argument("--out", required=True, metavar="FILE.json", help="the new face")
    add_landmark_model(parser)
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")


def run(args: argparse.Namespace) -> None:
    """Transfers and writes the face."""
    from ..files.face_file import write_face
    from ..pipelines.transfer_attributes import TransferRequest, transfer_attributes

    amounts = _amounts(args.attributes, args.amount)
    regions = tuple(filter(None, (word.strip() for word in args.regions.split(","))))
    face, said = transfer_attributes(
        TransferRequest(args.source, args.target, amounts, regions, args.face, args.landmark_model, args.fit),
        print_progress,
    )
    try:
        write_face(args.out, face)
    except OSError as error:
        raise UserError(
            f"{args.out}: cannot be written ({error.strerror}).", "Check the folder and the free space."
        ) from error
    made = {"out": args.out, "attributes": amounts, "regions": list(regions), "note": said}
    if args.json:
        print(json.dumps(made))
    else:
        shares = ", ".join(f"{name} {amount:.0%}" for name, amount in amounts.items())
        print(f"{args.out}: {shares} from {args.source}. {said}".strip())


def _amounts(words: str, usual: float) -> dict[str, float]:
    """Reads "expression=0.8,light" as amounts by attribute."""
    amounts = {}
    for word in filter(None, (part.strip() for part in words.split(","))):
        name, _, value = word.partition("=")
        try:
            amounts[name] = float(value) if value else usual
        except ValueError as error:
            raise UserError(
                f"--attributes {word}: not NAME or NAME=AMOUNT.", "For example expression=0.8,light."
            ) from error
    return amounts
