"""A basis of images whose weights vary smoothly over the image, summed by small matrix products."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def cut_tiles(images: Tensor, grid: int) -> Tensor:
    """(N, R, R) -> (grid * grid, N, t * t), t = R / grid: the layout in which the basis is stored."""
    count = images.shape[0]
    size = images.shape[-1] // grid
    return (
        images.reshape(count, grid, size, grid, size)
        .permute(1, 3, 0, 2, 4)
        .reshape(grid * grid, count, size * size)
    )


def join_tiles(tiles: Tensor, grid: int) -> Tensor:
    """(grid * grid, N, t * t) -> (N, R, R)."""
    count = tiles.shape[1]
    size = round(tiles.shape[2] ** 0.5)
    return (
        tiles.reshape(grid, grid, count, size, size)
        .permute(2, 0, 3, 1, 4)
        .reshape(count, grid * size, grid * size)
    )


def corner_windows(size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Returns bilinear weights of a tile's corners at its texel centres: (4, size * size).

    Corners: low row low column, low high, high low, high high.
    """
    along = (torch.arange(size, device=device, dtype=dtype) + 0.5) / size
    near = torch.stack([1 - along, along])  # (2, size)
    return torch.einsum("ai,bj->abij", near, near).reshape(4, size * size)


class WindowedBasis(nn.Module):
    """The layer sum_n w_n(x) P_n(x): learned images P_n, weights w_n bilinear between a grid's corners.

    Args:
        count: images N.
        resolution: texels along a side.
        grid: tiles along a side, a divisor of the resolution.
    """

    def __init__(self, count: int, resolution: int, grid: int):
        super().__init__()
        self.grid = grid
        self.tiles = nn.Parameter(cut_tiles(torch.randn(count, resolution, resolution) * 0.1, grid))

    def images(self, count: int | None = None) -> Tensor:
        """Returns the first `count` images, default all: (count, R, R)."""
        return join_tiles(self.tiles[:, :count], self.grid)

    def forward(self, weights: Tensor) -> Tensor:
        """weights (B, N, grid + 1, grid + 1) -> (B, R, R)."""
        batch, count = weights.shape[:2]
        size = round(self.tiles.shape[2] ** 0.5)
        corners = torch.stack(
            [weights[:, :, a : a + self.grid, b : b + self.grid] for a in (0, 1) for b in (0, 1)], 1
        )  # (B, 4, N, g, g)
        corners = corners.permute(3, 4, 0, 1, 2).reshape(self.grid**2, batch * 4, count)
        sums = torch.bmm(corners, self.tiles.to(corners.dtype)).unflatten(1, (batch, 4))  # (g g, B, 4, t t)
        sums = (sums * corner_windows(size, sums.device, sums.dtype)).sum(2)  # (g g, B, t t)
        return join_tiles(sums, self.grid)


def spread_to_corners(cells: Tensor) -> Tensor:
    """Averages the cells (B, C, g, g) that meet at each corner: (B, C, g + 1, g + 1)."""
    return functional.avg_pool2d(functional.pad(cells, (1, 1, 1, 1), mode="replicate"), 2, stride=1)
