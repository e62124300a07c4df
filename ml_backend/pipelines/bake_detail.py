"""Bakes a clip's displacement as a detail basis at the vertices of a mesh: a mean, K fields and K curves."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from ..geometry.map_bands import COARSE_RESOLUTION, enlarge
from ..geometry.texture_space import sample_map
from ..models.detail_basis import DetailBasis, fit_detail_basis, spread_order
from .generate_detail import RESOLUTIONS, check_vector, detail_model, displacement_maps

_BATCH = 4
_FRAMES_TO_FIT = 256
_FINE_FRAMES = 24
_LEAST_SHARE = 1e-2


@dataclass(frozen=True)
class BakeDetailRequest:
    """A clip to bake, and the vertices that receive its detail.

    Attributes:
        identity: (K,) float32, identity coefficients.
        skin: (16,) float32, or (T, 16) where the skin changes along the clip.
        expressions: (T, 52) float32, one row a frame.
        sample_uv: (N, 2) float32, texture coordinates of the vertices; outside [0, 1] there is no detail.
        resolution: of the maps that the vertices sample.
        psnr_db: fidelity of the basis to the generator.
        most_components: upper bound of K.
        fine_resolution: of the maps that are finer than the vertices, at least 256.
        fine_components: at most this many of the K coefficients move these maps.
        latent_offset: (18, 512) float32 of an imported map, or None.
    """

    identity: np.ndarray
    skin: np.ndarray
    expressions: np.ndarray
    sample_uv: np.ndarray
    resolution: int = COARSE_RESOLUTION
    psnr_db: float = 48.0
    most_components: int = 48
    fine_resolution: int = 512
    fine_components: int = 8
    latent_offset: np.ndarray | None = None


@dataclass(frozen=True)
class BakedDetail:
    """A clip's detail.

    Attributes:
        basis: its fields are (N,), millimetres at the vertices.
        coefficients: (T, K) float32, one row a frame.
        fine_mean: (R, R) float32, millimetres, the part of the maps that is finer than the vertices.
        fine_fields: (L, R, R) float32, its change with each of the first L coefficients.
    """

    basis: DetailBasis
    coefficients: np.ndarray
    fine_mean: np.ndarray
    fine_fields: np.ndarray


def bake_detail(request: BakeDetailRequest, progress: Callable[[float, str], None]) -> BakedDetail:
    """Generates the map of every frame, and expresses all maps in one small basis.

    Args:
        request: the person, the frames and the vertices.
        progress: called with (fraction done, text); may raise to cancel.

    Returns:
        Basis, coefficients by frame, and the fine band.

    Raises:
        UserError: a vector has the wrong size, or there is no frame.
    """
    model = detail_model()
    identity = check_vector("identity", request.identity, model.identity_size)
    skin = check_vector("skin vector", request.skin, model.skin_size)
    expressions = check_vector("expression", request.expressions, 52)
    if expressions.ndim != 2 or not len(expressions):
        raise UserError("The clip has no frames.", "Choose a range with at least one frame.")
    for resolution in (request.resolution, request.fine_resolution):
        if resolution not in RESOLUTIONS:
            raise UserError(f"Resolution {resolution} is not one of 256, 512 and 1024.")
    if skin.ndim == 2 and len(skin) != len(expressions):
        raise UserError(
            f"{len(skin)} frames of skin, but {len(expressions)} of expressions.", "Give one of each a frame."
        )
    frames = np.concatenate([expressions, np.broadcast_to(skin, (len(expressions), skin.shape[-1]))], 1)
    distinct, frame_of = np.unique(np.round(frames, 4), axis=0, return_inverse=True)
    covered = ((request.sample_uv >= 0) & (request.sample_uv <= 1)).all(1)
    uv = request.sample_uv[covered]

    def maps(rows: np.ndarray, resolution: int) -> np.ndarray:
        people = np.tile(identity, (len(rows), 1))
        width = expressions.shape[1]
        return displacement_maps(
            model, people, rows[:, width:], rows[:, :width], resolution, request.latent_offset
        )

    def fields(rows: np.ndarray) -> np.ndarray:
        return np.stack([sample_map(values, uv) for values in maps(rows, request.resolution)])

    order = spread_order(distinct, min(_FRAMES_TO_FIT, len(distinct)))
    fitted = np.empty((len(order), len(uv)), np.float32)
    for start in range(0, len(order), _BATCH):
        progress(0.8 * start / len(distinct), f"Detail of frame {start + 1} of {len(distinct)}")
        chosen = order[start : start + _BATCH]
        fitted[start : start + len(chosen)] = fields(distinct[chosen])
    basis = fit_detail_basis(fitted, request.psnr_db, request.most_components)
    coefficients = np.empty((len(distinct), len(basis.fields)), np.float32)
    coefficients[order] = basis.project(fitted)
    rest = np.setdiff1d(np.arange(len(distinct)), order)
    for start in range(0, len(rest), _BATCH):
        progress(
            0.8 * (len(order) + start) / len(distinct),
            f"Detail of frame {len(order) + start + 1} of {len(distinct)}",
        )
        chosen = rest[start : start + _BATCH]
        coefficients[chosen] = basis.project(fields(distinct[chosen]))
    shown = spread_order(coefficients[:, : request.fine_components], min(_FINE_FRAMES, len(distinct)))

    def fine_map(number: int) -> np.ndarray:
        progress(0.8 + 0.2 * number / len(shown), f"Fine lines of frame {number + 1} of {len(shown)}")
        row = distinct[shown[number] : shown[number] + 1]
        return maps(row, request.fine_resolution)[0] - enlarge(
            maps(row, COARSE_RESOLUTION)[0], request.fine_resolution
        )

    mean, fine = fit_linear_maps(
        coefficients[shown, : request.fine_components], map(fine_map, range(len(shown)))
    )
    return BakedDetail(basis.scatter(covered), coefficients[frame_of.reshape(-1)], mean, fine)


def fit_linear_maps(coefficients: np.ndarray, maps: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Fits maps as a mean and one field for each coefficient, by least squares.

    A coefficient that never moves gets a field of zeros.

    Args:
        coefficients: (T, L) float32, one row a map.
        maps: T maps (R, R) float32, read one at a time.

    Returns:
        (R, R) and (L, R, R) float32.
    """
    centre = coefficients.mean(0)
    inputs = np.concatenate([np.ones((len(coefficients), 1)), coefficients - centre], 1)
    inverse = np.linalg.pinv(inputs, rcond=_LEAST_SHARE).astype(np.float32)  # (1 + L, T)
    fitted: np.ndarray | float = 0.0
    for column, values in zip(inverse.T, maps, strict=True):
        fitted = fitted + column[:, None, None] * values
    mean = np.asarray(fitted)[0]
    fields = np.asarray(fitted)[1:]
    return mean - np.tensordot(centre, fields, 1).astype(np.float32), fields
