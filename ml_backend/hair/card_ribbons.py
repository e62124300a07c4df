"""Cards along the hair: ribbons that follow the mean course of groups of strands."""

import numpy as np

from .card_atlas import Tile
from .card_groups import group_mean, group_members, group_quantiles, grouped, main_direction
from .card_layers import (
    BENEATH,
    EDGE,
    FOLLOWED,
    LEAN,
    TILE_STRANDS,
    WIDEST,
    CardPlan,
    CardStrands,
    Layer,
    hats,
    representatives,
)
from .shaping import lengths_along
from .strands import unit

_FEW = 0.25
_UNLIKE = 2.5
"""Times the usual spread of a group: its strands run apart, as on both sides of the neck."""
_DENSER = 1.5
"""Power of the places of stations along a card."""
_RAGGED = 0.014
"""Metres over which the strands of a ribbon begin, so that it does not end in a straight line."""


def station_shares(count: int) -> np.ndarray:
    """Returns (count,): places of a card's stations as shares of its length, denser next to the skin."""
    return (np.linspace(0, 1, count) ** _DENSER).astype(np.float32)


def _station_of(share: np.ndarray, count: int) -> np.ndarray:
    """Returns shares of a card's length as numbers of its stations, with fractions."""
    return np.interp(share, station_shares(count), np.arange(count))


def smooth_courses(strands: CardStrands) -> tuple[np.ndarray, np.ndarray]:
    """Returns the smooth course (N, S + 1, 3) of each strand, and the outward directions there."""
    steps = strands.points.shape[1]
    reach = float(np.median(np.linalg.norm(strands.points[:, -1] - strands.points[:, 0], axis=1)))
    count = int(np.clip(np.ceil(reach / 0.018), 3, 11)) + 1
    sampled = hats(station_shares(count) * (steps - 1), steps)
    fit = sampled
    if steps > count:
        fit = np.linalg.pinv(hats(_station_of(np.linspace(0, 1, steps), count), count))
        fit[0] = sampled[0]
    course = np.einsum("sm,nmi->nsi", fit, strands.points).astype(np.float32)
    return course, unit(np.einsum("sm,nmi->nsi", sampled, strands.outward)).astype(np.float32)


def ribbons(strands, course, outward, plan: CardPlan, tiles: int, upright: bool, random) -> Layer:
    """Returns ribbons along groups of strands of similar course."""
    middle = course.shape[1] // 2
    rise = (np.diff(course, axis=1) * outward[:, 1:]).sum(2).cumsum(1)
    features = np.concatenate(
        [course[:, 0], 0.7 * course[:, middle], 0.7 * course[:, -1], rise[:, [middle - 1, -1]]], 1
    )
    group, kept = _alike(course, grouped(features, plan.ribbons, random))
    strands, course, outward = strands.chosen(kept), course[kept], outward[kept]
    line = group_mean(course, group)
    facing = unit(group_mean(outward, group))
    side, tangent = _frames(line, facing, main_direction(strands.points[:, 0], group))
    front = np.cross(side, tangent)

    arc = lengths_along(line)
    steps, stations = strands.points.shape[1], line.shape[1]
    place = hats(_station_of(np.linspace(0, 1, steps), stations), stations).astype(np.float32)
    at = [np.einsum("ms,csi->cmi", place, values)[group] for values in (line, side, tangent, front)]
    apart = strands.points - at[0]
    across, along, depth = ((apart * unit(axis)).sum(2) for axis in at[1:])
    along = along + (arc @ place.T)[group]
    count = len(line)
    reach = np.maximum(0.2 * arc[:, -1], plan.least)
    begin = np.maximum(group_quantiles(along.min(1), group, count, 0.1)[0], -reach)
    end = group_quantiles(along.max(1), group, count, 0.92)[0].clip(begin + 1e-4, arc[:, -1] + reach)
    share = (along - begin[group, None]) / (end - begin)[group, None]
    low, high = _rims(across, share, group, line.shape[1], plan, strands.radius)

    wanted = begin[:, None] + (end - begin)[:, None] * station_shares(stations)
    centre, sideways, front, facing = (
        _at_length(values, arc, wanted) for values in (line, side, front, facing)
    )
    sideways, front = unit(sideways), unit(front)
    left, right = (centre + sideways * rim[..., None] for rim in (low, high))
    root, root_facing = line[:, :1], facing[:, :1]
    if upright:
        lean = LEAN * random.standard_normal(count).clip(-2, 2)
        left, right, front = (_leaning(rows, root, sideways, lean) for rows in (left, right, front + root))
        front = front - root
    left, right = (_above(rim, root, root_facing) for rim in (left, right))
    lying = np.abs((front * facing).sum(2, keepdims=True))
    normals = unit(facing + lying * front)
    across_share = (across - _along(low, share, group)) / _along(high - low, share, group)
    lines = np.stack([across_share, share], 2)
    width = np.broadcast_to(2 * strands.radius[:, None] / (high - low).mean(1)[group, None], across.shape)
    look = np.log(np.stack([end - begin, (high - low).mean(1)], 1))
    chosen, kind = representatives(look, np.bincount(group, minlength=count), tiles, random)
    drawn = []
    for card in chosen:
        members = np.flatnonzero(group == card)[:TILE_STRANDS]
        drawn.append(
            Tile(
                lines[members],
                width[members, 0],
                strands.chance[members],
                depth[members].mean(1),
                plan.cover,
                plan.shade,
                float(min(_RAGGED / (end - begin)[card], 0.15)) if plan.base else 0.0,
            )
        )
    return Layer(left, right, normals, kept[group_members(group, FOLLOWED)], kind, drawn, False)


