"""One photo's skin: unwrapped, gathered, with the white of the eyes and the evidence of its lightness."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial import KDTree

from ...geometry.camera_view import Camera
from ...geometry.displacement import vertex_normals
from ...geometry.light_transfer import light_transfer, shadowed_harmonics
from ...geometry.texture_space import triangles_of
from ...models.bilinear_face import BilinearFace
from ..unwrap_photo import TextureDomain, project_photo, skin_confidence
from .seen_eyes import iris_in_light, sample_eyes, skin_around_eyes
from .seen_skin import LEAST_SHADING, SeenSkin, SkinEvidence, SkinLight, evidence_of, find_light
from .skin_prior import RESOLUTION


@dataclass(frozen=True)
class PhotoSkin:
    """A photo in the texture domain, not yet judged; maps have row 0 at the bottom.

    Attributes:
        texture: (R, R, 3) linear, light included.
        confidence: (R, R) 0..1, that skin is seen: not clothes, hair behind the face, or a wall.
        basis: (R, R, 9) the harmonics of the light that reaches each texel.
        seen: the same at few texels.
        first: light and level with the usual layout of colours.
        evidence: of how light the skin is.
        iris: (3,) linear, the irises in a light of 1, like `first.level`; None where they are not seen.
    """

    texture: np.ndarray
    confidence: np.ndarray
    basis: np.ndarray
    seen: SeenSkin
    first: SkinLight
    evidence: SkinEvidence
    iris: np.ndarray | None = None


def skin_of_photo(
    domain: TextureDomain,
    pixels: np.ndarray,
    camera: Camera,
    positions: np.ndarray,
    usual: np.ndarray,
    unwrapped: tuple[np.ndarray, np.ndarray] | None = None,
    reached: np.ndarray | None = None,
) -> PhotoSkin:
    """Unwraps a photo and gathers what it tells of the skin.

    Args:
        domain: the model's texture.
        pixels: (H, W, 3) uint8 sRGB.
        camera: fitted to them.
        positions: (N, 3) dense vertices as fitted, metres.
        usual: (64, 64, 3) layout of colours, `usual_layout`.
        unwrapped: texture (R, R, 3) and confidence (R, R) from `project_photo`; None: they are made here.
        reached: (N, 9) from `light_on_head`; None: it is made here.
    """
    if reached is None:
        reached = light_on_head(domain, positions)
    if unwrapped is None:
        normals = vertex_normals(positions, domain.mesh.polygons)
        unwrapped = project_photo(domain, pixels, camera, positions, normals)
    texture, confidence = unwrapped
    basis = domain.lookup.spread(reached)
    seen = SeenSkin.of(texture, confidence, basis, domain.skin, domain.face)
    first = find_light(seen, usual)
    face = BilinearFace.default()
    eyes = sample_eyes(face, domain.mesh, domain.triangles, pixels, camera, positions, reached)
    evidence = evidence_of(seen, first, usual, eyes, skin_around_eyes(RESOLUTION))
    bare = np.clip(texture / np.maximum(basis @ first.light, LEAST_SHADING), 0, 1).astype(np.float32)
    iris = None if eyes is None else iris_in_light(eyes, first.light, LEAST_SHADING)
    return PhotoSkin(texture, skin_confidence(bare, confidence, domain), basis, seen, first, evidence, iris)


def light_on_head(domain: TextureDomain, positions: np.ndarray) -> np.ndarray:
    """Returns (N, 9) `shadowed_harmonics` at dense vertices (N, 3), metres, of the embedded face.

    Measured at the vertices of the model's own mesh, which come first where parts are refined; see
    `base_vertices`.
    """
    face = BilinearFace.default()
    base = positions[base_vertices()]
    triangles, owner = triangles_of(face.polygons)
    triangles = triangles[face.polygon_part[owner] != face.part_names.index("lashes")]
    transfer = light_transfer(base, vertex_normals(base, face.polygons), triangles)
    return domain.mesh.refine(shadowed_harmonics(transfer))


@lru_cache(maxsize=1)
def base_vertices() -> np.ndarray:
    """Returns (V,) the dense vertex nearest to each vertex of the model, on the mean face."""
    face = BilinearFace.default()
    return np.asarray(KDTree(TextureDomain.default(256).mesh.refine(face.mean)).query(face.mean)[1])


def without_relief(texture: np.ndarray, confidence: np.ndarray, relief: np.ndarray) -> np.ndarray:
    """Divides a texture (R, R, 3) by the shading of wrinkles (R, R), where it is seen; 1 is none."""
    known = np.clip(confidence * 1.6, 0, 1)
    return texture / (1 + (np.clip(relief, 0.5, 1.8) - 1) * known)[..., None]
