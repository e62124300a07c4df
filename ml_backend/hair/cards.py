"""Hair as cards for game engines: strands become ribbons and patches that share an atlas of drawn tiles.

A ribbon follows the mean course of a group of strands and is as wide as the group. A patch lies across the
hair: the dense layer next to the skin, stubble, and the ends of hair that stands upright.
"""

from dataclasses import dataclass

import numpy as np

from .card_atlas import Tile, cell_corners, cells_of
from .card_layers import BENEATH, CardPlan, CardStrands, Layer
from .card_patches import patches
from .card_ribbons import ribbons, smooth_courses, station_shares
from .head import HairHead, axis_point
from .shaping import lengths_along, nearest
from .strands import skin_frames, unit

_MOST_STRANDS = 36_000
_STUBBLE = 0.004
_UPRIGHT = 0.75
_ON_SKIN = 0.03
"""Metres from the root over which the skin's normal tells where outside is."""
_CLOSE = 0.0007
"""Metres: of the strands that move a card, those this near to its vertex count most."""
_NEAR_SKIN = 0.025
_SKIN_STEP = 4
_BASE_LENGTH = 0.016
"""Metres of the strands from their roots on that the patches next to the skin show."""


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
    course, outward = smooth_courses(strands)
    length = lengths_along(course)[:, -1]
    if np.median(length) < _STUBBLE and plan.base:
        budget = plan.ribbons + plan.base
        return _joined([patches(strands, plan, budget, (0.0, 1.0), 64, random)], skin, random)
    heading = unit(course[:, -1] - course[:, 0])
    upright = plan.ends > 0 and float((heading * outward[:, 0]).sum(1).mean()) > _UPRIGHT
    layers, rows = [], 4
    if plan.base:
        rows = 3
        slab = (0.0, float(np.clip(_BASE_LENGTH / np.median(length), 0.06, 0.4)))
        layers.append(patches(strands, plan, plan.base, slab, 16, random))
    if upright:
        rows = 2
        layers.append(patches(strands, plan, plan.ends, (0.55, 1.0), 16, random))
    layers.append(ribbons(strands, course, outward, plan, 16 * rows, upright, random))
    return _joined(layers, skin, random)


def _joined(layers: list[Layer], skin: tuple[np.ndarray, np.ndarray], random) -> HairCards:
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
    deep = -(offset * normals[near]).sum(1, keepdims=True) + BENEATH
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
