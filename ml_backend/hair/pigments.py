"""The colour of hair from its pigments, and the pigments that a colour tells of."""

import numpy as np

WHITE_MELANIN = 0.03
WHITE = (0.62, 0.60, 0.56)
"""Linear colour of hair that has lost its pigment."""
RADIAL_ROUGHNESS = 0.4
_EUMELANIN = np.array([0.506, 0.841, 1.653])
_PHEOMELANIN = np.array([0.343, 0.733, 1.924])
_ROUGHNESS_POWERS = np.array([5.969, -0.215, 2.532, -10.73, 5.574, 0.245])
_BRIGHTNESS = (0.008, 0.018, 0.035, 0.07, 0.13, 0.22, 0.38)
_MELANIN = (0.98, 0.93, 0.86, 0.74, 0.60, 0.45, 0.28)
"""Brightness of hair in photographs, and the melanin that renders like it."""
_WARMTH, _COOL, _GREY = (0.22, 0.95), (0.12, 0.45), (0.07, 0.30)


def melanin_colour(melanin: float, redness: float) -> tuple[float, float, float]:
    """Returns the linear colour that hair of a melanin shows.

    Args:
        melanin: 0 white to 1 black.
        redness: 0 brown to 1 red.

    Source: d'Eon et al. 2011 for the pigments, Chiang et al. 2016, Eq. 9, for the colour of their absorption,
    as Blender's Principled Hair has them.
    """
    amount = -np.log(max(1 - melanin, 1e-4))
    absorption = amount * ((1 - redness) * _EUMELANIN + redness * _PHEOMELANIN)
    scale = _ROUGHNESS_POWERS @ RADIAL_ROUGHNESS ** np.arange(len(_ROUGHNESS_POWERS))
    red, green, blue = (float(value) for value in np.exp(-np.sqrt(absorption) * scale))
    return red, green, blue


def mixed_colour(melanin: float, redness: float, grey: float) -> tuple[float, float, float]:
    """Returns the linear colour of hair of which a share is grey."""
    pigmented = np.array(melanin_colour(melanin, redness))
    red, green, blue = (float(value) for value in pigmented + (np.array(WHITE) - pigmented) * grey)
    return red, green, blue


def shown_colour(melanin: float, redness: float) -> tuple[float, float, float]:
    """Returns the linear colour of hair in a photograph in even light of 1: what `pigments_of` reads.

    It is brighter than `melanin_colour`, which light passes many times in a head of hair. A plain surface
    needs it.

    Args:
        melanin: 0 white to 1 black.
        redness: 0 brown to 1 red.
    """
    bright = float(np.exp(np.interp(melanin, _MELANIN[::-1], np.log(_BRIGHTNESS[::-1]))))
    warm = _WARMTH[0] + (_WARMTH[1] - _WARMTH[0]) * redness
    colour = np.exp([0.0, -warm, -max(2 * warm, _COOL[1] + 0.05)])
    red, green, blue = (float(value) for value in colour * bright / (colour @ (0.3, 0.6, 0.1)))
    return red, green, blue


def pigments_of(colour: np.ndarray) -> tuple[float, float, float]:
    """Returns melanin, redness and the share of grey of hair in a photograph.

    Brightness tells the melanin, warmth the redness; grey is said only of bright hair without warmth.

    Args:
        colour: (3,) linear, of its darker parts in even light of 1: gloss makes the others brighter.
    """
    red, green, blue = np.maximum(np.asarray(colour, np.float64), 1e-3)
    bright = float(np.log(0.3 * red + 0.6 * green + 0.1 * blue))
    melanin = float(np.interp(bright, np.log(_BRIGHTNESS), _MELANIN))
    redness = float(np.clip((np.log(red / green) - _WARMTH[0]) / (_WARMTH[1] - _WARMTH[0]), 0, 1))
    cool = float(np.clip((_COOL[1] - np.log(red / blue)) / (_COOL[1] - _COOL[0]), 0, 1))
    grey = cool * float(np.clip((np.exp(bright) - _GREY[0]) / (_GREY[1] - _GREY[0]), 0, 0.95))
    return melanin + (0.8 - melanin) * grey, redness * (1 - grey), grey
