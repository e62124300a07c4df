"""Losses of the radiance field of heads, on an endless stream of places about surfaces and of drawn views."""

from collections import deque
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...models.head_field.deformed_field import DeformedField, code_inputs, in_units, normalised
from ...models.head_field.face_field import FaceField, lit
from ...models.head_field.ray_features import Rays, rays_of_cameras
from ...simulation.portraits.drawn_views import DrawnView, random_points, random_view

FIRST_SEED, LAST_SEED = 500_000, 690_000
"""Seeds of the first person that training sees, and after the last."""
_FAR = 0.3
"""Units beyond which a distance does not count."""
_ON_SURFACE = 0.006
_DARKEST = 1e-4


@dataclass
class PointBatch:
    """Places about heads.

    Attributes:
        codes: `code_inputs`; places: (B, N, 3) units; distance: (B, N) units; rest: (B, S, 3) units of the
            first S places; normal, colour: (B, S, 3).
    """

    codes: tuple[Tensor, Tensor]
    places: Tensor
    distance: Tensor
    rest: Tensor
    normal: Tensor
    colour: Tensor

    @classmethod
    def drawn(
        cls, numbers: np.ndarray, near: int, free: int, device: torch.device, first: int = FIRST_SEED
    ) -> "PointBatch":
        """Draws places about the people of some numbers; near the surface, and anywhere."""
        heads = [random_points(first, int(number), near, free) for number in numbers]

        def stacked(name: str) -> Tensor:
            return torch.from_numpy(np.stack([getattr(head, name) for head in heads])).to(device)

        codes = tuple(part.to(device) for part in code_inputs([head.codes for head in heads]))
        unit = in_units(torch.ones(3, device=device)) - in_units(torch.zeros(3, device=device))
        return cls(
            (codes[0], codes[1]), in_units(stacked("places")), stacked("distance") * unit[0],
            in_units(stacked("rest")), stacked("normal"), stacked("colour"),
        )  # fmt: skip


def point_losses(field: DeformedField, batch: PointBatch) -> dict[str, Tensor]:
    """Returns the errors of places on the mean head, of signed distances, of normals and colours, and `all`,
    which leaves out the colours."""
    amounts = field.amounts(*batch.codes)
    distance, places, features = field(batch.places, amounts)
    near = batch.rest.shape[1]
    place = (places[:, :near] - batch.rest).norm(dim=-1).mean()
    far = (distance.clamp(-_FAR, _FAR) - batch.distance.clamp(-_FAR, _FAR)).abs().mean()
    on = batch.distance[:, :near].abs() < _ON_SURFACE / 0.15
    normal = (1 - (normalised(features[:, :near, :3]) * batch.normal).sum(-1))[on].mean()
    colour = (torch.sigmoid(features[:, :near, 3:6]) - batch.colour).abs()[on].mean()
    total = 3 * place + 2 * far + 0.3 * normal
    return {"place": place, "distance": far, "normal": normal, "colour": colour, "all": total}


@dataclass
class ViewBatch:
    """Views and their truth; pictures are (B, n, H, W).

    Attributes:
        codes: `code_inputs`; rays: of the cameras; light: (B, 9, 3).
        lit: (B, 3) sRGB, colour: (B, 3) sRGB under even light, normal: (B, 3), mask: (B, 1); 0 beside heads.
    """

    codes: tuple[Tensor, Tensor]
    rays: Rays
    light: Tensor
    lit: Tensor
    colour: Tensor
    normal: Tensor
    mask: Tensor

    @classmethod
    def of(cls, views: list[DrawnView], side: int, device: torch.device) -> "ViewBatch":
        """Makes a batch of views, with side x side rays each."""

        def pictures(name: str) -> Tensor:
            stacked = np.stack([getattr(view, name) for view in views]).astype(np.float32)
            return torch.from_numpy(stacked).permute(0, 3, 1, 2).to(device)

        codes = tuple(part.to(device) for part in code_inputs([view.codes for view in views]))
        mask = torch.from_numpy(np.stack([view.mask for view in views])[:, None].astype(np.float32))
        light = torch.from_numpy(np.stack([view.codes.light for view in views]).astype(np.float32))
        return cls(
            (codes[0], codes[1]), rays_of_cameras([view.camera for view in views], side).to(device),
            light.to(device), srgb_of(pictures("linear")), pictures("colour"), pictures("normal"),
            mask.to(device),
        )  # fmt: skip


