"""Photographs of simulated people whose skin colour is known: cast shadows, gloss, eyes, hair, a camera.

Each person has a face of the model, a pose and a map of skin colour. Light reaches a vertex from
48 directions where the head does not hide them, so there are shadows and shade that nine harmonics cannot
make. The camera meters the whole picture, corrects part of the light's colour, bends its tone curve a little
and compresses.
"""

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from ...geometry.camera_view import FRONTAL, Camera, ViewRaster, rasterise_view, rotation_about
from ...geometry.displacement import vertex_normals
from ...geometry.light_transfer import light_transfer, mirrored_transfer
from ...geometry.srgb import from_srgb, to_srgb
from ...geometry.texture_space import sample_map, triangles_of
from ...models.bilinear_face import BilinearFace
from .painted_face import HeadPaint, prepare_paint

SIZE, SAMPLES = 320, 2
_GLOSS = 0.030
_METERED, _METER_ERROR = 0.26, 0.28
"""Mean of a picture that a camera exposes for, linear, and the deviation of its logarithm."""
_CORRECTED, _WHITE_ERROR = 0.85, 0.03
"""Share of a light's colour that a camera takes out, and the deviation of its error, logarithms."""


@cache
def _paint() -> HeadPaint:
    return prepare_paint(BilinearFace.default())


@dataclass(frozen=True)
class LitPerson:
    """A simulated person, and all that pictures of them share.

    Attributes:
        colours: (3, R, R) sRGB, the true map.
        identity, expression: of the face.
        camera: of `SIZE` pixels.
        positions: (N, 3) dense vertices, metres.
        transfer: (N, 48) float32, what radiance from each direction adds to the irradiance over pi.
        gloss: (N, 48) float32, the same of what the surface mirrors.
        raster: of the picture, `SAMPLES` times finer.
        albedo: (H, W, 3) linear colour at its pixels, 0 where no head is.
        head: (H, W) bool.
        seed: of camera and ground.
    """

    colours: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    camera: Camera
    positions: np.ndarray
    transfer: np.ndarray
    gloss: np.ndarray
    raster: ViewRaster
    albedo: np.ndarray
    head: np.ndarray
    seed: int

    @classmethod
    def of(cls, colours: np.ndarray, dark: float, seed: int) -> "LitPerson":
        """Makes a person.

        Args:
            colours: (3, R, R) sRGB, the skin.
            dark: 0..1, how likely brown eyes are beyond the usual.
            seed: of everything else.
        """
        face, paint = BilinearFace.default(), _paint()
        random = np.random.default_rng([seed, 0x5C1])
        identity = face.sample_identity(seed).astype(np.float32)
        expression = np.zeros(len(face.expression_names), np.float32)
        for name in ("mouthSmileLeft", "mouthSmileRight"):
            expression[face.expression_names.index(name)] = 0.35 * random.random()
        base = face.evaluate(identity, expression)
        positions = paint.mesh.refine(base)
        camera = _camera(positions, random)
        transfer, gloss = _transfers(face, base, camera)
        fine = camera.resized(SAMPLES * SIZE, SAMPLES * SIZE)
        pixels, depth = fine.project(positions)
        raster = rasterise_view(pixels, depth, paint.triangles, fine.height, fine.width)
        albedo = raster.spread(_other_colours(paint, dark, random))
        uv = paint.mesh.vertex_uv()
        on_skin = (((uv >= 0) & (uv <= 1)).all(1) & (paint.skin > 0)).astype(np.float32)
        shown = raster.spread(np.concatenate([uv.clip(0, 1), on_skin[:, None], _hair(paint, random)], 1))
        skin = shown[..., 2] > 0.5
        linear = from_srgb(np.clip(colours, 0, 1)).transpose(1, 2, 0).astype(np.float32)
        seen = sample_map(linear, shown[skin][:, :2])
        hair = np.array([0.04, 0.026, 0.018]) * random.uniform(0.3, 2.2)
        albedo[skin] = seen + (hair - seen) * shown[skin][:, 3:].clip(0, 1)
        return cls(
            colours, identity, expression, camera, positions,
            paint.mesh.refine(transfer), paint.mesh.refine(gloss), raster, albedo, raster.mask, seed,
        )  # fmt: skip

    def photograph(self, light: np.ndarray, number: int) -> np.ndarray:
        """Takes a picture.

        Args:
            light: (48, 3) radiance.
            number: of the picture, for the camera's errors and the ground.

        Returns:
            (SIZE, SIZE, 3) uint8 sRGB.
        """
        random = np.random.default_rng([self.seed, number, 0xCA3])
        lit = self.raster.spread((self.transfer @ light).astype(np.float32))
        shine = self.raster.spread((self.gloss @ light).astype(np.float32))
        level = light.mean(0) * 2
        ground = 0.9 * random.uniform(0.2, 1) ** 2 * np.exp(random.normal(0, 0.12, 3)) * level
        fall = 1 + random.uniform(-0.4, 0.4) * np.linspace(-1, 1, len(lit))[:, None, None]
        linear = np.where(self.head[..., None], self.albedo * lit + shine, ground * fall)
        small = linear.reshape(SIZE, SAMPLES, SIZE, SAMPLES, 3).mean((1, 3))
        cast = np.log(level / level.mean())
        small = small * np.exp(-_CORRECTED * cast + random.normal(0, _WHITE_ERROR, 3))
        exposure = _METERED * np.exp(random.normal(0, _METER_ERROR)) / small.mean()
        bright = np.quantile(small.max(2), 0.985)
        exposure = min(exposure, 1.3 / bright)
        bent = to_srgb(np.clip(small * exposure, 0, 1)) ** np.exp(random.normal(0, 0.05))
        stored = io.BytesIO()
        Image.fromarray((bent * 255 + 0.5).astype(np.uint8)).save(stored, "JPEG", quality=92)
        return np.array(Image.open(stored))

    def irradiance(self, light: np.ndarray) -> np.ndarray:
        """Returns (N, 3) the light that dense vertices receive, over pi."""
        return self.transfer @ light


