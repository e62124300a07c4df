"""Reads the face of a photo in one pass: shape, expression, texture, illumination, hair, rotation,
translation.

No iteration: some 50 ms a photo. `fit` takes seconds and tells how sure it is; `encode` is for transfers,
films and many photos. Use photos of people who agree to it.

examples:
  python -m ml_backend encode photo.jpg --json
  python -m ml_backend encode photo.jpg --out face.json --picture decoded.png
"""

import argparse
import json

from ..errors import UserError
from .photo_options import add_landmark_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("photo", metavar="PHOTO")
    parser.add_argument(
        "--face", type=int, default=0, metavar="N", help="which face, counted from 1, left to right"
    )
    parser.add_argument("--out", metavar="FILE.json", help="write a face file, for `transfer` and Blender")
    parser.add_argument("--picture", metavar="FILE.png", help="write the codes drawn by the exact decoder")
    add_landmark_model(parser)
    parser.add_argument("--json", action="store_true", help="print all codes as JSON")


def run(args: argparse.Namespace) -> None:
    """Encodes and prints."""
    from ..pipelines.encode_photo import encode_photo

    encoded = encode_photo(args.photo, args.face, args.landmark_model)
    if args.out:
        _write_face(args.out, encoded.attributes())
    if args.picture:
        from ..files.image_writers import write_png
        from ..models.face_renderer import draw_face, picture_of

        write_png(args.picture, picture_of(draw_face(encoded.codes, encoded.camera)[0])[::-1])
    if args.json:
        table = {name: [round(float(v), 4) for v in code] for name, code in encoded.codes.table().items()}
        print(
            json.dumps(
                {
                    "photo": args.photo,
                    **table,
                    "focal_known": encoded.focal_known,
                    "ms": round(encoded.milliseconds, 1),
                }
            )
        )
        return
    yaw, pitch, roll = encoded.camera.head_angles()
    print(
        f"{args.photo}: yaw {yaw:.0f}, pitch {pitch:.0f}, roll {roll:.0f} degrees, "
        f"{int((encoded.codes.expression > 0.2).sum())} sliders of expression in use, "
        f"{encoded.milliseconds:.0f} ms"
    )


def _write_face(path: str, attributes) -> None:
    from ..files.face_file import FaceParameters, write_face
    from ..models.bilinear_face import BilinearFace

    face = FaceParameters(
        attributes.shape, attributes.skin, attributes.expression, BilinearFace.default().fingerprint(),
        attributes.light, attributes.pose,
    )  # fmt: skip
    try:
        write_face(path, face)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}).", "Check the folder and the free space."
        ) from error