def srgb_of(linear: Tensor) -> Tensor:
    """Returns sRGB values of linear light, differentiable, cut to 0..1 with a slope left beyond 1."""
    low = linear.clamp_min(_DARKEST)
    bent = torch.where(low <= 0.0031308, low * 12.92, 1.055 * low ** (1 / 2.4) - 0.055)
    return torch.where(bent > 1, 1 + 0.02 * (bent - 1), bent)


def view_losses(
    network: FaceField, batch: ViewBatch, random: torch.Generator | None, half: bool
) -> dict[str, Tensor]:
    """Returns the errors of a batch of views, and `all`.

    Lit picture, its slopes from pixel to pixel, colour, normal and cover at full size; colour, normal and
    cover of the rays before the up-sampler.

    Args:
        network: the field and the up-sampler.
        batch: of views.
        random: shifts the samples on rays.
        half: whether to calculate in bfloat16 where that is enough.
    """
    with torch.autocast(batch.light.device.type, torch.bfloat16, enabled=half):
        made = network(batch.codes, batch.rays, random)
    mask = batch.mask
    total = mask.sum().clamp_min(1)
    shown = srgb_of(lit(made, batch.light, normalised(batch.rays.origin)))
    away = (shown - batch.lit) * mask
    slope = (
        (away[..., 1:, :] - away[..., :-1, :]).abs().sum() + (away[..., 1:] - away[..., :-1]).abs().sum()
    ) / (3 * total)
    colour = ((made.colour - batch.colour) * mask).abs().sum() / (3 * total)
    normal = ((1 - (made.normal * batch.normal).sum(1, keepdim=True)) * mask).sum() / total
    cover = functional.binary_cross_entropy_with_logits(made.cover, mask)
    coarse = _ray_losses(made.rays.features.float(), made.rays.cover.float(), batch)
    losses = {"lit": away.abs().sum() / (3 * total), "slope": slope, "colour": colour, "normal": normal}
    losses |= {"cover": cover, "rays": coarse}
    losses["all"] = 2 * losses["lit"] + slope + colour + 0.3 * normal + 0.5 * cover + coarse
    return losses


def _ray_losses(features: Tensor, cover: Tensor, batch: ViewBatch) -> Tensor:
    """Returns the error of what rays show, before the up-sampler, of the mean over each ray's pixels."""
    side = features.shape[-1]
    share = functional.adaptive_avg_pool2d(batch.mask, side)
    colour = functional.adaptive_avg_pool2d(batch.colour, side) / share.clamp_min(1e-3)
    normal = functional.adaptive_avg_pool2d(batch.normal, side)
    total = share.sum().clamp_min(1)
    off = ((torch.sigmoid(features[:, 3:6]) - colour).abs() * share).sum() / (3 * total)
    turned = 1 - functional.cosine_similarity(features[:, :3], normal, dim=1, eps=1e-4)[:, None]
    missed = functional.binary_cross_entropy(cover.clamp(1e-3, 1 - 1e-3), share)
    return 0.5 * off + 0.2 * (turned * share).sum() / total + 0.3 * missed


class ViewStream:
    """An endless stream of drawn views; some are new at each step, the others are those of the last steps.

    Args:
        size: pixels of a side.
        drawn: new views at each step.
        kept: views to choose from.
        done: steps before the first, of a run that goes on.
    """

    def __init__(self, size: int, drawn: int, kept: int, done: int = 0):
        self.size, self.drawn = size, drawn
        self.number = done * drawn
        self.views: deque[DrawnView] = deque(maxlen=kept)
        for _ in range(kept):
            self._draw()

    def _draw(self) -> None:
        people = (LAST_SEED - FIRST_SEED) // 2
        self.views.append(random_view(FIRST_SEED + people, self.number % people, self.size))
        self.number += 1

    def take(self, count: int, random: np.random.Generator) -> list[DrawnView]:
        """Draws the new views of a step and returns `count` of all."""
        for _ in range(self.drawn):
            self._draw()
        return [self.views[row] for row in random.choice(len(self.views), count, replace=False)]
