"""Renders portraits of random people, to look at beside photographs.

    python -m benchmarks.portraits --count 6 --seed 500 --size 512 --light soft --out build/portraits

Each has the hair, the brows, the lashes, the skin and the eyes that suit seed, age and tone. Writes
portrait_000.png and so on, and portraits.json with the seed, the age, the tone (typology angle, degrees) and
the expression of each.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ml_backend.expression_presets import EXPRESSION_PRESETS
from tools.cycles_render import render_fine
from tools.extension_session import installed_extension
from tools.portrait import NEUTRAL, Person, create_person, step_closer, tone_angle

ROOT = Path(__file__).resolve().parent.parent
LIGHTS = {"soft": "SOFT", "studio": "REMBRANDT"}
_CLOSER = 1.2
LARGEST_COUNT, SIZES = 100_000, (32, 8192)


def random_people(count: int, seed: int, expression: str) -> list[Person]:
    """Returns people whose ages and tones are flat over their ranges.

    Args:
        count: how many.
        seed: of the first; the others follow, so that a longer run repeats a shorter one.
        expression: of everybody.
    """
    people = []
    for number in range(seed, seed + count):
        draw = np.random.default_rng([number, 0x907]).uniform(size=2)
        people.append(Person(number, float(2 * draw[0] - 1), float(draw[1]), expression))
    return people


def portray(people: list[Person], set_up: str, size: int, samples: int, out: Path) -> list[dict]:
    """Renders people one after the other.

    Args:
        people: who.
        set_up: of the studio's lights.
        size: pixels along a side.
        samples: of Cycles.
        out: an existing folder.

    Returns:
        What portraits.json says of each.
    """
    rows = []
    with installed_extension() as extension:
        for number, person in enumerate(people):
            began = time.perf_counter()
            face = create_person(person, set_up)
            step_closer(_CLOSER)
            made = time.perf_counter()
            render_fine(out / f"portrait_{number:03d}.png", size, samples)
            row = {
                **asdict(person),
                "skin_tone": person.tone,
                "tone": round(tone_angle(extension, face), 1),
                "light": set_up.lower(),
                "seconds": round(time.perf_counter() - began, 1),
                "render_seconds": round(time.perf_counter() - made, 1),
            }
            rows.append(row)
            print(f"{number + 1} of {len(people)}: {row['seconds']:.0f} s", flush=True)
            (out / "portraits.json").write_text(json.dumps(rows, indent=1) + "\n")
    return rows


def main() -> int:
    """Parses the arguments and renders."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.portraits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=6, help="people (default: 6)")
    parser.add_argument("--seed", type=int, default=500, help="seed of the first person (default: 500)")
    parser.add_argument("--size", type=int, default=512, help="pixels along a side (default: 512)")
    parser.add_argument("--samples", type=int, default=48, help="samples of Cycles a pixel (default: 48)")
    parser.add_argument("--light", choices=sorted(LIGHTS), default="soft", help="set-up (default: soft)")
    parser.add_argument(
        "--expression",
        choices=(NEUTRAL, *EXPRESSION_PRESETS),
        default=NEUTRAL,
        help="of everybody (default: neutral)",
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build/portraits", help="folder for the results")
    args = parser.parse_args()
    if not 1 <= args.count <= LARGEST_COUNT or args.seed < 0 or args.samples < 1:
        parser.error("--count and --samples must be at least 1, --seed at least 0")
    if not SIZES[0] <= args.size <= SIZES[1]:
        parser.error(f"--size must be {SIZES[0]} to {SIZES[1]}")
    args.out.mkdir(parents=True, exist_ok=True)
    out = args.out.resolve()
    people = random_people(args.count, args.seed, args.expression)
    portray(people, LIGHTS[args.light], args.size, args.samples, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
