"""Fits a person's skin to photographs: light and coarse colours in turns, then detail.

1. With the colours of the mean person the light and the level of the photo have a closed form; the belief
   about tones turns the level into a tone and a colour of cheeks and forehead.
2. In turns, each in closed form: the likeliest colours under people's covariance, given the light; the light,
   given those colours. Several photos of one person give the colours together, each its own light.
3. What the coarse map lacks and the photos show goes through the decoder's latent. Unseen skin has the
   person's own coarse colours, and what the latent says of the whole face.

Source: Dai et al. 2025, "High-quality facial albedo generation for 3D face reconstruction from a single image
using a coarse-to-fine approach", stages of section 3; the belief about tones and the turns are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from ...asset_files import ASSETS
from ...geometry.map_resampling import resample
from ...geometry.srgb import from_srgb, to_srgb
from ...models.bilinear_face import BilinearFace
from ...models.skin.albedo_detail import AlbedoDetail, load_albedo_detail
from ...models.skin.skin_sliders import SkinSliders
from ...simulation.relief.face_chart import build_chart
from .photo_skin import PhotoSkin
from .seen_skin import LEAST_SHADING, SkinLight, find_light, layout
from .skin_belief import SKIN_BELIEF_FILE, SkinBelief, ToneBelief
from .skin_evidence import EVIDENCE, SkinPatterns
from .skin_prior import RESOLUTION, SkinPrior

NOISE = 0.10
"""Deviation of a texel of 64 from the model, sRGB: shadows and gloss are alike over many texels."""
_TURNS = 3
_SMOOTH_MM, _FINE_MM = 9.0, 3.0
"""Longer wavelengths are left to the coarse map; shorter ones are taken from the photo where it is seen."""
_MOST_DETAIL, _MOST_FINE = 0.16, 0.45
_SIDEWAYS = 0.35, 0.8
"""Range of confidence over which fine detail of the photo comes in: along the outline it is smeared."""
_DARK, _SOFTLY, _HAIR_MM = -0.6, 0.08, 1.5
"""Logarithm of a colour over the skin's below which it is hair, its softness, and its width in mm."""
_PASSES = 2
_UNSURE = 0.35


@dataclass(frozen=True)
class SkinModel:
    """All that a fit needs, read once.

    Attributes:
        prior, belief, detail: the models.
        usual: the mean people that photos are compared with.
        width_mm: millimetres on the mean face that a map is wide.
    """

    prior: SkinPrior
    belief: SkinBelief
    detail: AlbedoDetail
    usual: SkinPatterns
    width_mm: float

    @classmethod
    @lru_cache(maxsize=2)
    def default(cls, folder: Path = ASSETS) -> "SkinModel":
        """Reads the models of a folder, the package's by default.

        The belief about tones is the package's where the folder has none.

        Raises:
            UserError: weights are missing or broken.
        """
        prior = SkinPrior.default(folder)
        detail = load_albedo_detail(folder).eval()
        own = folder if (folder / SKIN_BELIEF_FILE).exists() else ASSETS
        width = sum(build_chart(BilinearFace.default()).scale) / 2
        return cls(prior, SkinBelief.default(own), detail, SkinPatterns.of(prior), width)


@dataclass(frozen=True)
class FittedSkin:
    """A person's skin; maps have row 0 at the bottom.

    Attributes:
        albedo: (R, R, 3) float32 linear, without light.
        photographed: (R, R, 3) float32 linear: the first photo with its light where it is seen, elsewhere the
            albedo in the same light.
        with_hair: (R, R, 3) float32 linear: the albedo with brows, beard and hair as the photos show them.
        iris: (3,) linear colour of the irises, reflections included; None where no photo shows them.
        coefficients: (300,) of the albedo model.
        traits: values of the sliders that suit them, by name.
        light: (9, 3) of the first photo; times the albedo it makes the photo's colours.
        tone, low, high: typology angle in degrees, and the interval that holds it in 80 %.
        sure: 0..1.
        sentence: for people.
    """

    albedo: np.ndarray
    photographed: np.ndarray
    with_hair: np.ndarray
    iris: np.ndarray | None
    coefficients: np.ndarray
    traits: dict[str, float]
    light: np.ndarray
    tone: float
    low: float
    high: float
    sure: float
    sentence: str


