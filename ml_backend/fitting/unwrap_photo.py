"""Brings a photo into the texture domain: colours, confidence, light and the skin's albedo.

Light is fitted as nine spherical harmonics a colour over the model's normals, with skin of one colour as the
robust prior: lips, brows, hair and shadows deviate and lose weight.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..geometry.camera_view import Camera, rasterise_view
from ..geometry.dense_face import dense_face_mesh
from ..geometry.displacement import vertex_normals
from ..geometry.linear_models import fit_ridge
from ..geometry.map_bands import enlarge
from ..geometry.spherical_harmonics import harmonics
from ..geometry.srgb import from_srgb
from ..geometry.subdivision import DenseMesh
from ..geometry.texture_space import TexelLookup, rasterise, sample_map, triangles_of
from ..models.bilinear_face import BilinearFace

RESOLUTION = 1024
_DEPTH_SIDE, _DEPTH_SLACK = 640, 0.004
_MARGIN = 8
"""Pixels of the photo that are kept around the head."""
_FACING = (0.12, 0.55)
_LIGHT_SPREAD = (np.inf, 0.7, 0.7, 0.7, 0.25, 0.25, 0.25, 0.25, 0.25)
_DARKEST, _SKIN_LIKE, _EARS = (
    0.2,
    0.55,
    0.40,
)  # shading; log of a colour ratio; texture widths from the middle
"""Darker than this share of the mean shading is shadow; ears lie farther aside than the last."""
_OUTLINE = 0.3, 0.8
"""Range of confidence along the outline, where a head that is fitted too wide shows the background."""
_PARTS = ("nose", "chin", "nasolabial", "glabella", "cheeks")
_OTHER_HUE, _BLACK, _LEAST_TEXELS = (
    0.45,
    1.6,
    50,
)  # logs of ratios to the skin's usual colour; of a part, at a quarter of the resolution


@dataclass(frozen=True)
class UnwrappedPhoto:
    """A photo in the texture domain; maps have row 0 at the bottom.

    Attributes:
        texture: (R, R, 3) float32, linear, 0..1, light included; 0 where nothing is seen.
        confidence: (R, R) float32, 0..1.
        light: (9, 3) float32, spherical harmonics of the normals in the face's axes; their mean over the seen
            skin is 1.
        albedo: (R, R, 3) float32, linear, without light, holes filled.
        covered: 0..1, the share of texels that cannot be skin in the part of the face (cheek, nose, chin,
            ...) where that share is largest.
    """

    texture: np.ndarray
    confidence: np.ndarray
    light: np.ndarray
    albedo: np.ndarray
    covered: float


@dataclass(frozen=True)
class TextureDomain:
    """A model's texture, prepared once.

    Attributes:
        mesh: the dense mesh.
        lookup: what each texel shows of it, skin only.
        triangles: (T, 3) of all its parts.
        skin: (R, R) float32, 1 where skin of one colour is to be expected: not lips, lids, brows, neck.
        face: (R, R) float32, 1 on the face, falling to 0 on neck, ears and scalp.
        parts: (P, R / 4, R / 4) bool, the parts of the face that hair does not usually cover.
    """

    mesh: DenseMesh
    lookup: TexelLookup
    triangles: np.ndarray
    skin: np.ndarray
    face: np.ndarray
    parts: np.ndarray

    @classmethod
    @lru_cache(maxsize=2)
    def default(cls, resolution: int = RESOLUTION) -> "TextureDomain":
        """Returns the texture domain of the embedded face model."""
        return cls.of(BilinearFace.default(), resolution)

    @classmethod
    def of(cls, face: BilinearFace, resolution: int) -> "TextureDomain":
        """Builds the texture domain of a model with the embedded model's region names."""
        mesh = dense_face_mesh(face)
        uv_triangles, _ = triangles_of(mesh.uv_polygons)
        triangles, _ = triangles_of(mesh.polygons)
        inside = ((mesh.uv[uv_triangles] > -1e-4) & (mesh.uv[uv_triangles] < 1 + 1e-4)).all((1, 2))
        lookup = rasterise(mesh.uv, uv_triangles[inside], triangles[inside], resolution)
        plain = np.zeros(face.vertex_count, np.float32)
        for name in ("forehead", "cheeks", "nose", "chin", "nasolabial", "glabella"):
            plain = np.maximum(plain, face.regions[name])
        plain *= 1 - face.regions["lips"]
        skin, front = (
            np.clip(lookup.spread(mesh.refine(values)), 0, 1) for values in (plain, face.regions["face"])
        )
        aside = (np.arange(resolution) + 0.5) / resolution - 0.5
        near = np.clip((_EARS - np.abs(aside)) / 0.05, 0, 1).astype(np.float32)
        bare = 1 - face.regions["lips"]
        *parts, cheeks = (
            lookup.spread(mesh.refine((face.regions[name] * bare).astype(np.float32)))[::4, ::4] > 0.5
            for name in _PARTS
        )
        sides = [cheeks & (aside[::4] < 0), cheeks & (aside[::4] > 0)]
        return cls(mesh, lookup, triangles, skin, front * near, np.stack([*parts, *sides]))


