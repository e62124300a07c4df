"""Computes the distilled detail at a face's vertices in numpy, with or without a backend.

Holds no Blender data; model and fields are loaded once.
"""

from functools import lru_cache

import numpy as np

from ...ml_backend.geometry.map_bands import COARSE_RESOLUTION, enlarge
from ...ml_backend.models.distilled_detail import DEFAULT_FILE, DetailFields, DistilledDetail
from ..model.face_model import dense_mesh, dense_parts
from .inputs import DetailInputs

MODEL_FILE = DEFAULT_FILE


@lru_cache(maxsize=1)
def distilled_model() -> DistilledDetail:
    """Returns the distilled model of this package.

    Raises:
        UserError: its file is missing or broken.
    """
    return DistilledDetail.load(MODEL_FILE)


@lru_cache(maxsize=1)
def dense_fields() -> DetailFields:
    """Returns the model's mean and fields at the dense mesh's vertices; they are zero off the skin.

    Raises:
        UserError: the model's file is missing or broken.
    """
    return distilled_model().fields_at(skin_uv())


@lru_cache(maxsize=1)
def skin_uv() -> np.ndarray:
    """Returns (N, 2) float32: texture coordinates of the dense mesh's vertices, -1 off the skin."""
    return np.where((dense_parts() == 0)[:, None], dense_mesh().vertex_uv(), np.float32(-1))


@lru_cache(maxsize=1)
def _wrinkling() -> tuple[np.ndarray, DetailFields]:
    """Returns the dense vertices that any coefficient moves, and mean and fields there."""
    dense = dense_fields()
    moving = np.flatnonzero((dense.mean != 0) | (dense.fields != 0).any(1))
    return moving, DetailFields(dense.mean[moving], np.ascontiguousarray(dense.fields[moving]))


def height_at_vertices(inputs: DetailInputs) -> np.ndarray:
    """Returns the displacement of the dense vertices.

    Args:
        inputs: identity, skin and expression.

    Returns:
        (N,) float32, millimetres along the normal.

    Raises:
        UserError: the model's file is missing or broken.
    """
    moving, fields = _wrinkling()
    height = np.zeros(dense_mesh().vertex_count, np.float32)
    height[moving] = fields.at(distilled_model().coefficients(**inputs.arrays()))
    return height


def fine_map(inputs: DetailInputs, resolution: int) -> np.ndarray:
    """Returns the distilled detail that is finer than the vertices.

    Args:
        inputs: identity, skin and expression.
        resolution: R, 256, 512 or 1024.

    Returns:
        (R, R) float32, millimetres, row 0 at the bottom.

    Raises:
        UserError: the model's file is missing or broken.
    """
    return fine_part(distilled_model().coefficients(**inputs.arrays()), resolution)


def fine_part(coefficients: np.ndarray, resolution: int) -> np.ndarray:
    """Returns the part of a map beyond its low band, (R, R) float32, millimetres, for coefficients (C,)."""
    model = distilled_model()
    if resolution == COARSE_RESOLUTION:
        return np.zeros((resolution, resolution), np.float32)
    low = enlarge(model.draw(coefficients, COARSE_RESOLUTION), resolution)
    return model.draw(coefficients, resolution) - low
