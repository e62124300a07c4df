"""Generates displacement maps from identity, skin and expression, with Detailed3DMM.

The sliders can also edit a latent that was fitted to a map.
"""

import threading
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch

from ..errors import UserError
from ..models.detailed_3dmm import Detailed3DMM
from ..models.latent_directions import LatentDirections
from ..models.saved_latent import SavedLatent, weights_fingerprint

RESOLUTIONS = (256, 512, 1024)
_loading = threading.Lock()


@dataclass(frozen=True)
class GenerateDetailRequest:
    """The inputs of a displacement map.

    Attributes:
        identity: (K,) float32, identity coefficients in standard deviations.
        skin: (16,) float32, the skin vector.
        expression: (52,) float32, ARKit coefficients.
        resolution: 256, 512 or 1024.
        latent_offset: (18, 512) float32 that an imported map adds to the latents of the encoder, or None.
        directions: amounts of latent directions by name, see `models/latent_directions.py`.
    """

    identity: np.ndarray
    skin: np.ndarray
    expression: np.ndarray
    resolution: int = 1024
    latent_offset: np.ndarray | None = None
    directions: dict[str, float] = field(default_factory=dict)


@lru_cache(maxsize=1)
def _load() -> Detailed3DMM:
    return Detailed3DMM.default()


def detail_model() -> Detailed3DMM:
    """Returns the default Detailed3DMM, loaded once."""
    with _loading:
        return _load()


def check_vector(name: str, values: np.ndarray, size: int) -> np.ndarray:
    """Checks a vector from outside.

    Args:
        name: for the message.
        values: (..., size), any number type.
        size: the last axis' length.

    Returns:
        The values as float32.

    Raises:
        UserError: the size is wrong or a value is not finite.
    """
    values = np.asarray(values, np.float32)
    if values.shape[-1:] != (size,):
        raise UserError(
            f"The {name} has {values.shape[-1] if values.ndim else 0} values, not {size}.",
            "Make the face again with this version's models.",
        )
    if not np.isfinite(values).all():
        raise UserError(f"The {name} holds a value that is not finite.", "Reset the sliders.")
    return values


def displacement_maps(
    model: Detailed3DMM,
    identity: np.ndarray,
    skin: np.ndarray,
    expressions: np.ndarray,
    resolution: int,
    latent_offset: np.ndarray | None = None,
    directions: dict[str, float] | None = None,
) -> np.ndarray:
    """Returns the maps of faces, edited in W+ where there is an offset or a direction.

    Args:
        model: the networks.
        identity, skin, expressions: (T, K), (T, 16) and (T, 52).
        resolution: R.
        latent_offset, directions: as `GenerateDetailRequest` has them.

    Returns:
        (T, R, R) float32, millimetres along the normal, row 0 at the bottom.

    Raises:
        UserError: the offset has the wrong size or is not finite; a direction is unknown, or they belong to
            other weights.

    Source: after Choe 2023, "One-Shot Landmark-Based Face Reenactment", section 3.3: a fitted latent plus a
    difference of latents.
    """
    if latent_offset is None and not directions:
        return model.displacement(identity, skin, expressions, resolution)
    shape = (model.generator.config.style_count, model.generator.config.latent_width)
    offset = np.zeros(shape, np.float32) if latent_offset is None else np.asarray(latent_offset, np.float32)
    if offset.shape != shape or not np.isfinite(offset).all():
        raise UserError(
            f"The imported map's latent has shape {offset.shape}, not {shape}, or is not finite.",
            "Import the map again.",
        )
    if directions:
        offset = offset + LatentDirections.load(weights_fingerprint()).offset(directions)
    moved = torch.from_numpy(offset).to(model.device)
    rest = model.latent(identity, skin, np.zeros_like(expressions)) + moved
    return model.between(rest, model.latent(identity, skin, expressions) + moved, expressions, resolution)


def offset_of(model: Detailed3DMM, saved: SavedLatent) -> np.ndarray:
    """Returns the difference (18, 512) float32 of a fitted latent to the latent of the encoder.

    Raises:
        UserError: it was fitted for a model of other sizes.
    """
    check_vector("latent's identity", saved.identity, model.identity_size)
    check_vector("latent's skin vector", saved.skin, model.skin_size)
    check_vector("latent's expression", saved.expression, model.expression_size)
    encoded = model.latent(saved.identity[None], saved.skin[None], saved.expression[None])[0].cpu().numpy()
    if saved.latent.shape != encoded.shape:
        raise UserError(
            f"The latent has shape {saved.latent.shape}, not {encoded.shape}.", "Invert the map again."
        )
    return saved.latent - encoded


def generate_detail(request: GenerateDetailRequest) -> np.ndarray:
    """Generates one displacement map.

    Args:
        request: the person and the expression.

    Returns:
        (R, R) float32, millimetres along the normal, row 0 at the bottom.

    Raises:
        UserError: a vector has the wrong size, a direction is unknown, or the resolution is not one of 256,
            512 and 1024.
    """
    if request.resolution not in RESOLUTIONS:
        raise UserError(f"Resolution {request.resolution} is not one of 256, 512 and 1024.")
    model = detail_model()
    identity = check_vector("identity", request.identity, model.identity_size)
    skin = check_vector("skin vector", request.skin, model.skin_size)
    expression = check_vector("expression", request.expression, 52)
    inputs = identity[None], skin[None], expression[None]
    return displacement_maps(model, *inputs, request.resolution, request.latent_offset, request.directions)[0]
