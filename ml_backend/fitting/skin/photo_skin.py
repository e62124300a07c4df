"""One photo's skin: unwrapped, gathered, with the white of the eyes and the evidence of its lightness."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.spatial import KDTree

from ...geometry.camera_view import Camera
from ...geometry.displacement import vertex_normals
from ...geometry.light_transfer import light_transfer, mirrored_transfer, shadowed_harmonics
from ...geometry.texture_space import triangles_of
from ...models.bilinear_face import BilinearFace
from ..unwrap_photo import TextureDomain, project_photo, skin_confidence
from .seen_eyes import EyeSamples, iris_in_light, sample_eyes, skin_around_eyes
from .seen_skin import LEAST_SHADING, SeenSkin, SkinLight, find_light, gathered
from .skin_evidence import SkinEvidence, SkinPatterns, evidence_of
from .skin_prior import RESOLUTION

_GATHERED = 256
"""Texels along a side from which the directions of the light are gathered."""


@dataclass(frozen=True)
class HeadLight:
    """The light that reaches a head.

    Attributes:
        harmonics: (N, 9) `shadowed_harmonics` at the dense vertices.
        directions: (N, 96) what radiance from each of 48 directions adds to the light there, and then to what
            the camera sees mirrored, `mirrored_transfer`.
    """

    harmonics: np.ndarray
    directions: np.ndarray


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
    usual: SkinPatterns,
    unwrapped: tuple[np.ndarray, np.ndarray] | None = None,
    reached: HeadLight | None = None,
) -> PhotoSkin:
    """Unwraps a photo and gathers what it tells of the skin.

    Args:
        domain: the model's texture.
        pixels: (H, W, 3) uint8 sRGB.
        camera: fitted to them.
        positions: (N, 3) dense vertices as fitted, metres.
        usual: the mean people, `SkinPatterns`.
        unwrapped: texture (R, R, 3) and confidence (R, R) from `project_photo`; None: they are made here.
        reached: from `light_on_head`; None: it is made here.
    """
    return skins_of_photos(domain, [pixels], camera, positions, usual, unwrapped, reached)[0]


def skins_of_photos(
    domain: TextureDomain,
    photos: Sequence[np.ndarray],
    camera: Camera,
    positions: np.ndarray,
    usual: SkinPatterns,
    unwrapped: tuple[np.ndarray, np.ndarray] | None = None,
    reached: HeadLight | None = None,
) -> list[PhotoSkin]:
    """Gathers what several photos tell, between which neither head nor camera moved.

    Args:
        photos: (H, W, 3) uint8 sRGB each.
        unwrapped: texture (R, R, 3 P) and confidence (R, R) of all of them.
        domain, camera, positions, usual, reached: see `skin_of_photo`.
    """  # fmt: skip
    if reached is None:
        reached = light_on_head(domain, positions, camera)
    if unwrapped is None:
        normals = vertex_normals(positions, domain.mesh.polygons)
        unwrapped = project_photo(domain, np.concatenate(photos, 2), camera, positions, normals)
    textures, confidence = unwrapped
    basis = domain.lookup.spread(reached.harmonics)
    found = []
    observed = observed_photos(domain, photos, camera, positions, unwrapped, reached, basis)
    for number, (seen, eyes) in enumerate(observed):
        texture = textures[..., 3 * number : 3 * number + 3]
        first = find_light(seen, usual.usual)
        evidence = evidence_of(seen, first, usual, eyes, skin_around_eyes(RESOLUTION))
        bare = np.clip(texture / np.maximum(basis @ first.light, LEAST_SHADING), 0, 1).astype(np.float32)
        iris = None if eyes is None else iris_in_light(eyes, first.light, LEAST_SHADING)
        alike = skin_confidence(bare, confidence, domain)
        found.append(PhotoSkin(texture, alike, basis, seen, first, evidence, iris))
    return found


def observed_photos(
    domain: TextureDomain,
    photos: Sequence[np.ndarray],
    camera: Camera,
    positions: np.ndarray,
    unwrapped: tuple[np.ndarray, np.ndarray],
    reached: HeadLight,
    basis: np.ndarray,
) -> list[tuple[SeenSkin, EyeSamples | None]]:
    """Reads skin and eyes off photos.

    Args:
        basis: (R, R, 9) the harmonics at the texels.
        domain, photos, camera, positions, unwrapped, reached: see `skins_of_photos`.
    """
    textures, confidence = unwrapped
    directions = _directions_at_texels(domain, confidence, reached)
    both = np.concatenate([reached.harmonics, reached.directions], 1)
    pixels = np.concatenate(photos, 2)
    eyes = sample_eyes(BilinearFace.default(), domain.mesh, domain.triangles, pixels, camera, positions, both)
    found = []
    for number in range(len(photos)):
        channels = slice(3 * number, 3 * number + 3)
        seen = SeenSkin.of(textures[..., channels], confidence, basis, domain.skin, domain.face, directions)
        found.append((seen, None if eyes is None else of_channels(eyes, channels)))
    return found


def of_channels(eyes: EyeSamples, channels: slice) -> EyeSamples:
    """Returns the samples of one photo of several."""
    return replace(eyes, white=eyes.white[:, channels], iris=eyes.iris[:, channels])


def _directions_at_texels(domain: TextureDomain, confidence: np.ndarray, reached: HeadLight) -> np.ndarray:
    """Returns (64, 64, 96), the means of `HeadLight.directions` over the seen part of each texel."""
    lookup = domain.lookup
    step = max(1, len(confidence) // _GATHERED)
    every = slice(step // 2, None, step)
    coarse = replace(
        lookup, triangle=lookup.triangle[every, every], barycentric=lookup.barycentric[every, every]
    )
    shown = (confidence[every, every] > 0).astype(np.float32)
    total = np.maximum(gathered(shown), 1e-3)[..., None]
    return gathered(coarse.spread(reached.directions) * shown[..., None]) / total


def light_on_head(domain: TextureDomain, positions: np.ndarray, camera: Camera) -> HeadLight:
    """Measures how light reaches the embedded face.

    Measured at the vertices of the model's own mesh, which come first where parts are refined; see
    `base_vertices`.

    Args:
        domain: the model's texture.
        positions: (N, 3) dense vertices, metres.
        camera: sees what the skin mirrors.
    """
    face = BilinearFace.default()
    base = positions[base_vertices()]
    triangles, owner = triangles_of(face.polygons)
    triangles = triangles[face.polygon_part[owner] != face.part_names.index("lashes")]
    normals = vertex_normals(base, face.polygons)
    transfer = light_transfer(base, normals, triangles)
    mirrored = mirrored_transfer(base, normals, transfer, camera.position)
    return HeadLight(
        domain.mesh.refine(shadowed_harmonics(transfer)),
        domain.mesh.refine(np.concatenate([transfer, mirrored], 1)),
    )


@lru_cache(maxsize=1)
def base_vertices() -> np.ndarray:
    """Returns (V,) the dense vertex nearest to each vertex of the model, on the mean face."""
    face = BilinearFace.default()
    return np.asarray(KDTree(TextureDomain.default(256).mesh.refine(face.mean)).query(face.mean)[1])


def without_relief(texture: np.ndarray, confidence: np.ndarray, relief: np.ndarray) -> np.ndarray:
    """Divides a texture (R, R, 3) by the shading of wrinkles (R, R), where it is seen; 1 is none."""
    known = np.clip(confidence * 1.6, 0, 1)
    return texture / (1 + (np.clip(relief, 0.5, 1.8) - 1) * known)[..., None]