def _camera(positions: np.ndarray, random: np.random.Generator) -> Camera:
    """Draws a camera around the front: deviations of yaw 14, pitch 7, roll 4 degrees."""
    yaw, pitch, roll = np.radians([random.normal(0, 14), random.normal(-4, 7), random.normal(0, 4)])
    yaw = np.clip(yaw, -0.5, 0.5)
    rotation = rotation_about(2, roll) @ rotation_about(0, pitch) @ rotation_about(1, yaw) @ FRONTAL
    distance = random.uniform(0.6, 1.6)
    aim = (np.quantile(positions, 0.02, axis=0) + np.quantile(positions, 0.98, axis=0)) / 2
    aim = aim + (0, -0.03, 0.02)
    width = random.uniform(0.26, 0.36)
    return Camera(rotation, np.array([0, 0, distance]) - rotation @ aim, SIZE * distance / width, SIZE, SIZE)


def _transfers(face: BilinearFace, base: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Returns (V, 48) diffuse and mirrored transfer at the model's own vertices, shadows included."""
    triangles, owner = triangles_of(face.polygons)
    triangles = triangles[face.polygon_part[owner] != face.part_names.index("lashes")]
    normals = vertex_normals(base, face.polygons)
    diffuse = light_transfer(base, normals, triangles)
    return diffuse, _GLOSS * mirrored_transfer(base, normals, diffuse, camera.position)


def _hair(paint: HeadPaint, random: np.random.Generator) -> np.ndarray:
    """Returns (N, 1) how far hair covers the skin: brows, lash lines, scalp."""
    cover = np.maximum(random.uniform(0.4, 0.8) * paint.brows, 0.7 * paint.lid_edge)
    return np.maximum(cover, 0.97 * paint.scalp)[:, None].astype(np.float32)


def _other_colours(paint: HeadPaint, dark: float, random: np.random.Generator) -> np.ndarray:
    """Returns (N, 3) linear colours of eyes, teeth and tongue; skin is overwritten."""
    colour = np.zeros((len(paint.skin), 3), np.float32)
    radius = np.hypot(paint.eye[:, 0], paint.eye[:, 1])
    on_eye = np.abs(paint.eye).sum(1) > 0
    white = np.array([0.58, 0.54, 0.50]) * np.exp(random.normal(0, 0.07)) * np.exp(random.normal(0, 0.02, 3))
    brown = random.random() < 0.3 + 0.7 * dark
    iris = np.array([0.05, 0.025, 0.012]) if brown else np.array([0.08, 0.10, 0.12])
    inside = (radius < 0.48) & (paint.eye[:, 2] > 0)
    eye = np.where(inside[:, None], np.where(radius[:, None] < 0.18, 0.004, iris), white)
    colour = np.where(on_eye[:, None], eye, colour)
    colour = np.where(paint.teeth[:, None] > 0, np.array([0.50, 0.44, 0.36]), colour)
    return np.where(paint.tongue[:, None] > 0, np.array([0.35, 0.12, 0.10]), colour).astype(np.float32)
