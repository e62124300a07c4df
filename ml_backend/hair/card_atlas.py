"""The texture of hair cards: strands drawn into the cells of an atlas, with coverage and bled colours.

The atlas has four rows of equal height. A row holds 16 ribbons side by side, or 16 patches in two lines of 8.
"""

from dataclasses import dataclass

import numpy as np

from ..geometry.srgb import to_srgb
from .pigments import WHITE, shown_colour

CUT = 0.35
"""Coverage from which a texel counts as hair, for renderers that know only hair and no hair."""
_ROWS, _IN_ROW = 4, 16
_PATCH = 64
"""Added to the number of a cell that holds a patch."""
_FINER = 2
_THINNEST = 1.15
"""Texels: thinner strands would break up."""
_THICKEST = 1 / 384
"""Of the atlas: thicker strands would not look like hair."""
_TIPS = (0.25, 0.5)
"""Width at the tip beside that at the root, of strands of true width and of those that stand for several."""
_GOLDEN = 0.618034
_MOST_EACH = 12
_MARGINS = {False: (1 / 32, 1 / 128), True: (1 / 64, 1 / 64)}
"""Empty rims of ribbons and patches, in shares of their cell."""


@dataclass(frozen=True)
class Tile:
    """The strands that a cell shows.

    Attributes:
        lines: (k, M, 2) across and along the card, which is the unit square; root first.
        width: (k,) of the strands at the root, in widths of the card.
        chance: (k,) in 0..1, tells a strand's colour.
        depth: (k,) height over the card; the highest are drawn last.
        cover: share of the card that strands cover at least, by being drawn wider; 0 for true widths.
        shade: brightness of roots and of the lowest strands.
        ragged: share of the length over which the strands begin, one after the other.
        slab: shares of the strands' length at which the lines begin and end.
    """

    lines: np.ndarray
    width: np.ndarray
    chance: np.ndarray
    depth: np.ndarray
    cover: float
    shade: float
    ragged: float = 0.0
    slab: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Pigments:
    """The colour of hair: melanin, redness and the share of grey strands, each 0 to 1."""

    melanin: float
    redness: float
    grey: float


