"""The skin tone of the person that a seed stands for, the same in Blender and in the shell. numpy only."""

import numpy as np

from ...geometry.cielab import typology_angle

SKIN_TONES = (
    (0.0, (0.70, 0.44, 0.33)),
    (0.3, (0.58, 0.32, 0.205)),
    (0.55, (0.40, 0.19, 0.10)),
    (0.8, (0.165, 0.068, 0.034)),
    (1.0, (0.07, 0.029, 0.016)),
)
"""Values of the slider Skin Tone, and linear colours of skin."""
_SEED = 0x70E
_RANGE = (0.01, 0.97)


_USUAL = 1.5 / (1.5 + 2.6)
_ORIGIN_TONES = np.array([0.80, 0.33, 0.17])
"""Mean Skin Tones of people of African, Asian and European origin."""
_OWN = 0.5
"""Share of all people's spread that is left among people of one origin."""


def seeded_tone(seed: int, origin: np.ndarray | None = None) -> float:
    """Returns the Skin Tone of a person's seed, 0 lightest to 1 darkest.

    Args:
        seed: of the person.
        origin: (3,) shares of African, Asian and European origin in the person's form, as
            `BilinearFace.origin_shares`, for form and skin go together; None where a model does not tell.
    """
    drawn = float(np.random.default_rng([seed, _SEED]).beta(1.5, 2.6))
    if origin is None:
        return drawn
    shares = np.clip(origin, 0, None)
    usual = float(shares @ _ORIGIN_TONES / max(shares.sum(), 1e-6))
    return float(np.clip(usual + _OWN * (drawn - _USUAL), *_RANGE))


def tone_angle(tone: float) -> float:
    """Returns the typology angle, degrees, of a Skin Tone, 0 to 1."""
    tones, colours = zip(*SKIN_TONES, strict=True)
    colour = np.array([np.interp(tone, tones, part) for part in np.array(colours).T])
    return float(typology_angle(colour))


def tone_of_angle(angle: float) -> float:
    """Returns the Skin Tone, 0 to 1, of a typology angle in degrees; the inverse of `tone_angle`."""
    tones = np.linspace(0.0, 1.0, 65)
    angles = np.array([tone_angle(float(tone)) for tone in tones])
    return float(np.interp(-angle, -angles, tones))
