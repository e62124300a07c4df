"""The mean face in texture space at a colour map's resolution: anatomical millimetres and its parts."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...geometry.anatomy import anatomical_places
from ...geometry.dense_face import dense_face_mesh
from ...geometry.hair_regions import HAIRLINE, brow_cover, scalp_cover
from ...geometry.texture_space import rasterise, triangles_of
from ...models.bilinear_face import BilinearFace
from ..relief.face_chart import FaceChart, build_chart, open_skin


@dataclass(frozen=True)
class PigmentChart:
    """Fields over an R x R map of the mean face, row 0 at v = 0, float32.

    Attributes:
        across, up, behind: (R, R) anatomical millimetres: to the person's left of the middle, above the eyes,
            behind the nose's root.
        place: (3, R, R) millimetres on the mean face itself, for noise.
        lips: (R, R) 0..1, the vermilion.
        ears: (R, R) 0..1.
        brows, scalp: (R, R) 0..1, the roots of hair.
        lid_edge: (R, R) millimetres to the nearest lid margin, at most 30.
        seen: (R, R) 1 on the outside of the face, 0 in mouth, nostrils and sockets.
        face: (R, R) bool, the model's region "face" where it is seen.
        step: (2, 2, R, R) millimetres on the surface per texel, rows of the tangent frame, (column, row).
    """

    across: Tensor
    up: Tensor
    behind: Tensor
    place: Tensor
    lips: Tensor
    ears: Tensor
    brows: Tensor
    scalp: Tensor
    lid_edge: Tensor
    seen: Tensor
    face: Tensor
    step: Tensor

    @property
    def texel(self) -> Tensor:
        """(R, R) the longer side of each texel, millimetres."""
        return torch.maximum(self.step[0, 0], self.step[:, 1].norm(dim=0))

    @property
    def resolution(self) -> int:
        """R."""
        return self.across.shape[-1]


def build_pigment_chart(face: BilinearFace, resolution: int, chart: FaceChart | None = None) -> PigmentChart:
    """Lays the face of identity zero out in texture space, its mesh refined so that borders are smooth.

    Args:
        face: the face model.
        resolution: R.
        chart: the coarse chart of the same face, where one is at hand.
    """
    chart = build_chart(face) if chart is None else chart
    rest = np.asarray(face.neutral(np.zeros(face.identity_size, np.float32)), np.float64) * 1000
    dense = dense_face_mesh(face)
    part = np.asarray(face.polygon_part)[dense.base_polygon]
    corners, _ = triangles_of(dense.polygons[part == 0])
    uv_corners, _ = triangles_of(dense.uv_polygons[part == 0])
    lookup = rasterise(np.asarray(dense.uv, np.float64), uv_corners, corners, resolution)
    shape = dense.refine(rest.astype(np.float32))
    columns = {
        "anatomy": dense.refine(anatomical_places(face, rest)),
        "shape": shape,
        "lips": dense.refine(np.asarray(face.regions["lips"], np.float32))[:, None],
        "brows": _brows(face, rest, shape)[:, None],
        "scalp": _scalp(face, rest, shape)[:, None],
        "ears": _ears(face, rest, shape)[:, None],
        "lid_edge": _lid_distance(face, rest, shape)[:, None],
        "pocket": dense.refine(_pockets(face))[:, None],
    }
    stacked = lookup.spread(np.concatenate(list(columns.values()), 1).astype(np.float32))
    fields = torch.from_numpy(stacked).permute(2, 0, 1).contiguous()
    anatomy, place, (lips, brows, scalp, ears, lid_edge, pocket) = fields[:3], fields[3:6], fields[6:]
    seen, inside = open_skin(face, chart, resolution)
    seen = seen * (pocket < 0.5)
    inside = inside & (pocket < 0.5)
    across, up, behind = anatomy
    lips = _smoothstep(lips, 0.18, 0.72)
    steps = _steps(place, seen)
    return PigmentChart(
        across, up, behind, place, lips, ears, brows, scalp, lid_edge, seen, inside, steps,
    )  # fmt: skip


def _pockets(face: BilinearFace) -> np.ndarray:
    """Returns (V,) float32, 1 inside mouth and sockets, as far as the model names them."""
    weights = np.zeros(face.vertex_count, np.float32)
    weights[face.landmarks.get("pocket", np.zeros(0, np.int64))] = 1
    return weights


def _smoothstep(values: Tensor, low: float, high: float) -> Tensor:
    share = ((values - low) / (high - low)).clamp(0, 1)
    return share * share * (3 - 2 * share)


def _steps(place: Tensor, seen: Tensor) -> Tensor:
    """Millimetres per texel along the surface, as the upper triangle of a QR decomposition."""
    right = torch.gradient(place, dim=2)[0]
    above = torch.gradient(place, dim=1)[0]
    length = right.norm(dim=0).clamp_min(0.05)
    along = (right * above).sum(0) / length
    beside = (above.square().sum(0) - along.square()).clamp_min(0.01).sqrt()
    rows = torch.stack([torch.stack([length, along]), torch.stack([torch.zeros_like(length), beside])])
    return torch.where(seen > 0.5, rows, rows.clamp(-3, 3))


def _brows(face: BilinearFace, rest: np.ndarray, shape: np.ndarray) -> np.ndarray:
    sides = [
        brow_cover(shape / 1000, rest[face.landmarks[f"lid_upper_{side}"]] / 1000)
        for side in ("left", "right")
    ]
    return np.maximum(*sides)


def _scalp(face: BilinearFace, rest: np.ndarray, shape: np.ndarray) -> np.ndarray:
    ear, top = (
        rest[np.atleast_1d(face.landmarks[name])].mean(0) / 1000 for name in ("ear_left", "forehead_top")
    )
    return scalp_cover(shape / 1000, ear, top, HAIRLINE)


def _ears(face: BilinearFace, rest: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Returns (N,) 0..1: an ellipsoid around the rim of each ear."""
    cover = np.zeros(len(shape))
    for side in ("left", "right"):
        rim = rest[face.landmarks[f"ear_rim_{side}"]]
        middle, reach = rim.mean(0), np.abs(rim - rim.mean(0)).max(0)
        away = ((shape - middle) / (1.15 * reach + (2, 3, 3))) ** 2
        cover = np.maximum(cover, np.clip(1.6 * (1.15 - np.sqrt(away.sum(1))), 0, 1))
    return cover


def _lid_distance(face: BilinearFace, rest: np.ndarray, shape: np.ndarray) -> np.ndarray:
    nearest = np.full(len(shape), 30.0)
    for side in ("left", "right"):
        for lid in ("upper", "lower"):
            line = rest[face.landmarks[f"lid_{lid}_{side}"]]
            steps = np.linspace(0, len(line) - 1, 8 * len(line))
            fine = np.stack([np.interp(steps, np.arange(len(line)), line[:, axis]) for axis in range(3)], 1)
            near = np.flatnonzero(np.linalg.norm(shape - line.mean(0), axis=1) < 50)
            distance = np.linalg.norm(shape[near, None] - fine[None], axis=2).min(1)
            nearest[near] = np.minimum(nearest[near], distance)
    return nearest
