"""A picture sheet: the faces of eight people of different ages in eight expressions, detail off and on, by
Cycles.

    python -m benchmarks.detail_sheet --out build/detail_sheet
    python -m benchmarks.detail_sheet --people 2 --expressions 2
    python -m benchmarks.detail_sheet --readme              # a part of it, to docs/pictures/detail_sheet.jpg

Writes on.png, off.png, sheet.png (each tile: off, on) and, for looking closely, tiles/. A tile is kept under
a name made of everything that it shows, weights included, so that a rerun goes on where the last one ended.
"""

import argparse
import hashlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ml_backend.asset_files import ASSETS
from tools.cycles_render import render_fine
from tools.extension_session import installed_extension
from tools.portrait import Person, age_of, create_person, frame_face

ROOT = Path(__file__).resolve().parent.parent
PEOPLE = {39: 20, 52: 28, 3: 36, 7: 44, 54: 52, 61: 60, 13: 68, 83: 76}
"""Identity seed to age in years."""
TONES = (0.25, 0.7, 0.1, 0.5, 0.9, 0.3, 0.15, 0.6)
"""Skin Tone of each."""
EXPRESSIONS = ("neutral", "joy", "surprise", "anger", "disgust", "sadness", "effort", "kiss")
SHOWN_PEOPLE, SHOWN = (39, 7, 61, 83), ("joy", "surprise", "anger")
"""Of the README's picture."""
FRAMED = 3.0
"""Side of a tile, in distances of the eyes."""
MARGIN, LABEL = 64, 24
PICTURE, PICTURE_BYTES = "detail_sheet.jpg", 250_000


@dataclass(frozen=True)
class Tile:
    """One small render.

    Attributes:
        seed: of the person.
        expression: a preset's name, or neutral.
        detail: whether wrinkles are shown.
        size: pixels along a side.
        samples: of Cycles.
        weights: digest of the model files that the picture hangs on.
    """

    seed: int
    expression: str
    detail: bool
    size: int
    samples: int
    weights: str

    @property
    def name(self) -> str:
        """The file's name; it changes with everything that the tile shows."""
        facts = (
            self.seed,
            self.expression,
            self.detail,
            self.size,
            self.samples,
            "fine",
            self.weights if self.detail else "",
        )
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:10]
        return f"{self.seed}_{self.expression}_{'on' if self.detail else 'off'}_{digest}.png"


def weights_digest() -> str:
    """Tells one pair of generator and encoder from another."""
    digest = hashlib.sha256()
    for name in ("dnpm.safetensors", "detail_encoder.safetensors"):
        digest.update((ASSETS / name).read_bytes())
    return digest.hexdigest()[:12]


def show_person(seed: int, size: int):
    """Empties the scene and creates a person in the studio, of whom the camera keeps the face.

    Args:
        seed: of the person.
        size: of the tile.

    Returns:
        The face, and the pixels along a side to render with.
    """
    import bpy

    tone = TONES[list(PEOPLE).index(seed)]
    face = create_person(Person(seed, age_of(PEOPLE[seed]), tone), "REMBRANDT")
    bpy.ops.d3dmm.reset_expression()
    return face, frame_face(face, FRAMED, size)


def render_tiles(tiles: list[Tile], folder: Path) -> None:
    """Renders the tiles that the folder lacks, one person after the other."""
    import bpy

    missing = [tile for tile in tiles if not (folder / tile.name).exists()]
    began, shown, face, frame = time.monotonic(), None, None, 0
    for number, tile in enumerate(missing):
        if shown is None or shown[0] != tile.seed or face is None:
            (face, frame), shown = show_person(tile.seed, tile.size), (tile.seed, "")
        if shown[1] != tile.expression:
            face.d3dmm.show_detail = True
            if tile.expression == "neutral":
                bpy.ops.d3dmm.reset_expression()
            else:
                bpy.ops.d3dmm.set_expression_preset(preset=tile.expression)
            bpy.ops.d3dmm.update_detail()
            shown = (tile.seed, tile.expression)
        face.d3dmm.show_detail = tile.detail
        unfinished = folder / "unfinished.png"
        render_fine(unfinished, frame, tile.samples)
        unfinished.rename(folder / tile.name)
        each = (time.monotonic() - began) / (number + 1)
        print(
            f"{number + 1} of {len(missing)} tiles, "
            f"{each * (len(missing) - number - 1) / 60:.1f} minutes left",
            flush=True,
        )


