"""Draws a face from several sides with the exact decoder: mesh, skin colour, harmonics, a pinhole camera.

Hair, brows, eyes and teeth are painted on the mesh, as in the portraits that networks learn from; a network,
the residual, draws them as Blender does.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..geometry.displacement import displace_vertices, vertex_normals
from ..models.bilinear_face import BilinearFace
from ..models.head_field.framing import view_camera
from ..simulation.portraits.painted_face import HeadPaint, draw_head, prepare_paint
from .coded_drawing import dense_positions, seeded_codes, texture_map, vertex_colours, with_residual
from .generate_detail import GenerateDetailRequest, generate_detail

SOFT_LIGHT = np.zeros((9, 3), np.float32)
SOFT_LIGHT[:4] = np.array([[0.8], [-0.3], [0.22], [-0.15]])
GROUND = 0.18
EXPOSURE = 1.25
_GLOSS, _HOLLOWS = 0.6, 1.0


@dataclass(frozen=True)
class RenderFaceRequest:
    """A face and the views of it.

    Attributes:
        identity: (K,); skin: (16,); expression: (52,).
        angles: (yaw, pitch) degrees for each picture; positive: the head turns to its left, looks up.
        size: pixels along a side.
        light: (9, 3), in the face's axes, or None for soft light from the front.
        albedo: (R, R, 3) linear skin colour, row 0 at the bottom, or None for one of the albedo model.
        seed: of skin, hair and eyes.
        detail: whether wrinkles show.
        residual: whether the network adds hair, eyes, mouth and outline.
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
    residual: bool = True


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
    light = (SOFT_LIGHT if request.light is None else request.light) * EXPOSURE
    cameras = [view_camera(face, yaw, pitch, request.size) for yaw, pitch in request.angles]
    seen = [
        seeded_codes(request.identity, request.expression, light, camera, request.seed) for camera in cameras
    ]
    codes, nuisance = seen[0]
    positions = dense_positions(paint, codes)
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
    albedo = texture_map(codes) if request.albedo is None else request.albedo
    colours = vertex_colours(paint, codes, nuisance, albedo)
    pictures = []
    for camera, (view_codes, _) in zip(cameras, seen, strict=True):
        pixels = draw_head(paint, positions, colours, light, camera, GROUND, _GLOSS, _HOLLOWS)
        if request.residual:
            pixels = with_residual(pixels, view_codes, camera, nuisance, albedo, GROUND)
        pictures.append(pixels)
    return pictures
