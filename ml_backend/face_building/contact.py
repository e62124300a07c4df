"""Contact of skin with skin and eyes: lids rest on the eyeball and close, lips meet."""

import numpy as np
from scipy import sparse
from scipy.spatial import KDTree

from .anatomy import neighbour_average

LID_REACH = 0.009  # metres over which a correction of a margin fades out
LIP_REACH = 0.006
EYE_ZONE = 0.012  # metres in front of the eyeball within which skin is kept out of it
LEAST_CLEARANCE = 0.0001
POCKET_CLEARANCE = 0.0003
LARGEST_CLEARANCE = 0.0009


class Follower:
    """Spreads displacements of some vertices smoothly over those near them."""

    def __init__(
        self,
        positions: np.ndarray,
        anchors: np.ndarray,
        followers: np.ndarray,
        reach: float,
        nearest: int = 4,
    ):
        found = KDTree(positions[anchors]).query(positions[followers], k=nearest)
        distance = np.asarray(found[0])
        index = np.asarray(found[1])
        near = 1 / (distance + 1e-4) ** 2
        near /= near.sum(axis=1, keepdims=True)
        fade = np.clip(1 - distance[:, :1] / reach, 0, 1)
        weight = near * fade * fade * (3 - 2 * fade)
        rows = np.repeat(followers, index.shape[1])
        shape = (len(positions), len(anchors))
        self.matrix = sparse.coo_matrix((weight.ravel(), (rows, index.ravel())), shape=shape).tocsr()
        own = np.isin(anchors, followers)
        self.matrix[anchors[own]] = sparse.eye(len(anchors)).tocsr()[own]

    def spread(self, displacements: np.ndarray) -> np.ndarray:
        """(A, 3) at the anchors -> (V, 3)."""
        return self.matrix @ displacements


class Lids:
    """One eye's lids.

    Args:
        positions: (V, 3) the base head at rest.
        polygons: (F, 4) the skin.
        eye: vertices of the eyeball.
        upper, lower: paired vertices of the lids' margins.
        pocket: (V,) bool, skin behind the lids; it stays between them and the eye.
    """

    def __init__(
        self,
        positions: np.ndarray,
        polygons: np.ndarray,
        eye: np.ndarray,
        upper: np.ndarray,
        lower: np.ndarray,
        pocket: np.ndarray,
    ):
        self.eye = eye
        self.upper = upper
        self.lower = lower
        centre, radius = sphere_of(positions[eye])
        distance = np.linalg.norm(positions - centre, axis=1) - radius
        skin = np.unique(polygons)
        self.zone = skin[distance[skin] < EYE_ZONE]
        self.behind = pocket[self.zone]
        largest = np.where(self.behind, POCKET_CLEARANCE, LARGEST_CLEARANCE)
        self.clearance = np.clip(distance[self.zone], LEAST_CLEARANCE, largest)
        average = neighbour_average(polygons, len(positions))
        self.average = average[self.zone][:, self.zone]
        self.follower = Follower(positions, np.concatenate([upper, lower]), self.zone, LID_REACH)

    def push_out(self, face: np.ndarray, more: np.ndarray | float = 0.0) -> np.ndarray:
        """Returns (V, 3) the least smooth displacement that takes the skin out of the eyeball.

        The skin is then off it by its clearance and `more` (Z,).
        """
        centre, radius = sphere_of(face[self.eye])
        away = face[self.zone] - centre
        distance = np.linalg.norm(away, axis=1)
        need = np.maximum(radius + self.clearance + more - distance, 0)
        push = need
        for _ in range(4):
            push = np.maximum(need, 0.9 * (self.average @ push))
        push = np.where(self.behind, radius + self.clearance - distance, push)
        moved = np.zeros_like(face)
        moved[self.zone] = away / distance[:, None] * push[:, None]
        return moved

    def close(self, face: np.ndarray, neutral: np.ndarray) -> np.ndarray:
        """Returns (V, 3) the displacement that makes the margins meet, a little in front of the eyeball.

        Half-way to a blink the skin is on the chord, not on the arc: what it lacks there, it is given at the
        end.
        """
        moved = np.zeros_like(face)
        radius = sphere_of(face[self.eye])[1]
        arc = np.minimum(((face - neutral)[self.zone] ** 2).sum(axis=1) / (8 * radius), LARGEST_CLEARANCE)
        for _ in range(3):
            now = face + moved
            centre, radius = sphere_of(now[self.eye])
            meeting = 0.4 * now[self.upper] + 0.6 * now[self.lower]
            away = meeting - centre
            distance = np.linalg.norm(away, axis=1, keepdims=True)
            meeting = centre + away / distance * np.maximum(distance, radius + 1.5 * LARGEST_CLEARANCE)
            moved += self.follower.spread(
                np.concatenate([meeting - now[self.upper], meeting - now[self.lower]])
            )
            moved += self.push_out(face + moved, arc)
        now = face + moved
        meeting = 0.5 * (now[self.upper] + now[self.lower])
        moved[self.upper] += meeting - now[self.upper]
        moved[self.lower] += meeting - now[self.lower]
        return moved


