"""Makes the pictures that the README shows.

make demo && python -m tools.readme_pictures          # copies the demo's pictures, small
python -m tools.readme_pictures portrait              # the first picture
python -m tools.readme_pictures people                # eight people of all ages and tones
python -m tools.readme_pictures close-up              # a cheek and an eye, cut out of 4,000 pixels
python -m tools.readme_pictures turntable             # a head from eight sides, in a strip
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image

from .cycles_render import render_fine
from .extension_session import installed_extension
from .portrait import NEUTRAL, Person, create_person, step_closer

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
BUILD = ROOT / "build" / "pictures"
WIDTHS = {"still": 480, "still_smooth": 480, "sheet": 1200}
FIRST = Person(121, 0.6, 0.6)
TURNED = Person(110, 0.05, 0.25, "joy")
PEOPLE = (
    Person(111, -0.9, 0.10),
    Person(106, -0.4, 0.85, "joy"),
    Person(104, -0.1, 0.45, "surprise"),
    Person(107, 0.2, 0.22, "contempt"),
    Person(105, 0.5, 0.95, "laugh"),
    Person(109, 0.7, 0.55, "sadness"),
    Person(103, 1.0, 0.15, "disgust"),
    Person(102, -0.7, 0.70, "joy"),
)
"""Eight people of all ages and tones, each with one expression."""
CLOSE = Person(82, 0.8, 0.25, NEUTRAL)
CLOSE_SIZE, CLOSER, PORTRAIT = 4000, 1.5, 1.12
CLOSE_PART = (0.54, 0.80, 0.44, 0.66)
"""Left, right, lower, upper end of the close-up in the picture of `CLOSE_SIZE`: an eye and its cheek."""
SIDES = 8


def copy_demo(folder: Path) -> None:
    """Copies the demo's pictures, small."""
    for name, width in WIDTHS.items():
        with Image.open(ROOT / "build" / "demo" / f"{name}.png") as picture:
            size = (width, round(picture.height * width / picture.width))
            picture.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(
                folder / f"{name}.jpg", quality=88
            )


def make_portrait(folder: Path, size: int, samples: int) -> None:
    """Renders the first picture."""
    create_person(FIRST, "REMBRANDT")
    step_closer(PORTRAIT)
    _render_jpeg(folder / "portrait.jpg", size, samples)


def make_people(folder: Path, size: int, samples: int) -> None:
    """Renders eight people, two rows of four."""
    sheet = Image.new("RGB", (4 * size, 2 * size))
    for index, person in enumerate(PEOPLE):
        create_person(person, "SOFT")
        step_closer(PORTRAIT)
        sheet.paste(_rendered(size, samples), (index % 4 * size, index // 4 * size))
    sheet.save(folder / "people.jpg", quality=90)


def make_close_up(folder: Path, size: int, samples: int) -> None:
    """Renders a cheek and an eye, cut out of a picture of so many pixels."""
    import bpy

    create_person(CLOSE, "REMBRANDT")
    scene = bpy.context.scene
    scene.camera.data.lens *= CLOSER
    picture = scene.render
    picture.use_border = picture.use_crop_to_border = True
    picture.border_min_x, picture.border_max_x, picture.border_min_y, picture.border_max_y = CLOSE_PART
    _render_jpeg(folder / "close_up.jpg", size, samples)


def make_turntable(folder: Path, size: int, samples: int) -> None:
    """Renders a head from eight sides by the turntable's camera."""
    import bpy

    create_person(TURNED, "BUTTERFLY")
    bpy.ops.d3dmm.build_studio(set_up="BUTTERFLY", turntable=SIDES)
    scene = bpy.context.scene
    strip = Image.new("RGB", (SIDES * size, size))
    for side in range(SIDES):
        scene.frame_set(scene.frame_start + side)
        strip.paste(_rendered(size, samples), (side * size, 0))
    strip.save(folder / "turntable.jpg", quality=90)


def _rendered(size: int, samples: int) -> Image.Image:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "picture.png"
        render_fine(path, size, samples)
        with Image.open(path) as picture:
            return picture.convert("RGB")


def _render_jpeg(path: Path, size: int, samples: int) -> None:
    _rendered(size, samples).save(path, quality=92)


TASKS = {
    "portrait": (make_portrait, 720),
    "people": (make_people, 320),
    "close-up": (make_close_up, CLOSE_SIZE),
    "turntable": (make_turntable, 200),
}
"""By name: the function, and pixels along a side of one picture."""


def main() -> None:
    """Parses the arguments, makes the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", nargs="?", choices=("demo", *TASKS), default="demo")
    parser.add_argument("--size", type=int, help="pixels along a side of one picture")
    parser.add_argument("--samples", type=int, default=64, help="samples of Cycles (default: 64)")
    parser.add_argument("--out", type=Path, help="folder (docs/pictures; build/pictures for the close-up)")
    args = parser.parse_args()
    folder = (args.out or (BUILD if args.picture == "close-up" else PICTURES)).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if args.picture == "demo":
        copy_demo(folder)
        return
    make, size = TASKS[args.picture]
    with installed_extension():
        make(folder, args.size or size, args.samples)


if __name__ == "__main__":
    main()
