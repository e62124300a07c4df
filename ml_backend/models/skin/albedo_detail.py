"""The detail of the albedo model UVAPM: a variational autoencoder of what the coarse map lacks.

Its decoder adds to the value (HSV) of the coarse map; a second, smaller one adds to green and blue (`chroma`)
what value cannot carry, and can be left out. A map of 512 has a latent of 32 x 32 x 4, one of 1024 has one
of 64 x 64 x 4.

The latent has two parts. Its mean over blocks of 2 x 2 cells is 16 numbers for the whole face, which weigh
fixed fields: detail that lies at the same place of every face, such as roots of brows and beard, or lines of
the lips. The rest is local and is drawn by convolutions: freckles, moles, spots.

Source: Dai et al. 2025 (see albedo_model.py), section 3.4; Kingma and Welling 2014, "Auto-encoding
variational Bayes". The fields are ours.
"""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...asset_files import ASSETS
from ...files.network_file import read_network_file
from .albedo_model import LEAST_VALUE

ALBEDO_DETAIL_FILE = "albedo_detail.safetensors"
CELL = 16
"""Texels along a side of a latent's cell."""
BLOCK = 2
_LARGEST_INT8 = 127
_RIDGE = 1e-2


@dataclasses.dataclass(frozen=True)
class AlbedoDetailConfig:
    """Sizes of the two autoencoders.

    Attributes:
        resolution: texels along a side of the fields, 512.
        latent: channels of the value's latent.
        fields: fixed fields of the value, at most 4 times `latent`.
        widths: channels of the value's convolutions at 1/4, 1/8 and 1/16 of the map.
        chroma_latent, chroma_fields, chroma_widths: the same of the chroma.
    """

    resolution: int = 512
    latent: int = 4
    fields: int = 12
    widths: tuple[int, int, int] = (32, 48, 64)
    chroma_latent: int = 2
    chroma_fields: int = 0
    chroma_widths: tuple[int, int, int] = (24, 32, 32)


def albedo_detail_config(table: dict[str, Any]) -> AlbedoDetailConfig:
    """Returns the configuration of a TOML or JSON table.

    Raises:
        TypeError: the table has unknown entries.
    """
    sizes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in table.items()
    }
    return AlbedoDetailConfig(**sizes)


Window = tuple[slice, slice]
"""Rows and columns of a map of the fields' resolution, their ends multiples of 32 texels apart."""


class _Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(functional.silu(self.first(functional.silu(x))))


