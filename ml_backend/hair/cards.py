"""Hair as cards for game engines: strands become ribbons and patches that share an atlas of drawn tiles.

A ribbon follows the mean course of a group of strands and is as wide as the group. A patch lies across the
hair: the dense layer next to the skin, stubble, and the ends of hair that stands upright.
"""

from dataclasses import dataclass

import numpy as np

from .card_atlas import Tile, cell_corners, cells_of
from .card_groups import (
    group_mean,
    group_members,
    group_quantiles,
    grouped,
    main_direction,
)
from .head import HairHead, axis_point
from .shaping import lengths_along, nearest
from .strands import skin_frames, unit

FOLLOWED = 8
"""Strands of a card whose mean motion moves it."""
_MOST_STRANDS = 36_000
_STUBBLE = 0.004
_UPRIGHT = 0.75
_EDGE = 0.03
_WIDEST = 0.020
_ON_SKIN = 0.03
"""Metres from the root over which the skin's normal tells where outside is."""
_FEW = 0.25
_UNLIKE = 2.5
"""Times the usual spread of a group: its strands run apart, as on both sides of the neck."""
_LEAN = 0.35
"""Radians by which cards of upright hair lean, so that they are seen from everywhere."""
_DENSER = 1.5
"""Power of the places of stations along a card."""
_RAGGED = 0.014
"""Metres over which the strands of a ribbon begin, so that it does not end in a straight line."""
_CLOSE = 0.0007
"""Metres: of the strands that move a card, those this near to its vertex count most."""
_NEAR_SKIN = 0.015
_SKIN_STEP = 4
_BENEATH = -0.0002
"""Metres above the skin's plane at the root that a card may begin at."""
_BASE_LENGTH = 0.016
"""Metres of the strands from their roots on that the patches next to the skin show."""
_BASE_HEIGHT = 0.0006
_TILE_STRANDS = 90


@dataclass(frozen=True)
class CardPlan:
    """The numbers of cards of a part of hair, and their look.

    Attributes:
        ribbons: along the strands.
        base: patches next to the skin.
        ends: patches at the ends of upright hair.
        cover: share of a ribbon that its strands cover at least.
        least: metres, width of the narrowest ribbon.
        shade: brightness of the roots and of the innermost strands beside the outer ones.
    """

    ribbons: int
    base: int = 0
    ends: int = 0
    cover: float = 0.7
    least: float = 0.0012
    shade: float = 0.6


PLANS = {
    "scalp": CardPlan(1050, 260, 380, cover=0.88, least=0.004, shade=0.5),
    "beard": CardPlan(330, 70, cover=0.25, least=0.0025, shade=0.65),
    "brows": CardPlan(90, cover=0.0, shade=0.8),
    "lashes": CardPlan(56, cover=0.0, least=0.0006, shade=0.9),
}
"""Plans of the parts that become cards; the others are too fine."""


@dataclass(frozen=True)
class CardStrands:
    """The strands of a part as they stand on a face.

    Attributes:
        points: (N, M, 3) float32, metres, root first.
        radius: (N,) metres.
        chance: (N,) in 0..1, tells the strand's colour.
        outward: (N, M, 3) unit, away from the head.
    """

    points: np.ndarray
    radius: np.ndarray
    chance: np.ndarray
    outward: np.ndarray

    def chosen(self, keep) -> "CardStrands":
        """Returns the strands of a mask, a slice or indices."""
        return CardStrands(self.points[keep], self.radius[keep], self.chance[keep], self.outward[keep])


@dataclass(frozen=True)
class HairCards:
    """The mesh of a part's cards, and the tiles that its texture is drawn from.

    Attributes:
        vertices: (V, 3) float32, metres; normals (V, 3), unit, away from the head; uv (V, 2) in [0, 1].
        quads: (F, 4) int32, whose front is outside.
        card: (V,) int32, the card of each vertex.
        followed: (C, FOLLOWED) int, strands by which each card moves.
        tiles: of the atlas, by cell.
    """

    vertices: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    quads: np.ndarray
    card: np.ndarray
    followed: np.ndarray
    tiles: dict[int, Tile]


@dataclass(frozen=True)
class _Layer:
    """Cards of one kind: stations (C, S + 1, 3) of the left and right rim and normals, and their tiles."""

    left: np.ndarray
    right: np.ndarray
    normals: np.ndarray
    followed: np.ndarray
    kind: np.ndarray
    tiles: list[Tile]
    patch: bool


