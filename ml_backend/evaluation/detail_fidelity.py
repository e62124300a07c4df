"""Displacement maps against the truth: PSNR, structural similarity of active texels, spectrum by octave."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

OCTAVES_MM = ((0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 16.0))
ACTIVE_SHARE = 0.25


def active_texels(truth: Tensor, mask: Tensor, deviation: float, window: int) -> Tensor:
    """Where the truth has something to show.

    Args:
        truth: (B, R, R) millimetres.
        mask: (R, R) bool.
        deviation: standard deviation of all truths inside the mask, millimetres.
        window: texels in 2 mm.

    Returns:
        (B, R, R) bool: the mean of |truth| over the window is above a quarter of the deviation.
    """
    window = max(1, window) | 1
    local = functional.avg_pool2d(truth.abs()[:, None], window, 1, window // 2)[:, 0]
    return (local > ACTIVE_SHARE * deviation) & mask


def gaussian_window(x: Tensor, sigma: float = 1.5, radius: int = 5) -> Tensor:
    """Separable Gaussian mean of (B, C, H, W)."""
    at = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    taps = torch.exp(-0.5 * (at / sigma) ** 2)
    taps = (taps / taps.sum()).expand(x.shape[1], 1, -1)
    x = functional.conv2d(x, taps[:, :, :, None], padding=(radius, 0), groups=x.shape[1])
    return functional.conv2d(x, taps[:, :, None, :], padding=(0, radius), groups=x.shape[1])


def similarity_of_moments(
    own: Tensor, truth: Tensor, own_square: Tensor, true_square: Tensor, product: Tensor, peak: float
) -> Tensor:
    """SSIM from local means of x, y, x^2, y^2 and xy, any shape.

    Source: Wang et al. 2004, "Image quality assessment", Eq. 13.
    """
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    nearness = (2 * own * truth + c1) / (own * own + truth * truth + c1)
    return (
        nearness
        * (2 * (product - own * truth) + c2)
        / (own_square - own * own + true_square - truth * truth + c2)
    )


def structural_similarity(own: Tensor, truth: Tensor, peak: float) -> Tensor:
    """SSIM per texel of (B, R, R) maps, Gaussian window of 1.5 texels."""
    a, b, aa, bb, ab = gaussian_window(
        torch.stack([own, truth, own * own, truth * truth, own * truth], 1)
    ).unbind(1)
    return similarity_of_moments(a, b, aa, bb, ab, peak)


class SpectrumBins:
    """Octaves of wavelength over the frequencies of a map.

    Args:
        resolution: R.
        scale: millimetres per unit of u and of v.
        mask: (R, R); its softened edge tapers the maps.
    """

    def __init__(self, resolution: int, scale: tuple[float, float], mask: Tensor):
        along_u = torch.fft.rfftfreq(resolution, scale[0] / resolution)
        along_v = torch.fft.fftfreq(resolution, scale[1] / resolution)
        frequency = torch.sqrt(along_u[None] ** 2 + along_v[:, None] ** 2)  # per mm
        texel = max(scale) / resolution
        self.resolved = [
            long >= 2 * texel for _, long in OCTAVES_MM
        ]  # some of the octave lies above two texels
        self.octave = torch.full(frequency.shape, -1)
        for index, (short, long) in enumerate(OCTAVES_MM):
            self.octave[(frequency > 1 / long) & (frequency <= 1 / short)] = index
        width = max(3, resolution // 64) | 1
        self.taper = mask.float()
        for _ in range(2):
            self.taper = functional.avg_pool2d(self.taper[None, None], width, 1, width // 2)[0, 0]
        self.taper = self.taper * mask

    def power(self, maps: Tensor) -> Tensor:
        """(B, R, R) -> (octaves,) summed power."""
        power = torch.fft.rfft2(maps * self.taper).abs().square().sum(0)
        return torch.stack([power[self.octave == index].sum() for index in range(len(OCTAVES_MM))]).double()


class TrueMaps:
    """Truths that all rows are compared with, and what of the comparison they share.

    SSIM is computed in blocks that hold an active texel only; the values are those of the whole map.

    Args:
        maps: (B, R, R) millimetres, 0 outside the mask.
        mask: (R, R) bool, the face.
        deviation: standard deviation of all truths, millimetres.
        bins: for the spectrum.
        window: texels in 2 mm.
    """

    BLOCK, HALO = 64, 5

    def __init__(self, maps: Tensor, mask: Tensor, deviation: float, bins: SpectrumBins, window: int):
        self.maps, self.mask = maps, mask
        self.power = bins.power(maps)
        active = active_texels(maps, mask, deviation, window)
        cells = active.unfold(1, self.BLOCK, self.BLOCK).unfold(
            2, self.BLOCK, self.BLOCK
        )  # (B, n, n, 64, 64)
        self.chosen = cells.any(-1).any(-1)
        self.active = cells[self.chosen]  # (M, 64, 64)
        self.blocks = self.cut(maps)
        self.mean, self.square = gaussian_window(torch.stack([self.blocks, self.blocks.square()], 1)).unbind(
            1
        )

    def cut(self, maps: Tensor) -> Tensor:
        """(B, R, R) -> (M, 74, 74): the blocks that are compared, with a halo for the window."""
        size = self.BLOCK + 2 * self.HALO
        padded = functional.pad(maps, (self.HALO,) * 4)
        return padded.unfold(1, size, self.BLOCK).unfold(2, size, self.BLOCK)[self.chosen]

    def similarity(self, own: Tensor, peak: float) -> Tensor:
        """SSIM of own maps (B, R, R) at the active texels, flat."""
        blocks = self.cut(own)
        mean, square, product = gaussian_window(
            torch.stack([blocks, blocks.square(), blocks * self.blocks], 1)
        ).unbind(1)
        found = similarity_of_moments(mean, self.mean, square, self.square, product, peak)
        return found[:, self.HALO : -self.HALO, self.HALO : -self.HALO][self.active]


class FidelityTotals:
    """Running sums for one way of making maps.

    Args:
        peak: percentile span of the truth, millimetres.
        bins: for the spectrum.
    """

    def __init__(self, peak: float, bins: SpectrumBins):
        self.peak, self.bins = peak, bins
        self.square, self.texels, self.similarity, self.active = 0.0, 0, 0.0, 0
        self.own_power = torch.zeros(len(OCTAVES_MM), dtype=torch.double)
        self.true_power = torch.zeros(len(OCTAVES_MM), dtype=torch.double)

    def add(self, own: Tensor, truth: TrueMaps) -> None:
        """Adds maps (B, R, R), 0 outside the mask, beside their truths."""
        self.square += float((own - truth.maps).square().sum())
        self.texels += len(own) * int(truth.mask.sum())
        found = truth.similarity(own, self.peak)
        self.similarity += float(found.sum())
        self.active += found.numel()
        self.own_power += self.bins.power(own)
        self.true_power += truth.power

    def octaves_db(self) -> list[float]:
        """Generated over true power per octave that the resolution holds, shortest first, dB; at least -60."""
        ratio = (self.own_power / self.true_power.clamp_min(1e-30)).clamp_min(1e-6)
        return [
            round(float(value), 3)
            for value, held in zip(10 * torch.log10(ratio), self.bins.resolved, strict=True)
            if held
        ]

    def figures(self) -> dict:
        """psnr_db, ssim over active texels, spectrum_worst_octave_db (signed) and the octaves."""
        octaves = self.octaves_db()
        return {
            "psnr_db": round(10 * float(np.log10(self.peak**2 / max(self.square / self.texels, 1e-20))), 3),
            "ssim": round(self.similarity / max(self.active, 1), 4),
            "spectrum_worst_octave_db": max(octaves, key=abs),
            "spectrum_octaves_db": octaves,
        }
