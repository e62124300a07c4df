"""Paints portraits: a head with hair and marks of the skin, exposed as photographs are, on varied grounds.

They show people of the face model, nobody real.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from ...geometry.camera_view import FRONTAL, Camera, rotation_about
from ...geometry.displacement import vertex_normals
from ...geometry.spherical_harmonics import harmonics
from ...geometry.srgb import from_srgb
from ...models.bilinear_face import BilinearFace
from .dead_leaves import dead_leaves
from .painted_face import (
    HeadPaint,
    draw_head,
    head_colours,
    prepare_paint,
    sample_expression,
    sample_light,
)

SIZE = 256
_DARKEST, _BRIGHTEST = 0.12, 0.65  # linear light that the skin's brighter parts are exposed to
_STOPS = 0.6  # of exposure for the surroundings, natural logarithm
_DEEPEST = 2.5  # shade in hollows
_UPWARD = 5.0
"""Degrees: people who look at a camera hold the head a little higher than the face model at rest does."""
_SOFTEST, _HARDEST = 0.2, 0.9
"""Factors on the directed part of `sample_light`, which is harder than the light of most portraits."""


@dataclass(frozen=True)
class PaintedPortrait:
    """A picture, and the person and camera that it shows.

    Attributes:
        pixels: (size, size, 3) uint8 sRGB.
        identity: (K,) float32; expression: (52,) float32.
        camera: of the picture.
    """

    pixels: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    camera: Camera


@dataclass(frozen=True)
class PortraitPainter:
    """Paints heads of random people of a face model.

    Attributes:
        face: the model.
        paint: of it.
        size: pixels along a side of a picture.
        nearest, farthest: metres that a picture is wide at the face.
    """

    face: BilinearFace
    paint: HeadPaint
    size: int
    nearest: float
    farthest: float

    @classmethod
    def of(
        cls, face: BilinearFace, size: int = SIZE, nearest: float = 0.13, farthest: float = 0.30
    ) -> "PortraitPainter":
        """Prepares the colour fields of a model.

        With the defaults the eyes are 54 to 123 pixels apart, and the nearest faces fill the picture.
        """
        return cls(face, prepare_paint(face), size, nearest, farthest)

    def portrait(self, first: int, seed: int) -> PaintedPortrait:
        """Paints one person; expression, light, camera and ground by chance.

        Args:
            first: seed of the set's first person; two sets share nobody if their first seeds are farther
                apart than a set is large.
            seed: number of the picture in the set.
        """
        random = np.random.default_rng([first, seed])
        identity, expression = self.face.sample_identity(first + seed), sample_expression(self.face, random)
        return self._painted(identity, expression, random, None)

    def clip(
        self, first: int, seed: int, expressions: np.ndarray, cameras: list[Camera]
    ) -> Iterator[PaintedPortrait]:
        """Paints the frames of one person: skin, hair, light and ground stay.

        Args:
            first: seed of the set's first person.
            seed: number of the person in the set.
            expressions: (T, 52).
            cameras: one for each frame, of `size` pixels a side.
        """
        identity = self.face.sample_identity(first + seed)
        for expression, camera in zip(expressions, cameras, strict=True):
            random = np.random.default_rng([first, seed])
            yield self._painted(identity, np.asarray(expression, np.float32), random, camera)

    def _painted(
        self,
        identity: np.ndarray,
        expression: np.ndarray,
        random: np.random.Generator,
        camera: Camera | None,
    ) -> PaintedPortrait:
        """Paints a person (K,) with an expression (52,); a camera that is None is drawn."""
        rest = self.paint.mesh.refine(self.face.evaluate(identity, expression))
        colours = self._with_marks(head_colours(self.paint, random), random)
        positions, colours = self._with_hair(rest, colours, random)
        light = sample_light(random)
        light[1:] *= random.uniform(_SOFTEST, _HARDEST)
        shading = np.clip(harmonics(vertex_normals(positions, self.paint.mesh.polygons)) @ light, 0.04, None)
        seen = (positions[:, 1] < 0) & (self.paint.skin > 0) & (self.paint.scalp == 0)
        light = light * self._exposure(colours[seen], (colours * shading)[seen], random)
        drawn = self._camera(random)
        gloss, shade = random.uniform(0, 1.5), random.uniform(0, _DEEPEST)
        ground = from_srgb(self._ground(random))
        shown = camera or drawn
        pixels = draw_head(self.paint, positions, colours, light, shown, ground, gloss, shade)
        return PaintedPortrait(pixels, identity, expression, shown)

    @staticmethod
    def _exposure(albedo: np.ndarray, lit: np.ndarray, random: np.random.Generator) -> float:
        """Draws the factor on the light, from the skin's albedo (N, 3) and its light (N, 3).

        Half of the pictures are exposed for the face, half for the surroundings, where dark skin stays dark.
        """
        bright = max(float(np.quantile(lit, 0.8)), 1e-4)
        for_face = np.exp(random.uniform(np.log(_DARKEST), np.log(_BRIGHTEST)))
        around = float(np.quantile(albedo, 0.8)) * np.exp(random.uniform(-_STOPS, _STOPS))
        return (for_face if random.random() < 0.5 else min(around, _BRIGHTEST)) / bright

    def _camera(self, random: np.random.Generator) -> Camera:
        """Draws a camera, 0.45 to 2.5 m away: deviations of yaw 16, pitch 8 and roll 7 degrees."""
        yaw, pitch, roll = np.radians(
            [random.normal(0, 16), random.normal(-_UPWARD, 8), random.normal(0, 7)]
        ).clip(-0.62, 0.62)
        rotation = rotation_about(2, roll) @ rotation_about(0, pitch) @ rotation_about(1, yaw) @ FRONTAL
        distance = float(np.exp(random.uniform(np.log(0.45), np.log(2.5))))
        eyes = np.mean(
            [self.face.mean[self.face.landmarks[f"eye_{side}"]].mean(0) for side in ("left", "right")], 0
        )
        aim = eyes + (random.normal(0, 0.008), 0, -0.025 + random.normal(0, 0.012))
        width = np.exp(random.uniform(np.log(self.nearest), np.log(self.farthest)))
        return Camera(
            rotation,
            np.array([0, 0, distance]) - rotation @ aim,
            self.size * distance / width,
            self.size,
            self.size,
        )

    def _with_marks(self, colours: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Adds blotches, freckles and often a shadow of a beard to colours (N, 3)."""
        blotches = self.paint.mesh.refine(
            random.standard_normal((self.face.vertex_count, 1)).astype(np.float32)
        )[:, 0]
        grain = random.standard_normal(len(colours)).astype(np.float32)
        marks = random.uniform(0, 0.12) * blotches + random.uniform(0, 0.2) * random.random() * grain
        if random.random() < 0.3:
            jaw = np.clip(self.paint.mesh.refine(self.face.regions["chin"]) * 1.5, 0, 1) * (
                self.paint.lips < 0.3
            )
            marks = marks - random.uniform(0.2, 1.6) * jaw * (1 + 0.3 * grain)
        return np.clip(colours * np.exp(marks * self.paint.skin)[:, None], 0.002, 1).astype(np.float32)

    def _with_hair(
        self, positions: np.ndarray, colours: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Adds hair with strands to positions and colours (N, 3) of four heads in five."""
        if random.random() < 0.2:
            return positions, colours
        along = positions @ random.standard_normal(3)
        strands = np.sin(
            along * random.uniform(300, 1500)
            + 3 * random.standard_normal(len(along)) * random.uniform(0, 0.6)
        )
        thickness = random.uniform(0.002, 0.035) * (1 + 0.15 * strands)
        waves = self.paint.mesh.refine(
            random.standard_normal((self.face.vertex_count, 1)).astype(np.float32)
        )[:, 0]
        cover = self.paint.scalp
        raised = (
            positions
            + vertex_normals(positions, self.paint.mesh.polygons)
            * (cover * thickness * (1 + 0.15 * waves))[:, None]
        )
        dark, fair = np.array([0.012, 0.009, 0.007]), np.array([0.42, 0.28, 0.13])
        hair = (
            dark
            * (fair / dark) ** random.beta(0.9, 1.8)
            * (1 + 0.5 * random.uniform(0, 1) * strands)[:, None]
        )
        return raised, (colours + (hair - colours) * cover[:, None]).clip(0.002, 1).astype(np.float32)

    def _ground(self, random: np.random.Generator) -> np.ndarray:
        """Draws a ground (size, size, 3) in 0..1: plain, or dead leaves, half of them out of focus."""
        if random.random() < 0.3:
            return np.full((self.size, self.size, 3), random.uniform(0.05, 0.95, 3), np.float32)
        leaves = dead_leaves(self.size, random)
        return gaussian_filter(leaves, (*[random.uniform(1, 8)] * 2, 0)) if random.random() < 0.5 else leaves
