"""Fits the linear part of the albedo model to a set of colour maps."""

import numpy as np

from ...datasets.colour_set import ColourSet
from ...errors import UserError
from ...geometry.linear_models import principal_components
from ...geometry.map_resampling import resample
from ...models.skin.albedo_model import AlbedoModel


def low_passed(colours: ColourSet, resolution: int) -> np.ndarray:
    """Returns the set's maps (N, 3, R, R) float32, sRGB in 0..1, at a coarser resolution."""
    low = np.empty((len(colours), 3, resolution, resolution), np.float32)
    for row in range(len(colours)):
        low[row] = resample(np.asarray(colours.maps[row], np.float32) / 255, resolution)
    return low


def fit_coarse(low: np.ndarray, count: int, mask: np.ndarray, joint: bool = False) -> AlbedoModel:
    """Fits principal components, of each channel by itself or of all three together.

    Args:
        low: (N, 3, R, R) sRGB of the people.
        count: components of each channel, or of the three channels together.
        mask: (S, S) bool, S a multiple of R.
        joint: True: colour components, which UVAPM does without.

    Raises:
        UserError: there are fewer people than components.
    """
    people, _, size, _ = low.shape
    if people <= count:
        raise UserError(
            f"{people} people for {count} components.", "Simulate more people, or lower coarse.components."
        )
    groups, coordinates = [], []
    for channels in (slice(0, 3),) if joint else (slice(0, 1), slice(1, 2), slice(2, 3)):
        rows = low[:, channels].reshape(people, -1)
        found = principal_components(rows, count)
        groups.append(found)
        coordinates.append(found.project(rows))
    share = resample(mask.astype(np.float32), size)
    return AlbedoModel.fit(groups, coordinates, share > 0.5)
