"""A clip's displacement as a detail basis at the mesh's vertices: a mean, K fields and K curves that play by themselves."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from ..geometry.texture_space import sample_map
from ..models.detail_basis import DetailBasis, fit_detail_basis
from .generate_detail import RESOLUTIONS, check_vector, detail_model

_BATCH = 4
_FRAMES_TO_FIT = 256


@dataclass(frozen=True)
class BakeDetailRequest:
    """What is baked.

    Attributes:
        identity: (K,) float32, identity coefficients.
        skin: (16,) float32.
        expressions: (T, 52) float32, one row a frame.
        sample_uv: (N, 2) float32, texture coordinates of the vertices; outside [0, 1] there is no detail.
        resolution: of the maps that the vertices sample.
        psnr_db: how close the basis must come to the generator.
        most_components: upper bound of K.
    """

    identity: np.ndarray
    skin: np.ndarray
    expressions: np.ndarray
    sample_uv: np.ndarray
    resolution: int = 512
    psnr_db: float = 48.0
    most_components: int = 32


def bake_detail(request: BakeDetailRequest, progress: Callable[[float, str], None]) -> tuple[DetailBasis, np.ndarray]:
    """Generates every frame's map, and expresses all of them in one small basis.

    Args:
        request: the person, the frames and the vertices.
        progress: called with (fraction done, what is going on); may raise to cancel.

    Returns:
        The basis (its fields are (N,) in millimetres), and (T, K) float32 coefficients by frame.

    Raises:
        UserError: a vector has the wrong size, or there is no frame.
    """
    model = detail_model()
    identity = check_vector("identity", request.identity, model.identity_size)
    skin = check_vector("skin vector", request.skin, model.skin_size)
    expressions = check_vector("expression", request.expressions, 52)
    if expressions.ndim != 2 or not len(expressions):
        raise UserError("The clip has no frames.", "Choose a range with at least one frame.")
    if request.resolution not in RESOLUTIONS:
        raise UserError(f"Resolution {request.resolution} is not one of 256, 512 and 1024.")
    distinct, frame_of = np.unique(np.round(expressions, 4), axis=0, return_inverse=True)
    covered = ((request.sample_uv >= 0) & (request.sample_uv <= 1)).all(1)
    uv = request.sample_uv[covered]

    def fields(rows: np.ndarray) -> np.ndarray:
        count = len(rows)
        maps = model.displacement(np.tile(identity, (count, 1)), np.tile(skin, (count, 1)), rows, request.resolution)
        return np.stack([sample_map(one, uv) for one in maps])

    order = spread_order(distinct, min(_FRAMES_TO_FIT, len(distinct)))
    fitted = np.empty((len(order), len(uv)), np.float32)
    for start in range(0, len(order), _BATCH):
        progress(start / len(distinct), f"Detail of frame {start + 1} of {len(distinct)}")
        chosen = order[start : start + _BATCH]
        fitted[start : start + len(chosen)] = fields(distinct[chosen])
    basis = fit_detail_basis(fitted, request.psnr_db, request.most_components)
    coefficients = np.empty((len(distinct), len(basis.fields)), np.float32)
    coefficients[order] = basis.project(fitted)
    rest = np.setdiff1d(np.arange(len(distinct)), order)
    for start in range(0, len(rest), _BATCH):
        progress((len(order) + start) / len(distinct), f"Detail of frame {len(order) + start + 1} of {len(distinct)}")
        chosen = rest[start : start + _BATCH]
        coefficients[chosen] = basis.project(fields(distinct[chosen]))
    return basis.scatter(covered), coefficients[frame_of.reshape(-1)]


def spread_order(points: np.ndarray, count: int) -> np.ndarray:
    """Picks points far from one another: each next one is the farthest from those picked.

    Args:
        points: (T, D) float32.
        count: how many to pick, at most T.

    Returns:
        (count,) indices.

    Source: Gonzalez 1985, "Clustering to minimize the maximum intercluster distance".
    """
    chosen = [int(np.argmin(np.abs(points).sum(1)))]
    distance = ((points - points[chosen[0]]) ** 2).sum(1)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(1))
        distance[chosen] = -1
    return np.array(chosen)
