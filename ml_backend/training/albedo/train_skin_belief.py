"""Learns from which signs in photographs the tone of skin can be told, on people under drawn lights.

Each person gets a face, a colour map and a few pictures (`simulation/portraits/lit_person.py`); the face is
found and fitted in the first one as in any photo, the evidence gathered as the fit does. Nobody of the
held-out people and none of the lights that `evaluate albedo` measures under is among them.

Writes to --out: skin_belief.safetensors with its card. Needs albedo.safetensors and skin_sliders.safetensors
in --weights.

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
from ...datasets.colour_set import simulated_colours
from ...errors import UserError
from ...files.model_card import SIMULATED, ModelCard, install
from ...fitting.face_fit import LandmarkModel, fit_face
from ...fitting.landmark_map import LandmarkMap
from ...fitting.landmarks import find_faces
from ...fitting.photo_camera import SeenFace
from ...fitting.skin.photo_skin import light_on_head, skin_of_photo
from ...fitting.skin.seen_skin import EVIDENCE, usual_layout
from ...fitting.skin.skin_belief import SKIN_BELIEF_FILE, SkinBelief
from ...fitting.skin.skin_prior import RESOLUTION, SkinPrior
from ...fitting.unwrap_photo import TextureDomain
from ...geometry.map_resampling import resample
from ...geometry.srgb import from_srgb
from ...models.bilinear_face import BilinearFace
from ...simulation.pigment.pigment_simulation import PigmentSimulation
from ...simulation.pigment.pigment_traits import sample_traits
from ...simulation.portraits.lights_around import drawn_light
from ...simulation.portraits.lit_person import SIZE, LitPerson

FIRST_SEED = 700_000
FEWEST = 12
_UNWRAPPED = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--out", type=Path, default=Path("build/albedo"), help="folder of the result")
    parser.add_argument(
        "--weights", type=Path, default=ASSETS, help="folder of the albedo model and its sliders"
    )
    parser.add_argument("--people", type=int, default=90, help="simulated people (default: 90)")
    parser.add_argument("--pictures", type=int, default=3, help="of each person (default: 3)")
    parser.add_argument(
        "--install", action="store_true", help="put the file and its card where the package looks for them"
    )


def run(args: argparse.Namespace) -> int:
    """Trains; returns the exit status."""
    began = time.monotonic()
    prior = SkinPrior.default(args.weights)

    def tell(done: int) -> None:
        print(f"  {done} of {args.people} people photographed", file=sys.stderr, flush=True)

    rows = gathered_evidence(prior, args.people, args.pictures, tell)
    complete = np.isfinite(rows).all(1)
    if complete.sum() < FEWEST:
        raise UserError(f"{complete.sum()} pictures show face and eyes.", "Raise --people.")
    evidence, colours, tones = rows[complete, :-4], rows[complete, -4:-1], rows[complete, -1]
    belief = SkinBelief.fit(evidence, colours, tones)
    drawn = f"--people {args.people} --pictures {args.pictures}"
    facts = {
        "command": f"python -m ml_backend train skin-belief {drawn}",
        "pictures": f"{complete.sum()} pictures of {args.people} people, {args.pictures} lights for each",
    }
    args.out.mkdir(parents=True, exist_ok=True)
    belief.write(args.out / SKIN_BELIEF_FILE, facts)
    minutes = (time.monotonic() - began) / 60
    ModelCard(
        "Belief of skin tone",
        "The joint normal distribution of what photographs show (skin, white of the eyes, shade) and "
        "the\ncolour of cheeks and forehead, by tone. Output: a distribution over typology angles.",
        source=f"{SIMULATED}. {facts['pictures']}, drawn lights, a camera's errors of exposure and white",
        command=facts["command"],
        device=f"cpu; {minutes:.0f} minutes",
        evaluation="`python -m ml_backend evaluate albedo` prints the errors of the fit.",
    ).write(args.out / SKIN_BELIEF_FILE)
    if args.install:
        install(args.out, (SKIN_BELIEF_FILE,))
    return 0


def gathered_evidence(prior: SkinPrior, people: int, pictures: int, tell=lambda done: None) -> np.ndarray:
    """Photographs people.

    Returns:
        (N, 15): evidence (11), logarithms of the true linear colour of cheeks and forehead (3), tone.
    """
    face = BilinearFace.default()
    model = LandmarkModel.of(face, LandmarkMap.default())
    simulation, usual = PigmentSimulation(face, 512), usual_layout(prior)
    domain = TextureDomain.default(_UNWRAPPED)
    rows = []
    for number in range(people):
        traits = sample_traits(FIRST_SEED + number)
        colours = simulated_colours(simulation, [traits])[0]
        person = LitPerson.of(colours, float(traits.tone < 20), FIRST_SEED + number)
        random = np.random.default_rng([FIRST_SEED, number])
        linear = from_srgb(resample(colours, RESOLUTION).clip(0, 1)).reshape(3, -1)
        truth = np.log(np.average(linear, axis=1, weights=prior.region.ravel()))
        shots = [person.photograph(drawn_light(random), index) for index in range(pictures)]
        found = next(((shot, faces[0]) for shot in shots if (faces := find_faces(shot))), None)
        if found is not None:
            fit = fit_face(model, [SeenFace(found[1].points, SIZE, SIZE, None, False)])
            view = fit.views[0]
            shape = face.evaluate(fit.identity.astype(np.float32), view.expression.astype(np.float32))
            positions = domain.mesh.refine(shape)
            reached = light_on_head(domain, positions)
            for shot in shots:
                photo = skin_of_photo(domain, shot, view.camera, positions, usual, reached=reached)
                rows.append(np.concatenate([photo.evidence.vector(), truth, [traits.tone]]))
        if (number + 1) % 10 == 0 or number + 1 == people:
            tell(number + 1)
    return np.array(rows).reshape(-1, EVIDENCE + 4)