def outward_of(points: np.ndarray, root_normals: np.ndarray, around_head: bool) -> np.ndarray:
    """Returns (N, M, 3): unit directions away from the head at the points of strands.

    Args:
        points: (N, M, 3), in the model's axes.
        root_normals: (N, 3), of the skin at the roots.
        around_head: for scalp hair, which leaves its roots far behind.
    """
    normals = np.broadcast_to(root_normals[:, None], points.shape)
    if not around_head:
        return normals.astype(np.float32)
    away = np.linalg.norm(points - points[:, :1], axis=2, keepdims=True)
    share = (away / _ON_SKIN).clip(0, 1)
    return unit(normals * (1 - share) + unit(points - axis_point(points)) * share).astype(np.float32)


def outer_skin(head: HairHead) -> np.ndarray:
    """Returns (P,) int: vertices of a head's outer skin, some millimetres apart, without ears and sockets."""
    chosen = np.unique(head.triangles)[::_SKIN_STEP]
    return chosen[(head.ears[chosen] < 0.02) & (head.pocket[chosen] < 0.1)]


def hair_cards(
    strands: CardStrands, plan: CardPlan, skin: tuple[np.ndarray, np.ndarray], seed: int = 0
) -> HairCards:
    """Covers strands with cards.

    Args:
        strands: in random order, as ours are; at least one.
        plan: of `PLANS`.
        skin: points (P, 3) of the outer skin, some millimetres apart, and unit normals (P, 3): no card goes
            below.
        seed: of all that is random.
    """
    random = np.random.default_rng([seed, 0xCA4D])
    strands = strands.chosen(slice(0, _MOST_STRANDS))
    course, outward = _stations(strands)
    length = lengths_along(course)[:, -1]
    if np.median(length) < _STUBBLE and plan.base:
        budget = plan.ribbons + plan.base
        return _joined([_patches(strands, plan, budget, (0.0, 1.0), 64, random)], skin, random)
    heading = unit(course[:, -1] - course[:, 0])
    upright = plan.ends > 0 and float((heading * outward[:, 0]).sum(1).mean()) > _UPRIGHT
    layers, rows = [], 4
    if plan.base:
        rows = 3
        slab = (0.0, float(np.clip(_BASE_LENGTH / np.median(length), 0.06, 0.4)))
        layers.append(_patches(strands, plan, plan.base, slab, 16, random))
    if upright:
        rows = 2
        layers.append(_patches(strands, plan, plan.ends, (0.55, 1.0), 16, random))
    layers.append(_ribbons(strands, course, outward, plan, 16 * rows, upright, random))
    return _joined(layers, skin, random)


def station_shares(count: int) -> np.ndarray:
    """Returns (count,): places of a card's stations as shares of its length, denser next to the skin."""
    return (np.linspace(0, 1, count) ** _DENSER).astype(np.float32)


def _station_of(share: np.ndarray, count: int) -> np.ndarray:
    """Returns shares of a card's length as numbers of its stations, with fractions."""
    return np.interp(share, station_shares(count), np.arange(count))


def _hats(place: np.ndarray, count: int) -> np.ndarray:
    """Returns (K, count): weights of a polyline's points at places (K,), numbers of points with fractions."""
    return np.maximum(1 - np.abs(place[:, None] - np.arange(count)), 0)


def _stations(strands: CardStrands) -> tuple[np.ndarray, np.ndarray]:
    """Returns the smooth course (N, S + 1, 3) of each strand, and the outward directions there."""
    steps = strands.points.shape[1]
    reach = float(np.median(np.linalg.norm(strands.points[:, -1] - strands.points[:, 0], axis=1)))
    count = int(np.clip(np.ceil(reach / 0.018), 3, 11)) + 1
    sampled = _hats(station_shares(count) * (steps - 1), steps)
    fit = sampled
    if steps > count:
        fit = np.linalg.pinv(_hats(_station_of(np.linspace(0, 1, steps), count), count))
        fit[0] = sampled[0]
    course = np.einsum("sm,nmi->nsi", fit, strands.points).astype(np.float32)
    return course, unit(np.einsum("sm,nmi->nsi", sampled, strands.outward)).astype(np.float32)


