"""Image to displacement in texture space: what the shading of an unwrapped photograph says about the skin's relief.

Its role is pix2pixHD's (Wang et al. 2018): a coarse network over the whole face, an enhancer at twice the resolution, discriminators at
several scales in training. What it reads is prepared so that light and skin colour say less than relief does: the logarithm of the
texture without its local mean, and how much a slope along each axis of the surface would brighten the skin under the fitted light.
"""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers.blur_resampling import double_size, halve_size
from .detailed_3dmm import ASSETS
from .network_file import read_network_file

IMAGE_FILE = "image_to_displacement.safetensors"
FEATURES = 9
DARKEST = 0.004
_CHROMA = 3.0
_MEAN_SHARE = 1 / 24  # of the map's width: the local mean that is taken out of the texture


@dataclasses.dataclass(frozen=True)
class ImageToDisplacementConfig:
    """Sizes of the network.

    Attributes:
        resolution: texels along a side of what it reads and makes.
        widths: channels of the coarse network at a quarter of the resolution, an eighth, ...; it makes a map of half the resolution.
        place_channels, place_size: learned images that tell where on the face a texel lies.
        enhancer_width, enhancer_layers: channels and 3 x 3 convolutions of the enhancer, which runs at half the resolution too.
    """

    resolution: int = 512
    widths: tuple[int, ...] = (32, 48, 64, 96)
    place_channels: int = 4
    place_size: int = 32
    enhancer_width: int = 32
    enhancer_layers: int = 4


def image_config(table: dict[str, Any]) -> ImageToDisplacementConfig:
    """A configuration from JSON or TOML, where tuples are lists."""
    return ImageToDisplacementConfig(**{**table, "widths": tuple(table.get("widths", ImageToDisplacementConfig.widths))})


def image_features(texture: Tensor, confidence: Tensor, shade: Tensor, lit: Tensor) -> Tensor:
    """What the network reads.

    Args:
        texture: (B, 3, R, R) linear 0..1.
        confidence: (B, 1, R, R) 0..1.
        shade: (B, 1, R, R) shading of the smooth surface under the fitted light.
        lit: (B, 2, R, R) change of the logarithm of the shading per slope along tangent and bitangent.

    Returns:
        (B, 9, R, R): brightness and two differences of colour without their local mean, both of `lit`, the shading, the confidence,
        and brightness times each of `lit`, which is where a small slope's shading sends its error back to.
    """
    width = max(3, round(texture.shape[-1] * _MEAN_SHARE)) | 1
    colour = texture.clamp_min(DARKEST).log()
    colour = torch.stack([colour.mean(1), _CHROMA * (colour[:, 0] - colour[:, 1]), _CHROMA * (colour[:, 2] - colour[:, 1])], 1)
    sums = torch.cat([colour * confidence, confidence], 1)
    for _ in range(2):
        sums = functional.avg_pool2d(sums, (width, 1), 1, (width // 2, 0))
        sums = functional.avg_pool2d(sums, (1, width), 1, (0, width // 2))
    mean = sums[:, :3] / sums[:, 3:].clamp_min(1e-4)
    detail = (4 * (colour - mean)).clamp(-3, 3) * confidence
    lit = lit.clamp(-2, 2)
    return torch.cat([detail, lit, shade.clamp_min(0.05).log().clamp(-2, 2), confidence, detail[:, :1] * lit], 1)


def _pair(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1), nn.LeakyReLU(0.2), nn.Conv2d(outputs, outputs, 3, 1, 1), nn.LeakyReLU(0.2)
    )


class CoarseNetwork(nn.Module):
    """A U-Net over the whole face: features (B, 9, r, r) to heights (B, 1, r, r) in units, and its last features (B, C, r / 2, r / 2)."""

    def __init__(self, config: ImageToDisplacementConfig):
        super().__init__()
        widths = config.widths
        self.place = nn.Parameter(0.1 * torch.randn(1, config.place_channels, config.place_size, config.place_size))
        self.first = _pair(4 * FEATURES + config.place_channels, widths[0])
        self.down = nn.ModuleList(_pair(one, after, 2) for one, after in itertools.pairwise(widths))
        self.up = nn.ModuleList(_pair(one + after, one) for one, after in itertools.pairwise(widths))
        self.heights = nn.Conv2d(widths[0], 4, 3, padding=1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        packed = functional.pixel_unshuffle(features, 2)
        place = functional.interpolate(self.place, size=packed.shape[-2:], mode="bilinear", align_corners=False)
        x = self.first(torch.cat([packed, place.expand(len(features), -1, -1, -1)], 1))
        kept = []
        for layer in self.down:
            kept.append(x)
            x = layer(x)
        for layer, skipped in zip(reversed(list(self.up)), reversed(kept), strict=True):
            x = layer(torch.cat([skipped, double_size(x)], 1))
        return functional.pixel_shuffle(self.heights(x), 2), x


class ImageToDisplacement(nn.Module):
    """The coarse network and the enhancer.

    Source: Wang et al. 2018, "High-resolution image synthesis and semantic manipulation with conditional GANs", section 3.2.
    """

    unit: Tensor

    def __init__(self, config: ImageToDisplacementConfig):
        super().__init__()
        self.config = config
        self.coarse = CoarseNetwork(config)
        width = config.enhancer_width
        self.first = nn.Conv2d(4 * FEATURES + config.widths[0] + 1, width, 3, padding=1)
        self.hidden = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(config.enhancer_layers - 2))
        self.last = nn.Conv2d(width, 4, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(torch.as_tensor(self.last.bias))
        self.register_buffer("unit", torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, 9, R, R) of `image_features` -> displacement (B, 1, R, R) in units; times `unit` it is millimetres."""
        heights, deep = self.coarse(halve_size(features))
        x = functional.leaky_relu(self.first(torch.cat([functional.pixel_unshuffle(features, 2), double_size(deep), heights], 1)), 0.2)
        for layer in self.hidden:
            x = x + functional.leaky_relu(layer(x), 0.2)
        return double_size(heights) + functional.pixel_shuffle(self.last(x), 2)

    def millimetres(self, features: Tensor) -> Tensor:
        """As `forward`, in millimetres."""
        return self(features) * self.unit


def read_image_to_displacement(folder: str | Path = ASSETS) -> ImageToDisplacement:
    """Reads the network that the repository carries, or that of a folder.

    Raises:
        UserError: the file is missing, broken or of another kind.
    """
    return read_network_file(Path(folder) / IMAGE_FILE, lambda config: ImageToDisplacement(image_config(config)))
