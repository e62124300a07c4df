"""Frechet distance between sets of displacement maps, in a fixed feature space made for relief."""

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

WAVELENGTHS_MM = (3.0, 6.0, 12.0, 24.0)
ORIENTATIONS = 4
CELLS = 16
FEATURES = 64
POWER = 0.75
_PROJECTION_SEED = 64
_OCTAVE_WIDTH = 0.55  # deviation of a band along the logarithm to base e of the frequency
_ANGLE_WIDTH = math.pi / ORIENTATIONS / 1.2


def frechet_of_moments(
    mean_a: np.ndarray, covariance_a: np.ndarray, mean_b: np.ndarray, covariance_b: np.ndarray
) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of two Gaussians.

    Args:
        mean_a, mean_b: (D,).
        covariance_a, covariance_b: (D, D), symmetric, not negative.

    Source: Dowson and Landau 1982, "The Frechet distance between multivariate normal distributions".
    """
    root = _root(covariance_a)
    cross = np.linalg.eigvalsh(root @ covariance_b @ root).clip(0)
    apart = float(np.square(mean_a - mean_b).sum())
    return max(0.0, apart + float(np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.sqrt(cross).sum()))


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance of two samples (N, D) and (M, D), each taken as a Gaussian.

    Raises:
        ValueError: a sample has fewer than two rows, or the widths differ.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"samples of {a.shape} and {b.shape}: expected two or more rows of one width")
    moments = [
        (x.mean(0), np.cov(x, rowvar=False).reshape(x.shape[1], -1))
        for x in (a.astype(np.float64), b.astype(np.float64))
    ]
    return frechet_of_moments(*moments[0], *moments[1])


class ReliefFeatures:
    """64 numbers of a displacement map; learned from nothing, the same for every model.

    Four octaves of wavelength around 3, 6, 12 and 24 mm in four orientations (log-Gabor filters; the
    amplitude is that of the complex response). An amplitude counts as slope, which is what shading shows, and
    by its power of 3/4, so that fine lines count beside deep folds. Over cells of 1/16 of the map: mean
    amplitudes; means of the products of two orientations of an octave, which tell crossing lines from lines
    side by side; of one orientation in neighbouring octaves, which tell a sharp valley from a wave; and of
    the signed response, which tells valleys from ridges. A fixed random projection makes 64 of them.

    Args:
        resolution: texels along a side of the maps, 256 for instance.
        scale: millimetres per unit of u and of v.
        mask: (R, R) bool, the face; its softened edge tapers the maps.
    """

    def __init__(self, resolution: int, scale: tuple[float, float], mask: Tensor):
        if resolution < 8 * CELLS or tuple(mask.shape) != (resolution, resolution):
            raise ValueError(
                f"resolution {resolution} and mask {tuple(mask.shape)}: "
                f"expected at least {8 * CELLS} and a mask of that size"
            )
        self.resolution = resolution
        width = max(3, resolution // 64) | 1
        taper = mask.float()
        for _ in range(2):
            taper = functional.avg_pool2d(taper[None, None], width, 1, width // 2)[0, 0]
        self.taper = taper * mask
        self.cells = functional.adaptive_avg_pool2d(mask.float()[None, None], CELLS)[0, 0] > 0.4  # (16, 16)
        self.bands = [self._band(wavelength, scale) for wavelength in WAVELENGTHS_MM]
        pairs = ORIENTATIONS * (ORIENTATIONS - 1) // 2
        octaves = len(WAVELENGTHS_MM)
        count = octaves * (ORIENTATIONS + pairs + 1) + (octaves - 1) * ORIENTATIONS
        random = np.random.default_rng(_PROJECTION_SEED)
        whole = random.standard_normal((count, CELLS * CELLS, FEATURES)).astype(np.float32)
        kept = torch.from_numpy(whole)[:, self.cells.flatten()].flatten(0, 1)
        self.projection = kept / math.sqrt(len(kept) / FEATURES)

    def _band(self, wavelength: float, scale: tuple[float, float]) -> tuple[Tensor, int]:
        """Filters (4, n, n) in the frequency domain, and n: coarse octaves are computed on a coarser grid."""
        finest = min(scale) / self.resolution
        n = self.resolution
        while n > 4 * CELLS and wavelength / (2 * finest * self.resolution / n) > 3:
            n //= 2
        u = torch.fft.fftfreq(n, 1 / n) / scale[0]
        v = torch.fft.fftfreq(n, 1 / n) / scale[1]
        frequency = torch.sqrt(u[None] ** 2 + v[:, None] ** 2)
        angle = torch.atan2(v[:, None].expand(n, n), u[None].expand(n, n))
        radial = torch.exp(
            -0.5 * (torch.log(frequency.clamp_min(1e-9) * wavelength) / _OCTAVE_WIDTH) ** 2
        ) * (frequency > 0)
        filters = []
        for index in range(ORIENTATIONS):
            turn = torch.remainder(angle - math.pi * index / ORIENTATIONS + math.pi, 2 * math.pi) - math.pi
            filters.append(
                2 * radial * torch.exp(-0.5 * (turn / _ANGLE_WIDTH) ** 2) * (turn.abs() < math.pi / 2)
            )
        slope = 2 * math.pi / wavelength
        return torch.stack(filters) * slope * (n / self.resolution) ** 2, n

    def _pooled(self, field: Tensor) -> Tensor:
        """(B, C, n, n) -> (B, C, cells of the face)."""
        return functional.adaptive_avg_pool2d(field, CELLS)[..., self.cells]

    @torch.inference_mode()
    def __call__(self, maps: Tensor, batch: int = 16) -> np.ndarray:
        """Maps (B, R, R) in millimetres -> (B, 64) float64.

        Raises:
            ValueError: the maps have another resolution.
        """
        if maps.ndim != 3 or maps.shape[1:] != (self.resolution, self.resolution):
            raise ValueError(f"maps {tuple(maps.shape)}: expected (B, {self.resolution}, {self.resolution})")
        return np.concatenate([self._features(part).double().numpy() for part in maps.float().split(batch)])

    def _features(self, maps: Tensor) -> Tensor:
        spectrum = torch.fft.fft2(maps * self.taper)
        amplitudes = []
        found = []
        for filters, n in self.bands:
            response = torch.fft.ifft2(_cropped(spectrum, n)[:, None] * filters)  # (B, 4, n, n)
            amplitude = response.abs().clamp_min(1e-12) ** POWER
            first, second = torch.triu_indices(ORIENTATIONS, ORIENTATIONS, 1)
            whole = response.real.sum(1, keepdim=True)
            found += [
                self._pooled(amplitude),
                self._pooled((amplitude[:, first] * amplitude[:, second]).sqrt()),
            ]
            found.append(self._pooled(whole.sign() * whole.abs() ** POWER))
            amplitudes.append(amplitude)
        for fine, coarse in pairwise(amplitudes):
            size = coarse.shape[-1]
            found.append(self._pooled((functional.adaptive_avg_pool2d(fine, size) * coarse).sqrt()))
        return torch.cat(found, 1).flatten(1) @ self.projection


def _cropped(spectrum: Tensor, n: int) -> Tensor:
    """Returns the n x n lowest frequencies of a full spectrum (B, R, R), in the order of fft2."""
    size = spectrum.shape[-1]
    if n == size:
        return spectrum
    keep = torch.cat([torch.arange(n // 2), torch.arange(size - n // 2, size)])
    return spectrum[:, keep][:, :, keep]