def _ribbons(strands, course, outward, plan: CardPlan, tiles: int, upright: bool, random) -> _Layer:
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
    place = _hats(_station_of(np.linspace(0, 1, steps), stations), stations).astype(np.float32)
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
        lean = _LEAN * random.standard_normal(count).clip(-2, 2)
        left, right, front = (_leaning(rows, root, sideways, lean) for rows in (left, right, front + root))
        front = front - root
    left, right = (_above(rim, root, root_facing) for rim in (left, right))
    lying = np.abs((front * facing).sum(2, keepdims=True))
    normals = unit(facing + lying * front)
    across_share = (across - _along(low, share, group)) / _along(high - low, share, group)
    lines = np.stack([across_share, share], 2)
    width = np.broadcast_to(2 * strands.radius[:, None] / (high - low).mean(1)[group, None], across.shape)
    look = np.log(np.stack([end - begin, (high - low).mean(1)], 1))
    chosen, kind = _representatives(look, np.bincount(group, minlength=count), tiles, random)
    drawn = []
    for card in chosen:
        members = np.flatnonzero(group == card)[:_TILE_STRANDS]
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
    return _Layer(left, right, normals, kept[group_members(group, FOLLOWED)], kind, drawn, False)


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
    found = group_quantiles(across.ravel(), bins.ravel(), count * stations, _EDGE, 1 - _EDGE)
    low, high = (_filled(row.reshape(count, stations)) for row in found)
    half = (high - low) / 2 + group_mean(radius[:, None], group)
    centre = (high + low) / 2
    half = half.clip(plan.least / 2, _WIDEST / 2)
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
    short = np.maximum(_BENEATH - (offset * facing).sum(2, keepdims=True), 0)
    near = (2.5 - np.linalg.norm(offset, axis=2, keepdims=True) / 0.01).clip(0, 1)
    return points + facing * short * near


def _patches(strands: CardStrands, plan, count: int, slab: tuple[float, float], tiles: int, random) -> _Layer:
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
        group_quantiles(values.ravel(), group, count, _EDGE, 0.5, 1 - _EDGE)
        for values in np.moveaxis(local[:, 0] if at_skin else local.mean(1), 1, 0)
    )
    grow = 1.25
    half = np.stack([(row[2] - row[0]) / 2 * grow for row in (wide, long)], 1).clip(0.0012, _WIDEST / 2)
    offset = np.stack([(row[2] + row[0]) / 2 for row in (wide, long)], 1)
    height = np.maximum(deep[1], 0) + (_BASE_HEIGHT if at_skin else 0)
    if slab[0] > 0:
        height = deep[0] + (deep[2] - deep[0]) * random.uniform(0.1, 0.9, count)
        for axis in (side, along):
            tilt = _LEAN * random.standard_normal((count, 1))
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
    chosen, kind = _representatives(look, np.bincount(group, minlength=count), tiles, random)
    drawn = []
    for card in chosen:
        near = np.flatnonzero(((middle - origin[card]) ** 2).sum(1) < 2.2 * (half[card] ** 2).sum())
        inside = np.einsum("ai,nki->nka", axes[card], points[near] - origin[card])
        lines = inside[..., :2] / half[card] / 2 + 0.5
        reach = np.linalg.norm(((lines[:, 0] if at_skin else lines.mean(1)) - 0.5) * 2, axis=1)
        kept = (reach < random.uniform(0.7, 1.05, len(near))) & (np.abs(inside[..., 2]).min(1) < 0.01)
        near = near[kept][: 4 * _TILE_STRANDS]
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
    return _Layer(rims[0], rims[1], normals, group_members(group, FOLLOWED), kind, drawn, True)


def _representatives(look, sizes, tiles: int, random) -> tuple[np.ndarray, np.ndarray]:
    """Returns the cards that are drawn, and (C,) for each card the number of the one that looks most like it.

    Args:
        look: (C, D) of each card.
        sizes: (C,) strands in it; those of many are drawn.
        tiles: at most.
        random: its state moves on.
    """
    full = np.argsort(-sizes, kind="stable")[: max(tiles, int(0.7 * len(sizes)))]
    chosen = random.permutation(full)[:tiles]
    scaled = (look - look.mean(0)) / (look.std(0) + 1e-6)
    scaled = scaled + 0.35 * random.standard_normal(scaled.shape)
    distance = ((scaled[:, None] - scaled[chosen][None]) ** 2).sum(2)
    return chosen, distance.argmin(1)


