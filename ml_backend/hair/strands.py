"""Strands: roots on the skin, their shape as polylines, and the parts of the head that carry them."""

from dataclasses import dataclass

import numpy as np

from .head import HairHead


@dataclass(frozen=True)
class Roots:
    """Places on the skin from which strands grow.

    Attributes:
        triangle: (N,) int32, into the head's triangles.
        weights: (N, 3) float32, barycentric.
        place: (N, 3) float32, metres.
        normal: (N, 3) float32, unit.
    """

    triangle: np.ndarray
    weights: np.ndarray
    place: np.ndarray
    normal: np.ndarray

    def chosen(self, keep: np.ndarray) -> "Roots":
        """Returns the roots of a mask or of indices."""
        return Roots(self.triangle[keep], self.weights[keep], self.place[keep], self.normal[keep])


@dataclass(frozen=True)
class Strands:
    """Hair on the mean face, and what it needs to follow another face.

    Attributes:
        points: (N, M, 3) float32, metres, root first.
        corners: (N, 3) int32 vertices and weights (N, 3) float32 of the root's place on the skin.
        wide: (N, 3) int32, vertices of the frame by which a strand turns with the skin.
        radius: (N,) float32, metres at the root.
        chance: (N,) float32 in 0..1, one number for each strand: its colour.
        carriers: (N, 2, 3) int32 vertices and shares (N, 2, 3) float32 by which the middle and the tip of
            long hair follow the head's form; None for hair that follows the skin at its root alone.
    """

    points: np.ndarray
    corners: np.ndarray
    weights: np.ndarray
    wide: np.ndarray
    radius: np.ndarray
    chance: np.ndarray
    carriers: np.ndarray | None = None
    shares: np.ndarray | None = None


def unit(vectors: np.ndarray) -> np.ndarray:
    """Returns vectors (..., 3) of unit length."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def along_skin(vectors: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Returns the unit directions (N, 3) of vectors within the skin."""
    return unit(vectors - normals * (vectors * normals).sum(-1, keepdims=True))


def sample_roots(head: HairHead, weight: np.ndarray, count: int, random: np.random.Generator) -> Roots:
    """Draws roots evenly by area times a weight.

    Args:
        head: whose skin is drawn from.
        weight: (T,) at least 0, for each triangle.
        count: N.
        random: its state moves on.

    Returns:
        The roots in random order: any first part of them is spread as all are.
    """
    total = np.cumsum(weight.astype(np.float64) * head.areas)
    steps = (random.permutation(count) + random.random(count)) / count
    triangle = np.searchsorted(total, steps * total[-1]).clip(0, len(total) - 1).astype(np.int32)
    first = np.sqrt(random.random(count))
    second = random.random(count)
    weights = np.stack([1 - first, first * (1 - second), first * second], 1).astype(np.float32)
    return roots_at(head, triangle, weights)


def roots_at(head: HairHead, triangle: np.ndarray, weights: np.ndarray) -> Roots:
    """Returns the roots at places on triangles."""
    corners = head.triangles[triangle]
    place = (head.positions[corners] * weights[..., None]).sum(1)
    normal = unit((head.normals[corners] * weights[..., None]).sum(1))
    return Roots(triangle, weights, place, normal)


def skin_strands(head: HairHead, roots: Roots, points: np.ndarray, radius, chance: np.ndarray) -> Strands:
    """Returns strands that turn with the skin at their roots."""
    return Strands(
        np.ascontiguousarray(points, np.float32),
        head.triangles[roots.triangle],
        roots.weights,
        head.wide[roots.triangle],
        np.broadcast_to(np.float32(radius), len(points)).astype(np.float32),
        chance.astype(np.float32),
    )


def carried_strands(head: HairHead, roots: Roots, points: np.ndarray, radius, chance: np.ndarray) -> Strands:
    """Returns strands whose middle and tip follow the head's form, and whose roots follow the skin."""
    strands = skin_strands(head, roots, points, radius, chance)
    middle = points.shape[1] // 2
    ends = [_nearest_anchors(head, points[:, index]) for index in (middle, -1)]
    return Strands(
        strands.points,
        strands.corners,
        strands.weights,
        strands.wide,
        strands.radius,
        strands.chance,
        np.stack([carriers for carriers, _ in ends], 1),
        np.stack([shares for _, shares in ends], 1),
    )


def _nearest_anchors(head: HairHead, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns three anchors of each point (N, 3) and their shares, which change smoothly with its place."""
    places = head.positions[head.anchors].astype(np.float32)
    chosen = np.empty((len(points), 3), np.int32)
    shares = np.empty((len(points), 3), np.float32)
    for start in range(0, len(points), 8192):
        here = points[start : start + 8192].astype(np.float32)
        squares = (here**2).sum(1)[:, None] - 2 * here @ places.T + (places**2).sum(1)
        row = np.arange(len(here))
        nearest = np.empty((len(here), 4), np.int64)
        distance = np.empty((len(here), 4), np.float32)
        for rank in range(4):
            nearest[:, rank] = squares.argmin(1)
            distance[:, rank] = np.sqrt(np.maximum(squares[row, nearest[:, rank]], 0))
            squares[row, nearest[:, rank]] = np.inf
        share = (1 - distance[:, :3] / (distance[:, 3:] + 1e-6)) ** 2 + 1e-6
        chosen[start : start + 8192] = head.anchors[nearest[:, :3]]
        shares[start : start + 8192] = share / share.sum(1, keepdims=True)
    return chosen, shares


def skin_frames(positions: np.ndarray, wide: np.ndarray) -> np.ndarray:
    """Returns (N, 3, 3): columns are two edges of each frame's triangle and its scaled normal."""
    first, second, third = (positions[wide[:, k]] for k in range(3))
    along, across = second - first, third - first
    normal = np.cross(along, across)
    size = np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    return np.stack([along, across, normal / np.sqrt(size)], 2)


def follow_face(strands: Strands, head: HairHead, posed: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Moves strands onto a face, as the node groups of a hair object do.

    Args:
        strands: on the mean face.
        head: the mean face.
        posed: (N, 3) the face as it shows, expression and wrinkles included.
        rest: (N, 3) the same person at rest.

    Returns:
        (S, M, 3) float32, metres.
    """
    root = (posed[strands.corners] * strands.weights[..., None]).sum(1)
    at_mean = (head.positions[strands.corners] * strands.weights[..., None]).sum(1)
    offsets = strands.points - at_mean[:, None]
    if strands.carriers is None or strands.shares is None:
        turn = skin_frames(posed, strands.wide) @ np.linalg.inv(skin_frames(head.positions, strands.wide))
        return (root[:, None] + np.einsum("nij,nmj->nmi", turn, offsets)).astype(np.float32)
    at_rest = (rest[strands.corners] * strands.weights[..., None]).sum(1)
    moved = rest - head.positions
    ends = (moved[strands.carriers] * strands.shares[..., None]).sum(2)  # [S23]
    steps = np.linspace(0, 1, strands.points.shape[1], dtype=np.float32)[None, :, None]
    early = np.minimum(steps * 2, 1)
    late = np.maximum(steps * 2 - 1, 0)
    begin = (at_rest - at_mean)[:, None]
    carried = begin + (ends[:, None, 0] - begin) * early + (ends[:, None, 1] - ends[:, None, 0]) * late
    return (root[:, None] + offsets + carried - begin).astype(np.float32)