class DetailAutoencoder(nn.Module):
    """A variational autoencoder of detail in one or two channels.

    Args:
        channels: of the detail.
        latent: channels of the latent.
        fields: fixed fields, at most 4 times `latent`.
        widths: channels at 1/4, 1/8 and 1/16.
        resolution: of the fields.
    """

    def __init__(
        self, channels: int, latent: int, fields: int, widths: tuple[int, int, int], resolution: int
    ):
        super().__init__()
        if fields > latent * BLOCK**2:
            raise ValueError(f"{fields} fields do not fit into a latent of {latent} channels")
        fine, middle, coarse = widths
        self.latent = latent
        self.resolution = resolution
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(16 * channels, fine, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(fine, middle, 4, 2, 1),
            _Residual(middle),
            nn.Conv2d(middle, coarse, 4, 2, 1),
            _Residual(coarse),
            nn.SiLU(),
            nn.Conv2d(coarse, 2 * latent, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(latent, coarse, 3, padding=1),
            _Residual(coarse),
            _Residual(coarse),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(coarse, middle, 3, padding=1),
            _Residual(middle),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(middle, fine, 3, padding=1),
            _Residual(fine),
            nn.SiLU(),
            nn.Conv2d(fine, 16 * channels, 3, padding=1),
            nn.PixelShuffle(4),
        )
        last = self.decoder[-2]
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        nn.init.normal_(last.weight, std=0.1 * last.weight[0].numel() ** -0.5)
        nn.init.zeros_(last.bias)
        self.unit: Tensor
        self.fields: Tensor
        self.field_step: Tensor
        self.register_buffer("unit", torch.ones(channels))
        shape = (1 + fields, channels, resolution, resolution)  # the first is the mean
        self.register_buffer("fields", torch.full(shape, _LARGEST_INT8 + 1, dtype=torch.uint8))
        self.register_buffer("field_step", torch.zeros(1 + fields, channels))

    def set_fields(self, mean: Tensor, fields: Tensor, unit: Tensor) -> None:
        """Sets the fixed part.

        Args:
            mean: (C, R, R), sRGB.
            fields: (K, C, R, R), sRGB per deviation of people.
            unit: (C,) sRGB, the deviation of the detail.
        """
        whole = torch.cat([mean[None], fields]) / unit[:, None, None]
        step = whole.abs().amax((-2, -1)).clamp_min(1e-9) / _LARGEST_INT8
        stored = torch.round(whole / step[..., None, None]) + _LARGEST_INT8 + 1
        self.unit.copy_(unit)
        self.field_step.copy_(step)
        self.fields.copy_(stored.to(torch.uint8))

    def _fixed(self, window: Window, scale: int) -> tuple[Tensor, Tensor]:
        """Mean (C, h, w) and fields (K, C, h, w) in units of the detail, enlarged `scale` times."""
        rows, columns = window
        part = self.fields[:, :, rows, columns].float() - (_LARGEST_INT8 + 1)
        part = part * self.field_step[..., None, None]
        if scale > 1:
            part = functional.interpolate(part, scale_factor=scale, mode="bicubic", align_corners=False)
        return part[0], part[1:]

    def _window(self, size: tuple[int, int], window: Window | None) -> tuple[Window, int]:
        """Returns the window in texels of the fields, and how many texels of a map one of theirs is."""
        if window is not None:
            return window, 1
        whole = slice(0, self.resolution)
        if size[0] != size[1] or size[0] % self.resolution:
            raise ValueError(f"a map of {size}: expected a multiple of {self.resolution} along both sides")
        return (whole, whole), size[0] // self.resolution

    def encode(self, detail: Tensor, window: Window | None = None) -> tuple[Tensor, Tensor]:
        """Finds the latents of details.

        Args:
            detail: (B, C, H, W) sRGB.
            window: the place of H x W texels on the face; None: a whole map, at the fields' resolution or a
                multiple.

        Returns:
            Mean and logarithm of the variance, (B, latent, H / 16, W / 16) each.
        """
        place, scale = self._window((detail.shape[-2], detail.shape[-1]), window)
        mean, fields = self._fixed(place, scale)
        left = detail / self.unit[:, None, None] - mean
        slots = left.new_zeros(len(detail), self.latent * BLOCK**2)
        if len(fields):
            flat = fields.flatten(1)
            gram = flat @ flat.T
            stiff = _RIDGE * gram.diagonal().mean() + 1e-6  # fields that are not set have no length
            gram = gram + stiff * torch.eye(len(gram), device=gram.device)
            weights = torch.linalg.solve(gram, flat @ left.flatten(1).T).T  # (B, K)
            left = left - torch.einsum("bk,kchw->bchw", weights, fields)
            slots[:, : weights.shape[1]] = weights
        local, spread = self.encoder(left).chunk(2, 1)
        grid = (local.shape[-2], local.shape[-1])
        return local - _over(_slots(local), grid) + _over(slots, grid), spread.clamp(-12, 4)

    def decode(self, latent: Tensor, window: Window | None = None) -> Tensor:
        """Makes details (B, C, H, W), sRGB, from latents (B, latent, H / 16, W / 16).

        `window` is the place of the H x W texels, as `encode` takes it.
        """
        height, width = latent.shape[-2:]
        place, scale = self._window((CELL * height, CELL * width), window)
        mean, fields = self._fixed(place, scale)
        slots = _slots(latent)
        weights = slots[:, : len(fields)]
        drawn = self.decoder(latent - _over(slots, (height, width)))
        drawn = drawn + mean + torch.einsum("bk,kchw->bchw", weights, fields)
        return drawn * self.unit[:, None, None]


def _slots(latent: Tensor) -> Tensor:
    """(B, c, h, w), h and w even -> (B, 4 c): the mean over blocks of 2 x 2 cells."""
    return functional.pixel_unshuffle(latent, BLOCK).mean((2, 3))


def _over(slots: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, 4 c) -> (B, c, h, w): the same numbers in every block."""
    height, width = grid
    blocks = slots[:, :, None, None].expand(-1, -1, height // BLOCK, width // BLOCK)
    return functional.pixel_shuffle(blocks, BLOCK)


class AlbedoDetail(nn.Module):
    """The autoencoders of value and chroma.

    Args:
        config: their sizes.
    """

    def __init__(self, config: AlbedoDetailConfig):
        super().__init__()
        self.config = config
        self.value = DetailAutoencoder(1, config.latent, config.fields, config.widths, config.resolution)
        self.chroma = DetailAutoencoder(
            2, config.chroma_latent, config.chroma_fields, config.chroma_widths, config.resolution
        )

    @torch.inference_mode()
    def detailed(self, coarse: Tensor, value: Tensor | None, chroma: Tensor | None = None) -> Tensor:
        """Adds decoded detail to coarse maps.

        Args:
            coarse: (B, 3, R, R) sRGB, R the fields' resolution or a multiple.
            value: (B, latent, R / 16, R / 16); None adds no value.
            chroma: (B, chroma_latent, R / 16, R / 16); None adds no chroma.

        Returns:
            (B, 3, R, R) sRGB.
        """
        made = coarse
        if value is not None:
            made = add_to_value(made, self.value.decode(value))
        if chroma is not None:
            made = add_chroma(made, self.chroma.decode(chroma))
        return made

    @torch.inference_mode()
    def latents(self, colours: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes what coarse maps lack.

        Args:
            colours, coarse: (B, 3, R, R) sRGB.

        Returns:
            Latents of value and chroma, the means.
        """
        value, chroma = missing_detail(colours, coarse)
        return self.value.encode(value)[0], self.chroma.encode(chroma)[0]


def missing_detail(colours: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the value (B, 1, H, W) and chroma (B, 2, H, W) that coarse maps (B, 3, H, W) lack."""
    value = colours.amax(1, keepdim=True) - coarse.amax(1, keepdim=True)
    return value, (colours - add_to_value(coarse, value))[:, 1:]


def add_to_value(colours: Tensor, detail: Tensor) -> Tensor:
    """Adds (B, 1, H, W) to the value of maps (B, 3, H, W), as `albedo_model.add_to_value` does."""
    value = colours.amax(1, keepdim=True).clamp_min(LEAST_VALUE)
    return colours * ((value + detail).clamp_min(LEAST_VALUE) / value)


def add_chroma(colours: Tensor, chroma: Tensor) -> Tensor:
    """Adds (B, 2, H, W) to green and blue of maps (B, 3, H, W)."""
    return torch.cat([colours[:, :1], colours[:, 1:] + chroma], 1)


def load_albedo_detail(folder: Path = ASSETS) -> AlbedoDetail:
    """Reads the detail model of a folder, of the package by default.

    Raises:
        UserError: the file is missing, broken or of another kind.
    """
    return read_network_file(
        folder / ALBEDO_DETAIL_FILE,
        lambda table: AlbedoDetail(albedo_detail_config(table)),
        "detail model of skin colour",
    )
