"""The signs in a photograph that tell how light a person's skin is.

Beside the colour of the skin and of the white of the eyes there is a trial of tones: for the mean person of
each of seven tones a light from 48 directions is fitted to the picture, which skin scatters by its colour and
mirrors as all skin does. How badly it fits, and how far the white of the eyes is then off, tells the tone:
dark skin shows more gloss than colour, its lips are lighter beside it, and its eyes whiter.

Source: the colour of what a surface mirrors as a measure of what it scatters is Shafer 1985, "Using color to
separate reflection components"; Lawson and Hanson 1974, "Solving least squares problems", chapter 23.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import nnls

from ...geometry.light_transfer import COUNT
from ...geometry.map_resampling import resample
from ...geometry.srgb import from_srgb
from ...models.bilinear_face import BilinearFace
from ..unwrap_photo import TextureDomain
from .seen_eyes import EyeSamples, likely_white, white_in_light
from .seen_skin import LEAST_SHADING, SeenSkin, SkinLight, usual_layout
from .skin_prior import RESOLUTION, SkinPrior

TRIED = np.linspace(-55.0, 65.0, 7)
"""Tones, degrees, that are tried."""
REGIONS = ("lips", "cheeks", "forehead", "nose", "chin", "perioral")
_MIRRORED = 0.03
"""Share of light that skin and wet eyes mirror at right angles."""
_WHITE = (0.58, 0.54, 0.50)
_OFF = 0.2
"""Logarithm of a colour ratio from which a texel counts less in a trial."""
_ROUNDS, _EVEN = 3, 3e-3
_FEWEST = 30


@dataclass(frozen=True)
class SkinPatterns:
    """The mean people that photographs are compared with.

    Attributes:
        usual: (64, 64, 3), `usual_layout`.
        tried: (7, 64, 64, 3) linear colours of the mean person of each of `TRIED`.
    """

    usual: np.ndarray
    tried: np.ndarray

    @classmethod
    def of(cls, prior: SkinPrior) -> "SkinPatterns":
        """Reads them off the albedo model."""
        maps = [resample(prior.model.colours(prior.sliders.person(tone)), RESOLUTION) for tone in TRIED]
        linear = np.stack([from_srgb(np.clip(one, 0.02, 1)).transpose(1, 2, 0) for one in maps])
        return cls(usual_layout(prior), linear.astype(np.float32))


@dataclass(frozen=True)
class SkinEvidence:
    """The signs in a photo, logarithms of linear colours; NaN where something is not seen.

    Attributes:
        skin: (3,) `SkinLight.level`.
        eyes: (3,) the white of the eyes in a light of 1, like `skin`; None where it is not seen.
        around: (2,) by how much skin above and below the eyes is lighter than its light makes it; shade that
            falls on the eyes falls there too.
        light: (3,) where the light comes from: linear harmonics of `SkinLight.light`, mean of the colours.
        bent: (8,) the light's other harmonics: five of second order, and red less blue of the linear ones.
        regions: (7, 3) colours of `REGIONS` and of the skin below the eyes over those of the plain skin.
        rough: (3,) how much plain skin differs from place to place: in lightness, red over green, blue over
            green.
        glance: (9,) quantiles of the eyes' brightness over the skin's, the light that reaches them, irises
            over skin.
        trials: (7, 4) for each of `TRIED` the white of the eyes over what the fitted light makes of it, and
            how badly the light fits.
    """

    skin: np.ndarray
    eyes: np.ndarray | None
    around: np.ndarray
    light: np.ndarray
    bent: np.ndarray
    regions: np.ndarray
    rough: np.ndarray
    glance: np.ndarray
    trials: np.ndarray

    def vector(self) -> np.ndarray:
        """Returns (80,): all of it in this order, the eyes over the skin."""
        eyes = np.full(3, np.nan) if self.eyes is None else self.eyes - self.skin
        return np.concatenate(
            [self.skin, eyes, self.around, self.light, self.bent, self.regions.ravel(), self.rough,
             self.glance, self.trials.ravel()]
        )  # fmt: skip


PARTS = {
    "skin": 3, "eyes": 3, "around": 2, "light": 3, "bent": 8, **dict.fromkeys((*REGIONS, "below"), 3),
    "rough": 3, "glance": 9, "trials": 28,
}  # fmt: skip
"""Numbers of each part of the evidence, in the order of `SkinEvidence.vector`; `below`: below the eyes."""
EVIDENCE = sum(PARTS.values())


def deviations(parts: Mapping[str, Sequence[float]]) -> np.ndarray:
    """Returns (80,) a number a sign; those of a part are repeated until it is full."""
    return np.concatenate([np.resize(parts[name], count) for name, count in PARTS.items()])


def evidence_of(
    seen: SeenSkin, found: SkinLight, patterns: SkinPatterns, eyes: EyeSamples | None, lids: np.ndarray
) -> SkinEvidence:
    """Gathers the evidence.

    Args:
        seen: the photo's skin.
        found: from `find_light` with the usual layout.
        patterns: the mean people.
        eyes: from `sample_eyes`.
        lids: (2, 64, 64) 0..1, skin above and below the eyes, `skin_around_eyes`.
    """
    white = None
    if eyes is not None:
        white = np.log(np.maximum(white_in_light(eyes, found.light, LEAST_SHADING), 1e-4))
    lighter = np.log(np.maximum(seen.colours / (patterns.usual * found.shading * found.level), 1e-3)).mean(2)
    skin = np.log(np.maximum(found.level, 1e-5))
    bare = np.log(np.maximum(seen.colours / (found.shading * found.level), 1e-3))
    plain = seen.weight * seen.plain
    return SkinEvidence(
        skin,
        white,
        np.array([_mean(lighter, part * seen.weight) for part in lids]),
        found.light[1:4].mean(1),
        np.concatenate([found.light[4:].mean(1), found.light[1:4, 0] - found.light[1:4, 2]]),
        np.stack([_mean(bare, part * seen.weight) for part in (*skin_regions(), lids[1])]),
        np.log([_deviation(part, plain) for part in _contrasts(bare)]),
        _glance(eyes, found),
        tried_tones(seen, eyes, patterns.tried),
    )


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the weighted mean of values (64, 64, ...); NaN where there is hardly any weight."""
    total = float(weights.sum())
    return np.tensordot(weights, values, 2) / total if total > 3 else np.full(values.shape[2:], np.nan)


