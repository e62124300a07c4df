"""Identity, skin and expression to a displacement map, by Detailed3DMM."""

import threading
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..errors import UserError
from ..models.detailed_3dmm import Detailed3DMM

RESOLUTIONS = (256, 512, 1024)
_loading = threading.Lock()


@dataclass(frozen=True)
class GenerateDetailRequest:
    """What a displacement map is made from.

    Attributes:
        identity: (K,) float32, identity coefficients in standard deviations.
        skin: (16,) float32, the skin vector.
        expression: (52,) float32, ARKit coefficients.
        resolution: 256, 512 or 1024.
    """

    identity: np.ndarray
    skin: np.ndarray
    expression: np.ndarray
    resolution: int = 1024


@lru_cache(maxsize=1)
def _load() -> Detailed3DMM:
    return Detailed3DMM.default()


def detail_model() -> Detailed3DMM:
    """The default Detailed3DMM, loaded once."""
    with _loading:
        return _load()


def check_vector(name: str, values: np.ndarray, size: int) -> np.ndarray:
    """Checks a vector that came over a border.

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


def generate_detail(request: GenerateDetailRequest) -> np.ndarray:
    """Generates one displacement map.

    Args:
        request: the person and the expression.

    Returns:
        (R, R) float32, millimetres along the normal, row 0 at the bottom.

    Raises:
        UserError: a vector has the wrong size or the resolution is not one of 256, 512 and 1024.
    """
    if request.resolution not in RESOLUTIONS:
        raise UserError(f"Resolution {request.resolution} is not one of 256, 512 and 1024.")
    model = detail_model()
    identity = check_vector("identity", request.identity, model.identity_size)
    skin = check_vector("skin vector", request.skin, model.skin_size)
    expression = check_vector("expression", request.expression, 52)
    return model.displacement(identity[None], skin[None], expression[None], request.resolution)[0]
