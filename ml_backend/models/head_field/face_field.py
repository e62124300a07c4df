"""The second decoder D: seven codes to a picture by a radiance field of 32 x 32 rays and an up-sampler.

It needs no mesh. Rays give a map of features, normals, colours and places on the mean head; convolutions
double it three times, told of the places at each size, and end in what light needs: colour under even light,
normal, gloss, cover. Between the rays places are interpolated, and the field is asked again there, at half
the picture's size: that is finer than its rays. Nine harmonics then light the picture, as the image formation
is known.

Sources: Zhang et al., "Zero-shot Real Facial Attribute Separation and Transfer at Novel Views", section 3.1
(the role of HeadNeRF); Perez et al. 2018, "FiLM" (codes scale and shift the channels).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...asset_files import ASSETS
from ...files.network_file import read_network_file
from ...geometry.camera_view import Camera
from ..face_codes import FaceCodes
from ..face_renderer import linear_of_srgb
from .deformed_field import DeformedField, FieldConfig, code_inputs, encode_points, normalised
from .ray_features import RayFeatures, Rays, features_of_rays, rays_of_cameras

FILE = "attribute_field.safetensors"
LEAST_SHADE = 0.04
_SHINE, _SHINE_POWER, _SHINE_ASIDE = 0.06, 24, (0.2, -0.6, 0.6)
_FIRST_SHARPNESS = 60.0


@dataclass
class UnlitPicture:
    """Pictures that are still to be lit, (B, n, H, W).

    Attributes:
        colour: (B, 3) sRGB 0..1 under even light.
        normal: (B, 3) head's axes, unit length.
        gloss: (B, 1) strength of highlights.
        cover: (B, 1) logit of the head's cover.
        rays: the features before the up-sampler.
    """

    colour: Tensor
    normal: Tensor
    gloss: Tensor
    cover: Tensor
    rays: RayFeatures


class _Block(nn.Module):
    """Two convolutions that codes scale and shift."""

    def __init__(self, inputs: int, outputs: int, code: int):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.film = nn.Linear(code, 4 * outputs)
        nn.init.normal_(self.film.weight, 0, 0.02)
        self.film.bias.data.zero_()

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        scale, shift, again, over = self.film(code)[..., None, None].chunk(4, 1)
        x = functional.leaky_relu(self.first(x) * (1 + scale) + shift, 0.2)
        return functional.leaky_relu(self.second(x) * (1 + again) + over, 0.2)


class UpSampler(nn.Module):
    """Features of rays to a picture of eight times their side.

    Args:
        config: sizes.
    """

    def __init__(self, config: FieldConfig):
        super().__init__()
        code = config.hidden
        self.codes = nn.Sequential(nn.Linear(config.geometry_size + config.texture + 3, code), nn.SiLU())
        inputs = 6 + config.features + 1
        self.asked_level = config.asked_level
        blocks = []
        for level, channels in enumerate(config.channels):
            asked = 6 + config.features if level == self.asked_level else 0
            blocks.append(_Block(inputs + (15 if level else 3) + asked, channels, code))
            inputs = channels
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.Conv2d(inputs, 8, 3, padding=1)
        nn.init.normal_(self.last.weight, 0, 0.01)

    def forward(self, rays: RayFeatures, asked: Tensor, codes: Tensor, towards: Tensor) -> UnlitPicture:
        """Makes the picture.

        Args:
            rays: of the heads.
            asked: (B, 6 + F, S / 2, S / 2) features of the field at the places between the rays.
            codes: (B, 244), `code_inputs`.
            towards: (B, 3) from the head to the camera, unit length, head's axes.
        """
        code = self.codes(torch.cat([codes, towards], 1))
        x = torch.cat([rays.features, rays.cover], 1)
        for level, block in enumerate(self.blocks):
            places = rays.places
            if level:
                x = enlarged(x, 2)
                places = enlarged(rays.places, 2**level)
                places = encode_points(places.permute(0, 2, 3, 1), 2, level + 1).permute(0, 3, 1, 2)
            parts = [x, places] + [asked] * (level == self.asked_level)
            x = block(torch.cat([part.to(x.dtype) for part in parts], 1), code)
        made = self.last(x).float()
        start = enlarged(asked[:, :6], made.shape[-1] // asked.shape[-1])
        cover = enlarged(rays.cover, made.shape[-1] // rays.cover.shape[-1])
        colour = torch.sigmoid(start[:, 3:6] + made[:, :3])
        normal = functional.normalize(start[:, :3] + made[:, 3:6], dim=1, eps=1e-4)
        return UnlitPicture(
            colour,
            normal,
            functional.softplus(made[:, 6:7] - 1),
            6 * cover - 3 + 4 * made[:, 7:],
            rays,
        )


def enlarged(pictures: Tensor, factor: int) -> Tensor:
    """Returns pictures (B, n, H, W) some times as large."""
    if factor == 1:
        return pictures
    return functional.interpolate(pictures, scale_factor=factor, mode="bilinear", align_corners=False)


class FaceField(nn.Module):
    """Field and up-sampler.

    Args:
        config: sizes.
    """

    def __init__(self, config: FieldConfig):
        super().__init__()
        self.config = config
        self.field = DeformedField(config)
        self.up = UpSampler(config)
        self.log_sharpness = nn.Parameter(torch.tensor(math.log(_FIRST_SHARPNESS)))

    def forward(
        self, codes: tuple[Tensor, Tensor], rays: Rays, random: torch.Generator | None = None
    ) -> UnlitPicture:
        """Makes pictures that are still to be lit.

        Args:
            codes: `code_inputs` of the heads.
            rays: of one camera each.
            random: shifts the samples in training.
        """
        amounts = self.field.amounts(*codes)
        seen = features_of_rays(self.field, amounts, rays, self.log_sharpness.exp(), random)
        places = enlarged(seen.places, 2**self.config.asked_level)
        asked = self.field.features_at(places.flatten(2).transpose(1, 2), amounts)
        asked = asked.transpose(1, 2).reshape(len(places), -1, *places.shape[2:])
        return self.up(seen, asked, codes[1], normalised(rays.origin))

    @classmethod
    def of(cls, table: dict[str, Any]) -> "FaceField":
        """Builds an empty network of the table of its configuration."""
        return cls(FieldConfig(**{**table, "channels": tuple(table["channels"])}))

    @classmethod
    def load(cls, path: str | Path) -> "FaceField":
        """Reads weights.

        Raises:
            UserError: the file is missing, broken or of another kind.
        """
        return read_network_file(Path(path), cls.of, "radiance field of heads")

    @classmethod
    @lru_cache(maxsize=1)
    def default(cls) -> "FaceField":
        """Returns the field of the package."""
        return cls.load(ASSETS / FILE)


def torch_harmonics(normals: Tensor) -> Tensor:
    """Returns (B, 9, ...) of unit normals (B, 3, ...); see `geometry.spherical_harmonics.harmonics`."""
    x, y, z = normals.unbind(1)
    first, cross, zonal, square = 3**0.5, 15**0.5, 5**0.5 / 2, 15**0.5 / 2
    return torch.stack(
        [torch.ones_like(x), first * y, first * z, first * x,
         cross * x * y, cross * y * z, zonal * (3 * z * z - 1), cross * x * z, square * (x * x - y * y)], 1
    )  # fmt: skip


def lit(picture: UnlitPicture, light: Tensor, towards: Tensor) -> Tensor:
    """Lights a picture as the exact decoder does.

    Args:
        picture: (B, ...).
        light: (B, 9, 3).
        towards: (B, 3) from the head to the camera, unit length.

    Returns:
        (B, 3, H, W) linear light.
    """
    shading = torch.einsum("bkhw,bkc->bchw", torch_harmonics(picture.normal), light)
    level = light[:, 0, :, None, None]
    shading = torch.maximum(shading, LEAST_SHADE * level.clamp_min(1e-3))
    half = normalised(towards + towards.new_tensor(_SHINE_ASIDE))[..., None, None]
    shine = _SHINE * (picture.normal * half).sum(1, keepdim=True).clamp(0, 1) ** _SHINE_POWER
    return linear_of_srgb(picture.colour) * shading + picture.gloss * shine * level.clamp_min(0)


def draw_field(
    codes: Sequence[FaceCodes], cameras: Sequence[Camera], field: FaceField | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draws heads.

    Args:
        codes: of the heads; rotation and translation do not count.
        cameras: one for each head, of square pictures.
        field: None for the package's.

    Returns:
        (B, S, S, 3) linear light and (B, S, S) cover 0..1, both float32, row 0 at the top.
    """
    field = field or FaceField.default()
    rays = rays_of_cameras(list(cameras), field.config.rays)
    light = torch.from_numpy(np.stack([one.light for one in codes]).astype(np.float32))
    with torch.no_grad():
        made = field(code_inputs(list(codes)), rays)
        linear = lit(made, light, normalised(rays.origin))
    return linear.permute(0, 2, 3, 1).numpy(), torch.sigmoid(made.cover)[:, 0].numpy()
