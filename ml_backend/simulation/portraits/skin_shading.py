"""Simulates photographs of skin in texture space: relief and albedo under spherical-harmonics light.

In a photograph relief is a change of shading. Freckles, spots, brows, stubble, soft shadows and shine are not
relief, and must not become it. Both are drawn here at random, so that a network can learn to tell them apart.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...geometry.displacement import vertex_normals
from ...geometry.normal_map import measure_texels
from ...geometry.texture_space import rasterise, triangles_of
from ...models.bilinear_face import BilinearFace
from ..relief.face_chart import build_chart

_FIRST = 0.488603 / 0.282095
_CROSS, _ZONAL, _SQUARE = 1.092548 / 0.282095, 0.315392 / 0.282095, 0.546274 / 0.282095
LEAST_SHADE = 0.04
MELANIN = (0.55, 0.85, 1.25)  # extinction of red, green and blue by a unit of each pigment
HAEMOGLOBIN = (0.12, 0.85, 0.65)
PALE = (0.80, 0.64, 0.52)
SOFT_LIGHTS = 0.55
FOLD_MM = 9.0
"""Width of the broad valley in which a fold of real skin lies, which neither map nor fitted mesh has."""
SOFT_MM, SOFTENED = 4.0, 1.6
"""Width over which folds of young skin are rounded in a picture, and the factor that keeps their depth."""
HOLLOWS = ((3.0, 1.5), (8.0, 1.2), (16.0, 0.8))
"""Widths, millimetres, of hollows that receive less light, and by how much at most for each millimetre."""
SHADOW_MM, SHADOW_SOFTNESS = (1.0, 2.0, 4.0, 7.0, 11.0), 0.15
SCATTERED, SCATTER_MM = (0.6, 0.3, 0.15), 3.0
"""Largest share of red, green and blue light that leaves the skin beside where it entered, and how far."""


def harmonics(normals: Tensor) -> Tensor:
    """Returns the first nine real spherical harmonics, each divided by the constant one.

    Args:
        normals: (..., 3, H, W), unit length, in the face's axes (Z up, the face looks along -Y).

    Returns:
        (..., 9, H, W) in the order 1; y, z, x; xy, yz, 3 z^2 - 1, xz, x^2 - y^2. A light of (1, 0, ...)
        shades everything by 1.

    Source: Ramamoorthi and Hanrahan 2001, "An efficient representation for irradiance environment maps".
    """
    x, y, z = normals.unbind(-3)
    return torch.stack(
        [
            torch.ones_like(x),
            _FIRST * y,
            _FIRST * z,
            _FIRST * x,
            _CROSS * x * y,
            _CROSS * y * z,
            _ZONAL * (3 * z * z - 1),
            _CROSS * x * z,
            _SQUARE * (x * x - y * y),
        ],
        -3,
    )


@dataclass(frozen=True)
class SkinSurface:
    """The mean face's smooth surface in texture space, row 0 at v = 0.

    Attributes:
        normal, tangent, bitangent: (3, R, R) unit vectors in the face's axes; the tangent points along
            growing u.
        along, shear, across: (R, R) millimetres along tangent, tangent and bitangent for one texel of u, v
            and v; 1 off the surface.
        mask: (R, R) 0..1, 1 on skin.
        brows, beard, lips: (R, R) 0..1, where hair grows and where skin is red.
    """

    normal: Tensor
    tangent: Tensor
    bitangent: Tensor
    along: Tensor
    shear: Tensor
    across: Tensor
    mask: Tensor
    brows: Tensor
    beard: Tensor
    lips: Tensor

    def cut(self, rows: slice, columns: slice) -> "SkinSurface":
        """Returns a rectangle of the surface."""
        return SkinSurface(*(getattr(self, name)[..., rows, columns] for name in self.__dataclass_fields__))

    def to(self, device: torch.device) -> "SkinSurface":
        """Returns the surface on another device."""
        return SkinSurface(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))

    def slopes(self, heights: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the rise of heights along tangent and bitangent.

        Args:
            heights: (B, 1, R, R) millimetres.

        Returns:
            (B, 1, R, R) each, without unit.
        """
        padded = functional.pad(heights, (1, 1, 1, 1), mode="replicate")
        by_u = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
        by_v = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
        slope = by_u / self.along
        return slope, (by_v - self.shear * slope) / self.across

    def tilted(self, slope_t: Tensor, slope_b: Tensor, normal: Tensor | None = None) -> Tensor:
        """Returns the unit normals (B, 3, R, R) of the displaced surface.

        `normal` (B, 3, R, R) is that of other smooth faces, in place of the mean face's.
        """
        smooth = self.normal if normal is None else normal
        return functional.normalize(smooth - slope_t * self.tangent - slope_b * self.bitangent, dim=1)


