"""Skin as a photograph shows it: its colours on few texels, and its light.

Light is nine spherical harmonics a colour, and reaches a texel where the head does not hide it. With the
colours of skin known up to their level the light has a closed form, and so has the level with the light
known; both are robust, weighted by how well a texel is seen. Burnt-out and black texels do not count.
"""

from dataclasses import dataclass

import numpy as np

from ...geometry.linear_models import fit_ridge
from ...geometry.srgb import from_srgb
from .skin_prior import RESOLUTION, SkinPrior

LEAST_SHADING = 0.12
PATTERN_TONE = 30.0
"""Degrees: the mean person of this tone lends the layout of colours before a person's own is known."""
_LIGHT_SPREAD = (np.inf, 0.7, 0.7, 0.7, 0.25, 0.25, 0.25, 0.25, 0.25)
_STRANGE = 0.28
"""Logarithm of a colour ratio from which a texel is believed less."""
_BURNT, _BLACK = 0.96, 0.0025
"""Linear; half of a texel's belief is lost here."""
_FEWEST, _MOST_LOST = 60.0, 0.8


@dataclass(frozen=True)
class SeenSkin:
    """One photo's skin, at 64 x 64 texels.

    Attributes:
        colours: (64, 64, 3) linear, light included.
        weight: (64, 64) 0..1, how far each texel is seen, skin, neither burnt out nor black.
        basis: (64, 64, 9) the harmonics of the light that reaches each texel, `shadowed_harmonics`.
        plain: (64, 64) 0..1, skin of one colour: not lips, lids, brows, neck.
        lost: 0..1, the share of seen plain skin that is burnt out or black.
        directions: (64, 64, 96) what radiance from each of 48 directions adds to the light that the skin
            scatters, and then to what it mirrors, `HeadLight.directions`; None: not known.
    """

    colours: np.ndarray
    weight: np.ndarray
    basis: np.ndarray
    plain: np.ndarray
    lost: float
    directions: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        texture: np.ndarray,
        confidence: np.ndarray,
        basis: np.ndarray,
        plain: np.ndarray,
        face: np.ndarray,
        directions: np.ndarray | None = None,
    ) -> "SeenSkin":
        """Gathers an unwrapped photo.

        Args:
            texture: (R, R, 3) linear, R a multiple of 64.
            confidence, plain, face: (R, R) 0..1: seen; skin of one colour; the face.
            basis: (R, R, 9).
            directions: (64, 64, 96) of the seen texels, or None.
        """  # fmt: skip
        usable = (
            1 / (1 + (texture.max(2) / _BURNT) ** 40) / (1 + (_BLACK / np.maximum(texture.max(2), 1e-6)) ** 4)
        )
        weight = confidence * usable
        total = gathered(weight)
        colours = gathered(texture * weight[..., None]) / np.maximum(total, 1e-6)[..., None]
        shown = (confidence > 0).astype(np.float32)
        reached = gathered(basis * shown[..., None]) / np.maximum(gathered(shown), 1e-3)[..., None]
        seen_plain = float((confidence * plain).sum())
        lost = 1 - float((weight * plain).sum()) / max(seen_plain, 1e-6)
        return cls(
            colours, total * gathered(face), reached, gathered(plain), lost if seen_plain > 1 else 1.0,
            directions,
        )  # fmt: skip

    @property
    def enough(self) -> bool:
        """True if plain skin is seen, and most of it neither burnt out nor black."""
        return float((self.weight * self.plain).sum()) > _FEWEST and self.lost < _MOST_LOST


def gathered(values: np.ndarray) -> np.ndarray:
    """Returns the means (64, 64, ...) over blocks of maps (R, R, ...)."""
    step = values.shape[0] // RESOLUTION
    return values.reshape(RESOLUTION, step, RESOLUTION, step, *values.shape[2:]).mean((1, 3))


def layout(colours: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Returns linear colours (64, 64, 3) over their mean on cheeks and forehead, of sRGB (3, 64, 64)."""
    linear = from_srgb(np.clip(colours, 0.02, 1)).transpose(1, 2, 0)
    return linear / np.average(linear.reshape(-1, 3), axis=0, weights=region.ravel())


@dataclass(frozen=True)
class SkinLight:
    """The light on a person's skin.

    Attributes:
        light: (9, 3), its mean over the seen plain skin is 1.
        level: (3,) linear: what cheeks and forehead of the person would show in a light of 1.
        shading: (64, 64, 3).
        trust: (64, 64) weights after the robust fit.
        agreed: 0..1, the share of seen plain skin that this light explains.
    """

    light: np.ndarray
    level: np.ndarray
    shading: np.ndarray
    trust: np.ndarray
    agreed: float


def find_light(seen: SeenSkin, pattern: np.ndarray) -> SkinLight:
    """Fits light and level.

    Args:
        seen: the photo.
        pattern: (64, 64, 3) colours over those of cheeks and forehead, from `layout`.
    """
    weight = seen.weight * (0.1 + 0.9 * seen.plain)
    chosen = weight > 0.01
    basis, weights = seen.basis[chosen].astype(np.float64), weight[chosen].astype(np.float64)
    values = (seen.colours / pattern)[chosen].astype(np.float64)
    level = np.maximum(np.average(values, axis=0, weights=weights), 1e-4)
    penalty = 0.02 * weights.sum() / np.square(_LIGHT_SPREAD)
    trust = weights.copy()
    light = np.zeros((9, 3))
    for _ in range(10):
        for channel in range(3):
            light[:, channel] = fit_ridge(
                basis, values[:, channel] / level[channel], penalty, weights=trust
            ).slopes
        shading = np.maximum(basis @ light, 0.05)
        wrong = np.log(np.maximum(values / level, 1e-3) / shading)
        trust = weights / (1 + ((wrong / _STRANGE) ** 2).mean(1)) ** 2
    plain = weights * (seen.plain[chosen] > 0.5)
    plain = plain if plain.sum() > 1 else weights
    scale = np.average(np.maximum(basis @ light, 0.05), axis=0, weights=plain)
    light, level = light / scale, level * scale
    believed = np.zeros(weight.shape, np.float32)
    believed[chosen] = trust / np.maximum(weights, 1e-9) * seen.weight[chosen]
    every = np.maximum(seen.basis @ light, LEAST_SHADING)
    agreed = float((trust / np.maximum(weights, 1e-9) * plain).sum() / plain.sum())
    return SkinLight(light.astype(np.float32), level, every, believed, agreed)


def usual_layout(prior: SkinPrior) -> np.ndarray:
    """Returns the layout (64, 64, 3) of the mean person of `PATTERN_TONE`."""
    from ...geometry.map_resampling import resample

    colours = prior.model.colours(prior.sliders.person(PATTERN_TONE))
    return layout(resample(colours, RESOLUTION), prior.region)
