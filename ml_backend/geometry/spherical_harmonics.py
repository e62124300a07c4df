"""Light on a convex, matt surface by nine spherical harmonics of its normal.

Source: Ramamoorthi and Hanrahan 2001, "An efficient representation for irradiance environment maps".
"""

import numpy as np

_BAND_0 = 0.282095
_BAND_1 = 0.488603
_BAND_2 = (1.092548, 0.315392, 0.546274)


def harmonics(normals: np.ndarray) -> np.ndarray:
    """Returns the first nine real spherical harmonics, each divided by the constant one: (..., 9) float64.

    Args:
        normals: (..., 3), unit length, in the face's axes (Z up, the face looks along -Y).

    Returns:
        (..., 9) in the order 1; y, z, x; xy, yz, 3 z^2 - 1, xz, x^2 - y^2. A light of (1, 0, ...) shades
        everything by 1.
    """
    x, y, z = np.moveaxis(np.asarray(normals, np.float64), -1, 0)
    first = _BAND_1 / _BAND_0
    cross, zonal, square = (value / _BAND_0 for value in _BAND_2)
    return np.stack(
        [np.ones_like(x), first * y, first * z, first * x,
         cross * x * y, cross * y * z, zonal * (3 * z * z - 1), cross * x * z, square * (x * x - y * y)], -1
    )  # fmt: skip