class Lashes:
    """Lashes stay on the lids' margins and turn with them about the eye.

    Args:
        positions: (V, 3) the base head at rest.
        lashes: their vertices, of one eye.
        margin: vertices of the eye's lid margins.
        eye: vertices of the eyeball.
    """

    def __init__(self, positions: np.ndarray, lashes: np.ndarray, margin: np.ndarray, eye: np.ndarray):
        self.lashes = lashes
        self.margin = margin
        self.eye = eye
        distance, self.nearest = KDTree(positions[margin]).query(positions[lashes], k=3)
        weight = 1 / (distance + 1e-4) ** 2
        self.weight = weight / weight.sum(axis=1, keepdims=True)

    def follow(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Returns (L, 3) the lashes' displacement when the skin goes from before to after (V, 3)."""
        centre, _ = sphere_of(before[self.eye])
        roots = [
            (face[self.margin][self.nearest] * self.weight[:, :, None]).sum(axis=1)
            for face in (before, after)
        ]
        one, other = (
            (root - centre) / np.linalg.norm(root - centre, axis=1, keepdims=True) for root in roots
        )
        axis = np.cross(one, other)
        cosine = (one * other).sum(axis=1, keepdims=True)
        out = before[self.lashes] - roots[0]
        turned = (
            cosine * out + np.cross(axis, out) + axis * (axis * out).sum(axis=1, keepdims=True) / (1 + cosine)
        )
        return roots[1] + turned - before[self.lashes]


class Lips:
    """The two lips' contact line; upper and lower are paired vertices."""

    def __init__(self, positions: np.ndarray, polygons: np.ndarray, upper: np.ndarray, lower: np.ndarray):
        self.upper = upper
        self.lower = lower
        skin = np.unique(polygons)
        on_lower = self._below(positions, polygons, skin)
        self.of_upper = Follower(positions, np.unique(upper), skin[~on_lower], LIP_REACH)
        self.of_lower = Follower(positions, np.unique(lower), skin[on_lower], LIP_REACH)

    def _below(self, positions: np.ndarray, polygons: np.ndarray, skin: np.ndarray) -> np.ndarray:
        """Returns (S,) bool: belongs to the lower lip, told by the fewer edges to the lower contact line."""
        average = neighbour_average(polygons, len(positions))
        label = np.zeros(len(positions))
        label[self.upper] = 1
        label[self.lower] = -1
        fixed = np.concatenate([self.upper, self.lower])
        values = label[fixed]
        for _ in range(60):
            label = average @ label
            label[fixed] = values
        return label[skin] < 0

    def close(self, face: np.ndarray) -> np.ndarray:
        """Returns (V, 3) the displacement that makes each pair meet half-way."""
        meeting = 0.5 * (face[self.upper] + face[self.lower])
        moved = np.zeros_like(face)
        for follower, side in ((self.of_upper, self.upper), (self.of_lower, self.lower)):
            unique, index = np.unique(side, return_index=True)
            moved += follower.spread((meeting - face[side])[index])
            moved[unique] = (meeting - face[side])[index]
        return moved


def sphere_of(eye: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (3,) and radius of an eyeball's vertices (N, 3)."""
    centre = eye.mean(axis=0)
    return centre, float(np.linalg.norm(eye - centre, axis=1).mean())
