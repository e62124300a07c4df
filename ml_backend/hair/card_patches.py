"""Cards across the hair: patches next to the skin, of stubble, and at the ends of upright hair."""

import numpy as np

from .card_atlas import Tile
from .card_groups import group_mean, group_members, group_quantiles, grouped, main_direction
from .card_layers import (
    EDGE,
    FOLLOWED,
    LEAN,
    TILE_STRANDS,
    WIDEST,
    CardPlan,
    CardStrands,
    Layer,
    representatives,
)
from .strands import unit

_BASE_HEIGHT = 0.0006
_LARGER = 1.25
"""Size of a patch beside its group: patches overlap."""


def patches(
    strands: CardStrands, plan: CardPlan, count: int, slab: tuple[float, float], tiles: int, random
) -> Layer:
    """Returns patches across the hair, with what lies in a slab of the strands' lengths.

    Args:
        strands: all.
        plan: of the part.
        count: patches at most.
        slab: first and last share of the length that is drawn.
        tiles: at most.
        random: its state moves on.
    """
    steps = strands.points.shape[1]
    places = np.linspace(slab[0], slab[1], max(3, round((slab[1] - slab[0]) * steps))) * (steps - 1)
    hats = np.maximum(1 - np.abs(places[:, None] - np.arange(steps)), 0).astype(np.float32)
    points = np.einsum("km,nmi->nki", hats, strands.points)
    outward = unit(
        np.einsum("km,nmi->nki", hats, strands.outward)[:, 0 if slab[0] == 0 else len(places) // 2]
    )
    at_skin = slab[0] == 0 and slab[1] < 1
    middle = points[:, 0] if at_skin else points.mean(1)
    group = grouped(middle, count, random)
    count = int(group.max()) + 1
    centre, front = group_mean(middle, group), unit(group_mean(outward, group))
    flow = group_mean(points[:, -1] - points[:, 0], group)
    flow = flow - front * (flow * front).sum(1, keepdims=True)
    spread = main_direction(middle, group)
    spread = spread - front * (spread * front).sum(1, keepdims=True)
    weak = np.linalg.norm(flow, axis=1, keepdims=True) < 0.3 * np.linalg.norm(
        group_mean(points[:, -1] - points[:, 0], group), axis=1, keepdims=True
    )
    along = unit(np.where(weak, spread, flow))
    side = np.cross(along, front)
    axes = np.stack([side, along, front], 1)  # [C, axis, 3]
    local = np.einsum("nai,nki->nka", axes[group], points - centre[group, None])
    wide, long, deep = (
        group_quantiles(values.ravel(), group, count, EDGE, 0.5, 1 - EDGE)
        for values in np.moveaxis(local[:, 0] if at_skin else local.mean(1), 1, 0)
    )
    half = np.stack([(row[2] - row[0]) / 2 * _LARGER for row in (wide, long)], 1).clip(0.0012, WIDEST / 2)
    offset = np.stack([(row[2] + row[0]) / 2 for row in (wide, long)], 1)
    height = np.maximum(deep[1], 0) + (_BASE_HEIGHT if at_skin else 0)
    if slab[0] > 0:
        height = deep[0] + (deep[2] - deep[0]) * random.uniform(0.1, 0.9, count)
        for axis in (side, along):
            tilt = LEAN * random.standard_normal((count, 1))
            side, along, front = (
                row * np.cos(tilt)
                + np.cross(axis, row) * np.sin(tilt)
                + axis * (axis * row).sum(1, keepdims=True) * (1 - np.cos(tilt))
                for row in (side, along, front)
            )
    origin = centre + side * offset[:, :1] + along * offset[:, 1:] + front * height[:, None]
    rims = []
    for sign in (-1, 1):
        edge = origin + sign * side * half[:, :1]
        rims.append(np.stack([edge + along * half[:, 1:] * step for step in (-1, 1)], 1))
    normals = np.repeat(front[:, None], 2, 1)
    cover = 0.0 if slab == (0.0, 1.0) else 0.7 * plan.cover if slab[0] > 0 else min(1.15 * plan.cover, 0.95)
    look = np.log(half)
    chosen, kind = representatives(look, np.bincount(group, minlength=count), tiles, random)
    drawn = []
    for card in chosen:
        near = np.flatnonzero(((middle - origin[card]) ** 2).sum(1) < 2.2 * (half[card] ** 2).sum())
        inside = np.einsum("ai,nki->nka", axes[card], points[near] - origin[card])
        lines = inside[..., :2] / half[card] / 2 + 0.5
        reach = np.linalg.norm(((lines[:, 0] if at_skin else lines.mean(1)) - 0.5) * 2, axis=1)
        kept = (reach < random.uniform(0.7, 1.05, len(near))) & (np.abs(inside[..., 2]).min(1) < 0.01)
        near = near[kept][: 4 * TILE_STRANDS]
        drawn.append(
            Tile(
                lines[kept][: len(near)],
                strands.radius[near] / half[card, 0],
                strands.chance[near],
                inside[kept][: len(near), :, 2].mean(1),
                cover,
                plan.shade,
                0.0,
                slab,
            )
        )
    return Layer(rims[0], rims[1], normals, group_members(group, FOLLOWED), kind, drawn, True)