def _alike(course: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the groups without those of few strands or of strands that have little in common.

    Args:
        course: (N, S + 1, 3).
        group: (N,).

    Returns:
        (K,) int groups numbered without gaps, and (K,) int the strands in them.
    """
    apart = np.linalg.norm(course - group_mean(course, group)[group], axis=2)
    spread = group_mean(apart, group).max(1)
    sizes = np.bincount(group)
    usual = (spread <= _UNLIKE * np.median(spread) + 1e-6) & (sizes >= _FEW * np.median(sizes))
    kept = np.flatnonzero(usual[group])
    return np.unique(group[kept], return_inverse=True)[1], kept


def _leaning(points: np.ndarray, root: np.ndarray, side: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Returns points (C, S, 3) of cards turned about the direction across their roots by angles (C,)."""
    axis = unit(side.mean(1))[:, None]
    offset = points - root
    cosine, sine = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    along = axis * (offset * axis).sum(2, keepdims=True)
    return root + offset * cosine + np.cross(axis, offset) * sine + along * (1 - cosine)


def _frames(line, facing, spread) -> tuple[np.ndarray, np.ndarray]:
    """Returns (C, S + 1, 3) unit directions across and along ribbons, which face outwards.

    Ribbons that stand upright have no such direction and lie as their roots do.

    Args:
        line: (C, S + 1, 3) courses.
        facing: (C, S + 1, 3) unit, away from the head.
        spread: (C, 3) the direction in which the roots lie.
    """
    tangent = unit(np.gradient(line, axis=1))
    across = np.cross(tangent, facing)
    main = across.sum(1)
    lying = np.linalg.norm(main, axis=1, keepdims=True) / line.shape[1]
    spread = spread * np.where((spread * main).sum(1, keepdims=True) < 0, -1, 1)
    main = unit(main) * lying + spread * (0.5 - lying).clip(0, 0.5)
    across = across * np.where((across * main[:, None]).sum(2, keepdims=True) < 0, -1, 1)
    mixed = across + 0.6 * unit(main)[:, None]
    mixed = mixed - tangent * (mixed * tangent).sum(2, keepdims=True)
    return unit(mixed).astype(np.float32), tangent.astype(np.float32)


def _rims(across, share, group, stations: int, plan: CardPlan, radius) -> tuple[np.ndarray, np.ndarray]:
    """Returns (C, S + 1) offsets of the left and the right rim from each ribbon's course, metres."""
    count = int(group.max()) + 1
    bins = np.round(_station_of(share, stations)).astype(np.int64) + group[:, None] * stations
    found = group_quantiles(across.ravel(), bins.ravel(), count * stations, EDGE, 1 - EDGE)
    low, high = (_filled(row.reshape(count, stations)) for row in found)
    half = (high - low) / 2 + group_mean(radius[:, None], group)
    centre = (high + low) / 2
    half = half.clip(plan.least / 2, WIDEST / 2)
    return centre - half, centre + half


def _filled(rows: np.ndarray) -> np.ndarray:
    """Returns rows (C, S) whose gaps hold their neighbours' values, made smooth."""
    rows = rows.copy()
    for index in [*range(1, rows.shape[1]), *range(rows.shape[1] - 2, -1, -1)]:
        near = index - 1 if np.isnan(rows[:, index]).any() and index else min(index + 1, rows.shape[1] - 1)
        rows[:, index] = np.where(np.isnan(rows[:, index]), rows[:, near], rows[:, index])
    rows = np.where(np.isnan(rows), np.nan_to_num(rows[:, ::-1]), rows)
    padded = np.concatenate([rows[:, :1], rows, rows[:, -1:]], 1)
    return (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4


def _at_length(values: np.ndarray, arc: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Returns values (C, S, 3) of courses at lengths (C, K) along them; beyond their ends they go on."""
    low = np.zeros(wanted.shape, np.int64)
    for index in range(1, arc.shape[1] - 1):
        low += arc[:, index, None] <= wanted
    row = np.arange(len(arc))[:, None]
    span = np.maximum(arc[row, low + 1] - arc[row, low], 1e-6)
    share = ((wanted - arc[row, low]) / span)[..., None]
    return (values[row, low] * (1 - share) + values[row, low + 1] * share).astype(np.float32)


def _along(rims: np.ndarray, share: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Returns (N, M): values (C, S + 1) of each strand's card at its points' shares of the length."""
    place = _station_of(share, rims.shape[1])
    low = place.astype(np.int64).clip(0, rims.shape[1] - 2)
    part = place - low
    row = group[:, None]
    return rims[row, low] * (1 - part) + rims[row, low + 1] * part


def _above(points: np.ndarray, root: np.ndarray, facing: np.ndarray) -> np.ndarray:
    """Returns points (C, S, 3) raised to the skin's plane at their root, within 2 cm of it."""
    offset = points - root
    short = np.maximum(BENEATH - (offset * facing).sum(2, keepdims=True), 0)
    near = (2.5 - np.linalg.norm(offset, axis=2, keepdims=True) / 0.01).clip(0, 1)
    return points + facing * short * near
