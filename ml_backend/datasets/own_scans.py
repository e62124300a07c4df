"""Options of training commands to learn from own scans instead of simulated skin."""

import argparse
import sys
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..models.bilinear_face import BilinearFace
from .facescape import read_facescape_maps
from .folder import read_folder
from .map_set import MapSet
from .scanned_maps import describe, make_scanned_set

LAYOUTS = {"folder": read_folder, "facescape": read_facescape_maps}


def add_scan_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares --maps and --layout."""
    parser.add_argument(
        "--maps", type=Path, metavar="DIR", help="own scans to learn from (default: simulated skin)"
    )
    parser.add_argument(
        "--layout",
        choices=tuple(LAYOUTS),
        default="folder",
        help="of --maps, see docs/training-on-own-scans.md",
    )


def open_scans(root: Path, layout: str, data: Path, settings: dict) -> dict[str, MapSet]:
    """Opens own scans as the sets of a configuration.

    Args:
        root: the scans.
        layout: a name of `LAYOUTS`.
        data: where resampled maps are kept.
        settings: the configuration; of its [sets.*] tables `people` is the most people that a set takes,
            evenly spread, and `resolution` its maps' size. Afterwards the tables, and `source`, say what was
            found, for model cards.

    Raises:
        UserError: names the file that is missing or wrong.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder.", "Name the folder of your scans with --maps.")
    face = BilinearFace.default()
    people, read = LAYOUTS[layout](root, face)
    description = describe(people, f"{root} ({layout})")
    print(description, file=sys.stderr, flush=True)
    sets = {}
    for name, table in settings["sets"].items():
        chosen = np.unique(np.linspace(0, len(people) - 1, min(table["people"], len(people))).astype(int))
        members = [people[index] for index in chosen]
        sets[name] = make_scanned_set(data / name, members, read, table["resolution"], face)
        print(
            f"maps {name}: {len(members)} people, {len(sets[name])} maps at {table['resolution']}",
            file=sys.stderr,
            flush=True,
        )
        table.update(people=len(members), expressions=round(len(sets[name]) / len(members), 1))
    settings["source"] = f"scans in the {layout} layout, not the project's simulated skin"
    return sets
