"""Learns from which signs in photographs the tone of skin can be told, on people under drawn lights.

Each person gets a face, a colour map and pictures (`simulation/portraits/lit_person.py`), each in another
light; the face is found and fitted in the first one as in any photo, the evidence gathered as the fit does.
Nobody of the held-out people and none of the lights that `evaluate albedo` measures under is among them.

Writes to --out: skin_belief.safetensors with its card. Needs albedo.safetensors and skin_sliders.safetensors
in --weights. The pictures stay in --data: a run that was stopped takes those that are missing.

examples:
  python -m ml_backend train skin-belief --weights build/albedo --out build/albedo --install
  python -m ml_backend train skin-belief --people 24 --out build/belief
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from ...asset_files import ASSETS
from ...datasets.skin_photos import FIRST_SEED, SkinPhotoSpec, make_skin_photos
from ...errors import UserError
from ...files.model_card import SIMULATED, ModelCard, install
from ...fitting.skin.skin_belief import SKIN_BELIEF_FILE, SkinBelief
from ...fitting.skin.skin_evidence import EVIDENCE
from ...fitting.skin.skin_prior import SkinPrior

PEOPLE, FEWEST = 150, 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--out", type=Path, default=Path("build/albedo"), help="folder of the result")
    parser.add_argument(
        "--weights", type=Path, default=ASSETS, help="folder of the albedo model and its sliders"
    )
    parser.add_argument(
        "--data", type=Path, default=None, help="folder of the pictures (default: skin-photos in --out)"
    )
    parser.add_argument("--people", type=int, default=PEOPLE, help=f"simulated people (default: {PEOPLE})")
    parser.add_argument("--pictures", type=int, default=10, help="of each person (default: 10)")
    parser.add_argument(
        "--install", action="store_true", help="put the file and its card where the package looks for them"
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    began = time.monotonic()
    prior = SkinPrior.default(args.weights)

    def tell(done: int, people: int) -> None:
        if done % 10 == 0 or done == people:
            print(f"  {done} of {people} people photographed", file=sys.stderr, flush=True)

    spec = SkinPhotoSpec(args.people, args.pictures)
    folder = args.data or args.out / "skin-photos"
    before = sum((folder / f"{spec.first_seed + number}.npz").exists() for number in range(spec.people))
    photos = make_skin_photos(folder, spec, prior, tell)
    complete = np.isfinite(photos.evidence).all(1)
    people = len(np.unique(photos.people[complete]))
    if people < FEWEST:
        raise UserError(f"Only {people} people show face and eyes.", "Raise --people.")
    belief = SkinBelief.fit(
        photos.evidence[complete], photos.colours[complete], photos.tones[complete], photos.people[complete]
    )
    drawn = f"--people {args.people} --pictures {args.pictures}"
    facts = {
        "command": f"python -m ml_backend train skin-belief {drawn}",
        "pictures": f"{complete.sum()} pictures of {people} people (seeds from {FIRST_SEED}), "
        f"{args.pictures} lights for each",
    }
    args.out.mkdir(parents=True, exist_ok=True)
    belief.write(args.out / SKIN_BELIEF_FILE, facts)
    minutes = (time.monotonic() - began) / 60
    ModelCard(
        "Belief of skin tone",
        f"The joint normal distribution, by tone, of {EVIDENCE} signs in photographs (skin, white of the "
        "eyes, regions beside\neach other, what the skin mirrors, the light) and the colour of cheeks and "
        "forehead. Output: a distribution\nover typology angles.",
        source=f"{SIMULATED}. {facts['pictures']}, drawn lights, a camera's errors of exposure and white",
        command=facts["command"],
        device=f"cpu; {minutes:.0f} minutes; {before} of the people were photographed before, about 6 s each",
        evaluation="`python -m ml_backend evaluate albedo` prints the errors of the fit.",
    ).write(args.out / SKIN_BELIEF_FILE)
    if args.install:
        install(args.out, (SKIN_BELIEF_FILE,))
    return 0
