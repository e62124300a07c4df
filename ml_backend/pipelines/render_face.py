"""Draws a face from several sides with the exact decoder: mesh, skin colour, harmonics, a pinhole camera.

The head's hair, brows, eyes and teeth are painted as in the portraits that networks learn from.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..geometry.displacement import displace_vertices, vertex_normals
from ..geometry.texture_space import sample_map
from ..models.bilinear_face import BilinearFace
from ..models.head_field.framing import view_camera
from ..simulation.portraits.painted_face import HeadPaint, draw_head, head_colours, prepare_paint
from .generate_detail import GenerateDetailRequest, generate_detail

SOFT_LIGHT = np.zeros((9, 3), np.float32)
SOFT_LIGHT[:4] = np.array([[0.8], [-0.3], [0.22], [-0.15]])
GROUND = 0.18
_HAIR = np.array([0.045, 0.032, 0.022], np.float32)
_COVER = 0.85
"""Of the scalp by cropped hair."""
EXPOSURE = 1.25


@dataclass(frozen=True)
class RenderFaceRequest:
    """A face and the views of it.

    Attributes:
        identity: (K,); skin: (16,); expression: (52,).
        angles: (yaw, pitch) degrees for each picture; positive: the head turns to its left, looks up.
        size: pixels along a side.
        light: (9, 3), in the face's axes, or None for soft light from the front.
        albedo: (R, R, 3) linear skin colour, row 0 at the bottom, or None for a painted one.
        seed: of the painted colours.
        detail: whether wrinkles show.
    """

    identity: np.ndarray
    skin: np.ndarray
    expression: np.ndarray
    angles: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    size: int = 512
    light: np.ndarray | None = None
    albedo: np.ndarray | None = None
    seed: int = 0
    detail: bool = True


@lru_cache(maxsize=1)
def _paint() -> HeadPaint:
    return prepare_paint(BilinearFace.default())


def render_face(request: RenderFaceRequest) -> list[np.ndarray]:
    """Draws the views.

    Returns:
        (size, size, 3) uint8 sRGB for each pair of angles. The light turns with the camera's side: it stays
        where it is in the face's axes.
    """
    face, paint = BilinearFace.default(), _paint()
    mesh = paint.mesh
    positions = mesh.refine(face.evaluate(request.identity, request.expression))
    uv = mesh.vertex_uv()
    on_skin = ((uv >= 0) & (uv <= 1)).all(1) & (paint.skin > 0)
    if request.detail:
        displacement = generate_detail(
            GenerateDetailRequest(request.identity, request.skin, request.expression, 1024)
        )
        positions = displace_vertices(
            positions,
            vertex_normals(positions, mesh.polygons),
            uv.clip(0, 1),
            displacement,
            on_skin.astype(np.float32),
        )
    colours = head_colours(paint, np.random.default_rng([request.seed, 0xC0]))
    if request.albedo is not None:
        seen = np.where(on_skin[:, None], sample_map(request.albedo, uv.clip(0, 1)), colours)
        colours = (seen + (_HAIR - seen) * (_COVER * paint.scalp)[:, None]).astype(np.float32)
    light = (SOFT_LIGHT if request.light is None else request.light) * EXPOSURE
    return [
        draw_head(
            paint, positions, colours, light, view_camera(face, yaw, pitch, request.size), GROUND, 0.6, 1.5
        )
        for yaw, pitch in request.angles
    ]
