"""The first stages of the attribute encoder: landmarks to geometry, then colours to skin, light and hair."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...datasets.coded_crops import seen_face
from ...datasets.coded_portraits import StoredPortrait
from ...layers.processes import own_share
from ...models.attribute_encoder import GEOMETRY, SIDE, AttributeEncoder, HeadStep
from ...models.head_steps.patch_refiner import OFFSET
from ...models.head_steps.seen_places import SeenPlaces
from ..checkpoints import WeightAverage
from ..steps import TrainingRun
from .attribute_losses import CodeErrors, usual_codes
from .colour_stream import ColourBatch, ColourStream
from .variations import Variations

_OFFSETS = 3.0
"""Weight of the offsets of places."""
_COVERS = (16, 60)
"""Pixels of the side of things before a face."""


@lru_cache(maxsize=1)
def _grain() -> Tensor:
    """Returns noise of a camera, of which each batch takes a part: to draw it anew takes half of a step."""
    return 0.01 * torch.randn(1_000_000, generator=torch.Generator().manual_seed(3))


@dataclass
class HeadBatch:
    """Landmarks and crops, and what the encoder's first trunk should say of them, not in deviations.

    Attributes:
        points: (N, 960); crops: (N, 192, 192, 3) uint8 sRGB.
        codes: shape, expression, rotation and translation (levelled).
    """

    points: Tensor
    crops: Tensor
    codes: dict[str, Tensor]

    @classmethod
    def of_crops(cls, table: dict[str, np.ndarray]) -> "HeadBatch":
        """Takes what `read_crops` returns."""
        codes = {name: torch.from_numpy(table[name].astype(np.float32)) for name in GEOMETRY}
        return cls(
            torch.from_numpy(table["points"].astype(np.float32)), torch.from_numpy(table["crops"]), codes
        )

    @classmethod
    def of_portraits(cls, portraits: list[StoredPortrait]) -> "HeadBatch":
        """Takes portraits as the detector saw them."""
        rows = [
            seen_face(portrait.pixels, portrait.points, portrait.codes, portrait.focal)
            for portrait in portraits
        ]
        return cls.of_crops({name: np.stack([row[name] for row in rows]) for name in rows[0]})

    def rows(self, rows: np.ndarray) -> "HeadBatch":
        """Returns some rows."""
        codes = {name: value[rows] for name, value in self.codes.items()}
        return HeadBatch(self.points[rows], self.crops[rows], codes)

    def pictures(self, random: np.random.Generator | None = None) -> Tensor:
        """Returns (N, 3, 192, 192) in 0..1, with errors of a camera and things before the face where there
        is a source of chance."""
        count = len(self.crops)
        crops = self.crops.permute(0, 3, 1, 2).float() / 255
        if random is None:
            return crops

        def normal(deviation: float, *shape: int) -> Tensor:
            return torch.from_numpy((deviation * random.standard_normal((count, *shape))).astype(np.float32))

        crops = (crops * torch.exp(normal(0.1, 3, 1, 1))).clamp(0, 1) ** torch.exp(normal(0.15, 1, 1, 1))
        for row in np.flatnonzero(random.random(count) < 0.2):
            side = int(random.integers(*_COVERS))
            top, left = random.integers(0, crops.shape[2] - _COVERS[0], 2)
            crops[row, :, top : top + side, left : left + side] = torch.rand(3, 1, 1)
        grain = _grain()
        start = int(random.integers(len(grain) - crops[0].numel()))
        return crops + grain[start : start + crops[0].numel()].view_as(crops[0])

    def varied(
        self, variations: Variations, random: np.random.Generator
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Returns points, pictures and codes, varied by chance."""
        points = variations.points(self.points, random)
        return variations.mirrored(points, self.pictures(random), self.codes, random)


def usual_points(encoder: AttributeEncoder, seen: HeadBatch) -> None:
    """Sets the means and deviations of the first trunk's inputs and outputs."""
    encoder.point_mean.copy_(seen.points.mean(0))
    encoder.point_scale.copy_(seen.points.std(0).clamp_min(0.02))
    usual_codes(encoder, seen.codes)


