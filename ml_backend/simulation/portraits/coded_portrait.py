"""Portraits whose seven codes are known: drawn people, the exact decoder, grounds, and a camera's errors.

The camera meters the whole picture, corrects part of the light's colour, bends its tone curve a little and
compresses, as in `lit_person.py`; so the level of a picture says little of the skin's.
"""

import dataclasses
import io
from functools import lru_cache

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom

from ...geometry.camera_view import Camera
from ...geometry.spherical_harmonics import harmonics
from ...geometry.srgb import from_srgb, to_srgb
from ...models.bilinear_face import BilinearFace
from ...models.face_codes import TEXTURE, FaceCodes, code_of_light, rotation_of_angles
from ...models.face_renderer import HeadFields, Nuisance, SeenSurface, camera_of, draw_face, see_surface
from ...models.skin.albedo_model import AlbedoModel
from ...models.skin.seeded_tone import seeded_tone, tone_angle
from ...models.skin.skin_sliders import DARKEST, LIGHTEST, SkinSliders
from .painted_face import sample_expression

SIZE = 256
_HAIR_SEED = 0xC0
"""Pixels of a side."""
_METERED, _METER_ERROR = 0.26, 0.28
_CORRECTED, _WHITE_ERROR = 0.85, 0.03


@dataclasses.dataclass(frozen=True)
class CodedPortrait:
    """A picture and its truth.

    Attributes:
        pixels: (256, 256, 3) uint8 sRGB.
        codes: true; the light is as the picture shows it, exposure included.
        focal: of the camera, pixels.
        nuisance: what else was drawn.
        ground: (256, 256, 3) linear, exposure included.
        seen: the surface of each pixel.
        number: of the picture, the seed of its camera's errors.
    """

    pixels: np.ndarray
    codes: FaceCodes
    focal: float
    nuisance: Nuisance
    ground: np.ndarray
    seen: SeenSurface
    number: int

    @property
    def camera(self) -> Camera:
        """The camera of the picture."""
        return camera_of(self.codes, self.focal, SIZE, SIZE)


@lru_cache(maxsize=1)
def _skin() -> tuple[SkinSliders, np.ndarray]:
    model = AlbedoModel.default()
    return SkinSliders.default(), np.linalg.pinv(model.mixing.astype(np.float64))


def draw_texture(random: np.random.Generator) -> np.ndarray:
    """Draws a skin (48,): tones flat over the typology angle, the rest as people differ."""
    sliders, _ = _skin()
    coefficients = sliders.person(float(random.uniform(DARKEST, LIGHTEST)))
    return _texture_of(coefficients + sliders.mixing @ random.standard_normal(sliders.mixing.shape[1]))


def seeded_texture(seed: int, identity: np.ndarray) -> np.ndarray:
    """Returns the skin (48,) of a person's seed, at least 0; its tone suits the identity (K,)."""
    tone = seeded_tone(seed, BilinearFace.default().origin_shares(identity))
    return _texture_of(_skin()[0].person(tone_angle(tone), seed=seed))


def seeded_hair(seed: int) -> np.ndarray:
    """Returns the hair (16,) of a seed, at least 0."""
    return draw_hair(np.random.default_rng([seed, _HAIR_SEED]))


def _texture_of(coefficients: np.ndarray) -> np.ndarray:
    return (_skin()[1] @ coefficients)[:TEXTURE].astype(np.float32)


def draw_light(random: np.random.Generator) -> np.ndarray:
    """Draws a light (9, 3): an even surround, a lamp from the front or a side and a weaker second one."""

    def tint() -> np.ndarray:
        warmth = random.normal(0, 0.16)
        return np.exp([warmth, 0.04 * random.normal(), -1.1 * warmth])

    light = np.zeros((9, 3))
    light[0] = tint()
    for least, most in ((0.4, 1.1), (0.0, 0.4)):
        towards = random.normal(0, 1, 3) * (0.7, 0.35, 0.45) + (0, -0.6, 0.35)
        lobe = harmonics((towards / np.linalg.norm(towards))[None])[0]
        lobe = lobe * np.array([0.35, 1, 1, 1, 0.4, 0.4, 0.4, 0.4, 0.4]) * random.uniform(least, most) * 0.6
        light += lobe[:, None] * tint()
    return light


def draw_hair(random: np.random.Generator) -> np.ndarray:
    """Draws a hair code (16,): about normal numbers, the three of a beard together, brows like hair."""
    hair = random.standard_normal(16)
    beard = random.standard_normal()
    hair[12:15] = 0.8 * beard + 0.6 * hair[12:15]
    hair[3] = abs(hair[3]) - 0.8
    return hair.clip(-2.5, 2.5).astype(np.float32)


