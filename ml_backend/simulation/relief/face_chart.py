"""The mean face in texture space: positions in anatomical millimetres, metric, the chart's edge."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...geometry.anatomy import CHIN_UP, anatomical_places
from ...geometry.texture_space import rasterise, triangles_of
from ...models.bilinear_face import BilinearFace
from .strain import StrainRaster, gaussian_blur, tangent_frames

GRID = 128
POCKET_STRETCH = (
    9.0  # a texel that covers so many times the face's area lies inside mouth or sockets, or at the back
)
SMOOTHING_MM = 3.0


@dataclass(frozen=True)
class FaceChart:
    """Fields over a G x G texture grid of the mean face, row 0 at v = 0.

    Attributes:
        corners: (T, 3) vertex indices of the skin's triangles.
        corner_uv: (T, 3, 2) their texture coordinates.
        raster: the triangle under each texel, with the strain's smoothing.
        across: (G, G) millimetres to the person's left of the middle, scaled so that the eyes are at +-29.
        up: (G, G) millimetres above the eyes, scaled so that the mouth is at -66 and the chin's tip at -103.
        behind: (G, G) millimetres behind the nose's root.
        jacobian: (2, 2, G, G) d(tangent millimetres) / d(uv).
        scale: millimetres per unit of u and of v, medians over the front of the face.
        lips: (G, G) 0..1, the red of the lips.
        visible: (G, G) 0..1, 0 inside the mouth and behind the lids.
        wing: (across, up) of the left wing of the nose, both sides' mean.
        mouth_corner: the same of the left corner of the mouth.
    """

    corners: np.ndarray
    corner_uv: np.ndarray
    raster: StrainRaster
    across: Tensor
    up: Tensor
    behind: Tensor
    jacobian: Tensor
    scale: tuple[float, float]
    lips: Tensor
    visible: Tensor
    wing: tuple[float, float]
    mouth_corner: tuple[float, float]

    def texels(self, millimetres: float, vertical: float | None = None) -> tuple[float, float]:
        """Returns a length on the front of the face as texels of this grid, (rows, columns)."""
        upright = millimetres if vertical is None else vertical
        return upright * GRID / self.scale[1], millimetres * GRID / self.scale[0]


def skin_triangles(face: BilinearFace) -> tuple[np.ndarray, np.ndarray]:
    """Vertex and texture corners, (T, 3) each, of the part that wrinkles."""
    skin = np.asarray(face.polygon_part) == 0
    corners, _ = triangles_of(np.asarray(face.polygons)[skin])
    uv_corners, _ = triangles_of(np.asarray(face.uv_polygons)[skin])
    return corners.astype(np.int64), uv_corners.astype(np.int64)


def build_chart(face: BilinearFace) -> FaceChart:
    """Lays the face of identity zero out in texture space."""
    corners, uv_corners = skin_triangles(face)
    uv = np.asarray(face.uv, np.float64)
    rest = np.asarray(face.neutral(np.zeros(face.identity_size, np.float32)), np.float64) * 1000
    lookup = rasterise(uv, uv_corners, corners, GRID)
    covered = torch.from_numpy(lookup.mask.astype(np.float32))
    _, jacobian = tangent_frames(rest[corners], uv[uv_corners])
    texel_jacobian = jacobian[lookup.triangle.clip(0)].transpose(2, 3, 0, 1)  # (2, 2, G, G)
    places = anatomical_places(face, rest)
    position = _filled(torch.from_numpy(lookup.spread(places)).permute(2, 0, 1), covered)
    front = (
        lookup.mask
        & (position[2] < 50).numpy()
        & (position[1] > CHIN_UP).numpy()
        & (position[1] < 70).numpy()
    )
    lengths = np.median(np.linalg.norm(texel_jacobian[:, :, front], axis=0), axis=-1)  # (2,)
    scale = (float(lengths[0]), float(lengths[1]))
    open_skin = open_triangles(jacobian, scale)
    visible = gaussian_blur(
        torch.from_numpy((open_skin[lookup.triangle.clip(0)] & lookup.mask).astype(np.float32))[None],
        (0.7, 0.7),
    )[0]
    sigma = (SMOOTHING_MM * GRID / scale[1], SMOOTHING_MM * GRID / scale[0])
    raster = StrainRaster(torch.from_numpy(lookup.triangle.clip(0).astype(np.int64)), covered, sigma)
    metric = raster.smooth_texels(
        torch.from_numpy(texel_jacobian.reshape(4, GRID, GRID).astype(np.float32)), sigma
    )
    lips = torch.from_numpy(lookup.spread(np.asarray(face.regions["lips"], np.float32)))
    return FaceChart(
        corners, uv[uv_corners], raster, position[0], position[1], position[2], metric.view(2, 2, GRID, GRID),
        (scale[0], scale[1]), gaussian_blur(lips[None], (0.8, 0.8))[0], visible,
        _both_sides(face, places, "nose_wing"), _both_sides(face, places, "lip_corner"),
    )  # fmt: skip


def _both_sides(face: BilinearFace, places: np.ndarray, landmark: str) -> tuple[float, float]:
    """Returns (across, up) of a landmark that either side has, the mean of both."""
    sides = [
        places[np.atleast_1d(face.landmarks[f"{landmark}_{side}"])].mean(0) for side in ("left", "right")
    ]
    return float(abs(sides[0][0] - sides[1][0]) / 2), float((sides[0][1] + sides[1][1]) / 2)


def _filled(fields: Tensor, covered: Tensor) -> Tensor:
    """Extends fields (C, G, G) smoothly beyond the chart, coarser the farther out."""
    out = fields * covered
    known = covered
    for width in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0):
        weight = gaussian_blur(covered[None], (width, width))
        near = gaussian_blur(fields * covered, (width, width)) / weight.clamp_min(1e-6)
        take = (weight[0] > 0.02) & (known == 0)
        out = torch.where(take, near, out)
        known = torch.where(take, torch.ones_like(known), known)
    return out


def open_triangles(jacobian: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Returns (T,) bool: triangles on the outside of the face.

    From their Jacobians (T, 2, 2) and the front's scale in millimetres.
    """
    return np.abs(np.linalg.det(jacobian)) < POCKET_STRETCH * scale[0] * scale[1]


