"""The displacement maps of a face as Blender images: a coarse one that displaces, a fine one that shades.

The coarse map is the generator's 256 x 256 band, about one texel a vertex. The fine image holds what the full map has
beyond it: no vertex could follow that, so the skin's bump shows it. Both are float, Non-Color, grey, in millimetres.
"""

import bpy
import numpy as np

COARSE_RESOLUTION = 256


def make_map_image(name: str, resolution: int) -> bpy.types.Image:
    """A new float image of zeros with alpha 1, for millimetres."""
    image = bpy.data.images.new(name, resolution, resolution, alpha=True, float_buffer=True, is_data=True)
    write_map(image, np.zeros((resolution, resolution), np.float32))
    return image


def write_map(image: bpy.types.Image, values: np.ndarray) -> None:
    """Puts a map into an image, resized to it if need be.

    Args:
        image: a float image.
        values: (R, R) float32, millimetres, row 0 at the bottom.
    """
    height, width = values.shape
    if tuple(image.size) != (width, height):
        image.scale(width, height)
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., :3] = values[..., None]
    image.pixels.foreach_set(pixels.ravel())
    image.update()
    image.update_tag()


def read_map(image: bpy.types.Image) -> np.ndarray:
    """The (H, W) float32 map of an image, millimetres, row 0 at the bottom."""
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(height, width, 4)[..., 0].copy()


def fine_residual(full: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """What a full map holds beyond the coarse one.

    Args:
        full: (R, R) float32, millimetres.
        coarse: (S, S) float32, millimetres.

    Returns:
        (R, R) float32, millimetres.
    """
    return full - enlarge(coarse, len(full))


def enlarge(values: np.ndarray, resolution: int) -> np.ndarray:
    """Interpolates a square map bilinearly to (resolution, resolution), its border repeated outwards."""
    size = len(values)
    position = np.clip((np.arange(resolution) + 0.5) * size / resolution - 0.5, 0, size - 1)
    low = np.minimum(position.astype(np.int64), size - 2)
    weight = (position - low).astype(np.float32)
    rows = values[low] * (1 - weight)[:, None] + values[low + 1] * weight[:, None]
    return np.ascontiguousarray(rows[:, low] * (1 - weight) + rows[:, low + 1] * weight)
