"""Keeps the lining of the mouth beneath the skin. numpy only.

No scan shows the inside of lips and cheeks, so a linear model carries it along blindly: in some people, and
in nearly everybody who purses the lips, it would come out through the skin. Here each of its vertices stays
behind the tangent planes of the skin that lies outside it in the mean face.
"""

from dataclasses import dataclass

import numpy as np

from ...geometry.displacement import vertex_normals

NEIGHBOURS = 12
"""Vertices of the skin whose tangent planes hold a vertex of the lining."""
_DEEPEST, _WIDEST = 0.028, 0.006
"""Metres from the lining to the skin, along the normal and aside of it, up to which it is held."""
_TOWARDS, _SAME_WAY = 0.1, -0.2
"""Cosines between the lining's normal and the skin's: of what lies outside it, and of its planes at least."""
_THIN = 0.0003
"""Metres at least that a plane lies outside the lining in the mean face."""
_KEPT, _THICK = 0.6, 0.002
"""Share of the mean face's thickness that every face keeps at rest, and metres that are enough."""
_KEPT_IN_MOTION = 0.1
"""Share of that thickness which expressions keep: lips roll and thin."""
_FAR, _FURTHER = 1.4, 0.003
"""A vertex that has gone further than this share of its distance in the mean face and these metres holds no
more, as those of the upper lip once the jaw is open."""
_LIPS = 0.004
"""Metres from where the lips meet within which the lining goes with them."""
_PASSES, _EXACT = 8, 1e-6
_STILL = 5e-5
"""Metres: an expression that moves nothing here by as much leaves the lining as it is at rest."""


