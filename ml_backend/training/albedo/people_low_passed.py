"""The people of a set of colour maps, and the coarse maps that models of several sizes make of them."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ...datasets.colour_set import ColourSet
from ...errors import UserError
from ...layers.band_limits import enlarge
from ...models.skin.albedo_detail import (
    Window,
)
from ...models.skin.albedo_model import AlbedoModel
from .coarse_components import low_passed

TRAINING_SHARE = 0.94
ALIGNED = 32
"""Crops lie on multiples of so many texels: two cells of the latent, four texels of a coarse map of 64."""
_MARGIN = 2  # texels of the coarse map that the cubic filter reads beyond a crop


def training_people(colours: ColourSet) -> int:
    """Returns how many people the training sees; the rest measure it.

    Raises:
        UserError: nobody is left on one side.
    """
    training = int(len(colours) * TRAINING_SHARE)
    if training < 1 or training == len(colours):
        raise UserError(
            f"{len(colours)} people are too few to train on.", "Raise `people` in the configuration."
        )
    return training


class PeopleLowPassed:
    """The people of a set, and the coarse maps that models of several sizes make of them.

    Args:
        colours: the set.
        models: by resolution, the one of the package first.
        device: where crops are made.

    Attributes:
        training: how many people the training sees.
        mask: (R, R) float32, 1 inside the face.
        inside: (2, n) rows and columns of texels inside the face.
    """

    def __init__(self, colours: ColourSet, models: Mapping[int, AlbedoModel], device: torch.device):
        self.colours = colours
        self.device = device
        self.resolution = colours.maps.shape[-1]
        self.training = training_people(colours)
        self.mask = torch.from_numpy(colours.mask.astype(np.float32)).to(device)
        self.inside = np.stack(np.nonzero(colours.mask))
        self.sizes = tuple(models)
        self._mean: dict[int, Tensor] = {}
        self._basis: dict[int, Tensor] = {}
        self._found: dict[int, Tensor] = {}
        for size, model in models.items():
            low = low_passed(colours, size)
            found = np.stack([model.project(one) for one in low]).reshape(len(low), 3, -1)
            self._mean[size] = torch.from_numpy(model.mean[:, 0]).to(device)
            self._basis[size] = torch.from_numpy(model.basis.reshape(3, -1, size, size)).to(device)
            self._found[size] = torch.from_numpy(found).to(device)

    def crop(self, rows: np.ndarray, window: Window, size: int) -> tuple[Tensor, Tensor]:
        """Returns true and coarse colours (B, 3, h, w) sRGB of people in a window.

        Args:
            rows: people.
            window: rows and columns, at multiples of `ALIGNED`, at least `ALIGNED` from the map's border; or
                the whole map.
            size: resolution of the coarse map.
        """
        down, across = window
        truth = torch.from_numpy(np.asarray(self.colours.maps[rows, :, down, across], np.float32)) / 255
        factor = self.resolution // size
        whole = down.stop - down.start == self.resolution
        margin = 0 if whole else _MARGIN
        low_down, low_across = (
            slice(side.start // factor - margin, side.stop // factor + margin) for side in window
        )
        basis = self._basis[size][:, :, low_down, low_across]
        low = self._mean[size][:, low_down, low_across] + torch.einsum(
            "bck,ckhw->bchw", self._found[size][torch.from_numpy(rows).to(self.device)], basis
        )
        coarse = enlarge(low, factor * low.shape[-1])
        cut = slice(margin * factor, coarse.shape[-1] - margin * factor)
        return truth.to(self.device), coarse[..., cut, cut]

    def whole(self, rows: np.ndarray, size: int) -> tuple[Tensor, Tensor]:
        """Returns true and coarse maps (B, 3, R, R) of people."""
        everything = slice(0, self.resolution)
        return self.crop(rows, (everything, everything), size)

    def draw(self, crop: int, count: int, shares: list[float], numbers: np.random.Generator) -> tuple:
        """Draws a window around a point of the face, and people.

        Args:
            crop: edge, texels, a multiple of `ALIGNED`; the whole map where it is the map's edge.
            count: people.
            shares: of the sizes, the package's first, in their order; sum 1.
            numbers: source of randomness.

        Returns:
            Truth and coarse (B, 3, crop, crop), and the window.
        """
        rows = numbers.integers(self.training, size=count)
        size = int(numbers.choice(self.sizes, p=shares))
        centre = self.inside[:, numbers.integers(self.inside.shape[1])]
        moved = centre - crop // 2 + numbers.integers(-ALIGNED, ALIGNED, 2)
        border = ALIGNED if crop < self.resolution else 0
        starts = [
            min(max(border, int(at)), self.resolution - border - crop) // ALIGNED * ALIGNED for at in moved
        ]
        window = (slice(starts[0], starts[0] + crop), slice(starts[1], starts[1] + crop))
        return *self.crop(rows, window, size), window
