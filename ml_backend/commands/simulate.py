"""Simulates displacement maps of wrinkling skin: people of all ages under sampled expressions.

Writes to the folder: maps.npy (N, R, R) float16 millimetres, row 0 at the bottom; people.npz with identity
(N, K), skin (N, 16), expression (N, 52), person (N,) seeds and age (N,) years; and, with --sheet, sheet.png,
a row of shaded reliefs per person.

With --sets it fills the map sets that trainings would fill on first use, one folder for each below --out; it
goes on where it was stopped.

examples:
  python -m ml_backend simulate --count 20 --seed 1 --out build/simulated --sheet
  python -m ml_backend simulate --count 200 --expressions 16 --resolution 1024 --device cuda --out maps
  python -m ml_backend simulate --sets dnpm restoration image-to-displacement --config 2core --out build/maps
"""

import argparse
import json
import sys
import time
from pathlib import Path

from ..errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument(
        "--count", type=int, default=8, metavar="N", help="people, at least 1 (default: %(default)s)"
    )
    parser.add_argument(
        "--expressions",
        type=int,
        default=8,
        metavar="N",
        help="maps of each, at least 1, the first one neutral (default: 8)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="S",
        help="the first person; the next ones count on (default: 0)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the results, made if need be"
    )
    parser.add_argument(
        "--resolution",
        type=int,
        default=512,
        choices=(256, 512, 1024),
        help="texels along each side (default: 512)",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: cpu)")
    parser.add_argument(
        "--sets",
        nargs="+",
        choices=("dnpm", "detail-encoder", "restoration", "image-to-displacement"),
        metavar="MODEL",
        help="fill the map sets of these trainings; the options above, but --device, do not count",
    )
    parser.add_argument(
        "--config",
        default="2core",
        help="with --sets: 2core, gpu, or a folder with a TOML file for each model (default: 2core)",
    )
    parser.add_argument(
        "--sheet", action="store_true", help="also write sheet.png, at most 12 people x 8 expressions"
    )
    parser.add_argument("--json", action="store_true", help="print what was made as JSON")


def run(args: argparse.Namespace) -> None:
    """Makes the maps."""
    if args.sets:
        fill_sets(args)
        return
    if args.count < 1 or args.expressions < 1:
        raise UserError("--count and --expressions must be at least 1.")
    if args.seed < 0:
        raise UserError("--seed must not be negative.")
    import numpy as np
    import torch

    from ..datasets.sampled_expressions import sample_expressions
    from ..files.relief_sheet import write_sample_sheet
    from ..layers.device import pick_device
    from ..models.bilinear_face import BilinearFace
    from ..models.skin_vector import sample_skin
    from ..simulation.relief.skin_simulation import SkinSimulation

    device = pick_device(args.device)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{args.out}: cannot be made ({error.strerror}).", "Name another folder with --out."
        ) from error
    face = BilinearFace.default()
    simulation = SkinSimulation(face, args.resolution, str(device))
    total = args.count * args.expressions
    maps = np.lib.format.open_memmap(
        args.out / "maps.npy", "w+", np.float16, (total, args.resolution, args.resolution)
    )
    columns: dict[str, list] = {"identity": [], "skin": [], "expression": [], "person": [], "age": []}
    began = time.monotonic()
    for number in range(args.count):
        seed = args.seed + number
        identity, skin = face.sample_identity(seed), sample_skin(seed)
        expressions = sample_expressions(args.expressions, np.random.default_rng([seed, 0xE]))
        expressions[0] = 0
        with torch.inference_mode():
            state = simulation.prepare(torch.from_numpy(identity)[None], torch.from_numpy(skin)[None])
            made = simulation.displacement(state, torch.from_numpy(expressions)[None])[0]
        maps[number * args.expressions : (number + 1) * args.expressions] = made.cpu().numpy()
        for name, value in (
            ("identity", identity),
            ("skin", skin),
            ("person", seed),
            ("age", face.age_years(identity)),
        ):
            columns[name] += [value] * args.expressions
        columns["expression"] += list(expressions)
        print(f"{number + 1} of {args.count} people", file=sys.stderr)
    maps.flush()
    seconds = time.monotonic() - began
    np.savez(args.out / "people.npz", **{name: np.asarray(values) for name, values in columns.items()})
    if args.sheet:
        shown = maps.reshape(args.count, args.expressions, args.resolution, args.resolution)[:12, :8]
        write_sample_sheet(args.out / "sheet.png", [row.astype(np.float32) for row in shown])
    low, high = float(maps.min()), float(maps.max())
    if args.json:
        print(
            json.dumps(
                {
                    "maps": total,
                    "people": args.count,
                    "seconds": round(seconds, 2),
                    "map_mm_min": low,
                    "map_mm_max": high,
                }
            )
        )
    else:
        print(
            f"{total} maps of {args.count} people in {seconds:.1f} s, {low:.2f} to {high:.2f} mm, in "
            f"{args.out}"
        )


def fill_sets(args: argparse.Namespace) -> None:
    """Fills the map sets of the trainings that `--sets` names.

    Raises:
        UserError: a configuration cannot be read, two give one set other contents, or --out holds others.
    """
    from ..layers.device import pick_device
    from ..training.training_run import open_maps, read_configuration

    tables: dict[str, dict] = {}
    for model in args.sets:
        for name, table in read_configuration(args.config, model)["sets"].items():
            if tables.setdefault(name, table) != table:
                raise UserError(
                    f"The configurations of {' and '.join(args.sets)} give the set {name} other contents.",
                    "Make their [sets] tables agree, or simulate into two folders.",
                )
    began = time.monotonic()
    opened = open_maps(args.out, tables, pick_device(args.device))
    made = {name: len(maps) for name, maps in opened.items()}
    seconds = round(time.monotonic() - began, 1)
    if args.json:
        print(json.dumps({"sets": made, "seconds": seconds}))
    else:
        print(f"{', '.join(f'{name}: {count} maps' for name, count in made.items())}, in {args.out}")
