"""Simulates skin: displacement maps of people of all ages under sampled expressions, or maps of its colour.

Writes to the folder: maps.npy (N, R, R) float16 millimetres, row 0 at the bottom; people.npz with identity
(N, K), skin (N, 16), expression (N, 52), person (N,) seeds and age (N,) years; and, with --sheet, sheet.png,
a row of shaded reliefs per person.

With --what albedo it writes colour maps instead, the colour of a person's skin without light: 0000.png and so
on (sRGB, top row first), mask.png (where the face is) and people.json: for each its file and traits
(tone as typology angle in degrees, age, freckles, ...; docs/skin-colour.md). Tones are flat over six groups.

With --shard or --cluster people are made in pieces, and joined once all of them are there; --shard 1/1 is one
process that goes on where it was stopped.

With --sets it fills the map sets that trainings would fill on first use, one folder for each below --out; it
goes on where it was stopped.

examples:
  python -m ml_backend simulate --count 20 --seed 1 --out build/simulated --sheet
  python -m ml_backend simulate --count 200 --expressions 16 --resolution 1024 --device cuda --out maps
  python -m ml_backend simulate --what albedo --people 20 --resolution 512 --out build/colours --sheet
  python -m ml_backend simulate --count 2000 --out maps --shard 3/20           the third of twenty jobs
  python -m ml_backend simulate --sets dnpm restoration image-to-displacement --config 2core --out build/maps
"""

import argparse
import json
import sys
import time
from pathlib import Path

from ..errors import UserError
from ..farm.folder_job import add_farm_arguments
from ..files.atomic_write import make_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument(
        "--what",
        choices=("relief", "albedo"),
        default="relief",
        help="displacement or colour maps (default: relief)",
    )
    parser.add_argument(
        "--count",
        "--people",
        type=int,
        default=8,
        metavar="N",
        help="people, at least 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--expressions",
        type=int,
        default=8,
        metavar="N",
        help="displacement maps of each, at least 1, the first one neutral (default: 8)",
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
        "--sheet",
        action="store_true",
        help="also write sheet.png, at most 12 people x 8 expressions, or 24 colour maps",
    )
    parser.add_argument("--json", action="store_true", help="print what was made as JSON")
    add_farm_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Makes the maps."""
    if args.sets:
        if args.shard or args.cluster:
            raise UserError("--sets is not made in pieces.", "Leave --shard and --cluster out.")
        fill_sets(args)
        return 0
    if args.count < 1 or args.expressions < 1:
        raise UserError("--count and --expressions must be at least 1.")
    if args.seed < 0:
        raise UserError("--seed must not be negative.")
    from ..layers.device import pick_device

    device = pick_device(args.device)
    make_folder(args.out)
    if args.shard or args.cluster:
        from .simulate_pieces import simulate_in_pieces

        return simulate_in_pieces(args, str(device))
    if args.what == "albedo":
        simulate_colours(args)
        return 0
    import numpy as np
    import torch

    from ..datasets.sampled_expressions import sample_expressions
    from ..files.relief_sheet import write_sample_sheet
    from ..models.bilinear_face import BilinearFace
    from ..models.skin_vector import sample_skin
    from ..simulation.relief.skin_simulation import SkinSimulation

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
    return 0


def simulate_colours(args: argparse.Namespace) -> None:
    """Makes colour maps.

    Raises:
        UserError: a file cannot be written.
    """
    import dataclasses

    import numpy as np
    import torch

    from ..files.atomic_write import write_text_whole
    from ..files.image_writers import write_png
    from ..geometry.srgb import to_srgb
    from ..layers.device import pick_device
    from ..models.bilinear_face import BilinearFace
    from ..simulation.pigment.pigment_simulation import PigmentSimulation
    from ..simulation.pigment.pigment_traits import sample_traits

    simulation = PigmentSimulation(BilinearFace.default(), args.resolution, str(pick_device(args.device)))
    began = time.monotonic()
    people: list[dict] = []
    shown: list[np.ndarray] = []
    for number in range(args.count):
        traits = sample_traits(args.seed + number)
        with torch.inference_mode():
            linear = simulation.albedo([traits])[0].permute(1, 2, 0).cpu().numpy()
        encoded = to_srgb(linear)
        name = f"{number:04}.png"
        write_png(args.out / name, np.round(encoded * 255).astype(np.uint8))
        people.append({"file": name, "person": args.seed + number, **dataclasses.asdict(traits)})
        if args.sheet and len(shown) < 24:
            shown.append(encoded[:: args.resolution // 256, :: args.resolution // 256])
        print(f"{number + 1} of {args.count} people", file=sys.stderr)
    write_png(args.out / "mask.png", simulation.mask.cpu().numpy().astype(np.uint8) * 255)
    try:
        write_text_whole(args.out / "people.json", json.dumps(people, indent=1))
    except OSError as error:
        raise UserError(
            f"{args.out}: cannot be written ({error.strerror}).", "Choose another folder, or make room."
        ) from error
    if shown:
        columns = min(6, len(shown))
        shown += [np.zeros_like(shown[0])] * (-len(shown) % columns)
        rows = [np.concatenate(shown[at : at + columns], 1) for at in range(0, len(shown), columns)]
        write_png(args.out / "sheet.png", np.round(np.concatenate(rows[::-1]) * 255).astype(np.uint8))
    seconds = round(time.monotonic() - began, 2)
    if args.json:
        print(json.dumps({"maps": args.count, "people": args.count, "seconds": seconds}))
    else:
        print(f"{args.count} colour maps in {seconds:.1f} s, in {args.out}")


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
