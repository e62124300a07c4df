"""Contact of skin with skin and eyes: lids rest on the eyeball and close, lips meet."""

import numpy as np
from scipy import sparse
from scipy.optimize import least_squares
from scipy.sparse.linalg import splu
from scipy.spatial import KDTree

from .anatomy import neighbour_average

LID_REACH = 0.009  # metres over which a correction of a margin fades out
LIP_REACH = 0.006
EYE_ZONE = 0.012  # metres in front of the eyeball within which skin is kept out of it
LEAST_CLEARANCE = 0.0001
POCKET_CLEARANCE = 0.0003
LARGEST_CLEARANCE = 0.0009
EYE_RADIUS = 0.012  # metres; adults' eyeballs are 24 mm within one (Bekerman et al. 2014, J. Ophthalmol.)
HALF_WAY_CLEARANCE = 0.0004  # metres that skin stays off the eye half-way through a blink; the cornea bulges
EYE_SLACK = 0.0004  # metres by which lids are fitted to a larger eye, so that a truncated model keeps off it
FITTED_RADIUS = EYE_RADIUS + EYE_SLACK
EYE_SET_BACK = 0.0008  # metres
MARGIN_DEPTH = 0.0006  # metres from the middle of a lid's margin to where the lid leaves the eye
MOUTH_REACH = 0.045  # metres from the lips over which a shut mouth stretches the skin
UPPER_SHARE = 0.3  # of the way that the upper lip goes when the mouth shuts on an open jaw


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

    def turn_in(self, face: np.ndarray, rims: np.ndarray, margins: np.ndarray) -> None:
        """Lays the loop where the lids leave the eye behind and a little under the middle of their margin.

        Args:
            face: (V, 3), changed in place.
            rims: (N,) the loop; margins: (N,) the vertex in front of each.
        """
        centre, radius = sphere_of(face[self.eye])
        away = face[margins] - centre
        distance = np.linalg.norm(away, axis=1, keepdims=True)
        depth = np.clip(0.6 * (distance - radius), 0.4 * MARGIN_DEPTH, MARGIN_DEPTH)
        aside = face[margins] - face[margins].mean(axis=0)
        outward = away / distance
        aside -= (aside * outward).sum(axis=1, keepdims=True) * outward
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        face[rims] = centre + outward * (distance - depth) + MARGIN_DEPTH * aside

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

    def _half_way(self, face: np.ndarray) -> np.ndarray:
        """Returns (V, 3) what the end of a blink lacks so that its middle, `face`, stays out of the eye."""
        centre, radius = sphere_of(face[self.eye])
        away = face[self.zone] - centre
        distance = np.linalg.norm(away, axis=1)
        need = np.maximum(radius + HALF_WAY_CLEARANCE - distance, 0)
        push = need
        for _ in range(4):
            push = np.maximum(need, 0.8 * (self.average @ push))
        moved = np.zeros_like(face)
        moved[self.zone] = away / distance[:, None] * (2 * push)[:, None]
        return moved

    def close(self, face: np.ndarray, neutral: np.ndarray) -> np.ndarray:
        """Returns (V, 3) the displacement that makes the margins meet, a little in front of the eyeball.

        Half-way to a blink the skin is on the chord, not on the arc: what it lacks there, it is given at the
        end.
        """
        moved = np.zeros_like(face)
        radius = sphere_of(face[self.eye])[1]
        sagitta = ((face - neutral)[self.zone] ** 2).sum(axis=1) / (8 * radius)
        arc = np.minimum(sagitta, LARGEST_CLEARANCE)
        for _ in range(3):
            now = face + moved
            centre, radius = sphere_of(now[self.eye])
            meeting = 0.4 * now[self.upper] + 0.6 * now[self.lower]
            away = meeting - centre
            distance = np.linalg.norm(away, axis=1, keepdims=True)
            meeting = centre + away / distance * np.maximum(distance, radius + 1.8 * LARGEST_CLEARANCE)
            moved += self.follower.spread(
                np.concatenate([meeting - now[self.upper], meeting - now[self.lower]])
            )
            moved += self.push_out(face + moved, arc)
        for _ in range(3):
            moved += self._half_way(0.5 * (face + moved + neutral))
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