@dataclass(frozen=True)
class MouthLining:
    """The lining's vertices and what holds them.

    Attributes:
        vertices: (N,) int32, of the face.
        near: (M,) int32, of the face: what has to be known to hold them.
        own: (N,) int32 into near: the lining itself.
        planes: (N, P) int32 into near: vertices of the skin, whose tangent planes hold it.
        polygons: (F, 4) int32 into near, -1 for the fourth of a triangle: all that meet at those vertices.
        thickness: (N, P) float32, metres to each plane at least; -inf where there is none.
        reach: (N, P) float32, metres within which a plane counts.
        meets: planes' vertices, the polygons that meet at each, one after the other, and where each's begin.
    """

    vertices: np.ndarray
    near: np.ndarray
    own: np.ndarray
    planes: np.ndarray
    polygons: np.ndarray
    thickness: np.ndarray
    reach: np.ndarray
    meets: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def of(
        cls, mean: np.ndarray, polygons: np.ndarray, inside: np.ndarray, skin: np.ndarray, lips: np.ndarray
    ) -> "MouthLining":
        """Finds what holds the lining in the mean face.

        Args:
            mean: (V, 3), metres.
            polygons: (F, 4), -1 for the fourth of a triangle.
            inside: (V,) bool, vertices inside the lips.
            skin: (V,) bool, the other vertices of the skin.
            lips: vertices where the lips meet; what is near them goes with the lips.

        Returns:
            The part of the lining that has skin outside it; without vertices where there is none.
        """
        lining, skin = np.flatnonzero(inside), np.flatnonzero(skin)
        if len(lining):
            away = np.linalg.norm(mean[lining][:, None] - mean[lips], axis=2).min(1)
            lining = lining[away > _LIPS]
        normals = vertex_normals(mean, polygons)
        if len(lining):
            low, high = mean[lining].min(0) - _DEEPEST, mean[lining].max(0) + _DEEPEST
            skin = skin[((mean[skin] > low) & (mean[skin] < high)).all(1)]
        held, planes, thickness, reach = [], [], [], []
        for vertex in lining if len(skin) > NEIGHBOURS else ():
            apart, outwards = mean[skin] - mean[vertex], -normals[vertex]
            deep, facing = apart @ outwards, normals[skin] @ outwards
            aside = np.linalg.norm(apart - deep[:, None] * outwards, axis=1)
            outside = (deep > 0) & (deep < _DEEPEST) & (facing > _TOWARDS) & (aside < _WIDEST)
            if not outside.any():
                continue
            behind, distance = (apart * normals[skin]).sum(1), np.linalg.norm(apart, axis=1)
            possible = (behind > _THIN) & (facing > _SAME_WAY)
            nearest = np.where(possible, distance, np.inf).argsort()[:NEIGHBOURS]
            least = np.minimum(_THICK, _KEPT * behind[nearest])
            held.append(vertex)
            planes.append(skin[nearest])
            thickness.append(np.where(possible[nearest], least, -np.inf))
            reach.append(_FAR * distance[nearest] + _FURTHER)
        vertices = np.array(held, np.int32)
        skin_planes = np.array(planes, np.int32).reshape(-1, NEIGHBOURS)
        around = polygons[np.isin(polygons, skin_planes).any(1)]
        near = np.unique(np.concatenate([vertices, around[around >= 0]])).astype(np.int32)
        place = np.full(len(mean) + 1, -1, np.int32)  # the last stands for the missing corner, -1
        place[near] = np.arange(len(near))
        return cls(
            vertices,
            near,
            place[vertices],
            place[skin_planes],
            place[around],
            np.array(thickness, np.float32).reshape(-1, NEIGHBOURS),
            np.array(reach, np.float32).reshape(-1, NEIGHBOURS),
            _meeting(place[around], place[skin_planes]),
        )

    def at_rest(self, near: np.ndarray) -> np.ndarray:
        """Returns (N, 3): where the lining of a face at rest belongs; `near` (M, 3) are its vertices."""
        return self._held(near[None], 1.0)[0]

    def in_motion(self, rest: np.ndarray, moves: np.ndarray) -> np.ndarray:
        """Returns (E, N, 3): how the lining moves with each expression.

        Args:
            rest: (M, 3), near vertices at rest, the lining where it belongs.
            moves: (E, M, 3), by how much each expression would move them.
        """
        found = moves[:, self.own]
        active = np.flatnonzero((np.abs(moves) > _STILL).any((1, 2)))
        found[active] = self._held(rest + moves[active], _KEPT_IN_MOTION) - rest[self.own]
        return found

    def _held(self, near: np.ndarray, share: float) -> np.ndarray:
        """Moves the linings (E, N, 3) of faces (E, M, 3) behind their planes.

        One plane at a time, the one that a vertex is furthest before first.
        """
        normals, place = self._normals(near), near[:, self.own]
        height = (near * normals).sum(2)
        before = np.einsum("enpi,eni->enp", normals[:, self.planes], place)
        before += share * self.thickness
        before -= height[:, self.planes]
        faces, rows = np.nonzero((before > 0).any(2))
        planes, own = self.planes[rows], place[faces, rows]
        points, sides = near[faces[:, None], planes], normals[faces[:, None], planes]
        counts = np.linalg.norm(points - own[:, None], axis=2) <= self.reach[rows]
        least = np.where(counts, share * self.thickness[rows], -np.inf)
        still = np.arange(len(rows))
        for _ in range(_PASSES):
            wrong = least[still] - np.einsum("rpi,rpi->rp", points[still] - own[still, None], sides[still])
            worst = wrong.argmax(1)
            most = wrong[np.arange(len(still)), worst]
            still, worst, most = still[most > _EXACT], worst[most > _EXACT], most[most > _EXACT]
            own[still] -= most[:, None] * sides[still, worst]
        place[faces, rows] = own
        return place

    def _normals(self, near: np.ndarray) -> np.ndarray:
        """Returns (E, M, 3): unit normals at planes' vertices, as those of `vertex_normals`; elsewhere 0."""
        corners = near[:, np.where(self.polygons < 0, self.polygons[:, [2]], self.polygons)]
        area = np.cross(corners[:, :, 2] - corners[:, :, 0], corners[:, :, 3] - corners[:, :, 1])
        normals = np.zeros_like(near)
        vertices, polygons, starts = self.meets
        total = np.add.reduceat(area[:, polygons], starts, 1) if len(starts) else area[:, :0]
        length = np.linalg.norm(total, axis=2, keepdims=True)
        normals[:, vertices] = total / np.maximum(length, 1e-30)
        return normals


def _meeting(polygons: np.ndarray, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the vertices (U,), the polygons (C,) that meet at each, in order, and where each's begin."""
    corners, faces = polygons.ravel(), np.repeat(np.arange(len(polygons)), 4)
    wanted = np.isin(corners, vertices)
    order = corners[wanted].argsort(kind="stable")
    found, starts = np.unique(corners[wanted][order], return_index=True)
    return found, faces[wanted][order], starts


def inside_lips(uv: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Returns (V,) bool: what lies within the line of the lips in a texture chart.

    Args:
        uv: (V, 2), each vertex's place in the chart.
        upper: (L, 2), the upper lip's inner edge from one corner to the other; lower (L, 2) the lower lip's.
    """
    line = np.concatenate([upper, lower[::-1]])
    x, y = uv.T
    inside = np.zeros(len(uv), bool)
    for (x0, y0), (x1, y1) in zip(line, np.roll(line, -1, 0), strict=True):
        if y0 != y1:
            inside ^= ((y1 > y) != (y0 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside
