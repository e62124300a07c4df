"""Plans, strands and layers of cards: the terms in which a part of hair becomes cards."""

from dataclasses import dataclass

import numpy as np

from .card_atlas import Tile

FOLLOWED = 8
"""Strands of a card whose mean motion moves it."""
EDGE = 0.03
"""Share of the strands that may lie beyond each rim of a card."""
WIDEST = 0.020
"""Metres, a card."""
BENEATH = -0.0002
"""Metres above the skin at the root that a card may begin at."""
LEAN = 0.35
"""Radians by which cards of upright hair lean, so that they are seen from everywhere."""
TILE_STRANDS = 90
"""Strands that the tile of a ribbon shows at most."""


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
class Layer:
    """Cards of one kind: stations (C, S + 1, 3) of the left and right rim and normals, and their tiles."""

    left: np.ndarray
    right: np.ndarray
    normals: np.ndarray
    followed: np.ndarray
    kind: np.ndarray
    tiles: list[Tile]
    patch: bool


def hats(place: np.ndarray, count: int) -> np.ndarray:
    """Returns (K, count): weights of a polyline's points at places (K,), numbers of points with fractions."""
    return np.maximum(1 - np.abs(place[:, None] - np.arange(count)), 0)


def representatives(look, sizes, tiles: int, random) -> tuple[np.ndarray, np.ndarray]:
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