class _Stretch:
    """Thin-plate displacement of the skin around handles: least bending, nothing far away."""

    def __init__(self, positions: np.ndarray, polygons: np.ndarray, handles: np.ndarray):
        skin = np.unique(polygons)
        distance = np.asarray(KDTree(positions[handles]).query(positions[skin])[0])
        self.handles = handles
        self.free = np.setdiff1d(skin[distance < MOUTH_REACH], handles)
        average = neighbour_average(polygons, len(positions))
        bending = sparse.identity(len(positions)) - average
        energy = (bending.T @ bending).tocsr()
        self._solve = splu(energy[self.free][:, self.free].tocsc()).solve
        self._pull = energy[self.free][:, handles]

    def __call__(self, moved: np.ndarray, displacement: np.ndarray) -> None:
        """Writes the handles' displacements (H, 3) and what follows them into moved (V, 3)."""
        moved[self.handles] = displacement
        moved[self.free] = self._solve(-(self._pull @ displacement))


class Lips:
    """The two lips' contact line; upper and lower are paired vertices."""

    def __init__(self, positions: np.ndarray, polygons: np.ndarray, upper: np.ndarray, lower: np.ndarray):
        self.upper = upper
        self.lower = lower
        self._stretch = _Stretch(positions, polygons, np.unique(np.concatenate([upper, lower])))
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

    def shut(self, face: np.ndarray, neutral: np.ndarray) -> np.ndarray:
        """Returns (V, 3) the displacement that shuts the lips of an open jaw.

        The lips keep the curve that they have at rest, between the open ones; the skin around stretches.

        Args:
            face: (V, 3) with the open jaw.
            neutral: (V, 3) at rest, lips together.
        """
        opened = (1 - UPPER_SHARE) * face[self.upper] + UPPER_SHARE * face[self.lower]
        rest = 0.5 * (neutral[self.upper] + neutral[self.lower])
        carried = rest + (opened - rest).mean(axis=0)
        meeting = 0.5 * opened + 0.5 * carried
        moved = np.zeros_like(face)
        displacement = np.zeros_like(face)
        displacement[self.upper] = meeting - face[self.upper]
        displacement[self.lower] = meeting - face[self.lower]
        self._stretch(moved, displacement[self._stretch.handles])
        return moved + self.close(face + moved)

    def close(self, face: np.ndarray) -> np.ndarray:
        """Returns (V, 3) the displacement that makes each pair meet half-way."""
        meeting = 0.5 * (face[self.upper] + face[self.lower])
        moved = np.zeros_like(face)
        for follower, side in ((self.of_upper, self.upper), (self.of_lower, self.lower)):
            unique, index = np.unique(side, return_index=True)
            moved += follower.spread((meeting - face[side])[index])
            moved[unique] = (meeting - face[side])[index]
        return moved


def eye_behind_lids(rims: np.ndarray) -> np.ndarray:
    """Returns (3,) the centre of an eyeball that lies behind lid rims (N, 3).

    The sphere nearest to them, moved back: a smooth function of the rims, so that a model that is linear in
    the identity can hold it. Rims that still lie in the eye are for `Lids.push_out`.
    """
    start = rims.mean(axis=0) + (0, 0.6 * FITTED_RADIUS, 0)
    centre = least_squares(lambda c: np.linalg.norm(rims - c, axis=1) - FITTED_RADIUS, start).x
    return centre + (0, EYE_SET_BACK, 0)


def sphere_of(eye: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (3,) and radius of an eyeball's vertices (N, 3)."""
    centre = eye.mean(axis=0)
    return centre, float(np.linalg.norm(eye - centre, axis=1).mean())
