"""Gives wrinkles to heads as artists have them, and measures them.

    python -m benchmarks.other_heads --out build/other_heads
    python -m benchmarks.other_heads --heads anny_body,doubled --json

A row a head: what the operator did (or its sentence), seconds, the correlation of wrinkle energy with
compressive strain over 24 expressions by region, the share of the energy in lips, lids and ears, the slope
beside texture seams over the slope elsewhere, the widest crack between doubled vertices, the distance of the
match from the true place (median, 90th percentile), and what stays after removal and after undo. Writes
other_heads.json and, with --sheet, other_heads.png.
"""

import argparse
import importlib
import json
import sys
from contextlib import nullcontext
from pathlib import Path

from ml_backend.errors import UserError
from tools.extension_session import MODULE, installed_extension

from . import head_sources

ROOT = Path(__file__).resolve().parent.parent
_COLUMNS = ("forehead", "glabella", "crows_feet", "nasolabial", "chin", "cheeks")


def measure_heads(names: list[str], out: Path, sheet: bool, true_match: bool) -> dict[str, dict]:
    """Makes each head in an empty file and measures it.

    Args:
        names: of `head_variants.HEADS`; all where empty.
        out: an existing folder.
        sheet: render a picture of each.
        true_match: give the operator the true places.

    Returns:
        A row by name.
    """
    with installed_extension():
        import bpy

        from . import head_measures, head_pictures, head_variants  # only now: they need Blender

        unknown = [name for name in names if name not in head_variants.HEADS]
        if unknown:
            raise UserError(
                f"{', '.join(unknown)}: no such heads.", f"Known are {', '.join(head_variants.HEADS)}."
            )
        names = names or list(head_variants.HEADS)
        if not head_sources.ICT_FILE.is_file():
            left = head_variants.ICT_HEADS
            print(f"without {', '.join(left)}: {head_sources.ICT_FILE.name} is absent", file=sys.stderr)
            names = [name for name in names if name not in left]
        rows = {}

        def load(path: str):
            return importlib.import_module(f".{path}", MODULE)

        for name in names:
            bpy.ops.wm.read_homefile(use_empty=True)
            head = head_variants.HEADS[name](out)
            with head_measures.true_match(load) if true_match else nullcontext():
                row = head_measures.measure(head, load)
            if sheet and "refused" not in row:
                head_pictures.render_head(head, out / f"{name}.png")
            if "refused" not in row:
                before = row.pop("before")
                row["trace"] = head_measures.removal(head, before)
                row["undone"] = head_measures.undone(head, before)
            rows[name] = row
            print(line(name, row), flush=True)
            (out / "other_heads.json").write_text(json.dumps(rows, indent=1) + "\n")
        if sheet:
            head_pictures.write_sheet(out, [name for name in names if "refused" not in rows[name]], rows)
    return rows


def line(name: str, row: dict) -> str:
    """Returns a row of the table."""
    start = f"{name:18} {row.get('seconds', 0):5.1f} "
    if "refused" in row:
        return f"{start} {row['refused']}  {', '.join(row.get('trace', ())) or '-'}"
    match = "/".join(f"{value:.1f}" for value in row["match_mm"])
    parts = [
        start + f"{row['vertices']:7d} {row['quality']:5.0%} ",
        " ".join(f"{row['placement'][region]:6.2f}" for region in _COLUMNS),
        " ".join(f"{100 * value:5.1f}" for value in (*row["smooth"].values(), row["elsewhere"])),
        f"{row['seam']:5.2f} {row['gap_mm']:7.3f}",
        f"{match:>9} {row['found']:.2f} {row['depth_mm']:.3f}",
        f"{', '.join(row['trace']) or '-':6} {', '.join(row['undone']) or '-'}",
    ]
    return "  ".join(parts)


def heading() -> str:
    """Returns the table's first line."""
    return (
        f"{'head':18} {'s':>5} {'verts':>7} match   "
        + " ".join(f"{name[:6]:>6}" for name in _COLUMNS)
        + "    lips  lids  ears  else   seam     gap   match mm found depth  trace   undo"
    )


def main() -> int:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.other_heads",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build/other_heads", help="folder for the results")
    parser.add_argument("--heads", default="", help="names, separated by commas (default: all)")
    parser.add_argument("--sheet", action="store_true", help="also a picture of each head")
    parser.add_argument("--true-match", action="store_true", help="with the true places: the upper bound")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON instead of a table")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    print(heading(), flush=True)
    try:
        names = args.heads.split(",") if args.heads else []
        rows = measure_heads(names, args.out.resolve(), args.sheet, args.true_match)
    except UserError as error:
        print(f"error: {error.message} {error.remedy}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