def unwrap_photo(
    domain: TextureDomain,
    pixels: np.ndarray,
    camera: Camera,
    positions: np.ndarray,
    projected: tuple[np.ndarray, np.ndarray] | None = None,
) -> UnwrappedPhoto:
    """Unwraps one photo.

    Args:
        domain: the model's texture.
        pixels: (H, W, 3) uint8 sRGB.
        camera: fitted to it.
        positions: (N, 3) dense vertices as fitted, metres.
        projected: texture and confidence from `project_photo`; None: they are made here.

    Returns:
        Texture, confidence, light and albedo.
    """
    normals = vertex_normals(positions, domain.mesh.polygons)
    texture, confidence = projected or project_photo(domain, pixels, camera, positions, normals)
    texel_normals = normals_at_texels(domain, normals)
    light = fit_light(texture, confidence * domain.skin, texel_normals)
    albedo = _remove_light(texture, confidence, texel_normals, light, domain)
    return UnwrappedPhoto(
        texture, confidence, light, albedo, covered_share(domain, texture, confidence, texel_normals, light)
    )


def normals_at_texels(domain: TextureDomain, normals: np.ndarray) -> np.ndarray:
    """Returns unit normals (R, R, 3) of the surface from those of dense vertices (N, 3)."""
    found = domain.lookup.spread(normals)
    return found / np.maximum(np.linalg.norm(found, axis=2, keepdims=True), 1e-6)


def covered_share(
    domain: TextureDomain, texture: np.ndarray, confidence: np.ndarray, normals: np.ndarray, light: np.ndarray
) -> float:
    """Returns the share of visible texels that no light makes of this skin, in the face's worst part.

    A mask, dark glasses or a cup stand out; what has the colour of skin, such as a hand, does not.

    Args:
        domain: the model's texture.
        texture, confidence: (R, R, 3) and (R, R), see `UnwrappedPhoto`.
        normals: (R, R, 3) unit.
        light: (9, 3).
    """
    texture, confidence, normals, skin = (
        values[::4, ::4] for values in (texture, confidence, normals, domain.skin)
    )
    shading = np.maximum((harmonics(normals.reshape(-1, 3)) @ light).reshape(texture.shape), _DARKEST)
    logs = np.log(np.maximum(texture / shading, 2e-3))
    hue, level = logs[..., [0, 2]] - logs[..., 1:2], logs.mean(2)
    plain = confidence * skin > 0.25
    if plain.sum() < _LEAST_TEXELS:
        return 0.0
    strange = np.linalg.norm(hue - np.median(hue[plain], axis=0), axis=2) > _OTHER_HUE
    strange |= level < np.median(level[plain]) - _BLACK
    seen = [part & (confidence > 0.25) for part in domain.parts]
    return max((float(strange[part].mean()) for part in seen if part.sum() >= _LEAST_TEXELS), default=0.0)