def train_geometry(
    encoder: AttributeEncoder,
    average: AttributeEncoder,
    crops: HeadBatch,
    held: HeadBatch,
    errors: CodeErrors,
    variations: Variations,
    settings: dict[str, Any],
    training: TrainingRun,
) -> None:
    """Trains the first trunk with its steps on portraits as the detector saw them.

    Args:
        encoder: in training; average: receives the mean of the weights.
        crops: portraits; held: portraits that are held out.
        errors: the measures; variations: of the faces.
        settings: `steps`, `minutes`, `batch`, `shaken` (see `AttributeEncoder.steps_of_head`), `rate`,
            `decay`, `average_steps`.
        training: log and checkpoint.
    """
    random = np.random.default_rng(11)
    parameters = [
        *encoder.geometry.parameters(), *encoder.look.parameters(), *encoder.steps.parameters()
    ]  # fmt: skip
    optimisers = {"geometry": torch.optim.AdamW(parameters, settings["rate"], weight_decay=settings["decay"])}
    averages = [WeightAverage(encoder, average, settings["average_steps"])]
    for step in training.steps(
        "geometry", optimisers, averages, settings, measure=lambda: geometry_figures(average, held, errors),
        random=[random],
    ):  # fmt: skip
        encoder.train()
        batch = crops.rows(own_share(random.integers(0, len(crops.points), settings["batch"])))
        points, pictures, codes = batch.varied(variations, random)
        losses = head_losses(encoder, points, pictures, codes, errors, settings["shaken"])
        loss = losses.pop("all")
        step.descend(loss, clip=1.0, loss=loss, **losses)


def head_losses(
    encoder: AttributeEncoder,
    points: Tensor,
    pictures: Tensor,
    codes: dict[str, Tensor],
    errors: CodeErrors,
    shaken: float,
) -> dict[str, Tensor]:
    """Returns the losses of the last step by code, `offsets`, and `all`: the sum with those of the other
    steps.

    Args:
        encoder: in training; points, pictures: as of `see_head`; codes: true, (B, n).
        errors: the measures; shaken: see `AttributeEncoder.steps_of_head`.
    """
    steps = encoder.steps_of_head(points, pictures, shaken)
    each = [errors.each(encoder, one.codes, codes) for one in steps]
    offsets = offset_loss(encoder, steps[1:], points, codes)
    total = _OFFSETS * offsets + torch.stack([sum_of(one) for one in each]).sum()
    return each[-1] | {"offsets": offsets, "all": total}


def offset_loss(
    encoder: AttributeEncoder, steps: list[HeadStep], points: Tensor, codes: dict[str, Tensor]
) -> Tensor:
    """Returns the error of the offsets of places that steps saw, as their codes (B, n) are."""
    if not steps:
        return torch.zeros(())
    config = encoder.config
    places = SeenPlaces.default(config.looks)
    with torch.no_grad():
        true = places.seen(codes, points[:, -config.more :]) * (2 / SIDE)
    errors = [
        functional.smooth_l1_loss(step.offsets, (true - step.places) / OFFSET)
        for step in steps
        if step.offsets is not None and step.places is not None
    ]
    return torch.stack(errors).sum()


@torch.no_grad()
def geometry_figures(encoder: AttributeEncoder, held: HeadBatch, errors: CodeErrors) -> dict[str, float]:
    """Returns errors on held-out portraits: millimetres of the front of the face after a similarity
    (and those of the mean face), expression, degrees."""
    encoder.eval()
    seen = encoder.see_head(held.points, held.pictures())
    found = {name: encoder.unscaled(name, value) for name, value in seen.items()}
    away = (found["shape"] - held.codes["shape"]) @ errors.forms
    usual = held.codes["shape"] @ errors.forms
    return {
        "shape_mm": float(away.square().sum(1).sqrt().mean()),
        "mean_mm": float(usual.square().sum(1).sqrt().mean()),
        "expression_rmse": float((found["expression"] - held.codes["expression"]).square().mean().sqrt()),
        "rotation_deg": float((found["rotation"] - held.codes["rotation"]).norm(dim=1).mean()),
    }


