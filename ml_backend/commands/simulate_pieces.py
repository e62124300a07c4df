"""Simulated people in pieces, one a person, for many processes; they are joined once all are there."""

import argparse
import dataclasses
import json
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..farm.folder_job import check_farm_arguments, run_folder_job
from ..farm.items import RECORD, Item, Outcome, is_done, is_recorded
from ..files.atomic_write import atomic_path, write_text_whole
from ..files.image_writers import write_png
from ..geometry.srgb import to_srgb
from ..models.bilinear_face import BilinearFace
from ..models.skin_vector import sample_skin

_PIECES = "pieces"
_SHOWN_PEOPLE, _SHOWN_EXPRESSIONS = 12, 8


def simulate_in_pieces(args: argparse.Namespace, device: str) -> int:
    """Makes the pieces that --shard and --cluster name, and joins them if the last one is there.

    Returns:
        The exit status: 1 if a piece failed.

    Raises:
        UserError: an option cannot be read, Ray is missing, or --out cannot be written.
    """
    check_farm_arguments(args)
    relief = args.what == "relief"
    names = "what count expressions seed resolution".split()
    settings = {"command": "simulate", "options": {name: getattr(args, name) for name in names}}
    last = args.out / ("maps.npy" if relief else "people.json")
    if not args.again and is_recorded(args.out, settings) and is_done(Item("", last), args.out / RECORD):
        print(f"{last}: there already", file=sys.stderr)
        return 0
    items = [
        Item(
            f"person {args.seed + number}",
            args.out / _PIECES / f"{args.seed + number}.npy" if relief else args.out / f"{number:04}.png",
        )
        for number in range(args.count)
    ]
    expressions, resolution, first = args.expressions, args.resolution, args.seed

    def work(item: Item) -> Outcome:
        if relief:
            make_relief(int(item.target.stem), expressions, resolution, device, item.target)
        else:
            make_colour(first + int(item.target.stem), resolution, device, item.target)
        return Outcome(f"{item.source}: {item.target.name}")

    report = run_folder_job(items, work, settings, args.out, args, quiet=args.json)
    if report.failed:
        return 1
    missing = sum(not is_done(item, args.out / RECORD) for item in items)
    if missing:
        print(f"{missing} of {args.count} people are made by other jobs", file=sys.stderr)
    elif relief:
        join_relief(args, items)
    else:
        join_colours(args, device)
    if args.json:
        print(json.dumps({"people": args.count, "made": len(report.outcomes), "missing": missing}))
    return 0


@lru_cache(maxsize=1)
def _relief_simulation(resolution: int, device: str):
    from ..simulation.relief.skin_simulation import SkinSimulation

    return SkinSimulation(BilinearFace.default(), resolution, device)


@lru_cache(maxsize=1)
def _colour_simulation(resolution: int, device: str):
    from ..simulation.pigment.pigment_simulation import PigmentSimulation

    return PigmentSimulation(BilinearFace.default(), resolution, device)