def fit_skin(
    photos: Sequence[PhotoSkin], model: SkinModel, covered: float = 0.0, painted_hair: bool = True
) -> FittedSkin:
    """Fits one person.

    Args:
        photos: of one person, the best first.
        model: the models.
        covered: 0..1, the share of a part of the face that cannot be skin, `UnwrappedPhoto.covered`.
        painted_hair: whether brows, beard and hair stay in the maps as the photos show them; else there is
            skin, for hair that grows.
    """
    belief = believed_tone(photos, model.belief)
    numbers, lights = _in_turns(photos, belief, model.prior)
    coefficients = model.prior.coefficients(numbers)
    size = photos[0].texture.shape[0]
    coarse = _at_tone(model.prior, coefficients, belief.tone)
    target = _cheeks(coarse, model.prior)
    observed = [_without_light(photo, light, target) for photo, light in zip(photos, lights, strict=True)]
    colours, weight = blended(observed, [photo.confidence for photo in photos])
    bare, hair = _detailed(coarse, colours, weight, model.detail, model.width_mm / size, size)
    with_hair = bare + (np.clip(colours, 0.004, 1) - bare) * hair[..., None]
    albedo = with_hair if painted_hair else bare
    first = lights[0]
    scaled = first.light * (first.level / target)
    shading = np.maximum(photos[0].basis @ scaled, 0.02)
    known = (_soft(photos[0].confidence) * (1.0 if painted_hair else 1 - hair))[..., None]
    photographed = photos[0].texture * known + albedo * shading * (1 - known)
    sure, sentence = _judged(photos, belief, lights, covered)
    return FittedSkin(
        albedo.astype(np.float32), photographed.astype(np.float32), with_hair.astype(np.float32),
        _irises(photos, target), coefficients,
        traits_of(model.prior.sliders, coefficients, belief.tone), scaled.astype(np.float32), belief.tone,
        belief.low, belief.high, sure, sentence,
    )  # fmt: skip


def _irises(photos: Sequence[PhotoSkin], target: np.ndarray) -> np.ndarray | None:
    """Returns the irises' colour (3,) beside cheeks and forehead of colour `target` (3,), of all photos."""
    seen = [photo.iris / photo.first.level * target for photo in photos if photo.iris is not None]
    return np.clip(np.mean(seen, axis=0), 0, 1).astype(np.float32) if seen else None


def believed_tone(photos: Sequence[PhotoSkin], belief: SkinBelief) -> ToneBelief:
    """Returns what all photos of a person tell about the tone.

    Photos of a person differ in light and camera, so each adds to the evidence; the mean of it is used, as if
    the errors of one person's photos were one photo's, which does not overrate many alike ones.
    """
    vectors = np.stack([_usable(photo) for photo in photos])
    known = np.isfinite(vectors)
    share = known.sum(0)
    mean = np.where(share > 0, np.where(known, vectors, 0).sum(0) / np.maximum(share, 1), np.nan)
    return belief.believed(mean)


def _usable(photo: PhotoSkin) -> np.ndarray:
    """Returns the evidence (80,), all of it unknown where no skin is seen."""
    return photo.evidence.vector() if photo.seen.enough else np.full(EVIDENCE, np.nan)


def _in_turns(
    photos: Sequence[PhotoSkin], belief: ToneBelief, prior: SkinPrior
) -> tuple[np.ndarray, list[SkinLight]]:
    """Returns the person's numbers (F,) and each photo's light."""
    lights = [photo.first for photo in photos]
    start = prior.sliders.person(belief.tone)
    numbers = np.linalg.lstsq(prior.model.mixing, start, rcond=None)[0].astype(np.float32)
    usable = [index for index, photo in enumerate(photos) if photo.seen.enough]
    if not usable:
        return numbers, lights
    anchor = to_srgb(belief.colour)[:, None, None]
    for _ in range(_TURNS):
        colours = np.zeros((3, RESOLUTION, RESOLUTION))
        weights = np.full((RESOLUTION, RESOLUTION), 1e-6)
        for index in usable:
            light = lights[index]
            linear = photos[index].seen.colours / light.shading / light.level * belief.colour
            colours += to_srgb(np.clip(linear, 0, 1)).transpose(2, 0, 1) * light.trust
            weights += light.trust
        anchored = prior.region * 0.02 * (weights.max() > 0)
        colours = (colours + anchor * anchored) / (weights + anchored)
        most = np.minimum(weights + anchored, 1.0)
        numbers = prior.likeliest(colours, most, NOISE)
        pattern = layout(prior.colours(numbers), prior.region)
        for index in usable:
            lights[index] = find_light(photos[index].seen, pattern)
    return numbers, lights