def project_photo(
    domain: TextureDomain, pixels: np.ndarray, camera: Camera, positions: np.ndarray, normals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the photo's colours at the texels and their confidence: visible, facing the camera, inside.

    Args:
        domain: the model's texture.
        pixels: (H, W, 3) uint8 sRGB.
        camera: fitted to it.
        positions: (N, 3) dense vertices as fitted, metres; normals: (N, 3) unit.

    Returns:
        (R, R, 3) linear and (R, R) 0..1, float32.
    """
    lookup = domain.lookup
    seen, depth = camera.project(positions)
    low, high = seen.min(0), seen.max(0)
    scale = _DEPTH_SIDE / float((high - low).max())
    view = rasterise_view((seen - low) * scale, depth, domain.triangles, _DEPTH_SIDE, _DEPTH_SIDE)
    place = lookup.spread(positions)
    facing = camera.position - place
    facing /= np.linalg.norm(facing, axis=2, keepdims=True)
    facing = (lookup.spread(normals) * facing).sum(2)
    at, distance = camera.project(place.reshape(-1, 3))
    near = np.clip(((at - low) * scale).astype(np.int64), 0, _DEPTH_SIDE - 1)
    first = view.depth[near[:, 1], near[:, 0]]
    visible = (distance <= first + _DEPTH_SLACK).reshape(facing.shape)
    height, width = pixels.shape[:2]
    inside = ((at > 1) & (at < (width - 1, height - 1))).all(1).reshape(facing.shape)
    ramp = np.clip((facing - _FACING[0]) / (_FACING[1] - _FACING[0]), 0, 1)
    confidence = (lookup.mask & visible & inside) * ramp * ramp * (3 - 2 * ramp)
    corner = np.clip(np.floor(low - _MARGIN), 0, (width - 1, height - 1)).astype(int)
    end = np.clip(np.ceil(high + _MARGIN), corner + 1, (width, height)).astype(int)
    part = pixels[corner[1] : end[1], corner[0] : end[0]]
    colours = sample_map(
        _softened(from_srgb(part / np.float32(255)), domain, seen), (at - corner) / part.shape[1::-1]
    )
    texture = colours.reshape(*facing.shape, -1) * (confidence > 0)[..., None]
    return texture.astype(np.float32), confidence.astype(np.float32)


def _softened(linear: np.ndarray, domain: TextureDomain, seen: np.ndarray) -> np.ndarray:
    """Halves a photo that is much finer than the texture, so that texels miss nothing between them."""
    size = float(np.ptp(seen[:, 1]))
    while size > 2.0 * domain.lookup.triangle.shape[0]:
        height, width = (length // 2 * 2 for length in linear.shape[:2])
        linear = linear[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3))
        size /= 2
    return linear


def fit_light(texture: np.ndarray, weight: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Fits spherical harmonics of the light on skin of one colour, by reweighted least squares.

    Args:
        texture: (R, R, 3) linear colours.
        weight: (R, R), how far each texel is believed to be seen, plain skin.
        normals: (R, R, 3) unit.

    Returns:
        (9, 3) float32, divided by the mean shading over the weighted texels, so that it has no unit; light
        that is the same from
        everywhere, (1, 0, ...) for each colour, where too little is seen.
    """
    step = max(1, texture.shape[0] // 256)
    colours, weight, normals = (
        values[::step, ::step].reshape(-1, *values.shape[2:]) for values in (texture, weight, normals)
    )
    chosen = weight > 0.05
    light = np.zeros((9, 3), np.float32)
    light[0] = 1.0
    if chosen.sum() < 200:
        return light
    basis, colours, weight = (
        harmonics(normals[chosen]),
        colours[chosen].astype(np.float64),
        weight[chosen].astype(np.float64),
    )
    for channel in range(3):
        values = colours[:, channel]
        level = max(float(np.average(values, weights=weight)), 1e-4)
        penalty = 0.02 * weight.sum() / np.square(_LIGHT_SPREAD)
        trust = weight.copy()
        for _ in range(12):
            found = fit_ridge(basis, values / level, penalty, weights=trust).slopes
            shading = np.maximum(basis @ found, 0.05)
            wrong = np.log(np.maximum(values / level, 1e-3) / shading)
            trust = weight / (1 + (wrong / 0.2) ** 2) ** 2
        light[:, channel] = found / np.average(np.maximum(basis @ found, 0.05), weights=weight)
    return light


def _remove_light(
    texture: np.ndarray, confidence: np.ndarray, normals: np.ndarray, light: np.ndarray, domain: TextureDomain
) -> np.ndarray:
    """Divides by the shading; fills holes from the face's other side, then smoothly from around.

    Outside the face - neck, ears, scalp - what is not of the skin's colour is clothes, hair or background,
    and counts as unseen; so
    does what is brighter than the skin along the face's outline.
    """
    shading = np.maximum((harmonics(normals.reshape(-1, 3)) @ light).reshape(texture.shape), _DARKEST)
    raw = np.clip(texture / shading, 0, 1.0).astype(np.float32)
    confidence = skin_confidence(raw, confidence, domain)
    other, other_weight = raw[:, ::-1], confidence[:, ::-1]
    own = np.clip(confidence * 2.5, 0, 1)
    from_other = (1 - own) * np.clip(other_weight * 2.5, 0, 1)
    weight = own + from_other
    colour = (raw * own[..., None] + other * from_other[..., None]) / np.maximum(weight, 1e-6)[..., None]
    weight = np.where(domain.lookup.mask, weight, 0).astype(np.float32)
    smooth = fill_smoothly(colour, weight)
    return (colour * weight[..., None] + smooth * (1 - weight)[..., None]).astype(np.float32)


def skin_confidence(raw: np.ndarray, confidence: np.ndarray, domain: TextureDomain) -> np.ndarray:
    """Returns confidence (R, R) without what is not of the skin's colour outside the face.

    Args:
        raw: (R, R, 3) linear colours without light.
        confidence: (R, R) that something is seen.
        domain: the model's texture.
    """
    plain = confidence * domain.skin
    if plain.sum() > 100:
        level = np.average(raw.reshape(-1, 3), axis=0, weights=plain.ravel())
        ratio = np.log(np.maximum(raw, 1e-3) / np.maximum(level, 1e-3))
        alike = np.clip(
            1.1 / (1 + (np.abs(ratio).max(2) / _SKIN_LIKE) ** 6) - 0.1, 0, 1
        )  # 0, not a trace, far off
        inner = np.clip((confidence - _OUTLINE[0]) / (_OUTLINE[1] - _OUTLINE[0]), 0, 1)
        inner = np.where(
            ratio.max(2) > _SKIN_LIKE, inner, 1
        )  # hair and beard may be there, a bright wall may not
        confidence = confidence * np.maximum(domain.face * inner, alike)
    return confidence


def fill_smoothly(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Fills texels without weight from around, coarser the farther away (pull-push).

    Source: Gortler et al. 1996, "The Lumigraph".

    Args:
        values: (R, R, C), R a power of two.
        weight: (R, R) in 0..1.

    Returns:
        (R, R, C) float32, near the values where the weight is 1.
    """
    weight = weight[..., None].astype(np.float32)
    levels = [(values.astype(np.float32) * weight, weight)]
    while levels[-1][1].shape[0] > 1:
        side = levels[-1][1].shape[0] // 2
        summed, total = (level.reshape(side, 2, side, 2, -1).sum((1, 3)) for level in levels[-1])
        share = 1 / np.maximum(total, 1)
        levels.append((summed * share, total * share))
    summed, total = levels.pop()
    filled = summed / np.maximum(total, 1e-6)
    while levels:
        summed, total = levels.pop()
        side = len(total)
        coarse = np.repeat(np.repeat(filled, 2, 0), 2, 1) if side < 4 else np.stack(
            [enlarge(filled[..., channel], side) for channel in range(filled.shape[2])], 2
        )  # fmt: skip
        filled = summed + coarse * (1 - np.clip(total, 0, 1))
    return filled
