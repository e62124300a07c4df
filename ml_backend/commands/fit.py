"""Fits a face to photographs of one person: sliders, camera, skin colour and wrinkles.

Photos may be JPEG, PNG, TIFF, WebP, BMP or AVIF of any size, also small and bad ones; HEIC if pillow-heif is
installed. Colour profiles are converted to sRGB. How a picture was cut changes nothing; EXIF's focal length
counts where the picture is whole. Several photos of one person give one identity; expression, camera and
wrinkles are the first photo's. Use photos of people who agree to it.

A folder in place of photos is a folder of people: each photo in it is somebody else, and a folder inside it
holds the photos of one person. --out is then a folder, and --map, --mesh, --preview and --albedo are endings
(.exr), for files beside each face. Faces that are there already are left as they are.

examples:
  python -m ml_backend fit portrait.jpg --out face.json --map map.exr --mesh face.obj --preview preview.png
  python -m ml_backend fit smile.jpg calm.jpg --out face.json --neutral --albedo skin.png
  python -m ml_backend fit group.jpg --face 2 --out face.json
  python -m ml_backend fit people/ --out faces/ --map .exr --albedo .png --shard 2/8
"""

import argparse
import json
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..farm.folder_job import add_farm_arguments, check_farm_arguments, run_folder_job
from ..farm.items import Item, Outcome
from ..farm.result_paths import result_paths
from ..files.atomic_write import atomic_path
from .photo_options import add_landmark_model
from .progress_line import print_progress

PHOTO_SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".avif", ".heic", ".heif", ".jp2",
)  # fmt: skip
"""Endings of the files that are taken for photos in a folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument(
        "photos",
        nargs="+",
        metavar="PHOTO",
        help="photographs of one person, the best first (at most 16), or a folder",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE.json",
        help="the face: identity, skin, expression, camera, how sure the fit is",
    )
    parser.add_argument(
        "--map", metavar="FILE", help="the photo's displacement map: .exr (mm), .npy (mm) or .png (16 bit)"
    )
    parser.add_argument(
        "--mesh", metavar="FILE.obj", help="the detailed mesh: metres, Z up, with texture coordinates"
    )
    parser.add_argument(
        "--preview", metavar="FILE.png", help="photo, mesh over photo, detailed face, coloured face"
    )
    parser.add_argument(
        "--albedo",
        metavar="FILE.png",
        help="the skin's colour in texture space, without the photo's light (sRGB)",
    )
    pose = parser.add_mutually_exclusive_group()
    pose.add_argument(
        "--neutral", action="store_true", help="write the face at rest; the photo's expression is left out"
    )
    pose.add_argument("--keep-expression", action="store_true", help="write the photo's expression (default)")
    parser.add_argument(
        "--face",
        type=int,
        nargs="+",
        default=[],
        metavar="N",
        help="which face of each photo, counted from 1, left to right",
    )
    add_landmark_model(parser)
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    add_farm_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Fits and writes what was asked for."""
    from ..files.displacement_file import check_suffix

    if len(args.photos) == 1 and Path(args.photos[0]).is_dir():
        return _fit_folder(Path(args.photos[0]), args)
    for path, endings in (
        (args.out, (".json",)),
        (args.mesh, (".obj",)),
        (args.preview, (".png",)),
        (args.albedo, (".png",)),
    ):
        _check_target(path, endings)
    if args.map:
        check_suffix(args.map)
        _check_target(args.map, ())
    described = _fit(args, args.photos)
    print(json.dumps(described) if args.json else _sentences(described))
    return 0


def _fit(args: argparse.Namespace, photos: list[str]) -> dict:
    """Fits one person, writes the files that the options name, the face last, and returns what was found."""
    from ..files.displacement_file import write_displacement
    from ..pipelines.fit_from_image import (
        FitFromImageRequest,
        colour_described,
        fit_from_image,
        photos_described,
    )
    from .generate import write_detailed_mesh

    fitted = fit_from_image(
        FitFromImageRequest(tuple(photos), tuple(args.face), args.landmark_model), print_progress
    )
    expression = fitted.photos[0].expression * (0.0 if args.neutral else 1.0)
    detail = fitted.detail
    if args.neutral and (args.map or args.mesh or args.preview):
        from ..pipelines.generate_detail import GenerateDetailRequest, generate_detail

        detail = generate_detail(
            GenerateDetailRequest(
                fitted.identity, fitted.skin, np.zeros_like(expression), 1024, fitted.latent_offset
            )
        )
    described = {"photos": photos_described(fitted), "wrinkles_from": fitted.detail_source}
    described["skin_colour"] = colour_described(fitted.colour)
    described["hair"] = fitted.hair.described()
    if args.map:
        write_displacement(args.map, detail)
    if args.mesh:
        from ..models.bilinear_face import BilinearFace

        write_detailed_mesh(args.mesh, BilinearFace.default(), fitted.identity, expression, detail)
    if args.albedo:
        _write_picture(args.albedo, fitted.colour.albedo[::-1])
    if args.preview:
        write_preview(args.preview, fitted, detail)
    _write_face(args.out, fitted, expression, described)
    return described