def compose(
    rows: list[list[list[Path]]], row_labels: list[str], column_labels: list[str], size: int
) -> Image.Image:
    """Puts tiles into a labelled grid.

    Args:
        rows: by row and column, the pictures that stand side by side in the cell.
        row_labels, column_labels: as many as there are rows and columns.
        size: pixels along a side of one picture.
    """
    across = size * len(rows[0][0])
    sheet = Image.new("RGB", (MARGIN + across * len(column_labels), LABEL + size * len(rows)), (24, 24, 26))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    for column, label in enumerate(column_labels):
        draw.text(
            (MARGIN + across * (column + 0.5), LABEL / 2), label, fill=(225, 225, 225), font=font, anchor="mm"
        )
    for line, (cells, label) in enumerate(zip(rows, row_labels, strict=True)):
        draw.text(
            (MARGIN / 2, LABEL + size * (line + 0.5)), label, fill=(225, 225, 225), font=font, anchor="mm"
        )
        for column, pictures in enumerate(cells):
            for place, path in enumerate(pictures):
                with Image.open(path) as picture:
                    sheet.paste(
                        picture.convert("RGB"), (MARGIN + column * across + place * size, LABEL + line * size)
                    )
    return sheet


def write_small(picture: Image.Image, path: Path, most_bytes: int = PICTURE_BYTES, width: int = 1280) -> None:
    """Writes a JPEG below a size, at the best quality that fits."""
    small = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in (88, 80, 72, 64, 56, 48, 40):
        small.save(path, quality=quality, optimize=True)
        if path.stat().st_size < most_bytes:
            return


def main() -> int:
    """Parses, renders what is missing, puts the sheets together."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "build/detail_sheet",
        help="where the sheets go (default: build/detail_sheet)",
    )
    parser.add_argument(
        "--people",
        type=int,
        default=len(PEOPLE),
        help="how many of the people, spread over the ages (default: all)",
    )
    parser.add_argument(
        "--expressions", type=int, default=len(EXPRESSIONS), help="how many of the expressions (default: all)"
    )
    parser.add_argument("--size", type=int, default=256, help="pixels along a tile's side (default: 256)")
    parser.add_argument("--samples", type=int, default=16, help="Cycles samples, denoised (default: 16)")
    parser.add_argument(
        "--readme",
        action="store_true",
        help=f"the README's people and expressions alone, and docs/pictures/{PICTURE}, below "
        f"{PICTURE_BYTES // 1000} KB",
    )
    args = parser.parse_args()
    if not (
        1 <= args.people <= len(PEOPLE)
        and 1 <= args.expressions <= len(EXPRESSIONS)
        and 32 <= args.size <= 1024
        and args.samples > 0
    ):
        print(
            f"error: at most {len(PEOPLE)} people, {len(EXPRESSIONS)} expressions and 1024 pixels, "
            "at least one of each",
            file=sys.stderr,
        )
        return 2
    seeds = sorted(PEOPLE, key=lambda seed: PEOPLE[seed])
    step = (len(seeds) - 1) / max(1, args.people - 1)
    seeds = [seeds[round(step * index)] for index in range(args.people)]
    faces = EXPRESSIONS[: args.expressions]
    if args.readme:
        seeds, faces = list(SHOWN_PEOPLE), SHOWN
    folder = args.out.resolve() / "tiles"
    folder.mkdir(parents=True, exist_ok=True)
    weights = weights_digest()
    grid = [
        [
            [Tile(seed, name, detail, args.size, args.samples, weights) for detail in (False, True)]
            for name in faces
        ]
        for seed in seeds
    ]
    tiles = [tile for row in grid for cell in row for tile in cell]
    if any(not (folder / tile.name).exists() for tile in tiles):
        with installed_extension():
            render_tiles(tiles, folder)
    paths = [[[folder / tile.name for tile in cell] for cell in row] for row in grid]
    labels = [f"{PEOPLE[seed]} years" for seed in seeds], list(faces)
    for name, kept in (("off", slice(0, 1)), ("on", slice(1, 2)), ("sheet", slice(0, 2))):
        picture = compose([[cell[kept] for cell in row] for row in paths], *labels, args.size)
        picture.save(args.out / f"{name}.png")
        if name == "sheet" and args.readme:
            write_small(picture, ROOT / "docs" / "pictures" / PICTURE)
    print(args.out / "sheet.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
