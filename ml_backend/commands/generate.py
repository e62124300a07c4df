"""Makes a displacement map, and the detailed mesh if asked, from identity and expression.

Maps are in millimetres along the surface normal. Expression coefficients run from 0 (neutral) to 1 (full);
values beyond are allowed. Without --identity or --identity-seed the average person is made.

examples:
  python -m ml_backend generate --identity-seed 7 --expression browInnerUp=1 browOuterUpLeft=1 --out raise.exr
  python -m ml_backend generate --identity face.json --resolution 512 --out map.npy --mesh face.obj
  python -m ml_backend generate --latent sculpt.safetensors --expression jawOpen=1 --direction age=2 --out
  older.exr
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from ..errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    add_face_arguments(parser)
    parser.add_argument(
        "--latent",
        metavar="FILE",
        help="a map that `invert` fitted; without --identity its own face is edited",
    )
    parser.add_argument(
        "--direction",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="latent directions: age (decades), tendency, thickness, pores, ...",
    )
    parser.add_argument(
        "--resolution",
        type=int,
        default=1024,
        choices=(256, 512, 1024),
        help="texels along each side (default: 1024)",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="the map: .exr (half, mm), .npy (float32, mm) or .png (16 bit, (mm + 4) / 8)",
    )
    parser.add_argument(
        "--mesh",
        metavar="FILE.obj",
        help="also write the detailed mesh: metres, Z up, with texture coordinates",
    )
    parser.add_argument(
        "--strength",
        type=float,
        default=1.0,
        help="scale of the detail on the mesh, the paper's s (default: 1)",
    )
    parser.add_argument(
        "--albedo",
        metavar="FILE.png",
        help="also write a map of the person's skin colour (sRGB, without light), who by --skin-seed or "
        "--identity-seed, the age that of the face",
    )
    parser.add_argument(
        "--tone",
        type=float,
        metavar="DEGREES",
        help="of --albedo: typology angle, 70 (very light) to -60 (default: as in Blender for the same seed)",
    )
    parser.add_argument("--json", action="store_true", help="print what was made as JSON")


def add_face_arguments(parser: argparse.ArgumentParser, with_expression: bool = True) -> None:
    """Declares who and which expression: --identity, --identity-seed, --skin-seed, --expression."""
    who = parser.add_mutually_exclusive_group()
    who.add_argument(
        "--identity",
        metavar="FILE",
        help="a face file (JSON): identity, and skin and expression where it has them",
    )
    who.add_argument(
        "--identity-seed", type=int, metavar="N", help="a random adult, the same for the same number"
    )
    parser.add_argument(
        "--skin-seed", type=int, metavar="N", help="the wrinkle seed (default: the identity seed, else 0)"
    )
    if not with_expression:
        parser.set_defaults(expression=[])
        return
    parser.add_argument(
        "--expression",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="ARKit coefficients, or one JSON file of them (default: neutral)",
    )


def run(args: argparse.Namespace) -> None:
    """Makes the map and the mesh."""
    from ..files.displacement_file import check_suffix, write_displacement
    from ..models.saved_latent import read_latent, weights_fingerprint
    from ..pipelines.generate_detail import GenerateDetailRequest, detail_model, generate_detail, offset_of

    check_suffix(args.out)
    face, identity, skin, expression = read_face_arguments(args)
    if args.albedo:
        write_albedo(args, float(face.age_years(identity)))
    offset = None
    if args.latent:
        saved = read_latent(args.latent, weights_fingerprint())
        offset = offset_of(detail_model(), saved)
        if not args.identity and args.identity_seed is None:
            identity, skin = saved.identity, saved.skin if args.skin_seed is None else skin
            expression = expression if args.expression else saved.expression
    directions = parse_numbers("--direction", args.direction)
    displacement = generate_detail(
        GenerateDetailRequest(identity, skin, expression, args.resolution, offset, directions)
    )
    write_displacement(args.out, displacement)
    made = {
        "out": args.out,
        "resolution": args.resolution,
        "map_mm_min": float(displacement.min()),
        "map_mm_max": float(displacement.max()),
    }
    if args.mesh:
        made |= {
            "mesh": args.mesh,
            "vertices": write_detailed_mesh(
                args.mesh, face, identity, expression, displacement * args.strength
            ),
        }
    if args.albedo:
        made["albedo"] = args.albedo
    print(json.dumps(made) if args.json else ", ".join(f"{key} {value}" for key, value in made.items()))


def write_albedo(args: argparse.Namespace, age: float) -> None:
    """Writes the map of skin colour that --albedo names.

    Args:
        args: --albedo, --tone, --skin-seed, --identity-seed, --resolution.
        age: years.

    Raises:
        UserError: the ending is not .png, the seed is negative, weights are missing, or the file cannot be
            written.
    """
    from ..files.image_writers import write_png
    from ..models.bilinear_face import BilinearFace
    from ..models.skin.seeded_tone import seeded_tone, tone_angle
    from ..pipelines.generate_albedo import GenerateAlbedoRequest, generate_albedo

    if Path(args.albedo).suffix.lower() != ".png":
        raise UserError(f"{args.albedo}: skin colour is written as .png.", "Give the file that ending.")
    seed = args.skin_seed if args.skin_seed is not None else args.identity_seed or 0
    if seed < 0:
        raise UserError("The seed of a skin colour must not be negative.")
    tone = args.tone
    if tone is None and args.skin_seed is None:
        face = BilinearFace.default()
        tone = tone_angle(seeded_tone(seed, face.origin_shares(face.seeded_person(seed))))
    colours = generate_albedo(GenerateAlbedoRequest(seed, args.resolution, tone, {"age": age}))
    write_png(args.albedo, np.round(colours.transpose(1, 2, 0) * 255).astype(np.uint8))


def read_face_arguments(args: argparse.Namespace) -> tuple:
    """Returns the face model, identity (K,), skin (16,) and expression (52,) of `add_face_arguments`."""
    from ..files.face_file import read_face
    from ..models.bilinear_face import BilinearFace
    from ..models.earlier_face import carry_face
    from ..models.skin_vector import sample_skin
    from ..pipelines.generate_detail import check_vector

    face = BilinearFace.default()
    identity = np.zeros(face.identity_size, np.float32)
    if args.identity_seed is not None:
        identity = face.seeded_person(args.identity_seed)
    skin = sample_skin(args.skin_seed if args.skin_seed is not None else args.identity_seed or 0)
    expression = parse_expression(args.expression)
    if args.identity:
        stored, said = carry_face(read_face(args.identity), face, str(args.identity))
        if said:
            print(said, file=sys.stderr)
        if stored.identity is not None:
            identity = check_vector("identity", stored.identity, face.identity_size)
        if stored.skin is not None and args.skin_seed is None:
            skin = stored.skin
        expression = expression if args.expression else stored.expression
    return face, identity, skin, expression


def parse_numbers(option: str, words: list[str]) -> dict[str, float]:
    """Reads `name=value` words.

    Raises:
        UserError: a word is something else.
    """
    values = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            values[name] = float(value)
        except ValueError as error:
            raise UserError(
                f"{option} {word}: not NAME=VALUE with a number.", "For example jawOpen=0.5 or age=1."
            ) from error
    return values


def parse_expression(words: list[str]) -> np.ndarray:
    """Reads `name=value` words, or the name of one JSON file, as an expression vector (52,).

    Raises:
        UserError: a word is neither.
    """
    from ..files.face_file import expression_vector, read_face

    if len(words) == 1 and "=" not in words[0]:
        return read_face(words[0]).expression
    return expression_vector(parse_numbers("--expression", words), "--expression")


def write_detailed_mesh(
    path: str, face, identity: np.ndarray, expression: np.ndarray, displacement: np.ndarray
) -> int:
    """Writes the dense face V_h = V_p + V_r (Eq. 2) as OBJ; returns its vertex count.

    Raises:
        UserError: the name does not end in .obj, or the file cannot be written.
    """
    from ..files.wavefront import write_obj
    from ..geometry.dense_face import dense_face_mesh
    from ..geometry.displacement import displace_vertices, vertex_normals

    if Path(path).suffix.lower() != ".obj":
        raise UserError(f"{path}: meshes are written as .obj.", "Give the file that ending.")
    dense = dense_face_mesh(face)
    positions = dense.refine(face.evaluate(identity, expression))
    uv = dense.vertex_uv()
    on_skin = ((uv >= 0) & (uv <= 1)).all(1).astype(np.float32)
    detailed = displace_vertices(
        positions, vertex_normals(positions, dense.polygons), uv, displacement, on_skin
    )
    try:
        write_obj(path, detailed, dense.polygons, dense.uv, dense.uv_polygons)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}).", "Check the folder and the free space."
        ) from error
    return len(detailed)