def draw_pose(face: BilinearFace, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Draws a camera: rotation (3,) degrees, translation (3,) metres, focal length in pixels."""
    angles = np.array([random.normal(0, 16), random.normal(5, 8), random.normal(0, 7)]).clip(-36, 36)
    distance = float(np.exp(random.uniform(np.log(0.45), np.log(2.5))))
    width = float(np.exp(random.uniform(np.log(0.27), np.log(0.40))))
    aim = np.mean([face.mean[face.landmarks[f"eye_{side}"]].mean(0) for side in ("left", "right")], 0)
    aim = aim + (random.normal(0, 0.015), 0, -0.015 + random.normal(0, 0.015))
    place = np.array([0, 0, distance]) - rotation_of_angles(angles) @ aim
    return angles.astype(np.float32), place.astype(np.float32), SIZE * distance / width


def draw_codes(first: int, number: int, face: BilinearFace) -> tuple[FaceCodes, float, np.random.Generator]:
    """Draws a face and its camera.

    Args:
        first: seed of the set's first person.
        number: of the picture.
        face: the model.

    Returns:
        The codes with a light of level about 1, the focal length in pixels, and the generator to go on with.
    """
    random = np.random.default_rng([first, number, 0xC0DE])
    expression = sample_expression(face, random)
    angles, place, focal = draw_pose(face, random)
    shape = face.sample_identity(first + number).astype(np.float32)
    light = code_of_light(draw_light(random)).astype(np.float32)
    return (
        FaceCodes(shape, expression, draw_texture(random), light, draw_hair(random), angles, place),
        focal,
        random,
    )


def draw_nuisance(random: np.random.Generator, number: int) -> Nuisance:
    """Draws what no code says."""
    white = np.array([0.58, 0.54, 0.50]) * np.exp(random.normal(0, 0.07)) * np.exp(random.normal(0, 0.02, 3))
    brown = random.random() < 0.65
    iris = np.array([0.06, 0.03, 0.015] if brown else [0.08, 0.10, 0.12]) * random.uniform(0.5, 1.3)
    return Nuisance(
        random.uniform(0, 1.2),
        random.uniform(0.2, 2.0),
        random.uniform(0, 0.08),
        tuple(white),
        tuple(iris),
        number,
    )


def draw_ground(random: np.random.Generator, level: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Draws what lies behind the head (size, size, 3), linear: soft or sharp patches in light of a level
    (3,)."""
    cells = int(random.integers(2, 9))
    grey = random.uniform(0, 1, (cells, cells, 1)) ** 1.5 * random.uniform(0.2, 1)
    coarse = grey * np.exp(random.normal(0, random.uniform(0, 0.5), (cells, cells, 3))) + random.uniform(
        0, 0.2, 3
    )
    whole = -(-size // cells)
    fine = zoom(coarse, (whole, whole, 1), order=0 if random.random() < 0.4 else 1)[:size, :size]
    if random.random() < 0.7:
        fine = gaussian_filter(fine, (*[random.uniform(0.5, 6) * size / SIZE] * 2, 0))
    return (0.9 * fine * random.uniform(0.3, 1.1) * level).astype(np.float32)


def exposed(linear: np.ndarray, light: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns (3,) factors on light that a camera puts on a picture (H, W, 3): exposure and white balance."""
    level = light[0]
    factors = np.exp(-_CORRECTED * np.log(level / level.mean()) + random.normal(0, _WHITE_ERROR, 3))
    seen = linear * factors
    exposure = _METERED * np.exp(random.normal(0, _METER_ERROR)) / max(float(seen.mean()), 1e-4)
    bright = float(np.quantile(seen.max(2), 0.985))
    return factors * min(exposure, 1.3 / max(bright, 1e-4))


def stored_picture(linear: np.ndarray, number: int) -> np.ndarray:
    """Returns (H, W, 3) uint8 of linear light as a camera stores it: a little blur, noise, tone curve,
    JPEG."""
    random = np.random.default_rng([number, 0xCA3])
    soft = gaussian_filter(linear, (*[random.uniform(0.4, 0.8)] * 2, 0))
    noisy = soft + random.normal(0, random.uniform(0.001, 0.006), linear.shape) * np.sqrt(
        np.maximum(soft, 0.01)
    )
    bent = to_srgb(np.clip(noisy, 0, 1)) ** np.exp(random.normal(0, 0.05))
    stored = io.BytesIO()
    pixels = (np.clip(bent, 0, 1) * 255 + 0.5).astype(np.uint8)
    Image.fromarray(pixels).save(stored, "JPEG", quality=int(random.integers(80, 96)))
    return np.array(Image.open(stored))


def coded_portrait(first: int, number: int) -> CodedPortrait:
    """Makes a portrait.

    Args:
        first: seed of the set's first person; two sets share nobody if these are farther apart than a set is
            large.
        number: of the picture in the set.
    """
    head = HeadFields.default()
    codes, focal, random = draw_codes(first, number, head.face)
    nuisance = draw_nuisance(random, number)
    light = codes.light
    ground = draw_ground(random, light[0] * random.uniform(0.5, 2.0))
    camera = camera_of(codes, focal, SIZE, SIZE)
    seen = see_surface(head, codes, camera, nuisance)
    linear, _ = draw_face(codes, camera, ground, nuisance, head, seen)
    factors = exposed(linear, light, random)
    code = code_of_light(light * factors).astype(np.float32)
    pixels = stored_picture(linear * factors, number)
    return CodedPortrait(
        pixels, dataclasses.replace(codes, illumination=code), focal, nuisance,
        (ground * factors).astype(np.float32), seen, number,
    )  # fmt: skip


def linear_pixels(pixels: np.ndarray) -> np.ndarray:
    """Returns linear light (..., 3) float32 of sRGB bytes."""
    return from_srgb(pixels.astype(np.float32) / 255).astype(np.float32)
