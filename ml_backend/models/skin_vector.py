"""The skin vector: the part of a person's skin that the geometry does not determine. numpy only."""

import numpy as np

SKIN_SIZE = 16
YEARS_PER_SKIN_AGE = 9.0
"""Of the first entry, see the skin simulation."""


def sample_skin(seed: int) -> np.ndarray:
    """Draws a skin vector, the same for the same seed.

    Args:
        seed: the wrinkle seed, any integer.

    Returns:
        (16,) float32, standard normal: [0] age beyond the geometry's, [1] tendency to wrinkle, [2] thickness
        of the skin (longer wavelengths), the rest where its creases run. The first three are halved, so that
        skin fits its face.
    """
    skin = np.random.default_rng([seed & 0xFFFFFFFF, 0x5C1]).standard_normal(SKIN_SIZE)
    skin[:3] *= 0.5
    return np.clip(skin, -2.5, 2.5).astype(np.float32)
