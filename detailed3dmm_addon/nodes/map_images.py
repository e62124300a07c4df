"""Maps as Blender images: displacement for the skin's bump (float, Non-Color, millimetres), and colours."""

import bpy
import numpy as np


def make_map_image(name: str, resolution: int) -> bpy.types.Image:
    """Returns a new float image of zeros with alpha 1, for millimetres."""
    image = bpy.data.images.new(name, resolution, resolution, alpha=True, float_buffer=True, is_data=True)
    write_map(image, np.zeros((resolution, resolution), np.float32))
    return image


def write_map(image: bpy.types.Image, values: np.ndarray) -> None:
    """Writes a map into an image, in grey; the image takes its size.

    Args:
        image: a float image.
        values: (R, R) float32, millimetres, row 0 at the bottom.
    """
    write_channels(image, [values, values, values])


def write_channels(image: bpy.types.Image, maps: list[np.ndarray]) -> None:
    """Writes up to three maps (R, R), millimetres, into red, green and blue; the image takes their size.

    Channels without a map become 0, alpha becomes 1.
    """
    height, width = maps[0].shape
    if tuple(image.size) != (width, height):
        image.scale(width, height)
    pixels = np.zeros((height, width, 4), np.float32)
    pixels[..., 3] = 1.0
    for channel, values in enumerate(maps):
        pixels[..., channel] = values
    image.pixels.foreach_set(pixels.ravel())
    image.update()
    image.update_tag()


def write_colours(image: bpy.types.Image, colours: np.ndarray) -> None:
    """Writes colours into an image of 8 bits, whose colour space is sRGB; the image takes their size.

    Args:
        image: the image.
        colours: (3, R, R) float32 sRGB in 0..1, row 0 at the bottom.
    """
    height, width = colours.shape[1:]
    if tuple(image.size) != (width, height):
        image.scale(width, height)
    pixels = np.ones((height, width, 4), np.float32)
    for channel in range(3):
        pixels[..., channel] = colours[channel]
    image.pixels.foreach_set(pixels.ravel())
    image.update()
    image.update_tag()


def read_map(image: bpy.types.Image) -> np.ndarray:
    """Returns the (H, W) float32 map of an image, millimetres, row 0 at the bottom."""
    return read_channels(image)[..., 0].copy()


def read_channels(image: bpy.types.Image) -> np.ndarray:
    """Returns (H, W, 3) float32: an image's red, green and blue, row 0 at the bottom."""
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(height, width, 4)[..., :3]
