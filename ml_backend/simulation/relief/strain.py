"""Strain of the skin: how an expression stretches, shears and compresses the surface, in texture space."""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


def tangent_frames(corners: np.ndarray, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal frames of triangles, the first axis along +u.

    Args:
        corners: (T, 3, 3) positions of the corners.
        uv: (T, 3, 2) texture coordinates of the corners.

    Returns:
        (T, 3, 3) frames, rows = tangent along +u, tangent towards +v, normal; and (T, 2, 2) the Jacobian
        d(tangent coordinates) / d(uv).
    """
    edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], 2)  # (T, 3, edge)
    uv_edges = np.stack([uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]], 2)  # (T, 2, edge)
    slopes = edges @ _safe_inverse(uv_edges)  # (T, 3, 2) dX/du, dX/dv
    first = _unit(slopes[:, :, 0])
    normal = _unit(np.cross(slopes[:, :, 0], slopes[:, :, 1]))
    frames = np.stack([first, np.cross(normal, first), normal], 1)
    return frames, (frames @ slopes)[:, :2]


def displacement_gradients(corners: np.ndarray, deltas: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Gradient of a displacement on the surface, in the local frame.

    Args:
        corners: (T, 3, 3) rest positions of the corners.
        deltas: (N, T, 3, 3) displacements of the corners, same unit.
        frames: (T, 3, 3) from `tangent_frames`.

    Returns:
        (N, 6, T) float32: rows tangent 1, tangent 2, normal of the displacement, columns derivative along
        tangent 1, tangent 2; row-major.
    """
    edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], 2)
    inverse = _safe_inverse((frames @ edges)[:, :2])  # (T, edge, 2)
    change = np.stack(
        [deltas[:, :, 1] - deltas[:, :, 0], deltas[:, :, 2] - deltas[:, :, 0]], 3
    )  # (N, T, 3, edge)
    gradients = frames[None] @ change @ inverse[None]  # (N, T, 3, 2)
    return np.ascontiguousarray(gradients.reshape(*deltas.shape[:2], 6).transpose(0, 2, 1), np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _safe_inverse(matrices: np.ndarray) -> np.ndarray:
    """Inverses of (T, 2, 2); zero where a triangle has (almost) no area, so that it counts as unstrained."""
    area = np.linalg.det(matrices)
    scale = np.maximum((matrices**2).sum((1, 2)), 1e-30)
    sound = np.abs(area) > 1e-4 * scale
    inverse = np.linalg.inv(np.where(sound[:, None, None], matrices, np.eye(2)))
    return np.where(sound[:, None, None], inverse, 0)


def gaussian_blur(fields: Tensor, sigma: tuple[float, float]) -> Tensor:
    """Separable Gaussian blur with zero padding.

    Args:
        fields: (N, H, W).
        sigma: standard deviations along rows (H) and columns (W), in pixels.

    Returns:
        (N, H, W).
    """
    out = fields
    if sigma[0] > 0.2:
        out = blur_matrix(fields.shape[1], sigma[0]).to(fields) @ out
    if sigma[1] > 0.2:
        out = out @ blur_matrix(fields.shape[2], sigma[1]).to(fields)
    return out


@functools.lru_cache(maxsize=128)
def blur_matrix(size: int, sigma: float) -> Tensor:
    """Returns the matrix (size, size) that blurs a row of texels by a Gaussian, zero beyond the ends.

    Its standard deviation is sigma texels. The matrix is shared: not to be written to.
    """
    texel = torch.arange(size, dtype=torch.float32)
    kernel = torch.exp(-0.5 * ((texel[:, None] - texel[None]) / sigma) ** 2)
    return kernel / (sigma * (2 * torch.pi) ** 0.5)


@dataclass(frozen=True)
class StrainRaster:
    """The skin's triangles in a small texture grid.

    Attributes:
        triangle: (G, G) int64 index of the triangle under each texel, any where there is none.
        covered: (G, G) float32, 1 where there is skin.
        sigma: smoothing along rows and columns, texels.
    """

    triangle: Tensor
    covered: Tensor
    sigma: tuple[float, float]

    def smooth(self, per_triangle: Tensor) -> Tensor:
        """Rasterises values of triangles and smooths them inside the skin: (N, T) -> (N, G, G)."""
        return self.smooth_texels(per_triangle[:, self.triangle], self.sigma)

    def smooth_texels(self, texels: Tensor, sigma: tuple[float, float]) -> Tensor:
        """Smooths values of texels inside the skin, blind to what lies outside: (N, G, G) -> (N, G, G)."""
        weight = gaussian_blur(self.covered[None], sigma).clamp_min(1e-4)
        return gaussian_blur(texels * self.covered, sigma) / weight


def green_strain(gradient: Tensor) -> Tensor:
    """Green strain E = (F^T F - I) / 2 of a surface from its displacement gradient.

    Args:
        gradient: (..., 6, H, W), as `displacement_gradients` orders it.

    Returns:
        (..., 3, H, W): E11, E12, E22 in the tangent frame; negative = compression.

    Source: the right Cauchy-Green tensor C = F^T F; used on faces by Raman et al. 2023, "Mesh-Tension Driven
    Expression-Based Wrinkles for Synthetic Faces" (WACV).
    """
    a, b, c, d, e, f = gradient.unbind(-3)  # rows (a b), (c d), (e f)
    e11 = a + 0.5 * (a * a + c * c + e * e)
    e22 = d + 0.5 * (b * b + d * d + f * f)
    e12 = 0.5 * (b + c + a * b + c * d + e * f)
    return torch.stack([e11, e12, e22], -3)


def principal_compression(strain: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the strongest compression of a strain field and its direction.

    Args:
        strain: (..., 3, H, W) E11, E12, E22.

    Returns:
        (..., H, W) compression, at least 0, and (..., H, W) angle of its direction from tangent 1, radians,
        modulo pi.
    """
    e11, e12, e22 = strain.unbind(-3)
    half = 0.5 * (e11 - e22)
    centre = 0.5 * (e11 + e22)
    radius = torch.sqrt(half * half + e12 * e12 + 1e-16)
    return (radius - centre).clamp_min(0), 0.5 * torch.atan2(-e12, -half)


def compression_across(strain: Tensor, crease_angle: Tensor) -> Tensor:
    """Returns the compression at right angles to creases, negative where stretched.

    (..., 3, H, W) strain and (H, W) angles of the creases -> (..., H, W).
    """
    e11, e12, e22 = strain.unbind(-3)
    s = torch.sin(crease_angle)
    c = torch.cos(crease_angle)  # the normal of a crease is (-s, c)
    return -(e11 * (s * s) - 2 * e12 * (s * c) + e22 * (c * c))
