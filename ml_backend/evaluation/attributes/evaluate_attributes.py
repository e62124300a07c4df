"""Measures the attribute encoder on portraits of people that no training saw, with known codes.

Errors of one pass, beside the mean person, the iterative fit and the encoder before its alternating rounds;
the same on their portraits with strands, with things before the face and on few pixels (`varied`); the matrix
of transfers (`swap_matrix.py`); the paper's distances, here between true codes and read ones; L1
and SSIM of what the exact decoder makes of the codes, inside the head. `rounds` and `ablations` were
measured by the training on held-out people of its own and are stored with the weights, as each of their rows
is another network.

`shape_mm` is over the front of the neutral face after a similarity, since a picture does not tell a head's
size; `shape_in_place_mm` without it. `lpips` and a face network's cosine need `--networks`.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from ...asset_files import ASSETS
from ...datasets.coded_portraits import StoredPortrait, make_portrait_set, read_portraits
from ...datasets.map_set import HELD_OUT_SEED
from ...errors import UserError
from ...files.tensor_file import read_tensors
from ...fitting.attributes.code_figures import code_distances, code_errors, picture_errors
from ...fitting.attributes.encode_face import encode_points
from ...models.attribute_encoder import FILE, AttributeEncoder, default_encoder
from ...models.face_codes import FaceCodes
from ...pipelines.encode_photo import encode_pixels
from ...simulation.portraits.varied_portrait import VARIATIONS
from .iterative_codes import fitted_codes, mean_codes
from .real_pictures import draw_sheet, photo_figures
from .swap_matrix import scales, swap_figures

FIRST_SEED = HELD_OUT_SEED + 20_000
_TIMED = 20
_SHOWN = 7
_LEAST = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--people", type=int, default=60, help="portraits, one person each (default: 60)")
    parser.add_argument(
        "--swaps", type=int, default=60, help="people of the matrix of transfers (default: 60)"
    )
    parser.add_argument(
        "--fits", type=int, default=12, help="people that are fitted by iteration (default: 12)"
    )
    parser.add_argument(
        "--data", type=Path, default=Path("build/attribute-people"), help="folder where the portraits stay"
    )
    parser.add_argument("--photos", type=Path, metavar="DIR", help="photos, for rows on real pictures")
    parser.add_argument(
        "--networks",
        type=Path,
        metavar="DIR",
        help="holds LPIPS's AlexNet and a face network, as in `evaluate albedo`",
    )
    parser.add_argument("--sheet", type=Path, metavar="FILE.png", help="write a sheet of transfers, 7 x 4")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Measures and prints.

    Raises:
        UserError: a number of people is below 2.
    """
    if min(args.people, args.swaps, args.fits) < _LEAST:
        raise UserError(
            f"--people {args.people} --swaps {args.swaps} --fits {args.fits}: too few people.",
            "Give at least 2 for each.",
        )
    encoder = default_encoder()
    people = read_portraits(make_portrait_set(args.data, args.people, FIRST_SEED, _count))
    if args.sheet:
        draw_sheet(args.sheet, encoder, people[:_SHOWN], args.photos)
    figures = one_pass(encoder, people, args.networks)
    figures["ms"] = milliseconds(encoder, people[:_TIMED])
    figures |= swap_figures(encoder, people[: args.swaps], _tell)
    stored = training_figures()
    figures["rounds"], figures["ablations"] = stored["rounds"], stored["ablations"]
    figures["baselines"] = {
        "mean": row_of(people, [mean_codes(encoder, portrait) for portrait in people]),
        "iterative": iterative_row(encoder, people[: args.fits]),
        "before_rounds": stored["before"],
    }
    figures["varied"] = varied_rows(encoder, args.data, args.people)
    figures["n_people"] = len(people)
    if args.photos:
        figures["photos"] = photo_figures(encoder, args.photos, args.networks)
    print(
        json.dumps(figures)
        if args.json
        else "\n".join(f"{name:20s} {value}" for name, value in figures.items())
    )


