"""Maps of the full model, Detailed3DMM, to distil from; made once, resumable."""

import json
import sys
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files.atomic_write import write_text_whole
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import Detailed3DMM
from ..simulation.relief.face_chart import build_chart, open_skin
from .map_set import HELD_OUT_SEED, MapSet, person
from .sampled_expressions import sample_expressions

_SAVED_EVERY = 50  # people


def face_mask(face: BilinearFace, resolution: int) -> np.ndarray:
    """(R, R) bool, the texels that show the face's skin."""
    return open_skin(face, build_chart(face), resolution)[1].numpy()


def make_teacher_maps(
    folder: Path,
    model: Detailed3DMM,
    weights: str,
    people: int,
    expressions: int,
    resolutions: tuple[int, ...],
    first_seed: int,
) -> dict[int, MapSet]:
    """Opens a set of the model's maps after generating those that it lacks.

    Maps of other weights are made anew.

    Args:
        folder: where the set lives; made if need be.
        model: the full model.
        weights: `weights_fingerprint` of the model, see `models/saved_latent.py`.
        people: how many, below HELD_OUT_SEED.
        expressions: of each, the first at rest, the others drawn as for the training of the model.
        resolutions: of the maps; each is the model's own map of that resolution.
        first_seed: of the first person.

    Returns:
        By resolution, the maps with their inputs and the face's mask.

    Raises:
        UserError: the seeds reach into those of held-out people.
    """
    face = BilinearFace.default()
    if not 0 <= first_seed <= first_seed + people <= HELD_OUT_SEED:
        raise UserError(
            f"People {first_seed} to {first_seed + people} reach into the held-out ones.",
            "Lower first_seed or people.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "weights": weights,
        "people": people,
        "expressions": expressions,
        "resolutions": list(resolutions),
        "seed": first_seed,
    }
    record, done = folder / "set.json", 0
    if record.exists():
        state = json.loads(record.read_text())
        done = state.pop("done") if {**state, "done": 0} == {**description, "done": 0} else 0
    count = people * expressions
    mode = "r+" if done else "w+"
    maps = {
        r: np.lib.format.open_memmap(folder / f"maps_{r}.npy", mode, np.float16, (count, r, r))
        for r in resolutions
    }
    identity, skin = (
        np.stack(values).astype(np.float32)
        for values in zip(*(person(face, first_seed + p) for p in range(people)), strict=True)
    )
    expression = np.stack(
        [sample_expressions(expressions, np.random.default_rng([first_seed + p, 0xD])) for p in range(people)]
    )
    expression[:, 0] = 0
    for p in range(done, people):
        given = (
            np.repeat(identity[p : p + 1], expressions, 0),
            np.repeat(skin[p : p + 1], expressions, 0),
            expression[p],
        )
        for resolution, stored in maps.items():
            stored[p * expressions : (p + 1) * expressions] = model.displacement(*given, resolution)
        if (p + 1) % _SAVED_EVERY == 0 or p + 1 == people:
            for stored in maps.values():
                stored.flush()
            write_text_whole(record, json.dumps({**description, "done": p + 1}))
            if (p + 1) % (4 * _SAVED_EVERY) == 0 or p + 1 == people:
                print(f"  {folder.name}: {p + 1} of {people} people generated", file=sys.stderr, flush=True)
    identity, skin = np.repeat(identity, expressions, 0), np.repeat(skin, expressions, 0)
    faces = expression.reshape(count, -1)
    return {
        r: MapSet(stored, identity, skin, faces, face_mask(face, r).astype(np.float32))
        for r, stored in maps.items()
    }
