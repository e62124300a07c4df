"""Pairs of two faces of one simulated person: landmarks as the detector sees them, and latents in W+.

The latents come from the detail encoder, so no picture has to be inverted. People, expressions and poses are
drawn; the detector's errors are those of `landmarks.safetensors`, in the sizes of `simulated_clips.py`.
Of an error that stays over a clip nothing is left in a displacement.
"""

from dataclasses import dataclass

import numpy as np

from ..expression_names import EXPRESSION_NAMES
from ..fitting.face_fit import LandmarkModel
from ..models.bilinear_face import BilinearFace
from ..models.detailed_3dmm import Detailed3DMM
from .map_set import person
from .sampled_expressions import sample_expressions
from .simulated_clips import DRIFT, EXPRESSION_ERROR, RESPONSE, TURN_ERROR, WHITE

_SOURCE_AT_REST = 0.75
"""Share of the pairs whose source is at rest, as it is in a take."""
_TURN = 14.0
"""Standard deviation of the head's turn, degrees."""
_FULL_TURN, _TURN_POWER = 40.0, 1.3
_AT_ONCE = 512


@dataclass(frozen=True)
class ReenactmentPairs:
    """Pairs of source and driving face.

    Attributes:
        displacement: (N, 2 L) float32 of the landmarks from source to driving face, without errors of the
            detector but for what it does not see of jaw, lids and gaze; inter-ocular distances.
        source: (N, S W) float32 latents of the sources less the mean latent.
        latents: (N, S W) float32 displacement of the latents.
        amount: (N,) float32, length of the driving expression.
    """

    displacement: np.ndarray
    source: np.ndarray
    latents: np.ndarray
    amount: np.ndarray


def frontal(places: np.ndarray, unit: float) -> np.ndarray:
    """Returns landmarks (..., L, 3) of the head's axes from the front, (..., L, 2), right and up.

    Args:
        places: metres.
        unit: metres between the eyes.
    """
    return places[..., [0, 2]] / unit


def draw_pairs(
    model: LandmarkModel, face: BilinearFace, detail: Detailed3DMM, people: int, each: int, first: int
) -> ReenactmentPairs:
    """Draws pairs of people.

    Args:
        model: the face model at the landmarks.
        face: the same whole.
        detail: whose encoder gives the latents.
        people: number of people.
        each: pairs of each.
        first: seed of the first person.
    """
    random = np.random.default_rng([first, people, each])
    displacement, identities, skins, pairs = [], [], [], []
    for seed in range(first, first + people):
        identity, skin = person(face, seed)
        driving = sample_expressions(each, random)
        source = sample_expressions(each, random)
        source[random.random(each) < _SOURCE_AT_REST] = 0
        place, _, by_expression = model.points(identity.astype(np.float64), np.zeros(driving.shape[1]))
        unit = float(np.linalg.norm(place[[33, 133]].mean(0) - place[[362, 263]].mean(0)))
        moved = (driving - source) * _seen_share(each, random)
        shapes = frontal(np.asarray(by_expression), unit).reshape(driving.shape[1], -1)
        displacement.append((moved @ shapes).astype(np.float32))
        identities.append(np.repeat(identity[None], each, 0))
        skins.append(np.repeat(skin[None], each, 0))
        pairs.append((source, driving))
    identity, skin = np.concatenate(identities), np.concatenate(skins)
    source, driving = (np.concatenate([pair[index] for pair in pairs]) for index in (0, 1))
    mean = detail.generator.mean_latent.cpu().numpy()
    latents = []
    for start in range(0, len(source), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        both = [detail.latent(identity[part], skin[part], faces[part]) for faces in (source, driving)]
        own, other = (latent.cpu().numpy() for latent in both)
        latents.append(
            ((own - mean).reshape(len(own), -1).astype(np.float16), (other - own).reshape(len(own), -1))
        )
    return ReenactmentPairs(
        np.concatenate(displacement),
        np.concatenate([pair[0] for pair in latents]),
        np.concatenate([pair[1] for pair in latents]),
        np.linalg.norm(driving, axis=1),
    )


def _seen_share(count: int, random: np.random.Generator) -> np.ndarray:
    """Returns (N, 52), the share of each channel that the detector sees."""
    seen = np.ones((count, len(EXPRESSION_NAMES)))
    for start, limits in RESPONSE.items():
        columns = [index for index, name in enumerate(EXPRESSION_NAMES) if name.startswith(start)]
        seen[:, columns] = random.uniform(*limits, (count, 1))
    return seen


def displacement_errors(model: LandmarkModel, amount: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draws what the detector adds to displacements, (N, 2 L) float32 in inter-ocular distances.

    Args:
        model: with the detector's errors.
        amount: (N,) lengths of the driving expressions.
        random: source of chance.
    """
    errors = model.map
    count, width = len(amount), len(errors.mean)
    usual = np.sqrt((errors.own**2).mean())
    common = random.standard_normal((count, errors.factors.shape[1])) @ errors.factors.T
    shape = (common + errors.own * random.standard_normal((count, width))) / usual
    turn = (np.abs(random.normal(0, _TURN, count)) / _FULL_TURN) ** _TURN_POWER
    size = np.sqrt((TURN_ERROR * turn) ** 2 + (EXPRESSION_ERROR * amount) ** 2 + DRIFT**2)
    found = size[:, None] * shape + WHITE * random.standard_normal((count, width))
    found[:, 1::2] *= -1  # pictures count downwards
    return found.astype(np.float32)