def _contrasts(bare: np.ndarray) -> list[np.ndarray]:
    """Returns lightness, red over green and blue over green, (64, 64) each, of logarithms (64, 64, 3)."""
    return [bare.mean(2), bare[..., 0] - bare[..., 1], bare[..., 2] - bare[..., 1]]


def _deviation(values: np.ndarray, weights: np.ndarray) -> float:
    """Returns the weighted deviation of values (64, 64), at least 0.001; NaN where there is no weight."""
    return float(np.maximum(np.sqrt(_mean((values - _mean(values, weights)) ** 2, weights)), 1e-3))


def _glance(eyes: EyeSamples | None, found: SkinLight) -> np.ndarray:
    """Returns `SkinEvidence.glance` (9,)."""
    if eyes is None:
        return np.full(9, np.nan)
    level = np.log(np.maximum(found.level, 1e-5))
    bright = np.log(np.maximum(np.quantile(eyes.white.mean(1), (0.2, 0.5, 0.8, 0.95)), 1e-4))
    reached = np.log(max(float((eyes.white_reached @ found.light.mean(1)).mean()), 0.05))
    iris = np.full(3, np.nan)
    if len(eyes.iris) > _FEWEST:
        iris = np.log(np.maximum(np.median(eyes.iris, axis=0), 1e-4)) - level
    return np.array([*(bright - np.log(found.level.mean())), reached, np.log(len(eyes.white) / 100), *iris])


@lru_cache(maxsize=1)
def skin_regions() -> np.ndarray:
    """Returns (6, 64, 64) float32 0..1 in texture space: `REGIONS`."""
    face, domain = BilinearFace.default(), TextureDomain.default(4 * RESOLUTION)
    weights = np.stack([face.regions[name] for name in REGIONS], 1)
    fields = domain.lookup.spread(domain.mesh.refine(weights.astype(np.float32)))
    return fields.reshape(RESOLUTION, 4, RESOLUTION, 4, -1).mean((1, 3)).transpose(2, 0, 1)


def tried_tones(seen: SeenSkin, eyes: EyeSamples | None, tried: np.ndarray) -> np.ndarray:
    """Fits a light to the picture for the mean person of each tone.

    Args:
        seen: the photo's skin, with its `directions`; without them nothing is known.
        eyes: the photo's eyes, with their `white_directions`.
        tried: (T, 64, 64, 3) linear colours of the people.

    Returns:
        (T, 4): logarithms of the white of the eyes over what the light makes of it, and of the mean error of
        the fit.
    """  # fmt: skip
    found = np.full((len(tried), 4), np.nan)
    if seen.directions is None:
        return found
    lips, bare = skin_regions()[0], 1 - skin_regions()[REGIONS.index("forehead")]  # hair falls there
    weight = seen.weight * bare * (0.02 + 0.98 * np.clip(seen.plain + 0.5 * lips, 0, 1))
    chosen = weight > 0.05
    if chosen.sum() < 2 * COUNT:
        return found
    weight, colours = weight[chosen].astype(np.float64), seen.colours[chosen].astype(np.float64)
    scattered, mirrored = np.split(seen.directions[chosen].astype(np.float64), 2, axis=1)
    white_reached = None if eyes is None else eyes.white_directions
    for number, person in enumerate(tried[:, chosen]):
        wrong = 0.0
        for channel in range(3):
            basis = person[:, channel, None] * scattered + _MIRRORED * mirrored
            light, error = _light_from_around(basis, colours[:, channel], weight)
            wrong += float(np.average(np.minimum(np.abs(error), 0.5), weights=weight))
            if eyes is not None and white_reached is not None:
                scattered_white, mirrored_white = np.split(white_reached, 2, axis=1)
                made = (_WHITE[channel] * scattered_white + _MIRRORED * mirrored_white) @ light
                white = likely_white(eyes.white[:, channel] / np.maximum(made, 1e-3))
                found[number, channel] = np.log(max(white, 1e-4))
        found[number, 3] = np.log(max(wrong, 1e-3))
    return found


def _light_from_around(
    basis: np.ndarray, values: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fits a light that is nowhere less than dark, robustly.

    Args:
        basis: (N, 48), what each direction adds; values, weights: (N,).

    Returns:
        The radiance (48,), and the logarithms (N,) of the values over what it makes.
    """  # fmt: skip
    weights = weights / np.maximum(values, 0.01)
    trust = np.ones(len(values))
    for _ in range(_ROUNDS):
        scaled = basis * (weights * trust)[:, None]
        gram = scaled.T @ scaled
        gram.flat[:: COUNT + 1] += max(_EVEN * float(np.trace(gram)) / COUNT, 1e-12)
        root = np.linalg.cholesky(gram)
        light = nnls(root.T, np.linalg.solve(root, scaled.T @ (values * weights * trust)))[0]
        error = np.log(np.maximum(values, 1e-4) / np.maximum(basis @ light, 1e-4))
        trust = 1 / (1 + (error / _OFF) ** 2)
    return light, error
