"""Displacement maps against the truth: PSNR, structural similarity of active texels, spectrum by octave."""

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn import functional

OCTAVES_MM = ((0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 16.0))
ACTIVE_SHARE = 0.25


def active_texels(truth: Tensor, mask: Tensor, deviation: float, window: int) -> Tensor:
    """Marks the texels where the truth has wrinkles.

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

    BLOCK = 64
    HALO = 5

    def __init__(self, maps: Tensor, mask: Tensor, deviation: float, bins: SpectrumBins, window: int):
        self.maps = maps
        self.mask = mask
        self.power = bins.power(maps)
        active = active_texels(maps, mask, deviation, window)
        cells = active.unfold(1, self.BLOCK, self.BLOCK).unfold(
            2, self.BLOCK, self.BLOCK
        )  # (B, n, n, 64, 64)
        self.chosen = cells.any(-1).any(-1)
        self.active = cells[self.chosen]  # (M, 64, 64)
        self.blocks = self.cut(maps)

    def cut(self, maps: Tensor) -> Tensor:
        """(B, R, R) -> (M, 74, 74): the blocks that are compared, with a halo for the window."""
        size = self.BLOCK + 2 * self.HALO
        padded = functional.pad(maps, (self.HALO,) * 4)
        return padded.unfold(1, size, self.BLOCK).unfold(2, size, self.BLOCK)[self.chosen]

    def similarity(self, own: Tensor, peak: float) -> Tensor:
        """Returns the SSIM of other maps (B, R, R) at the active texels, flat.

        Source: Wang et al. 2004, "Image quality assessment", with its Gaussian window of 1.5 texels; the
        blocks lie under one another in one picture, and their halos keep the window inside each.
        """
        size = self.blocks.shape[-1]
        if not len(self.blocks):
            return torch.zeros(0)
        similarity = structural_similarity(
            self.cut(own).reshape(-1, size).numpy(),
            self.blocks.reshape(-1, size).numpy(),
            data_range=peak,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        inner = slice(self.HALO, size - self.HALO)
        texels = torch.from_numpy(np.asarray(similarity[1]))
        return texels.view(-1, size, size)[:, inner, inner][self.active]


class FidelityTotals:
    """Running sums for one way of making maps.

    Args:
        peak: percentile span of the truth, millimetres.
        bins: for the spectrum.
    """

    def __init__(self, peak: float, bins: SpectrumBins):
        self.peak = peak
        self.bins = bins
        self.square = 0.0
        self.texels = 0
        self.similarity = 0.0
        self.active = 0
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
        """Returns generated over true power by octave, shortest first, dB; at least -60.

        Octaves that the resolution does not hold are left out.
        """
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
