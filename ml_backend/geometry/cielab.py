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


def ciede2000(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the colour difference CIEDE2000 of CIELAB values, channels first: (3, ...) twice -> (...).

    Source: Sharma, Wu and Dalal 2005, "The CIEDE2000 color-difference formula: implementation notes,
    supplementary test data, and mathematical observations", Color Res. Appl. 30; all weights 1.
    """
    light_1, a_1, b_1 = np.asarray(one, np.float64)
    light_2, a_2, b_2 = np.asarray(other, np.float64)
    middle = (np.hypot(a_1, b_1) + np.hypot(a_2, b_2)) / 2
    more = 1.5 - 0.5 * np.sqrt(middle**7 / (middle**7 + 25.0**7))
    chroma_1, chroma_2 = np.hypot(more * a_1, b_1), np.hypot(more * a_2, b_2)
    hue_1 = np.degrees(np.arctan2(b_1, more * a_1)) % 360
    hue_2 = np.degrees(np.arctan2(b_2, more * a_2)) % 360
    grey = chroma_1 * chroma_2 == 0
    turn = np.where(grey, 0, (hue_2 - hue_1 + 180) % 360 - 180)
    sum_hue, far = hue_1 + hue_2, np.abs(hue_1 - hue_2) > 180
    hue = np.where(
        grey, sum_hue, np.where(far, np.where(sum_hue < 360, sum_hue + 360, sum_hue - 360), sum_hue) / 2
    )
    lightness, chroma = (light_1 + light_2) / 2, (chroma_1 + chroma_2) / 2
    angle = np.radians(hue)
    uneven = (
        1 - 0.17 * np.cos(angle - np.radians(30)) + 0.24 * np.cos(2 * angle)
        + 0.32 * np.cos(3 * angle + np.radians(6)) - 0.20 * np.cos(4 * angle - np.radians(63))
    )  # fmt: skip
    by_lightness = 1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2)
    by_chroma, by_hue = 1 + 0.045 * chroma, 1 + 0.015 * chroma * uneven
    blue = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(
        np.radians(60) * np.exp(-(((hue - 275) / 25) ** 2))
    )  # fmt: skip
    step = (light_2 - light_1) / by_lightness
    stronger = (chroma_2 - chroma_1) / by_chroma
    turned = 2 * np.sqrt(chroma_1 * chroma_2) * np.sin(np.radians(turn) / 2) / by_hue
    return np.sqrt(step**2 + stronger**2 + turned**2 + blue * stronger * turned)
