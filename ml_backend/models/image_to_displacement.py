"""Image to displacement in texture space: relief from the shading of an unwrapped photograph.

Its role is pix2pixHD's (Wang et al. 2018): a coarse network over the whole face, an enhancer at twice the
resolution, discriminators at several scales in training. Below both lies linear shape from shading: one large
filter whose best weights are known in closed form. What the network reads is prepared so that light and skin
colour say less than relief does: the logarithm of the texture without its local mean, and how much a slope
along each axis of the surface would brighten the skin under the fitted light. Beside it the network reads the
map that the detail encoder expects of the fitted face, and corrects it: folds and bulges that are too smooth
to be seen in shading are in it already, and the photograph tells which of its wrinkles are there.
"""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..asset_files import ASSETS
from ..files.network_file import read_network_file
from ..layers.blur_resampling import double_size, halve_size

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
        filter_size: texels along a side of the linear part's filters, odd, at half the resolution.
        gain_size: grid over the face on which the linear part is weighted.
        widths: channels of the coarse network at a quarter of the resolution, an eighth, ...; it makes a map
            of half the resolution.
        place_channels, place_size: learned images that tell where on the face a texel lies.
        enhancer_width, enhancer_layers: channels and 3 x 3 convolutions of the enhancer, which runs at half
            the resolution too.
    """

    resolution: int = 512
    filter_size: int = 15
    gain_size: int = 32
    widths: tuple[int, ...] = (32, 48, 64, 96)
    place_channels: int = 4
    place_size: int = 32
    enhancer_width: int = 32
    enhancer_layers: int = 4


def image_config(table: dict[str, Any]) -> ImageToDisplacementConfig:
    """A configuration from JSON or TOML, where tuples are lists."""
    return ImageToDisplacementConfig(
        **{**table, "widths": tuple(table.get("widths", ImageToDisplacementConfig.widths))}
    )


def image_features(texture: Tensor, confidence: Tensor, shade: Tensor, lit: Tensor) -> Tensor:
    """Returns the features that the network reads.

    Args:
        texture: (B, 3, R, R) linear 0..1.
        confidence: (B, 1, R, R) 0..1.
        shade: (B, 1, R, R) shading of the smooth surface under the fitted light.
        lit: (B, 2, R, R) change of the logarithm of the shading per slope along tangent and bitangent.

    Returns:
        (B, 9, R, R): brightness and two differences of colour without their local mean, both of `lit`, the
        shading, the confidence, and brightness times each of `lit`, which is where a small slope's shading
        sends its error back to.
    """
    width = max(3, round(texture.shape[-1] * _MEAN_SHARE)) | 1
    colour = texture.clamp_min(DARKEST).log()
    colour = torch.stack(
        [colour.mean(1), _CHROMA * (colour[:, 0] - colour[:, 1]), _CHROMA * (colour[:, 2] - colour[:, 1])], 1
    )
    sums = torch.cat([colour * confidence, confidence], 1)
    for _ in range(2):
        sums = functional.avg_pool2d(sums, (width, 1), 1, (width // 2, 0))
        sums = functional.avg_pool2d(sums, (1, width), 1, (0, width // 2))
    mean = sums[:, :3] / sums[:, 3:].clamp_min(1e-4)
    detail = (4 * (colour - mean)).clamp(-3, 3) * confidence
    lit = lit.clamp(-2, 2)
    return torch.cat(
        [detail, lit, shade.clamp_min(0.05).log().clamp(-2, 2), confidence, detail[:, :1] * lit], 1
    )


def _pair(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(outputs, outputs, 3, 1, 1),
        nn.LeakyReLU(0.2),
    )


class LinearShapeFromShading(nn.Module):
    """Heights as filters of brightness, times a gain that depends on the place.

    The brightness is weighted by the angle of the light to the surface.

    A small slope changes the logarithm of the shading by its product with `lit`; brightness times `lit`, and
    over its square, are what a linear estimate of the slopes is made of, and the filter integrates them.

    Source: Pentland 1990, "Linear shape from shading"; here with the weights of least squares.
    """

    CHANNELS = 5

    def __init__(self, config: ImageToDisplacementConfig):
        super().__init__()
        self.filters = nn.Conv2d(
            self.CHANNELS, 1, config.filter_size, padding=config.filter_size // 2, bias=False
        )
        nn.init.zeros_(self.filters.weight)
        self.gain = nn.Parameter(torch.ones(1, 1, config.gain_size, config.gain_size))

    def channels(self, features: Tensor) -> Tensor:
        """Features (B, 9, r, r) -> (B, 5, r, r), what the filters read."""
        brightness, lit = features[:, :1], features[:, 3:5]
        directed = brightness * lit
        return torch.cat([brightness, directed, directed / (lit.square().sum(1, keepdim=True) + 0.1)], 1)

    def forward(self, features: Tensor) -> Tensor:
        gain = functional.interpolate(
            self.gain, size=features.shape[-2:], mode="bilinear", align_corners=False
        )
        return gain * self.filters(self.channels(features))


class CoarseNetwork(nn.Module):
    """The expected map, the linear part and a U-Net.

    Features (B, 9, r, r) and expected heights (B, 1, r, r) in units to heights (B, 1, r, r) in units, and the
    U-Net's last features (B, C, r / 2, r / 2).
    """

    def __init__(self, config: ImageToDisplacementConfig):
        super().__init__()
        widths = config.widths
        self.linear = LinearShapeFromShading(config)
        self.place = nn.Parameter(
            0.1 * torch.randn(1, config.place_channels, config.place_size, config.place_size)
        )
        self.first = _pair(4 * (FEATURES + 1) + config.place_channels, widths[0])
        self.down = nn.ModuleList(_pair(one, after, 2) for one, after in itertools.pairwise(widths))
        self.up = nn.ModuleList(_pair(one + after, one) for one, after in itertools.pairwise(widths))
        self.heights = nn.Conv2d(widths[0] + 4, 4, 3, padding=1)
        nn.init.zeros_(self.heights.weight)
        nn.init.zeros_(torch.as_tensor(self.heights.bias))

    def forward(self, features: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
        straight = expected + self.linear(features)
        packed = functional.pixel_unshuffle(torch.cat([features, expected], 1), 2)
        place = functional.interpolate(
            self.place, size=packed.shape[-2:], mode="bilinear", align_corners=False
        )
        x = self.first(torch.cat([packed, place.expand(len(features), -1, -1, -1)], 1))
        kept = []
        for layer in self.down:
            kept.append(x)
            x = layer(x)
        for layer, skipped in zip(reversed(list(self.up)), reversed(kept), strict=True):
            x = layer(torch.cat([skipped, double_size(x)], 1))
        known = functional.pixel_unshuffle(straight, 2)
        return straight + functional.pixel_shuffle(self.heights(torch.cat([x, known], 1)), 2), x


class ImageToDisplacement(nn.Module):
    """The coarse network and the enhancer.

    Source: Wang et al. 2018, "High-resolution image synthesis and semantic manipulation with conditional
    GANs", section 3.2.
    """

    unit: Tensor

    def __init__(self, config: ImageToDisplacementConfig):
        super().__init__()
        self.config = config
        self.coarse = CoarseNetwork(config)
        width = config.enhancer_width
        self.first = nn.Conv2d(4 * (FEATURES + 1) + config.widths[0] + 1, width, 3, padding=1)
        self.hidden = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1) for _ in range(config.enhancer_layers - 2)
        )
        self.last = nn.Conv2d(width, 4, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(torch.as_tensor(self.last.bias))
        self.register_buffer("unit", torch.ones(()))

    def forward(self, features: Tensor, expected: Tensor) -> Tensor:
        """Displacement, in units; times `unit` it is millimetres.

        Args:
            features: (B, 9, R, R) of `image_features`.
            expected: (B, 1, R, R), in units, what the detail encoder makes of the fitted identity and
                expression.

        Returns:
            (B, 1, R, R).
        """
        low = halve_size(expected)
        heights, deep = self.coarse(halve_size(features), low)
        packed = functional.pixel_unshuffle(torch.cat([features, expected], 1), 2)
        x = functional.leaky_relu(self.first(torch.cat([packed, double_size(deep), heights], 1)), 0.2)
        for layer in self.hidden:
            x = x + functional.leaky_relu(layer(x), 0.2)
        return expected + double_size(heights - low) + functional.pixel_shuffle(self.last(x), 2)

    def millimetres(self, features: Tensor, expected: Tensor) -> Tensor:
        """As `forward`, but expected heights and result in millimetres."""
        return self(features, expected / self.unit) * self.unit


def read_image_to_displacement(folder: str | Path = ASSETS) -> ImageToDisplacement:
    """Reads the network that the repository carries, or that of a folder.

    Raises:
        UserError: the file is missing, broken or of another kind.
    """
    return read_network_file(
        Path(folder) / IMAGE_FILE,
        lambda config: ImageToDisplacement(image_config(config)),
        "network from images to displacement",
    )
