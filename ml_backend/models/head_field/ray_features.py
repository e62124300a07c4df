"""Rays of a camera through a head's field, and the features that volume rendering gives each.

Some samples find where a ray meets the surface; others lie about that place and are integrated. The opacity
between two samples comes from their signed distances.

Sources: Zhang et al., "Zero-shot Real Facial Attribute Separation and Transfer at Novel Views", Eq. 2; Wang
et al. 2021, "NeuS", Eq. 13 (opacity of signed distances).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...geometry.camera_view import Camera
from .deformed_field import CENTRE, UNIT, DeformedField, HeadAmounts

_HALF = (0.16, 0.16, 0.20)
"""Half of the box that holds every head, metres."""
_MISSES = 0.06
"""Metres about its nearest place to the head that a ray is looked along if it misses the box."""
_ABOUT = 0.013
"""Metres before and behind the surface where the fine samples lie."""
_LEAST_SHARE = 1e-3


@dataclass
class Rays:
    """Rays of a batch of cameras, head's axes.

    Attributes:
        origin: (B, 3) units; direction: (B, N, 3) unit length; reach: (B, N, 2) first and last place, units.
    """

    origin: Tensor
    direction: Tensor
    reach: Tensor

    def to(self, device: torch.device) -> "Rays":
        """Returns them on a device."""
        return Rays(self.origin.to(device), self.direction.to(device), self.reach.to(device))


def rays_of_cameras(cameras: list[Camera], side: int) -> Rays:
    """Returns rays through the centres of side x side blocks of square pictures, row by row from the top."""
    origins, directions, reaches = [], [], []
    half = np.array(_HALF)
    for camera in cameras:
        step = camera.width / side
        grid = (np.arange(side) + 0.5) * step
        column, row = np.meshgrid(grid, grid)
        across, down = camera.principal_point
        seen = np.stack(
            [(column - across) / camera.focal, (row - down) / camera.focal, np.ones_like(column)], -1
        )
        towards = seen.reshape(-1, 3) @ camera.rotation
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        start = camera.position - np.array(CENTRE)
        slope = np.where(np.abs(towards) < 1e-9, 1e-9, towards)
        one, other = (-half - start) / slope, (half - start) / slope
        first, last = np.minimum(one, other).max(1), np.maximum(one, other).min(1)
        nearest = -(towards @ start)
        missed = last <= first + 1e-3
        first, last = (
            np.where(missed, nearest - _MISSES, first),
            np.where(missed, nearest + _MISSES, last),
        )
        origins.append(start / UNIT)
        directions.append(towards)
        reaches.append(np.stack([first, last], 1) / UNIT)
    values = (np.stack(part).astype(np.float32) for part in (origins, directions, reaches))
    return Rays(*(torch.from_numpy(value) for value in values))


@dataclass
class RayFeatures:
    """Features of the rays, as pictures (B, n, side, side).

    Attributes:
        features: normal, colour before its squash, and others.
        places: on the mean head, units.
        cover: (B, 1, side, side) 0..1, the share of each ray that the head stops.
    """

    features: Tensor
    places: Tensor
    cover: Tensor


def first_crossings(
    field: DeformedField, amounts: HeadAmounts, rays: Rays, count: int, shift: float
) -> Tensor:
    """Returns (B, N), units along the rays, where they first enter the head, or are nearest to it.

    Args:
        field, amounts: of the heads.
        rays: (B, N).
        count: samples on each.
        shift: of all samples, in steps, 0..1.
    """
    batch, rows = rays.direction.shape[:2]
    share = (torch.arange(count, device=rays.reach.device) + shift) / count
    depth = rays.reach[..., :1] + (rays.reach[..., 1:] - rays.reach[..., :1]) * share  # (B, N, S)
    points = rays.origin[:, None, None] + rays.direction[:, :, None] * depth[..., None]
    distance = field.signed_distance(points.flatten(1, 2), amounts).view(batch, rows, count)
    enters = (distance[..., :-1] > 0) & (distance[..., 1:] <= 0)
    found, index = enters.to(torch.uint8).max(-1)
    before, after = (distance.gather(-1, (index + k)[..., None])[..., 0] for k in (0, 1))
    one, other = (depth.gather(-1, (index + k)[..., None])[..., 0] for k in (0, 1))
    crossing = one + (other - one) * (before / (before - after).clamp_min(1e-6)).clamp(0, 1)
    nearest = depth.gather(-1, distance.argmin(-1, keepdim=True))[..., 0]
    return torch.where(found > 0, crossing, nearest)


def features_of_rays(
    field: DeformedField,
    amounts: HeadAmounts,
    rays: Rays,
    sharpness: Tensor,
    random: torch.Generator | None = None,
) -> RayFeatures:
    """Renders features.

    Args:
        field, amounts: of the heads.
        rays: (B, N) of square pictures.
        sharpness: (), of the surface, one over units.
        random: shifts the samples in training; None for none.

    Returns:
        Pictures of side sqrt(N).
    """
    config = field.config
    batch, rows = rays.direction.shape[:2]
    shift = 0.5 if random is None else float(torch.rand((), generator=random))
    with torch.no_grad():
        surface = first_crossings(field, amounts, rays, config.coarse, shift)
    offsets = torch.linspace(-1, 1, config.fine, device=rays.reach.device)
    if random is not None:
        offsets = offsets + (float(torch.rand((), generator=random)) - 0.5) * (1.5 / config.fine)
    depth = surface[..., None] + offsets * (_ABOUT / UNIT)  # (B, N, S)
    points = rays.origin[:, None, None] + rays.direction[:, :, None] * depth[..., None]
    distance, places, features = field(points.flatten(1, 2), amounts)
    inside = torch.sigmoid(distance.view(batch, rows, -1) * sharpness)
    opacity = ((inside[..., :-1] - inside[..., 1:]) / inside[..., :-1].clamp_min(1e-4)).clamp(0, 1)
    passed = torch.cumprod(1 - opacity + 1e-6, -1)
    passed = torch.cat([torch.ones_like(passed[..., :1]), passed[..., :-1]], -1)
    weights = passed * opacity  # (B, N, S - 1)
    cover = weights.sum(-1)
    shares = (weights + _LEAST_SHARE) / (weights + _LEAST_SHARE).sum(-1, keepdim=True)
    shares = 0.5 * (
        torch.nn.functional.pad(shares, (0, 1)) + torch.nn.functional.pad(shares, (1, 0))
    )  # between two samples: half of each

    def picture(values: Tensor) -> Tensor:
        mixed = torch.einsum("bns,bnsc->bcn", shares, values.view(batch, rows, shares.shape[-1], -1))
        return mixed.reshape(batch, -1, config.rays, config.rays)

    return RayFeatures(picture(features), picture(places), cover.view(batch, 1, config.rays, config.rays))
