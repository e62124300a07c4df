"""The network that places 468 points on a face, in torch: gradients pass through it, for losses.

Its weights come from the landmark library's network and are not trained further
(`python -m ml_backend build-landmarks --network-out FILE`).

Source: Kartynnik et al. 2019, "Real-time facial surface geometry from monocular video on mobile GPUs";
Bazarevsky et al. 2019, "BlazeFace: sub-millisecond neural face detection on mobile GPUs" (the blocks).
"""

import dataclasses
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from ..files.network_file import read_network_file

CROP = 192
MESH_POINTS = 468


@dataclasses.dataclass(frozen=True)
class LandmarkNetworkConfig:
    """Sizes of the network.

    Attributes:
        widths: channels at 96, 48, 24, 12, 6 and 3 places a side.
        blocks: residual blocks at each resolution.
        last: channels of the two last convolutions.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 128, 128)
    blocks: tuple[int, ...] = (2, 3, 3, 3, 3, 3)
    last: int = 32


def landmark_network_config(table: dict[str, Any]) -> LandmarkNetworkConfig:
    """A configuration from JSON, where tuples are lists."""
    return LandmarkNetworkConfig(tuple(table["widths"]), tuple(table["blocks"]), table["last"])


class FaceBlock(nn.Module):
    """A convolution of each channel, a mixture of channels, and what came in added to it.

    With a stride of two the resolution is halved: the largest of four places is added; new channels begin at
    zero.
    """

    def __init__(self, entering: int, leaving: int, stride: int):
        super().__init__()
        self.stride = stride
        self.added = leaving - entering
        self.each = nn.Conv2d(entering, entering, 3, stride, groups=entering)
        self.mixed = nn.Conv2d(entering, leaving, 1)
        self.bend = nn.PReLU(leaving)

    def forward(self, x: Tensor) -> Tensor:
        change = self.mixed(self.each(_padded(x, self.stride)))
        kept = functional.max_pool2d(x, 2) if self.stride == 2 else x
        return self.bend(functional.pad(kept, (0, 0, 0, 0, 0, self.added)) + change)


class LandmarkNetwork(nn.Module):
    """(B, 3, 192, 192) sRGB in 0..1 to features of every resolution, and the points."""

    def __init__(self, config: LandmarkNetworkConfig | None = None):
        super().__init__()
        self.config = config or LandmarkNetworkConfig()
        widths = self.config.widths
        self.entry = nn.Conv2d(3, widths[0], 3, 2)
        self.entry_bend = nn.PReLU(widths[0])
        levels = []
        entering, stride = widths[0], 1
        for width, count in zip(widths, self.config.blocks, strict=True):
            blocks = [FaceBlock(entering, width, stride)]
            blocks += [FaceBlock(width, width, 1) for _ in range(count - 1)]
            levels.append(nn.Sequential(*blocks))
            entering, stride = width, 2
        self.levels = nn.ModuleList(levels)
        self.narrow = nn.Conv2d(entering, self.config.last, 1)
        self.narrow_bend = nn.PReLU(self.config.last)
        self.narrow_block = FaceBlock(self.config.last, self.config.last, 1)
        self.points = nn.Conv2d(self.config.last, 3 * MESH_POINTS, 3)

    def forward(self, crops: Tensor) -> tuple[list[Tensor], Tensor]:
        """Features and points of faces.

        Args:
            crops: (B, 3, 192, 192) sRGB in 0..1, one face in each.

        Returns:
            Features of 96, 48, 24, 12 and 6 places a side, (B, C, n, n), and points (B, 468, 2) in pixels of
            the crop.
        """
        x = self.entry_bend(self.entry(_padded(crops, 2)))
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        x = self.narrow_block(self.narrow_bend(self.narrow(x)))
        return features[:-1], self.points(x).reshape(len(crops), MESH_POINTS, 3)[:, :, :2]


def read_landmark_network(path: Path) -> LandmarkNetwork:
    """Reads a converted network.

    Raises:
        UserError: the file is missing, broken or of another kind.
    """
    return read_network_file(path, lambda table: LandmarkNetwork(landmark_network_config(table)))


def _padded(x: Tensor, stride: int) -> Tensor:
    """Zeros around (B, C, n, n), n even, so that a 3 x 3 convolution gives n / stride places a side."""
    return functional.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
