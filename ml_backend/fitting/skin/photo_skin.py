"""One photo's skin: unwrapped, gathered, with the white of the eyes and the evidence of its lightness."""

from dataclasses import dataclass

import numpy as np

from ...geometry.camera_view import Camera
from ...geometry.displacement import vertex_normals
from ...models.bilinear_face import BilinearFace
from ..unwrap_photo import TextureDomain, normals_at_texels, project_photo
from .seen_skin import SeenSkin, SkinEvidence, SkinLight, evidence_of, find_light
from .white_of_eyes import white_of_eyes


@dataclass(frozen=True)
class PhotoSkin:
    """A photo in the texture domain, not yet judged; maps have row 0 at the bottom.

    Attributes:
        texture: (R, R, 3) linear, light included.
        confidence: (R, R) 0..1.
        normals: (R, R, 3) unit.
        seen: the same at few texels.
        first: light and level with the usual layout of colours.
        evidence: of how light the skin is.
    """

    texture: np.ndarray
    confidence: np.ndarray
    normals: np.ndarray
    seen: SeenSkin
    first: SkinLight
    evidence: SkinEvidence


def skin_of_photo(
    domain: TextureDomain,
    pixels: np.ndarray,
    camera: Camera,
    positions: np.ndarray,
    usual: np.ndarray,
    unwrapped: tuple[np.ndarray, np.ndarray] | None = None,
) -> PhotoSkin:
    """Unwraps a photo and gathers what it tells of the skin.

    Args:
        domain: the model's texture.
        pixels: (H, W, 3) uint8 sRGB.
        camera: fitted to them.
        positions: (N, 3) dense vertices as fitted, metres.
        usual: (64, 64, 3) layout of colours, `usual_layout`.
        unwrapped: texture (R, R, 3) and confidence (R, R) from `project_photo`; None: they are made here.
    """
    normals = vertex_normals(positions, domain.mesh.polygons)
    if unwrapped is None:
        unwrapped = project_photo(domain, pixels, camera, positions, normals)
    texture, confidence = unwrapped
    texel_normals = normals_at_texels(domain, normals)
    seen = SeenSkin.of(texture, confidence, texel_normals, domain.skin, domain.face)
    first = find_light(seen, usual)
    eyes = white_of_eyes(BilinearFace.default(), domain.mesh, domain.triangles, pixels, camera, positions)
    return PhotoSkin(texture, confidence, texel_normals, seen, first, evidence_of(first, eyes, pixels))


def without_relief(texture: np.ndarray, confidence: np.ndarray, relief: np.ndarray) -> np.ndarray:
    """Divides a texture (R, R, 3) by the shading of wrinkles (R, R), where it is seen; 1 is none."""
    known = np.clip(confidence * 1.6, 0, 1)
    return texture / (1 + (np.clip(relief, 0.5, 1.8) - 1) * known)[..., None]
