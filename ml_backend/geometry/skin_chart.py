"""The mean face in texture space for painting on it: anatomical places, lips, lids, beard. numpy only."""

from dataclasses import dataclass

import numpy as np

from .anatomy import anatomical_places
from .hair_regions import HAIRLINE, scalp_cover
from .subdivision import DenseMesh
from .texture_space import rasterise, triangles_of

BEARD_LINE = ((0, -47), (12, -48), (22, -56), (34, -68), (48, -66), (60, -46), (70, -14), (80, 0))
"""Upper edge of a beard: across, up, millimetres."""
_FAR = 30.0


@dataclass(frozen=True)
class SkinChart:
    """Fields over an R x R map of the mean face, row 0 at v = 0, float32; 0 where no skin is.

    Attributes:
        skin: (R, R) bool.
        across, up, behind: (R, R) anatomical millimetres: to the person's left of the middle, above the eyes,
            behind the eyes.
        place: (R, R, 3) millimetres on the mean face.
        lips, scalp: (R, R) 0..1.
        upper_lid, lower_lid: (R, R) millimetres to the nearest margin of such a lid, at most 30.
    """

    skin: np.ndarray
    across: np.ndarray
    up: np.ndarray
    behind: np.ndarray
    place: np.ndarray
    lips: np.ndarray
    scalp: np.ndarray
    upper_lid: np.ndarray
    lower_lid: np.ndarray

    @property
    def resolution(self) -> int:
        """R."""
        return self.skin.shape[0]

    def blob(self, across: float, up: float, half_width: float, half_height: float) -> np.ndarray:
        """Returns (R, R): a soft ellipse on both sides of the face, 1 in its middle, millimetres."""
        return blob(self.across, self.up, self.behind, across, up, half_width, half_height)

    def free(self) -> np.ndarray:
        """Returns (R, R) 0..1: skin that is neither lips nor lid margins nor under hair."""
        lid = np.exp(-((np.minimum(self.upper_lid, self.lower_lid) / 1.3) ** 2))
        return self.skin * (1 - self.lips) * (1 - self.scalp) * (1 - lid)


@dataclass(frozen=True)
class SkinPlaces:
    """The same fields at the vertices of the dense mean face, (N,) each, `place` (N, 3)."""

    across: np.ndarray
    up: np.ndarray
    behind: np.ndarray
    place: np.ndarray
    lips: np.ndarray
    scalp: np.ndarray
    upper_lid: np.ndarray
    lower_lid: np.ndarray

    def blob(self, across: float, up: float, half_width: float, half_height: float) -> np.ndarray:
        """Returns (N,): a soft ellipse on both sides of the face, 1 in its middle, millimetres."""
        return blob(self.across, self.up, self.behind, across, up, half_width, half_height)

    def beard(self) -> np.ndarray:
        """Returns (N,) 0..1: where a beard grows."""
        beside = np.abs(self.across)
        line = np.interp(beside, *np.array(BEARD_LINE, float).T)
        cover = _step(line - self.up, 2.5) * _step(self.up + 138, 6) * _step(88 - self.behind, 4)
        bare = 0.7 * self.blob(15, -77, 7, 5) + 0.35 * self.blob(0, -52, 3, 6)
        thick = 0.55 + 0.45 * np.maximum(self.blob(0, -92, 24, 16), self.blob(12, -56, 14, 8))
        return cover * thick * np.clip(1 - bare, 0, 1) * (1 - self.lips)


def skin_places(face, dense: DenseMesh) -> SkinPlaces:
    """Returns the fields at the dense vertices of a face model.

    Args:
        face: a `BilinearFace`.
        dense: what `dense_face_mesh` made of it.
    """
    rest = np.asarray(face.neutral(np.zeros(face.identity_size, np.float32)), np.float64) * 1000
    shape = dense.refine(rest.astype(np.float32))
    across, up, behind = dense.refine(anatomical_places(face, rest)).T
    ear, top = (
        rest[np.atleast_1d(face.landmarks[name])].mean(0) / 1000 for name in ("ear_left", "forehead_top")
    )
    lips = np.clip((dense.refine(np.asarray(face.regions["lips"], np.float32)) - 0.18) / 0.54, 0, 1)
    return SkinPlaces(
        across,
        up,
        behind,
        shape,
        lips * lips * (3 - 2 * lips),
        scalp_cover(shape / 1000, ear, top, HAIRLINE),
        _lid_distance(face, rest, shape, "upper"),
        _lid_distance(face, rest, shape, "lower"),
    )


def build_skin_chart(face, dense: DenseMesh, places: SkinPlaces, resolution: int) -> SkinChart:
    """Lays the fields out in texture space.

    Args:
        face: a `BilinearFace`; its first part is the skin.
        dense: its dense mesh.
        places: its fields.
        resolution: R.
    """
    skin = np.asarray(face.polygon_part)[dense.base_polygon] == 0
    corners, _ = triangles_of(dense.polygons[skin])
    uv_corners, _ = triangles_of(dense.uv_polygons[skin])
    lookup = rasterise(np.asarray(dense.uv, np.float64), uv_corners, corners, resolution)
    names = ("across", "up", "behind", "lips", "scalp", "upper_lid", "lower_lid")
    stacked = np.concatenate([np.stack([getattr(places, name) for name in names], 1), places.place], 1)
    drawn = lookup.spread(stacked)
    fields = {name: np.ascontiguousarray(drawn[..., number]) for number, name in enumerate(names)}
    return SkinChart(skin=lookup.mask, place=np.ascontiguousarray(drawn[..., len(names) :]), **fields)


def blob(
    across: np.ndarray,
    up: np.ndarray,
    behind: np.ndarray,
    at_across: float,
    at_up: float,
    half_width: float,
    half_height: float,
) -> np.ndarray:
    """Returns a soft ellipse on both sides of the face, 1 in its middle, over any anatomical places."""
    away = ((np.abs(across) - at_across) / half_width) ** 2 + ((up - at_up) / half_height) ** 2
    return np.exp(-0.7 * away) * _step(95 - behind, 8)


def _step(values: np.ndarray, width: float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values / width, -40, 40)))


def _lid_distance(face, rest: np.ndarray, shape: np.ndarray, lid: str) -> np.ndarray:
    nearest = np.full(len(shape), _FAR, np.float32)
    for side in ("left", "right"):
        line = rest[face.landmarks[f"lid_{lid}_{side}"]]
        steps = np.linspace(0, len(line) - 1, 8 * len(line))
        fine = np.stack([np.interp(steps, np.arange(len(line)), line[:, axis]) for axis in range(3)], 1)
        near = np.flatnonzero(np.linalg.norm(shape - line.mean(0), axis=1) < _FAR)
        distance = np.linalg.norm(shape[near, None] - fine[None].astype(np.float32), axis=2).min(1)
        nearest[near] = np.minimum(nearest[near], distance)
    return nearest