def _joined(layers: list[_Layer], skin: tuple[np.ndarray, np.ndarray], random) -> HairCards:
    """Returns the cards of all layers as one mesh with cells of the atlas."""
    cells = cells_of([(layer.patch, len(layer.tiles)) for layer in layers])
    columns: list[list[np.ndarray]] = [[], [], [], [], []]
    followed, tiles = [], {}
    vertex_count = card_count = 0
    for layer, own in zip(layers, cells, strict=True):
        tiles |= dict(zip(own.tolist(), layer.tiles, strict=True))
        count, stations = layer.left.shape[:2]
        vertices = np.stack([layer.left, layer.right], 2).reshape(-1, 3)
        low, high = cell_corners(own[layer.kind])
        flip = random.random(count) < 0.5
        first = np.where(flip, high[:, 0], low[:, 0])
        last = np.where(flip, low[:, 0], high[:, 0])
        uv = np.empty((count, stations, 2, 2), np.float32)
        uv[:, :, 0, 0], uv[:, :, 1, 0] = first[:, None], last[:, None]
        steps = station_shares(stations)
        uv[..., 1] = (low[:, 1, None] + (high - low)[:, 1, None] * steps)[:, :, None]
        corner = np.arange(count * stations).reshape(count, stations)[:, :-1].reshape(-1, 1) * 2
        quads = corner + np.array([0, 1, 3, 2])
        for column, values in zip(
            columns,
            (
                vertices,
                np.repeat(layer.normals.reshape(-1, 3), 2, 0),
                uv.reshape(-1, 2),
                quads + vertex_count,
                np.repeat(np.arange(count), 2 * stations) + card_count,
            ),
            strict=True,
        ):
            column.append(values)
        followed.append(layer.followed)
        vertex_count += len(vertices)
        card_count += count
    vertices, normals, uv, quads, card = (np.concatenate(column) for column in columns)
    return HairCards(
        _out_of_skin(vertices, skin).astype(np.float32),
        normals.astype(np.float32),
        uv.astype(np.float32),
        quads.astype(np.int32),
        card.astype(np.int32),
        np.concatenate(followed),
        tiles,
    )


def _out_of_skin(vertices: np.ndarray, skin: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Returns vertices (V, 3), those beneath the skin raised to it."""
    points, normals = (values.astype(np.float32) for values in skin)
    near = nearest(vertices.astype(np.float32), points)
    offset = vertices - points[near]
    deep = -(offset * normals[near]).sum(1, keepdims=True) + _BENEATH
    deep = deep * (np.linalg.norm(offset, axis=1, keepdims=True) < _NEAR_SKIN)
    return vertices + normals[near] * np.maximum(deep, 0)


def moved_by_skin(
    cards: HairCards,
    corners: np.ndarray,
    weights: np.ndarray,
    wide: np.ndarray | None,
    rest: np.ndarray,
    posed: np.ndarray,
) -> np.ndarray:
    """Returns (V, 3) float32, metres: how cards move with the skin, as the mean of their strands does.

    Args:
        cards: on the skin at rest.
        corners: (N, 3) int vertices and weights (N, 3) of the strands' roots.
        wide: (N, 3) int vertices of the frames by which short strands turn; None for those that only move.
        rest: (P, 3) the skin's vertices, metres.
        posed: (P, 3) the same in another expression.
    """
    chosen = cards.followed.ravel()
    before, after = ((skin[corners[chosen]] * weights[chosen][..., None]).sum(1) for skin in (rest, posed))
    before, shift = (rows.reshape(*cards.followed.shape, 3)[cards.card] for rows in (before, after - before))
    nearness = 1 / (((cards.vertices[:, None] - before) ** 2).sum(2) + _CLOSE**2)
    nearness /= nearness.sum(1, keepdims=True)  # [V, FOLLOWED]
    moved = np.einsum("vf,vfi->vi", nearness, shift)
    if wide is not None:
        frames = (skin_frames(skin.astype(np.float64), wide[chosen]) for skin in (posed, rest))
        turn = next(frames) @ np.linalg.inv(next(frames))
        turn = turn.reshape(*cards.followed.shape, 3, 3)[cards.card]  # [V, FOLLOWED, 3, 3]
        turn = np.einsum("vf,vfij->vij", nearness, turn)
        offset = cards.vertices - np.einsum("vf,vfi->vi", nearness, before)
        moved = moved + np.einsum("vij,vj->vi", turn, offset) - offset
    return moved.astype(np.float32)