def cells_of(layers: list[tuple[bool, int]]) -> list[np.ndarray]:
    """Returns the numbers of the cells of each layer.

    Args:
        layers: for each whether it holds patches, and how many tiles.

    Raises:
        ValueError: they need more than the four rows.
    """
    found, row = [], 0
    for patch, count in layers:
        found.append(row * _IN_ROW + np.arange(count) + (_PATCH if patch else 0))
        row += -(-count // _IN_ROW)
    if row > _ROWS:
        raise ValueError(f"tiles for {row} rows, the atlas has {_ROWS}")
    return found


def cell_corners(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lower left and the upper right corners (n, 2) of cells' pictures in the unit square."""
    low, size, margin = _places(cells)
    return low + size * margin, low + size * (1 - margin)


def _places(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns lower left corners, sizes and margins (n, 2) of cells."""
    patch = cells >= _PATCH
    row, place = np.divmod(cells % _PATCH, _IN_ROW)
    across, line = place % 8, place // 8
    low = np.where(
        patch[:, None],
        np.stack([across / 8, row / 4 + line / 8], 1),
        np.stack([place / 16, row / 4], 1),
    )
    size = np.where(patch[:, None], (1 / 8, 1 / 8), (1 / 16, 1 / 4))
    return low, size, np.where(patch[:, None], _MARGINS[True], _MARGINS[False])


def draw_atlas(tiles: dict[int, Tile], resolution: int, pigments: Pigments) -> np.ndarray:
    """Draws the tiles of a part's cards.

    Args:
        tiles: by cell.
        resolution: texels along a side, a multiple of 64.
        pigments: of the part.

    Returns:
        (R, R, 4) uint8, row 0 at the bottom: sRGB and coverage; where nothing is covered, the colour of what
        is near.
    """
    colour = np.zeros((resolution, resolution, 3), np.float32)
    cover = np.zeros((resolution, resolution), np.float32)
    cells = np.array(sorted(tiles))
    for cell, low, size, margin in zip(cells, *_places(cells), strict=True):
        column, row = np.round(low * resolution).astype(int)
        width, height = np.round(size * resolution).astype(int)
        drawn, coverage = _draw(tiles[cell], width, height, margin, _THICKEST * resolution * _FINER, pigments)
        colour[row : row + height, column : column + width] = drawn
        cover[row : row + height, column : column + width] = coverage
    bled = _bled(colour, cover)
    shares = np.concatenate([to_srgb(bled), cover[..., None]], 2)
    return np.round(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def strand_colours(chance: np.ndarray, pigments: Pigments, each: int = 1) -> np.ndarray:
    """Returns (k, 3) linear colours of strands by their chance (k,), lighter and darker ones among them.

    Args:
        chance: 0 to 1; those below the share of grey are white.
        pigments: of the part.
        each: strands that a drawn one stands for; its colour is their mean.
    """
    plain = np.array(shown_colour(pigments.melanin, pigments.redness))
    chances = (chance[:, None] + _GOLDEN * np.arange(each)) % 1  # [k, each]
    white = (chances < pigments.grey).mean(1)[:, None]
    varied = plain * (0.75 + 0.5 * chance)[:, None]
    return varied + (np.array(WHITE) - varied) * white


def _draw(tile: Tile, width: int, height: int, margin: np.ndarray, thickest: float, pigments: Pigments):
    """Returns colour (height, width, 3), linear, times coverage and coverage (height, width) of a tile."""
    size = np.array([width, height]) * _FINER
    if not len(tile.lines):
        return np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    lines = (tile.lines * (1 - 2 * margin) + margin) * size
    drawn, thickness, each = _chosen(
        tile, np.linalg.norm(np.diff(lines, axis=1), axis=2).sum(1), size, thickest
    )
    order = drawn[np.argsort(tile.depth[drawn], kind="stable")]
    lines, thickness = lines[order], thickness[order]
    path = np.linalg.norm(np.diff(lines, axis=1), axis=2).sum(1)
    steps = int(np.clip(np.quantile(path, 0.9) / max(0.6 * float(np.median(thickness)), 0.8), 8, 1500))
    points = _smooth_line(lines, steps)  # [k, steps, 2]
    along = np.linspace(0, 1, steps)
    part = tile.slab[0] + (tile.slab[1] - tile.slab[0]) * along
    taper = 1 - (1 - _TIPS[tile.cover > 0]) * part**2
    begin = tile.ragged * np.random.default_rng(len(lines)).random((len(lines), 1))
    taper = taper * ((part - begin) / max(tile.ragged, 1e-3) * 2).clip(0, 1) if tile.ragged else taper
    radius = thickness[:, None] * taper  # [k, steps]
    radius = np.where(radius < 0.2, -1, radius)
    picture = _stamped(points, radius, size)
    strand, step = np.divmod(np.maximum(picture, 0), steps)
    shown = picture >= 0
    rank = (np.arange(len(order)) + 0.5) / len(order)
    bright = tile.shade + (1 - tile.shade) * rank**0.8
    root = tile.shade + (1 - tile.shade) * np.clip(part / 0.4, 0, 1)
    colours = strand_colours(tile.chance[order], pigments, each)
    shade = bright[strand] * root[step] * shown
    light = colours[strand] * shade[..., None]
    fold = (height, _FINER, width, _FINER)
    return (
        light.reshape(*fold, 3).mean((1, 3)).astype(np.float32),
        shown.reshape(fold).mean((1, 3)).astype(np.float32),
    )


def _chosen(
    tile: Tile, path: np.ndarray, size: np.ndarray, thickest: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Chooses the strands that are drawn: thin ones would break up, so fewer and thicker ones cover as much.

    Args:
        tile: of k strands.
        path: (k,) their lengths in fine texels.
        size: W and H of the cell in fine texels.
        thickest: width of a strand at most, unless it is so thick, in fine texels.

    Returns:
        (n,) those that are drawn, (k,) the radius of each at its root, and how many strands one stands for.
    """
    width = tile.width * size[0]
    share = 0.75 * path / size.prod()
    covered = float((width * share).sum())
    wanted = max(covered, -np.log(max(1 - tile.cover, 1e-3)))
    wide = np.clip(width * wanted / max(covered, 1e-6), _THINNEST * _FINER, np.maximum(width, thickest))
    order = np.random.default_rng(len(path)).permutation(len(path))
    enough = int(np.searchsorted((wide * share)[order].cumsum(), wanted)) + 1
    each = int(np.clip(np.round(np.median(wide / np.maximum(width, 1e-6))), 1, _MOST_EACH))
    return order[: max(enough, 1)], wide / 2, each


def _smooth_line(lines: np.ndarray, steps: int) -> np.ndarray:
    """Returns (k, steps, 2): points evenly by number along polylines, rounded as Catmull and Rom do it."""
    count = lines.shape[1]
    place = np.linspace(0, count - 1, steps)
    low = np.minimum(place.astype(int), count - 2)
    share = (place - low)[None, :, None]
    ends = np.concatenate([2 * lines[:, :1] - lines[:, 1:2], lines, 2 * lines[:, -1:] - lines[:, -2:-1]], 1)
    before, first, second, after = (ends[:, low + index] for index in range(4))
    return first + 0.5 * share * (
        second
        - before
        + share
        * (2 * before - 5 * first + 4 * second - after + share * (3 * (first - second) + after - before))
    )


def _stamped(points: np.ndarray, radius: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Returns (H, W) int: the number of the last point whose disc covers a fine texel, -1 for none.

    Args:
        points: (k, steps, 2), in fine texels; later strands cover earlier ones.
        radius: (k, steps) of their discs.
        size: W and H.
    """
    reach = int(np.ceil(radius.max()))
    steps = np.arange(-reach, reach + 1)
    offsets = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    offsets = offsets[np.linalg.norm(offsets, axis=1) <= reach + 0.5]
    base = np.floor(points).astype(np.int32)
    apart = points - base - 0.5
    picture = np.full(size[1] * size[0], -1, np.int64)
    each = max(1, 400_000 // (points.shape[1] * len(offsets)))
    for start in range(0, len(points), each):
        rows = slice(start, start + each)
        place = base[rows, :, None] + offsets  # [n, steps, offsets, 2]
        near = ((offsets - apart[rows, :, None]) ** 2).sum(3) <= radius[rows, :, None] * np.abs(
            radius[rows, :, None]
        )
        near &= ((place >= 0) & (place < size)).all(3)
        number = np.arange(start * points.shape[1], (start + len(place)) * points.shape[1])
        number = np.broadcast_to(number.reshape(len(place), -1, 1), near.shape)
        picture[(place[..., 1] * size[0] + place[..., 0])[near]] = number[near]
    return picture.reshape(size[1], size[0])


def _bled(colour: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Returns (R, R, 3): colours without their coverage, and bare texels filled from coarser pictures.

    Args:
        colour: (R, R, 3) linear, times coverage.
        cover: (R, R).
    """
    levels = [(colour, cover)]
    while levels[-1][1].shape[0] % 2 == 0:
        side = levels[-1][1].shape[0] // 2
        levels.append(
            (
                levels[-1][0].reshape(side, 2, side, 2, 3).mean((1, 3)),
                levels[-1][1].reshape(side, 2, side, 2).mean((1, 3)),
            )
        )
    paint, weight = levels[-1]
    filled = np.where(
        weight[..., None] > 0, paint / np.maximum(weight, 1e-6)[..., None], _mean(colour, cover)
    )
    for paint, weight in reversed(levels[:-1]):
        coarse = filled.repeat(2, 0).repeat(2, 1)
        own = paint / np.maximum(weight, 1e-6)[..., None]
        filled = np.where(weight[..., None] > 0, own, coarse)
    return filled


def _mean(colour: np.ndarray, cover: np.ndarray) -> np.ndarray:
    return colour.sum((0, 1)) / max(float(cover.sum()), 1e-6)