def one_pass(
    encoder: AttributeEncoder, people: list[StoredPortrait], networks: Path | None
) -> dict[str, Any]:
    """Returns the errors and distances of one pass, and of the pictures that the decoder makes of the
    codes."""
    from ...training.attributes.train_attributes import decoded

    read = [encode_points(encoder, one.pixels, one.points, one.focal)[0] for one in people]
    figures: dict[str, Any] = row_of(people, read)
    perceptual = None
    if networks:
        from ..skin.photo_networks import PerceptualDistance

        perceptual = PerceptualDistance(networks)
    rows: dict[str, list[float]] = {}
    for portrait, codes in zip(people, read, strict=True):
        made, mask = decoded(codes, portrait)
        values = code_distances(codes, portrait.codes) | picture_errors(made, portrait.pixels, mask)
        if perceptual:
            values["lpips"] = perceptual(made / np.float32(255), portrait.pixels / np.float32(255))
        for name, value in values.items():
            rows.setdefault(name, []).append(value)
    figures["lpips"] = None
    return figures | {name: round(float(np.mean(values)), 4) for name, values in rows.items()}


def row_of(people: list[StoredPortrait], read: list[FaceCodes]) -> dict[str, float]:
    """Returns the mean errors of codes over people."""
    hair = scales(people)["hair"] if len(people) > 2 else 1.0
    errors = [code_errors(codes, portrait.codes, hair) for portrait, codes in zip(people, read, strict=True)]
    return {name: round(float(np.mean([row[name] for row in errors])), 4) for name in errors[0]}


def varied_rows(encoder: AttributeEncoder, folder: Path, count: int) -> dict[str, Any]:
    """Returns the errors of one pass on the same people with strands, with things before the face, and on few
    compressed pixels; `n_people` of each is those whose face was found."""
    rows: dict[str, Any] = {}
    for name, made in VARIATIONS.items():
        people = read_portraits(make_portrait_set(folder / name, count, FIRST_SEED, _count, made))
        read = [encode_points(encoder, one.pixels, one.points, one.focal)[0] for one in people]
        rows[name] = row_of(people, read) | {"n_people": len(people)}
    return rows


def iterative_row(encoder: AttributeEncoder, people: list[StoredPortrait]) -> dict[str, Any]:
    """Returns the errors of the iterative fit, its seconds, and those of one pass on the same people."""
    read, seconds, kept = [], [], []
    for number, portrait in enumerate(people):
        began = time.perf_counter()
        codes = fitted_codes(portrait)
        seconds.append(time.perf_counter() - began)
        if codes is not None:
            read.append(codes)
            kept.append(portrait)
        _tell(f"fitted {number + 1} of {len(people)}")
    own = [encode_points(encoder, one.pixels, one.points, one.focal)[0] for one in kept]
    table: dict[str, Any] = row_of(kept, read)
    table["hair_error"] = None
    table["seconds"] = round(float(np.median(seconds)), 2)
    table["n_people"] = len(kept)
    table["one_pass_on_these"] = row_of(kept, own)
    return table


def milliseconds(encoder: AttributeEncoder, people: list[StoredPortrait]) -> float:
    """Returns the median time from a picture's pixels to all codes, the detector included."""
    times = []
    for portrait in [people[0], *people]:
        encoded = encode_pixels(portrait.pixels, portrait.focal, encoder=encoder)
        if encoded is not None:
            times.append(encoded.milliseconds)
    return round(float(np.median(times[1:])), 1)


def training_figures(folder: Path = ASSETS) -> dict[str, Any]:
    """Returns what the training measured after each round and without each part: `before`, `rounds`,
    `ablations`."""
    return json.loads(read_tensors(folder / FILE)[1]["measured"])


def _count(done: int, total: int) -> None:
    _tell(f"portraits: {done} of {total}")


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)
