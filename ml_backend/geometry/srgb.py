"""The sRGB curve: linear light to the values of pictures and back.

Source: IEC 61966-2-1.
"""

import numpy as np


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Returns linear light encoded by the sRGB curve; values below 0 become 0, those above 1 stay above 1."""
    linear = np.clip(linear, 0, None)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def from_srgb(encoded: np.ndarray) -> np.ndarray:
    """Returns sRGB values in 0..1 as linear light, float32."""
    encoded = np.asarray(encoded, np.float32)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
