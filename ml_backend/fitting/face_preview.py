"""Draws pictures of a fit: the mesh over the photo, and the detailed face in clay under its camera."""

import numpy as np
from PIL import Image

from ..geometry.camera_view import Camera, rasterise_view
from ..geometry.displacement import displace_vertices, vertex_normals
from ..geometry.spherical_harmonics import harmonics
from ..geometry.srgb import from_srgb, to_srgb
from ..geometry.texture_space import sample_map
from .unwrap_photo import TextureDomain

CLAY, _GREY = np.array([0.42, 0.40, 0.38]), np.array([0.5, 0.48, 0.46])
STUDIO = np.zeros((9, 3), np.float32)
STUDIO[:4] = np.array([[0.75], [-0.28], [0.22], [-0.30]])
"""A soft key light from the front, above and the person's right."""


def portrait_crop(camera: Camera, positions: np.ndarray) -> tuple[Camera, tuple[float, float, float]]:
    """Returns a square window around the head.

    Returns:
        The camera, and the window (left, top, side) in the photo's pixels.
    """
    pixels, _ = camera.project(positions)
    low, high = np.quantile(pixels, 0.002, axis=0), np.quantile(pixels, 0.998, axis=0)
    side = float((high - low).max()) * 1.06
    centre = (low + high) / 2
    return camera, (float(centre[0] - side / 2), float(centre[1] - side / 2), side)


def project_into(
    camera: Camera, window: tuple[float, float, float], size: int, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Projects points to pixels of a window's picture, and returns their depths."""
    pixels, depth = camera.project(points)
    return (pixels - window[:2]) * (size / window[2]), depth


def draw_clay(
    domain: TextureDomain,
    positions: np.ndarray,
    camera: Camera,
    window: tuple[float, float, float],
    size: int,
    displacement: np.ndarray | None = None,
    colour: np.ndarray | None = None,
    light: np.ndarray = STUDIO,
    others: np.ndarray | None = None,
    painted: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a face.

    Args:
        domain: of the model.
        positions: (N, 3) dense vertices, metres.
        camera, window: what is seen; see `portrait_crop`.
        size: pixels along a side.
        displacement: (R, R) millimetres, or None for the smooth face.
        colour: (R, R, 3) linear albedo, or None for clay.
        light: (9, 3).
        others: (S, S, 3) linear, what is seen of eyes and teeth, whose colour the map does not hold; None for
            grey ones.
        painted: (N, 3) linear colours of the clay and the triangles (T, 3) to draw; None for plain clay and
            all of them.

    Returns:
        (S, S, 3) linear, and (S, S) bool where the face is.
    """
    mesh = domain.mesh
    normals = vertex_normals(positions, mesh.polygons)
    uv = mesh.vertex_uv()
    skin = ((uv >= 0) & (uv <= 1)).all(1)
    if displacement is not None:
        positions = displace_vertices(
            positions, normals, uv.clip(0, 1), displacement, skin.astype(np.float32)
        )
        normals = vertex_normals(positions, mesh.polygons)
    pixels, depth = project_into(camera, window, size, positions)
    triangles = domain.triangles if painted is None else painted[1]
    view = rasterise_view(pixels, depth, triangles, size, size)
    seen = view.spread(normals)
    seen /= np.maximum(np.linalg.norm(seen, axis=2, keepdims=True), 1e-6)
    shading = np.maximum(harmonics(seen) @ light, 0.03)
    if colour is None:
        return (CLAY if painted is None else view.spread(painted[0])) * shading, view.mask
    at = view.spread(np.concatenate([uv, skin[:, None]], 1).astype(np.float32))
    drawn = sample_map(colour, at[..., :2].reshape(-1, 2).clip(0, 1)).reshape(shading.shape) * shading
    return np.where(at[..., 2:] > 0.5, drawn, _GREY * shading if others is None else others), view.mask


def preview_sheet(
    domain: TextureDomain,
    pixels: np.ndarray,
    camera: Camera,
    positions: np.ndarray,
    displacement: np.ndarray,
    albedo: np.ndarray,
    light: np.ndarray,
    size: int = 512,
) -> np.ndarray:
    """Draws photo, mesh over photo, detailed clay and lit albedo side by side: (S, 4 S, 3) uint8."""
    camera, window = portrait_crop(camera, positions)
    photo = crop_photo(pixels, window, size)
    smooth, mask = draw_clay(domain, positions, camera, window, size)
    clay, _ = draw_clay(domain, positions, camera, window, size, displacement)
    lit, _ = draw_clay(
        domain,
        positions,
        camera,
        window,
        size,
        displacement,
        albedo,
        light,
        from_srgb(photo / np.float32(255)),
    )
    show = [(np.clip(to_srgb(image), 0, 1) * 255 + 0.5).astype(np.uint8) for image in (smooth, clay, lit)]
    over = np.where(mask[..., None], 0.45 * photo + 0.55 * show[0], photo).astype(np.uint8)
    ground = np.full_like(photo, 40)
    return np.concatenate([photo, over, *(np.where(mask[..., None], drawn, ground) for drawn in show[1:])], 1)


def crop_photo(pixels: np.ndarray, window: tuple[float, float, float], size: int) -> np.ndarray:
    """Returns a window (left, top, side) of a photo as (size, size, 3) uint8, black outside."""
    left, top, side = window
    image = Image.fromarray(pixels)
    box = (left, top, left + side, top + side)
    scale = side / size
    matrix = (scale, 0, box[0], 0, scale, box[1])
    return np.array(image.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC))
