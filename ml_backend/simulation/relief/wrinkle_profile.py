"""The cross-section of wrinkles and folds: a sharp valley, round shoulders, a bulge beside a fold."""

import math

import torch
from torch import Tensor


def wrinkle_profile(stripes: Tensor, sharpness: float = 3.0) -> Tensor:
    """Turns stripes into relief.

    Args:
        stripes: any shape, about -1 (between creases) to 1 (in a crease), 0 where there is no pattern.
        sharpness: kappa of the valley; 0.5 gives nearly a sine, 4 a cut.

    Returns:
        Same shape: 0 where stripes are 0, about -0.6 in a crease, a positive, round shoulder between creases.
            Smooth everywhere.

    Source: profilometry of periorbital and forehead wrinkles shows narrow valleys between broad plateaus;
    Lemperle et al. 2001, "A classification of facial wrinkles", Plastic and Reconstructive Surgery 108.
    """
    bounded = 1.15 * torch.tanh(stripes / 1.15)
    valley = torch.exp(sharpness * (bounded - 1)) - math.exp(-sharpness)
    return -0.88 * valley - 0.2 * bounded + 0.12 * bounded * bounded


def fold_profile(distance: Tensor, width: float, bulge: float, bulge_width: float) -> Tensor:
    """Relief of one fold.

    Args:
        distance: signed millimetres from the fold's line, positive on the side that bulges over it.
        width: half width of the valley, millimetres.
        bulge: height of the bulge, 1 = the valley's depth.
        bulge_width: extent of the bulge, millimetres.

    Returns:
        Same shape, -1 in the valley; the valley rises steeply to the bulging side and gently to the other.
    """
    other = torch.sigmoid(-distance / (0.5 * width))
    reach = width * (1 + 1.2 * other)
    valley = 1 / (1 + (distance / reach) ** 2) ** 1.5
    centre = 0.9 * bulge_width
    rise = torch.exp(-0.5 * ((distance - centre) / (0.55 * bulge_width)) ** 2)
    return -valley + bulge * rise


def depth_response(compression: Tensor, onset: float, span: float, softness: float = 0.05) -> Tensor:
    """Returns the depth of creases under compression.

    Nothing below the onset; then it grows and saturates without a kink.

    Args:
        compression: in units of the group's full contraction, any sign.
        onset: compression at which creases start (buckling has a threshold).
        span: compression over which they reach 63 % of their depth.
        softness: width of the soft onset.

    Returns:
        Same shape, 0 to 1.
    """
    loaded = torch.nn.functional.softplus((compression - onset) / softness) * softness
    return 1 - torch.exp(-loaded / span)