def _sentences(described: dict) -> str:
    photos = [f"{photo['photo']}: {photo['sentence']} {photo['camera']}" for photo in described["photos"]]
    return "\n".join([*photos, described["skin_colour"]["sentence"], described["hair"]["sentence"]])


def _fit_folder(folder: Path, args: argparse.Namespace) -> int:
    """Fits every person below a folder.

    Raises:
        UserError: there is no photo, or an option does not fit a folder.
    """
    check_farm_arguments(args)
    if args.face:
        raise UserError(
            "--face counts the faces of single photos, not of a folder.", "Fit that photo by itself."
        )
    endings = {"map": (".exr", ".npy", ".png"), "mesh": (".obj",), "preview": (".png",), "albedo": (".png",)}
    chosen = {name: getattr(args, name) for name in endings if getattr(args, name)}
    for name, ending in chosen.items():
        if ending not in endings[name]:
            raise UserError(
                f"--{name} {ending}: for a folder of people this is an ending.",
                f"Give {' or '.join(endings[name])}.",
            )
    photos = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")
    )
    if not photos:
        raise UserError(f"{folder}: holds no photo.", f"Put {', '.join(PHOTO_SUFFIXES)} files into it.")
    people: dict[Path, list[Path]] = {}
    for photo in photos:
        people.setdefault(photo if photo.parent == folder else photo.parent, []).append(photo)
    places = [path.relative_to(folder) for path in people]
    faces = [place if place.suffix.lower() in PHOTO_SUFFIXES else Path(f"{place}.photos") for place in places]
    targets = result_paths(faces, Path(args.out), ".json")

    def work(item: Item) -> Outcome:
        beside = {
            name: str(item.target.with_suffix("" if name == "mesh" else f".{name}")) + ending
            for name, ending in chosen.items()
        }
        options = argparse.Namespace(**{**vars(args), **beside, "out": str(item.target), "run": None})
        described = _fit(options, [str(path) for path in people[Path(item.source)]])
        return Outcome(_sentences(described), facts={"out": str(item.target), **described})

    items = [Item(str(path), target) for path, target in zip(people, targets, strict=True)]
    settings = {
        "command": "fit",
        "options": {"neutral": args.neutral, "landmark_model": args.landmark_model, **chosen},
    }
    report = run_folder_job(items, work, settings, Path(args.out), args, quiet=args.json)
    if args.json:
        rows = [outcome.facts for outcome in report.outcomes.values() if not outcome.error]
        print(json.dumps(rows + [{"person": name, "error": text} for name, text in report.failed.items()]))
    return 1 if report.failed else 0


def write_preview(path: str | Path, fitted, detail: np.ndarray) -> None:
    """Writes photo, overlay, detailed clay and coloured face side by side."""
    from ..fitting.face_preview import preview_sheet
    from ..fitting.unwrap_photo import TextureDomain
    from ..models.bilinear_face import BilinearFace

    domain, first = TextureDomain.default(), fitted.photos[0]
    positions = domain.mesh.refine(BilinearFace.default().evaluate(fitted.identity, first.expression))
    sheet = preview_sheet(
        domain,
        first.photo.pixels,
        first.camera,
        positions,
        detail,
        fitted.colour.albedo,
        fitted.colour.light,
    )
    _write_picture(path, sheet)


def _write_face(path: str, fitted, expression: np.ndarray, described: dict) -> None:
    from ..files.face_file import FaceParameters, write_face
    from ..models.bilinear_face import BilinearFace

    model = BilinearFace.default().fingerprint()
    try:
        light, pose = fitted.unwrapped.light, np.array(fitted.photos[0].camera.head_angles())
        with atomic_path(path) as partial:
            write_face(partial, FaceParameters(fitted.identity, fitted.skin, expression, model, light, pose))
            content = json.loads(partial.read_text("utf-8"))
            partial.write_text(json.dumps(content | {"fit": described}, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}).", "Check the folder and the free space."
        ) from error


def _write_picture(path: str | Path, values: np.ndarray) -> None:
    """Writes uint8 as it is, linear float32 as sRGB."""
    from PIL import Image

    from ..geometry.srgb import to_srgb

    if values.dtype != np.uint8:
        values = (np.clip(to_srgb(values), 0, 1) * 255 + 0.5).astype(np.uint8)
    try:
        with atomic_path(path) as partial:
            Image.fromarray(np.ascontiguousarray(values)).save(partial, format="PNG")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be written ({error}).", "Check the folder and the free space."
        ) from error


def _check_target(path: str | None, endings: tuple[str, ...]) -> None:
    if path and endings and Path(path).suffix.lower() not in endings:
        raise UserError(f"{path}: does not end in {endings[0]}.", "Give the file that ending.")
    if path and not Path(path).resolve().parent.is_dir():
        raise UserError(f"{path}: there is no such folder.", "Make it first, or choose another.")
