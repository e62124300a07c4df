"""Mirror images of landmarks, of faces in photos and of identities."""

from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import KDTree

from ..expression_names import mirrored_name
from ..models.bilinear_face import BilinearFace
from .mesh_layout import MIRRORED
from .photo_camera import SeenFace

_CLOSED = 1e-3
"""A matrix that mirrors twice is the identity, where the model holds its people's mirror images."""


def mirrored_points(points: np.ndarray) -> np.ndarray:
    """Returns for each landmark (L, 3) of a symmetric face the index (L,) of its mirror image."""
    apart = np.linalg.norm(points[:, None] * (-1, 1, 1) - points[None], axis=2)
    _, other = linear_sum_assignment(apart**2 + apart.T**2)
    unpaired = other[other] != np.arange(len(other))
    other[unpaired] = np.flatnonzero(unpaired)
    return other


def mirrored_face(seen: SeenFace) -> SeenFace:
    """Returns a face as it is seen in the mirror image of its photo."""
    return replace(seen, points=seen.points[MIRRORED] * (-1, 1) + (seen.width, 0))


def identity_mirror(face: BilinearFace) -> np.ndarray:
    """Returns the matrix (K, K) that turns an identity into that of the mirrored face, by least squares.

    A model whose people are not symmetric holds their mirror images only nearly. The vertices are paired by
    the mean face, each with the one nearest to its mirror image.
    """
    size = face.identity_size
    basis = (face.core[1:, 0].astype(np.float64) @ face.basis).reshape(size, -1, 3)  # [K, V, 3] metres
    mean = face.mean.astype(np.float64)
    _, partner = KDTree(mean).query(mean * (-1, 1, 1))
    images = (basis[:, partner] * (-1, 1, 1)).reshape(size, -1)
    basis = basis.reshape(size, -1)
    return np.linalg.lstsq(basis @ basis.T, basis @ images.T, rcond=None)[0]


def even_sides(
    mean: np.ndarray, core: np.ndarray, mirror: np.ndarray, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Makes a model of landmarks give the mirrored person for mirrored landmarks.

    The landmarks' places on the mesh were learned and differ a little from side to side; here each place
    and the mirror image of its other are averaged. A model whose identities do not hold their own mirror
    images stays as it is.

    Args:
        mean: (3 L,) metres.
        core: (1 + K, 1 + 52, 3 L).
        mirror: (K, K), see `identity_mirror`.
        names: of the 52 expressions.

    Returns:
        The new mean and core.
    """
    if np.abs(mirror @ mirror - np.eye(len(mirror))).max() > _CLOSED:
        return mean, core
    other = mirrored_points(mean.reshape(-1, 3))
    sign = np.array([-1.0, 1.0, 1.0])
    image = (mean.reshape(-1, 3)[other] * sign).ravel()
    sides = [0, *(1 + names.index(mirrored_name(name)) for name in names)]
    turned = core[:, sides].reshape(*core.shape[:2], -1, 3)[:, :, other] * sign.astype(core.dtype)
    turned = turned.reshape(core.shape)
    turned[1:] = np.tensordot(mirror.T.astype(core.dtype), turned[1:], 1)
    return (mean + image) / 2, (core + turned) / 2