def usual_colours(encoder: AttributeEncoder, seen: ColourBatch) -> None:
    """Sets the means and deviations of the second trunk's inputs and outputs."""
    from ...models.attribute_encoder import levelled_colours

    values, level = levelled_colours(seen.colours, seen.seen)
    weights = seen.seen[..., None]
    total = weights.sum(0).clamp_min(1)
    mean = (values * weights).sum(0) / total
    scale = (((values - mean) * weights).square().sum(0) / total).sqrt()
    rest = seen.ground - level.mean(1, keepdim=True)
    encoder.colour_mean.copy_(torch.cat([mean.flatten(), rest.mean(0)]))
    encoder.colour_scale.copy_(torch.cat([scale.flatten(), rest.std(0)]).clamp_min(0.1))
    usual_codes(encoder, seen.codes)


def see(encoder: AttributeEncoder, batch: ColourBatch) -> dict[str, Tensor]:
    """Returns the codes in deviations that the second trunk reads in a batch."""
    return encoder.see_colours(batch.colours, batch.seen, batch.ground, batch.turn)


def train_colour(
    encoder: AttributeEncoder,
    average: AttributeEncoder,
    stream: ColourStream,
    held: ColourBatch,
    errors: CodeErrors,
    settings: dict[str, Any],
    training: TrainingRun,
) -> None:
    """Trains the second trunk on portraits in drawn skin, light and hair, and on the portraits as they are.

    Args:
        encoder: in training; average: receives the mean of the weights.
        stream: of the portraits.
        held: pictures that are held out.
        errors: the measures.
        settings: `steps`, `minutes`, `batch`, `stored` (share of the batch), `rate`, `decay`,
            `average_steps`.
        training: log and checkpoint.
    """
    random = np.random.default_rng(12)
    optimisers = {
        "colour": torch.optim.AdamW(
            encoder.colour.parameters(), settings["rate"], weight_decay=settings["decay"]
        )
    }
    averages = [WeightAverage(encoder, average, settings["average_steps"])]
    as_stored = int(settings["stored"] * settings["batch"])
    for step in training.steps(
        "colour", optimisers, averages, settings, measure=lambda: colour_figures(average, held, errors),
        random=[random],
    ):  # fmt: skip
        encoder.train()
        batch = stream.batch(settings["batch"] - as_stored, random)
        if as_stored:
            batch = batch.beside(stream.stored(as_stored, random))
        batch = batch.rows(own_share(np.arange(len(batch.seen))))
        hidden = torch.rand(len(batch.seen), 1) < 0.15
        batch.seen = batch.seen * ~(hidden & (torch.rand_like(batch.seen) < 0.3))
        losses = errors.each(encoder, see(encoder, batch), batch.codes)
        loss = sum_of(losses)
        step.descend(loss, clip=1.0, loss=loss, **losses)


@torch.no_grad()
def colour_figures(encoder: AttributeEncoder, held: ColourBatch, errors: CodeErrors) -> dict[str, float]:
    """Returns errors on held-out portraits: skin (deviation, sRGB), degrees between main directions, hair."""
    from .attribute_losses import towards

    encoder.eval()
    found = {name: encoder.unscaled(name, value) for name, value in see(encoder, held).items()}
    one, other = towards(found["illumination"]), towards(held.codes["illumination"])
    cosine = torch.cosine_similarity(one, other, dim=1).clamp(-1, 1)
    return {
        "skin": float(
            ((found["texture"] - held.codes["texture"]) @ errors.skins).square().sum(1).mean().sqrt()
        ),
        "light_deg": float(torch.rad2deg(torch.acos(cosine)).mean()),
        "hair_rmse": float(
            (encoder.scaled("hair", found["hair"]) - encoder.scaled("hair", held.codes["hair"]))
            .square()
            .mean()
            .sqrt()
        ),
    }


def sum_of(losses: dict[str, Tensor]) -> Tensor:
    """Returns the sum of losses."""
    return torch.stack(list(losses.values())).sum()