def open_skin(face: BilinearFace, chart: FaceChart, resolution: int) -> tuple[Tensor, Tensor]:
    """Skin that is seen, at a map's resolution.

    Returns:
        (R, R) float32, 1 on the outside of the face, 0 in pockets and beyond the chart; (R, R) bool, the
        region "face".
    """
    corners, uv_corners = skin_triangles(face)
    lookup = rasterise(np.asarray(face.uv, np.float64), uv_corners, corners, resolution)
    rest = np.asarray(face.neutral(np.zeros(face.identity_size, np.float32)), np.float64) * 1000
    _, jacobian = tangent_frames(rest[corners], chart.corner_uv)
    seen = open_triangles(jacobian, chart.scale)[lookup.triangle.clip(0)] & lookup.mask
    inside = lookup.spread(np.asarray(face.regions["face"], np.float32)) > 0.5
    return torch.from_numpy(seen.astype(np.float32)), torch.from_numpy(inside & seen)


def border_fade(covered: Tensor, scale: tuple[float, float], width_mm: float = 3.0) -> Tensor:
    """Fades to 0 towards the chart's borders (seam, lids, the lips' slit, the neck's cut).

    Args:
        covered: (R, R) float32, 1 where there is skin.
        scale: millimetres per unit of u and of v.
        width_mm: distance over which it fades.

    Returns:
        (R, R) float32, 0 at the border, 1 farther inside than about twice the width.
    """
    resolution = covered.shape[-1]
    sigma = (width_mm * resolution / scale[1], width_mm * resolution / scale[0])
    soft = gaussian_blur(covered[None], sigma)[0]
    ramp = ((soft - 0.5) / 0.45).clamp(0, 1)
    return ramp * ramp * (3 - 2 * ramp) * covered
