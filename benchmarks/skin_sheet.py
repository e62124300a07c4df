"""Renders a sheet of one person in six tones and four ages, to look at the skin under a light.

    python -m benchmarks.skin_sheet --light soft --size 160 --out build/skin_sheet

A row an age, 20 to 80 years; a column a tone, the middle of each of the six groups of the typology angle.
Each picture is the face from brows to chin. Soft light is Blender's own panorama of a studio with lamps,
outdoor its forest.
"""

import argparse
import sys
from pathlib import Path

from PIL import Image

from tools.cycles_render import render
from tools.extension_session import installed_extension
from tools.portrait import Person, create_person, frame_face

ROOT = Path(__file__).resolve().parent.parent
LIGHTS = {"soft": "SOFT", "studio": "REMBRANDT", "outdoor": "OUTDOOR"}
TONES = (62.0, 48.0, 34.0, 19.0, -10.0, -45.0)
"""Degrees."""
AGES = ((-0.8, 20.0), (-0.1, 40.0), (0.5, 60.0), (1.0, 80.0))
"""The slider Age and the years of the skin."""
_EYE_DISTANCES = 2.3
"""Side of a picture, in distances of the eyes."""


def make_sheet(seed: int, set_up: str, size: int, samples: int) -> Image.Image:
    """Renders the sheet.

    Args:
        seed: of the person.
        set_up: of the studio's lights.
        size: pixels along a side of one picture.
        samples: of Cycles.
    """
    sheet = Image.new("RGB", (len(TONES) * size, len(AGES) * size))
    place = ROOT / "build" / "skin_sheet_tile.png"
    place.parent.mkdir(parents=True, exist_ok=True)
    for row, (age, years) in enumerate(AGES):
        face = create_person(Person(seed, age, 0.3), set_up)
        whole = frame_face(face, _EYE_DISTANCES, size)
        face.d3dmm.skin.age = years
        for column, tone in enumerate(TONES):
            face.d3dmm.skin.tone = tone
            render(place, whole, samples)
            with Image.open(place) as picture:
                shown = picture.convert("RGB").resize((size, size))  # Blender rounds the frame to pixels
                sheet.paste(shown, (column * size, row * size))
            print(f"{years:.0f} years, {tone:.0f} degrees", flush=True)
    place.unlink()
    return sheet


def main() -> int:
    """Parses the arguments and renders."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.skin_sheet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=1, help="of the person (default: 1)")
    parser.add_argument("--size", type=int, default=160, help="pixels along a side of a picture (160)")
    parser.add_argument("--samples", type=int, default=24, help="samples of Cycles (default: 24)")
    parser.add_argument("--light", choices=sorted(LIGHTS), default="soft", help="set-up (default: soft)")
    parser.add_argument("--out", type=Path, default=ROOT / "build/skin_sheet", help="folder")
    args = parser.parse_args()
    if args.seed < 0 or args.size < 16 or args.samples < 1:
        parser.error("--seed must be at least 0, --size 16, --samples 1")
    args.out.mkdir(parents=True, exist_ok=True)
    out = args.out.resolve()
    with installed_extension():
        sheet = make_sheet(args.seed, LIGHTS[args.light], args.size, args.samples)
    sheet.save(out / f"skin_{args.light}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