def skin_surface(face: BilinearFace, resolution: int) -> SkinSurface:
    """Lays the face of identity zero out in texture space, with the places of hair and lips."""
    positions = np.asarray(face.neutral(np.zeros(face.identity_size, np.float32)), np.float64)
    polygons = np.asarray(face.polygons)
    on_skin = np.asarray(face.polygon_part) == 0
    triangles, _ = triangles_of(polygons[on_skin])
    uv_triangles, _ = triangles_of(np.asarray(face.uv_polygons)[on_skin])
    uv = np.asarray(face.uv, np.float64)
    lookup = rasterise(uv, uv_triangles, triangles, resolution)
    metric = measure_texels(positions, uv, uv_triangles, lookup)
    normal = _unit(lookup.spread(vertex_normals(positions, polygons)))
    tangent = lookup.spread(_tangents(positions, uv, triangles, uv_triangles))
    tangent = _unit(tangent - (tangent * normal).sum(2, keepdims=True) * normal)
    mask = lookup.mask
    chart = build_chart(face)

    def texels(metres: np.ndarray) -> Tensor:
        return torch.from_numpy(
            np.where(mask & (metric.across > 1e-6), metres * (1000 / resolution), 1).astype(np.float32)
        )

    def enlarged(field: Tensor) -> Tensor:
        return functional.interpolate(
            field[None, None].float(), size=(resolution, resolution), mode="bilinear"
        )[0, 0]

    side = chart.across.abs()
    brow_line = 16 + 5 * torch.exp(-(((side - 36) / 14) ** 2))
    brows = (
        torch.exp(-(((chart.up - brow_line) / 4.5) ** 4))
        * torch.sigmoid((side - 11) / 2)
        * torch.sigmoid((53 - side) / 3)
    )
    jaw = torch.sigmoid((-46 - chart.up - 0.25 * side.clamp(max=50)) / 4) * (1 - chart.lips)

    def axes(vectors: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(vectors.transpose(2, 0, 1), np.float32))

    return SkinSurface(
        normal=axes(normal),
        tangent=axes(tangent),
        bitangent=axes(np.cross(normal, tangent)),
        along=texels(metric.along),
        shear=torch.where(texels(metric.across) == 1, 0, texels(metric.shear)),
        across=texels(metric.across),
        mask=torch.from_numpy(mask.astype(np.float32)),
        brows=enlarged(brows),
        beard=enlarged(jaw),
        lips=enlarged(chart.lips),
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _tangents(
    positions: np.ndarray, uv: np.ndarray, triangles: np.ndarray, uv_triangles: np.ndarray
) -> np.ndarray:
    """Returns the directions of growing u (V, 3) at vertices, means over their triangles."""
    corners, places = positions[triangles], uv[uv_triangles]
    edges, steps = corners[:, 1:] - corners[:, :1], places[:, 1:] - places[:, :1]
    by_u = (
        edges[:, 0] * steps[:, 1, 1, None] - edges[:, 1] * steps[:, 0, 1, None]
    )  # times the texture area, which weighs
    sign = np.sign(steps[:, 0, 0] * steps[:, 1, 1] - steps[:, 0, 1] * steps[:, 1, 0])[:, None]
    total = np.zeros_like(positions)
    for corner in range(3):
        np.add.at(total, triangles[:, corner], by_u * sign)
    return total


def sample_light(count: int, random: torch.Generator) -> Tensor:
    """Draws lights (B, 9, 3): a sky, a strong light from the front, a weak second one, a tint.

    For about half the lights the lamps are large or surround the head, as in a studio: what is directed falls
    to a twentieth at the least.
    """
    light = torch.zeros(count, 9)
    light[:, 0] = 1
    for strongest in (1.1, 0.4):
        towards = torch.randn(count, 3, generator=random) * torch.tensor([0.7, 0.4, 0.5]) + torch.tensor(
            [0.0, -0.7, 0.35]
        )
        towards = functional.normalize(towards, dim=1)
        strength = strongest * (0.25 + 0.75 * torch.rand(count, 1, generator=random))
        lobes = harmonics(towards[:, :, None, None])[..., 0, 0]
        light = light + strength * lobes * torch.tensor([0.0, 1, 1, 1, 0.4, 0.4, 0.4, 0.4, 0.4]) * 0.6
    soft = torch.rand(count, 2, generator=random)
    directed = torch.where(soft[:, :1] < SOFT_LIGHTS, 0.05 + 0.6 * soft[:, 1:].square(), torch.ones(count, 1))
    light[:, 1:] = light[:, 1:] * directed
    tint = 1 + 0.08 * torch.randn(count, 1, 3, generator=random)
    return light[:, :, None] * tint * (0.6 + 0.7 * torch.rand(count, 1, 1, generator=random))


def smooth_noise(count: int, size: int, cells: int, random: torch.Generator) -> Tensor:
    """Draws noise (count, 1, size, size) of unit deviation that varies over size / cells texels."""
    coarse = torch.randn(count, 1, cells + 3, cells + 3, generator=random)
    fine = functional.interpolate(
        coarse, size=(size + 3 * size // cells,) * 2, mode="bicubic", align_corners=False
    )
    return 1.25 * fine[..., :size, :size]


def sample_albedo(surface: SkinSurface, count: int, random: torch.Generator) -> Tensor:
    """Draws linear albedo (B, 3, R, R): slowly varying pigments, freckles, spots, brows, stubble and lips.

    None of it follows the relief.
    """
    size = surface.mask.shape[-1]

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, 1, generator=random)

    melanin = uniform(0.02, 1.7) + uniform(0, 0.15) * smooth_noise(count, size, 6, random)
    blood = uniform(0.05, 0.35) + uniform(0, 0.1) * smooth_noise(count, size, 9, random) + 0.35 * surface.lips
    blood = blood + uniform(0, 0.06) * smooth_noise(count, size, size // 10, random)
    freckles = functional.relu(smooth_noise(count, size, size // 5, random) - uniform(1.6, 2.6))
    melanin = melanin + uniform(0, 0.6) * freckles * (uniform(0, 1) < 0.4)
    spots = functional.relu(smooth_noise(count, size, size // 14, random) - uniform(2.0, 2.8))
    blood = blood + uniform(0, 1.0) * spots * (uniform(0, 1) < 0.5)
    melanin = melanin + uniform(0, 0.05) * torch.randn(count, 1, size, size, generator=random)
    hair = functional.interpolate(
        torch.randn(count, 1, size // 2, size, generator=random), size=(size, size), mode="bilinear"
    )
    brows = surface.brows * uniform(0.2, 1.5) * (0.8 + 0.5 * hair) + uniform(0, 0.2) * surface.brows
    stubble = (
        surface.beard
        * uniform(0, 0.8)
        * (uniform(0, 1) < 0.4)
        * (0.6 + 0.5 * torch.randn(count, 1, size, size, generator=random))
    )
    melanin = (melanin + 2.2 * functional.relu(brows) + functional.relu(stubble)).clamp_min(0)
    pigments = melanin * torch.tensor(MELANIN).view(1, 3, 1, 1) + blood.clamp_min(0) * torch.tensor(
        HAEMOGLOBIN
    ).view(1, 3, 1, 1)
    return torch.tensor(PALE).view(1, 3, 1, 1) * torch.exp(-pigments)


def hair_over_skin(count: int, size: int, random: torch.Generator) -> Tensor:
    """Draws how far loose hair covers the skin from the map's rim inwards, (B, 1, size, size) 0..1.

    Strands hang; for two thirds of the maps there are none.
    """
    at = torch.linspace(-1, 1, size)
    draw = torch.rand(count, 4, 1, 1, generator=random)
    low = 0.45 + 0.5 * draw[:, :1]
    radius = torch.hypot(at[None, :], 0.9 * at[:, None]) + 0.08 * smooth_noise(count, size, 8, random)
    grown = torch.sigmoid((radius - low) / (0.01 + 0.05 * draw[:, 1:2])) * (at[:, None] > -0.3)
    strands = torch.randn(count, 1, max(4, size // 24), size, generator=random)
    strands = functional.interpolate(strands, size=(size, size), mode="bilinear", align_corners=False)
    return grown * torch.sigmoid(2 * strands + 3 * draw[:, 2:3]) * (draw[:, 3:] < 0.33)


def beard_over_skin(surface: SkinSurface, count: int, random: torch.Generator) -> Tensor:
    """Draws how far stubble and short beards cover the skin, (B, 1, R, R) 0..1; nothing on most maps.

    Hairs hang and stand apart; some places are thin.
    """
    size = surface.mask.shape[-1]
    draw = torch.rand(count, 4, 1, 1, generator=random)
    tall = max(8, size // 4)
    hairs = torch.randn(count, 1, tall, size, generator=random)
    hairs = functional.interpolate(hairs, size=(size, size), mode="bilinear", align_corners=False)
    thick = draw[:, :1] * (1 + 0.5 * smooth_noise(count, size, 12, random)).clamp(0, 2)
    cover = torch.sigmoid(3 * hairs + 6 * (thick - 0.7)) * thick.clamp_max(1)
    return surface.beard * (1 - surface.lips) * cover * (0.2 + 0.8 * draw[:, 1:2]) * (draw[:, 2:3] < 0.25)


def shade_skin(
    surface: SkinSurface,
    heights: Tensor,
    albedo: Tensor,
    light: Tensor,
    random: torch.Generator,
    normal: Tensor | None = None,
    openness: Tensor | None = None,
) -> Tensor:
    """Draws skin.

    Args:
        surface: the smooth face.
        heights: (B, 1, R, R) millimetres.
        albedo: (B, 3, R, R).
        light: (B, 9, 3).
        random: chance of shadow, shine, shade in hollows and exposure.
        normal: (B, 3, R, R) of the people's own smooth faces; the mean face's by default.
        openness: (B, 1, R, R) 0..1, how much of an even sky reaches the smooth skin; all by default.

    Returns:
        (B, 3, R, R) linear, 0..1 where it is not overexposed.
    """
    count, size = len(heights), heights.shape[-1]

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, 1, generator=random)

    soft = uniform(0, 1) * (uniform(0, 1) < 0.7)
    heights = heights + soft * (SOFTENED * local_mean(surface, heights, SOFT_MM) - heights)
    heights = heights + uniform(0.5, 3) * (uniform(0, 1) < 0.8) * local_mean(surface, heights, FOLD_MM)
    normals = surface.tilted(*surface.slopes(heights), normal)
    shade = torch.einsum("bkyx,bkc->bcyx", harmonics(normals), light).clamp_min(LEAST_SHADE)
    if openness is not None:
        shade = shade * openness.clamp_min(0.05) ** uniform(0.2, 1.5)
    shade = shade * (1 - uniform(0, 0.9) * cast_shadow(surface, heights, light))
    for width, deepest in HOLLOWS:
        hollow = local_mean(surface, heights, width) - heights
        shade = shade * torch.exp(-uniform(0.3 * deepest, deepest) * functional.relu(hollow))
    edge = smooth_noise(count, size, 4, random) - uniform(0.2, 2.0)
    shade = shade * (1 - uniform(0, 0.5) * (uniform(0, 1) < 0.3) * torch.sigmoid(edge / uniform(0.05, 0.6)))
    shade = shade * torch.exp(0.12 * smooth_noise(count, size, 5, random))
    spread = uniform(0, 1) * torch.tensor(SCATTERED).view(1, 3, 1, 1)
    shade = shade + spread * (local_mean(surface, shade, SCATTER_MM) - shade)
    half = functional.normalize(
        torch.randn(count, 3, generator=random) * 0.4 + torch.tensor([0.0, -1.0, 0.35]), dim=1
    )
    towards = (normals * half[:, :, None, None]).sum(1, keepdim=True).clamp_min(0)
    shine = towards**16 + uniform(0, 0.6) * towards**64
    drawn = albedo * shade + uniform(0, 0.1) * shine * light[:, 0].mean(1).view(-1, 1, 1, 1)
    bright = (drawn * surface.mask).mean(1).flatten(1).quantile(0.93, dim=1).clamp_min(1e-3)
    return drawn * uniform(0.3, 0.95) / bright.view(-1, 1, 1, 1)


def local_mean(surface: SkinSurface, maps: Tensor, width: float) -> Tensor:
    """Returns the means of maps (B, C, R, R) over squares of some millimetres; same shape."""
    side = max(3, round(width / float(surface.along.median()))) | 1
    for shape in ((side, 1), (1, side)):
        padding = (shape[0] // 2, shape[1] // 2)
        maps = functional.avg_pool2d(maps, shape, 1, padding, count_include_pad=False)
    return maps


def cast_shadow(surface: SkinSurface, heights: Tensor, light: Tensor) -> Tensor:
    """Returns how far relief hides the strongest lamp from each texel.

    Args:
        surface: the smooth face.
        heights: (B, 1, R, R) millimetres.
        light: (B, 9, 3); its linear part points to the lamp.

    Returns:
        (B, 1, R, R) 0..1; almost 0 under light from everywhere, which casts no shadow.

    Source: Max 1988, "Horizon mapping: shadows for bump-mapped surfaces".
    """
    size = heights.shape[-1]
    lamp = light.mean(2)[:, [3, 1, 2]]
    directed = lamp.norm(dim=1) / light[:, 0].mean(1).clamp_min(1e-3)
    lamp = functional.normalize(lamp, dim=1)[:, :, None, None]
    by_t, by_b, by_n = (
        (lamp * axis).sum(1) for axis in (surface.tangent, surface.bitangent, surface.normal)
    )  # (B, R, R)
    aside = torch.sqrt(by_t.square() + by_b.square()).clamp_min(1e-3)
    step_v = by_b / aside / surface.across
    step_u = (by_t / aside - surface.shear * step_v) / surface.along
    at = (torch.arange(size, device=heights.device) + 0.5) * (2 / size) - 1
    horizon = torch.full_like(heights, -1.0)
    for distance in SHADOW_MM:
        place = torch.stack(
            [at + step_u * (distance * 2 / size), at[:, None] + step_v * (distance * 2 / size)], -1
        )
        there = functional.grid_sample(heights, place, align_corners=False, padding_mode="border")
        horizon = torch.maximum(horizon, (there - heights) / distance)
    hidden = torch.sigmoid((horizon - (by_n / aside)[:, None]) / SHADOW_SOFTNESS)
    return hidden * (by_n > 0)[:, None] * directed.clamp_max(1).view(-1, 1, 1, 1)


def smooth_shading(surface: SkinSurface, light: Tensor) -> tuple[Tensor, Tensor]:
    """Shades the smooth face, grey: the part of the light that a network may know at every texel.

    Args:
        surface: the smooth face.
        light: (B, 9, 3).

    Returns:
        (B, 1, R, R) shading, and (B, 2, R, R) the change of its logarithm per slope along tangent and
        bitangent.
    """
    grey = light.mean(2)

    def shading(normals: Tensor) -> Tensor:
        return torch.einsum("kyx,bk->byx", harmonics(normals), grey)[:, None].clamp_min(LEAST_SHADE)

    step = 0.1
    flat = shading(surface.normal)
    moved = [
        shading(functional.normalize(surface.normal - step * axis, dim=0))
        for axis in (surface.tangent, surface.bitangent)
    ]
    return flat, torch.cat([(one / flat).log() / step for one in moved], 1)