def person_of(seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns identity (K,), skin (16,) and expressions (count, 52) of a person, the first neutral."""
    from ..datasets.sampled_expressions import sample_expressions

    expressions = sample_expressions(count, np.random.default_rng([seed, 0xE]))
    expressions[0] = 0
    return BilinearFace.default().sample_identity(seed), sample_skin(seed), expressions


def make_relief(seed: int, count: int, resolution: int, device: str, target: Path) -> None:
    """Writes a person's maps, (count, R, R) float16 millimetres.

    Raises:
        UserError: the file cannot be written.
    """
    import torch

    identity, skin, expressions = person_of(seed, count)
    simulation = _relief_simulation(resolution, device)
    with torch.inference_mode():
        state = simulation.prepare(torch.from_numpy(identity)[None], torch.from_numpy(skin)[None])
        made = simulation.displacement(state, torch.from_numpy(expressions)[None])[0]
    _save(target, made.cpu().numpy().astype(np.float16))


def make_colour(seed: int, resolution: int, device: str, target: Path) -> None:
    """Writes the map of a person's skin colour as sRGB.

    Raises:
        UserError: the file cannot be written.
    """
    import torch

    from ..simulation.pigment.pigment_traits import sample_traits

    with torch.inference_mode():
        linear = _colour_simulation(resolution, device).albedo([sample_traits(seed)])[0]
    encoded = to_srgb(linear.permute(1, 2, 0).cpu().numpy())
    write_png(target, np.round(encoded * 255).astype(np.uint8))


def join_relief(args: argparse.Namespace, items: list[Item]) -> None:
    """Writes maps.npy and people.npz of all pieces and removes the pieces; another process may do it too.

    Raises:
        UserError: a file cannot be written.
    """
    from ..files.relief_sheet import write_sample_sheet

    face, count = BilinearFace.default(), args.expressions
    people = [person_of(args.seed + number, count) for number in range(args.count)]
    seeds = np.arange(args.seed, args.seed + args.count)
    ages = np.array([face.age_years(identity) for identity, _, _ in people])
    columns = {
        "identity": np.repeat([identity for identity, _, _ in people], count, 0),
        "skin": np.repeat([skin for _, skin, _ in people], count, 0),
        "expression": np.concatenate([expressions for _, _, expressions in people]),
        "person": np.repeat(seeds, count),
        "age": np.repeat(ages, count),
    }
    shape = (args.count * count, args.resolution, args.resolution)
    maps = args.out / "maps.npy"
    try:
        with atomic_path(args.out / "people.npz") as partial, partial.open("wb") as file:
            np.savez(file, **columns)
        with atomic_path(maps) as partial:
            joined = np.lib.format.open_memmap(partial, "w+", np.float16, shape)
            for number, item in enumerate(items):
                joined[number * count : (number + 1) * count] = np.load(item.target)
            joined.flush()
            if args.sheet:
                people_maps = joined.reshape(args.count, count, *shape[1:])
                shown = people_maps[:_SHOWN_PEOPLE, :_SHOWN_EXPRESSIONS]
                write_sample_sheet(args.out / "sheet.png", [row.astype(np.float32) for row in shown])
            del joined
    except FileNotFoundError:
        if not maps.exists():  # else another process has joined and removed the pieces meanwhile
            raise
    except OSError as error:
        raise UserError(
            f"{args.out}: cannot be written ({error.strerror}).", "Choose another folder, or make room."
        ) from error
    for item in items:
        item.target.unlink(missing_ok=True)
    if (args.out / _PIECES).is_dir() and not any((args.out / _PIECES).iterdir()):
        (args.out / _PIECES).rmdir()
    print(f"{args.count * count} maps of {args.count} people, in {args.out}", file=sys.stderr)


def join_colours(args: argparse.Namespace, device: str) -> None:
    """Writes mask.png and people.json beside the colour maps.

    Raises:
        UserError: a file cannot be written.
    """
    from ..simulation.pigment.pigment_traits import sample_traits

    mask = _colour_simulation(args.resolution, device).mask.cpu().numpy().astype(np.uint8) * 255
    write_png(args.out / "mask.png", mask)
    seeds = range(args.seed, args.seed + args.count)
    people = [
        {"file": f"{number:04}.png", "person": seed, **dataclasses.asdict(sample_traits(seed))}
        for number, seed in enumerate(seeds)
    ]
    try:
        write_text_whole(args.out / "people.json", json.dumps(people, indent=1))
    except OSError as error:
        raise UserError(
            f"{args.out}: cannot be written ({error.strerror}).", "Choose another folder, or make room."
        ) from error
    print(f"{args.count} colour maps, in {args.out}", file=sys.stderr)


def _save(path: Path, values: np.ndarray) -> None:
    try:
        with atomic_path(path) as partial, partial.open("wb") as file:
            np.save(file, values)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}).", "Choose another folder, or make room."
        ) from error
