"""The alternating rounds: codes of hidden faces by the decoder, then the encoder by those codes.

1. The decoder's turn (Eq. 3-7): each hidden face's codes of texture, illumination and hair are moved until
   the decoder gives the colours that the picture shows, held near the encoder's. Our decoder is exact, so it
   has no weights to move. The codes of geometry stay the encoder's: landmarks alone place them no better.
2. The encoder's turn (Eq. 8-11): code consistency with the moved codes, cycle consistency with pictures that
   the decoder made of them, and disentanglement on pictures with one code of another face. These pictures are
   rendered as ground truth and looked at by the detector. Their codes are known, and are learned like other
   known ones too: the cosines of Eq. 9-11 alone let codes shrink. Portraits with known codes stay in the
   batch.

Source: Zhang et al., "Zero-shot Real Facial Attribute Separation and Transfer at Novel Views", section 3.2.
"""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...fitting.attributes.encode_face import encode_points
from ...fitting.attributes.head_places import HeadPlaces
from ...models.attribute_encoder import AttributeEncoder, levelled_colours
from ...models.face_codes import NAMES, FaceCodes
from ...models.face_renderer import SkinColours, place_surface, surface_colours
from ..checkpoints import WeightAverage
from ..steps import TrainingRun
from .attribute_losses import CodeErrors
from .colour_stream import ColourStream
from .encoder_stages import HeadBatch, head_losses, see, sum_of
from .hidden_faces import HiddenFace, Sight, look_at, pictured, read_all, without_hair
from .variations import Variations

Known = tuple[HeadBatch, ColourStream, Variations]
_SHAKEN = 1.0
"""As in the stage before the rounds: else the steps learn to trust beginnings that training has seen."""
LOSSES = ("code", "cycle", "disentanglement")
ABLATIONS = (*LOSSES, "hair")
"""Parts of the rounds that a row of the ablations leaves out; hair: no hair code."""


@dataclass
class Round:
    """The pictures of a round.

    Attributes:
        real: the hidden faces, with the codes after the decoder's turn.
        made: pictures of these codes; `made_rows` the rows of `real` that they are of.
        swapped: pictures with one code of another face, and the codes they were made of.
    """

    real: Sight
    made: Sight
    made_rows: np.ndarray
    swapped: Sight


def decoded_codes(
    encoder: AttributeEncoder, faces: list[HiddenFace], settings: dict[str, Any]
) -> list[FaceCodes]:
    """Takes the decoder's turn.

    Args:
        encoder: in evaluation mode.
        faces: hidden ones.
        settings: `decoder_steps`, `decoder_rate`, `keep` (weight of Eq. 7).

    Returns:
        The faces' codes.
    """
    found = [encode_points(encoder, face.pixels, face.points, face.focal)[0] for face in faces]
    sight = look_at(encoder, faces, found)
    places = HeadPlaces.default()
    solid = torch.from_numpy(~places.free)
    surfaces = [place_surface(places.vertices, codes) for codes in found]
    surface = type(surfaces[0])(
        *(torch.stack([getattr(one, name) for one in surfaces]) for name in vars(surfaces[0]))
    )
    names = ("texture", "illumination", "hair")
    start = {name: torch.from_numpy(np.stack([getattr(codes, name) for codes in found])) for name in names}
    moved = {name: encoder.scaled(name, value).clone().requires_grad_(True) for name, value in start.items()}
    first = {name: value.detach().clone() for name, value in moved.items()}
    seen = sight.seen * solid
    shown, level = levelled_colours(sight.colours, seen)
    optimiser = torch.optim.Adam(moved.values(), settings["decoder_rate"])
    for _ in range(settings["decoder_steps"]):
        codes = {name: encoder.unscaled(name, value) for name, value in moved.items()}
        light = torch.exp(codes["illumination"][:, None, :3])
        light = torch.cat([light, codes["illumination"][:, 3:].view(-1, 8, 3) * light], 1)
        made = surface_colours(surface, SkinColours.default().linear(codes["texture"]), light, codes["hair"])
        own, own_level = levelled_colours(made, seen)
        pixels = ((own - shown).abs().mean(2) * seen).sum() / seen.sum() + (own_level - level).abs().mean()
        held = torch.stack([(moved[name] - first[name]).square().mean() for name in names]).sum()
        optimiser.zero_grad()
        (pixels + settings["keep"] * held).backward()
        optimiser.step()
    with torch.no_grad():
        ended = {name: encoder.unscaled(name, value).numpy() for name, value in moved.items()}
    return [
        FaceCodes.of(codes.table() | {name: values[row] for name, values in ended.items()})
        for row, codes in enumerate(found)
    ]


def prepare_round(
    encoder: AttributeEncoder,
    faces: list[HiddenFace],
    settings: dict[str, Any],
    random: np.random.Generator,
    hair: bool = True,
) -> Round:
    """Takes the decoder's turn and renders the pictures of the encoder's.

    Args:
        encoder: in evaluation mode.
        faces: hidden ones.
        settings: of `decoded_codes`, and `pictures`: how many of each kind.
        random: source of chance.
        hair: False: without the hair code.
    """
    codes = decoded_codes(encoder, faces, settings)
    if not hair:
        codes = [without_hair(one) for one in codes]
    chosen = random.permutation(len(faces))[: settings["pictures"]]
    made, swapped = [], []
    for row in chosen:
        if (face := pictured(codes[row], faces[row], int(row))) is not None:
            made.append((row, face))
        other = codes[int(random.integers(len(codes)))]
        name = NAMES[int(random.integers(len(NAMES)))]
        hybrid = codes[row].with_code(name, other)
        if (face := pictured(hybrid, faces[row], int(row))) is not None:
            swapped.append((hybrid, face))
    rows = np.array([row for row, _ in made])
    return Round(
        look_at(encoder, faces, codes),
        look_at(encoder, [face for _, face in made], [codes[row] for row in rows]),
        rows,
        look_at(encoder, [face for _, face in swapped], [hybrid for hybrid, _ in swapped]),
    )


