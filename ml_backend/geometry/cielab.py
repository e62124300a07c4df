"""CIELAB and the individual typology angle of linear sRGB, in numpy.

Source: IEC 61966-2-1, CIE 15; Chardon et al. 1991, "Skin colour typology and suntanning pathways", Int. J.
Cosmet. Sci. 13.
"""

import numpy as np

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_KNEE = 6 / 29


def cielab(linear: np.ndarray) -> np.ndarray:
    """Returns CIELAB under D65 of linear sRGB, channels first: (3, ...) -> (3, ...) L*, a*, b*."""
    share = np.tensordot((_TO_XYZ / _TO_XYZ.sum(1, keepdims=True)).astype(np.float32), linear, 1)
    root = np.where(share > _KNEE**3, np.cbrt(share), share / (3 * _KNEE**2) + 4 / 29)
    x, y, z = root
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def typology_angle(linear: np.ndarray) -> np.ndarray:
    """Returns the individual typology angle, degrees, of linear sRGB (3, ...): (...).

    For b* > 0, as in all skin; a quarter turn at b* = 0.
    """
    lightness, _, yellow = cielab(linear)
    return np.degrees(np.arctan2(lightness - 50, np.maximum(yellow, 1e-3)))