def _at_tone(prior: SkinPrior, coefficients: np.ndarray, tone: float) -> np.ndarray:
    """Returns the coarse map (3, R, R) sRGB with the believed tone exactly."""
    coarse = np.clip(prior.model.colours(coefficients), 0.01, 1)
    return prior.sliders.with_tone(coarse, tone, prior.model)


def _cheeks(colours: np.ndarray, prior: SkinPrior) -> np.ndarray:
    """Returns the mean linear colour (3,) of cheeks and forehead."""
    linear = from_srgb(np.clip(resample(colours, RESOLUTION), 0, 1)).reshape(3, -1)
    return np.average(linear, axis=1, weights=prior.region.ravel())


def _without_light(photo: PhotoSkin, light: SkinLight, target: np.ndarray) -> np.ndarray:
    """Returns (R, R, 3) linear colours of a photo over its light, cheeks and forehead as `target`."""
    shading = photo.basis @ light.light
    return photo.texture / np.maximum(shading, LEAST_SHADING) / light.level * target


def blended(maps: Sequence[np.ndarray], confidences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Blends photos by the angle at which they see the skin, softly, so that no border shows.

    Args:
        maps: (R, R, 3) each.
        confidences: (R, R) each, which grow as the skin turns towards the camera.

    Returns:
        The blend (R, R, 3), and how far it is known (R, R).
    """
    soft = np.stack([_soft(confidence) for confidence in confidences])
    share = soft**3 + 1e-9
    mixed = sum(one * part[..., None] for one, part in zip(maps, share / share.sum(0), strict=True))
    return np.asarray(mixed), soft.max(0)


def _soft(confidence: np.ndarray) -> np.ndarray:
    """Returns confidence (R, R) that falls softly to 0 at the border of what is seen, inside of it."""
    reach = confidence.shape[0] / 170
    inner = gaussian_filter((confidence > 0.15).astype(np.float32), reach)
    return np.clip(confidence * 1.6, 0, 1) * np.clip(2 * inner - 1, 0, 1)


def _detailed(
    coarse: np.ndarray,
    colours: np.ndarray,
    weight: np.ndarray,
    network: AlbedoDetail,
    texel_mm: float,
    size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Adds detail: the decoder's of what photos show at 512, and what is finer from the photos themselves.

    Args:
        coarse: (3, r, r) sRGB.
        colours: (R, R, 3) linear, the photos over their light; weight: (R, R) where.
        network: the decoder.
        texel_mm: of a texel of R.
        size: R.

    Returns:
        (R, R, 3) linear, without hair, and (R, R) how far each texel is hair.
    """  # fmt: skip
    grid = network.config.resolution
    base = resample(coarse, grid)
    seen = resample(to_srgb(np.clip(colours, 0, 1)).transpose(2, 0, 1), grid)
    known = np.clip(resample(weight, grid), 0, 1)
    missing = _high_passed(seen.max(0) - base.max(0), known, _SMOOTH_MM / (texel_mm * size / grid))
    missing = np.clip(missing, -_MOST_DETAIL, _MOST_DETAIL)
    value = missing * known
    latent = torch.zeros(1)
    with torch.inference_mode():
        for _ in range(_PASSES):  # unseen parts repeat what the latent says of the whole face
            latent = network.value.encode(torch.from_numpy(value.astype(np.float32))[None, None])[0]
            drawn = network.value.decode(latent)[0, 0].numpy()
            value = missing * known + drawn * (1 - known)
        made = network.detailed(torch.from_numpy(base.astype(np.float32))[None], latent)[0].numpy()
    made = np.clip(resample(made, size), 0.004, 1)
    linear = from_srgb(made).transpose(1, 2, 0)
    return _with_photo(linear, colours, weight, texel_mm)


def _with_photo(
    linear: np.ndarray, colours: np.ndarray, weight: np.ndarray, texel_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Adds to a map (R, R, 3) what photos over their light (R, R, 3) show finer, and finds hair.

    Args:
        linear, colours: linear.
        weight: (R, R) where photos show something.
        texel_mm: of a texel.

    Returns:
        The map, and (R, R) how far each texel is hair.
    """
    finer = np.log(np.maximum(colours, 1e-3) / np.maximum(linear, 1e-3))
    around = gaussian_filter(finer.mean(2) * weight, _HAIR_MM / texel_mm) / np.maximum(
        gaussian_filter(weight, _HAIR_MM / texel_mm), 1e-3
    )
    hair = weight / (1 + np.exp(np.clip((around - _DARK) / _SOFTLY, -30, 30)))
    reach = _FINE_MM / texel_mm
    bare = weight * (1 - hair) + 1e-6
    finer = np.stack([_high_passed(finer[..., channel], bare, reach) for channel in range(3)], 2)
    shown = np.clip((weight - _SIDEWAYS[0]) / (_SIDEWAYS[1] - _SIDEWAYS[0]), 0, 1) * (1 - hair)
    skin = linear * np.exp(np.clip(finer, -_MOST_FINE, _MOST_FINE) * shown[..., None])
    return skin, hair


def _high_passed(values: np.ndarray, weight: np.ndarray, reach: float) -> np.ndarray:
    """Returns values (R, R) less their weighted mean around, `reach` texels wide."""
    around = gaussian_filter(values * weight, reach) / np.maximum(gaussian_filter(weight, reach), 1e-3)
    return values - around


def traits_of(sliders: SkinSliders, coefficients: np.ndarray, tone: float) -> dict[str, float]:
    """Returns values of the sliders that suit coefficients (300,), by ridge around people's mean."""
    rows = np.stack([sliders.direction(name, tone) for name in sliders.names])
    left = coefficients - sliders.person(tone)
    spread = np.array([15.0 if name == "age" else 0.4 for name in sliders.names])
    scaled = rows * spread[:, None]
    gram = scaled @ scaled.T + np.eye(len(scaled)) * _rest(sliders)
    found = spread * np.linalg.solve(gram, scaled @ left)
    return {
        name: round(float(usual + value), 3)
        for name, usual, value in zip(sliders.names, sliders.usual, found, strict=True)
    }


def _rest(sliders: SkinSliders) -> float:
    """Returns the mean variance of a coefficient that traits do not explain."""
    return float(np.square(sliders.mixing).sum(1).mean())


def _judged(
    photos: Sequence[PhotoSkin], belief: ToneBelief, lights: Sequence[SkinLight], covered: float
) -> tuple[float, str]:
    """Returns how sure the colour is, and a sentence for people."""
    seen = [photo for photo in photos if photo.seen.enough]
    interval = f"between {belief.low:.0f} and {belief.high:.0f} degrees"
    if not seen:
        return 0.05, f"No skin to be seen: the nearest usual colour, {interval}."
    narrow = float(np.clip(1.25 - (belief.high - belief.low) / 60, 0.05, 1))
    lost = float(np.mean([photo.seen.lost for photo in seen]))
    agreed = float(np.mean([light.agreed for light in lights]))
    parts = {
        "how light it is can hardly be told": narrow,
        "much of the skin is burnt out or black": float(np.clip(1.2 - 1.6 * lost, 0.05, 1)),
        "much of it does not look like skin in one light": float(np.clip((agreed - 0.15) / 0.45, 0.05, 1)),
        "a part of the face is covered or painted": float(np.clip(1.3 - 1.4 * covered, 0.05, 1)),
        "the white of the eyes is not seen": 1.0 if any(p.evidence.eyes is not None for p in seen) else 0.7,
    }
    sure = float(np.prod(list(parts.values())) ** 0.7)
    worst = min(parts, key=lambda name: parts[name])
    reason = "" if parts[worst] > 0.8 else f"; {worst}"
    word = "Skin colour" if sure > _UNSURE else "Skin colour is a guess"
    return round(sure, 3), f"{word}: {belief.tone:.0f} degrees, {interval}{reason}."