def code_distance(found: dict[str, Tensor], aim: dict[str, Tensor]) -> Tensor:
    """Returns the mean over the codes of one less the cosine, of codes (B, n) in deviations (Eq. 9-11)."""
    parts = [1 - torch.cosine_similarity(found[name], aim[name], dim=1).mean() for name in found]
    return torch.stack(parts).mean()


def train_round(
    name: str,
    encoder: AttributeEncoder,
    pictures: Round,
    known: Known,
    errors: CodeErrors,
    settings: dict[str, Any],
    training: TrainingRun,
    without: str = "",
) -> None:
    """Takes the encoder's turn.

    Args:
        name: of the stage.
        encoder: in training.
        pictures: of the round.
        known: portraits with known codes, the stream of their colours, variations.
        errors: the measures of known codes.
        settings: `steps`, `batch`, `rate`, `decay`, `average_steps`, and the weights `code`, `cycle`,
            `disentanglement` and `drawn` (of the errors of codes on pictures that the decoder made).
        training: log and checkpoint.
        without: the part that is left out, one of `ABLATIONS`.
    """
    random = np.random.default_rng([7, *name.encode()])
    optimisers = {
        name: torch.optim.AdamW(encoder.parameters(), settings["rate"], weight_decay=settings["decay"])
    }
    average = copy.deepcopy(encoder)
    averages = [WeightAverage(encoder, average, settings["average_steps"])]
    weights = {loss: 0.0 if loss == without else settings[loss] for loss in LOSSES}
    weights["drawn"] = settings.get("drawn", 0.0)  # older configurations have none
    used = [code for code in NAMES if not (without == "hair" and code == "hair")]
    for step in training.steps(name, optimisers, averages, settings, random=[random]):
        encoder.train()
        terms: dict[str, Tensor] = {}
        drawn: list[Tensor] = []
        terms["known"] = _known_loss(encoder, known, errors, settings["batch"], random, used)
        size = settings["batch"] // 2
        if weights["code"]:
            part = pictures.real.rows(random.integers(0, len(pictures.real.points), size))
            found = read_all(encoder, part)
            terms["code"] = weights["code"] * code_distance(_only(found, used), part.codes)
        if weights["cycle"]:
            rows = random.integers(0, len(pictures.made_rows), size)
            with torch.no_grad():  # else both codes shrink towards each other
                own = read_all(encoder, pictures.real.rows(pictures.made_rows[rows]))
            part = pictures.made.rows(rows)
            found = read_all(encoder, part)
            if weights["drawn"]:
                drawn.append(_drawn_errors(encoder, _only(found, used), part, errors))
            aim = {
                code: part.codes[code] if code in ("rotation", "translation") else own[code] for code in used
            }
            terms["cycle"] = weights["cycle"] * code_distance(_only(found, used), aim)
        if weights["disentanglement"]:
            part = pictures.swapped.rows(random.integers(0, len(pictures.swapped.points), size))
            found = read_all(encoder, part)
            if weights["drawn"]:
                drawn.append(_drawn_errors(encoder, _only(found, used), part, errors))
            terms["disentanglement"] = weights["disentanglement"] * code_distance(
                _only(found, used), part.codes
            )
        if drawn:
            terms["drawn"] = weights["drawn"] * torch.stack(drawn).mean()
        loss = sum_of(terms)
        step.descend(loss, clip=1.0, loss=loss, **terms)
    encoder.load_state_dict(average.state_dict())


def _drawn_errors(
    encoder: AttributeEncoder, found: dict[str, Tensor], part: Sight, errors: CodeErrors
) -> Tensor:
    """Returns the errors of codes (B, n) in deviations on drawn pictures."""
    true = {name: encoder.unscaled(name, part.codes[name]) for name in found}
    return sum_of(errors.each(encoder, found, true))


def _only(found: dict[str, Tensor], used: list[str]) -> dict[str, Tensor]:
    return {name: found[name] for name in used}


def _known_loss(
    encoder: AttributeEncoder,
    known: Known,
    errors: CodeErrors,
    size: int,
    random: np.random.Generator,
    used: list[str],
) -> Tensor:
    """Returns the loss on portraits and colours, whose codes are known."""
    crops, stream, variations = known
    batch = crops.rows(random.integers(0, len(crops.points), size))
    points, pictures, codes = batch.varied(variations, random)
    geometry = head_losses(encoder, points, pictures, codes, errors, _SHAKEN)["all"]
    colours = stream.batch(size // 2, random).beside(stream.stored(size // 2, random))
    losses = errors.each(encoder, see(encoder, colours), colours.codes)
    return geometry + sum_of({name: value for name, value in losses.items() if name in used})
