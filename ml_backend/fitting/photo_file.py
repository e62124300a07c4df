"""Reads photographs of any kind into upright 8-bit RGB."""

import importlib
import importlib.util
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ..errors import UserError
from .photo_colour import to_srgb_colours

LARGEST_SIDE, SMALLEST_SIDE = 16384, 24
_MOST_PIXELS = 400_000_000
_REMEDY = "Give a photograph as JPEG, PNG, TIFF, WebP or BMP."
_FOCAL_35MM, _EXIF_WIDTH, _EXIF_HEIGHT = 0xA405, 0xA002, 0xA003
_LONGER_35MM, _DIAGONAL_35MM = 36.0, 43.27
_SENSOR_SHAPES = (4 / 3, 3 / 2, 16 / 9)
_SAME_SHAPE = 0.012
"""Two shapes of pictures closer than this are the same: cameras round sizes to blocks of 16 pixels."""


@dataclass(frozen=True)
class Photo:
    """A photograph.

    Attributes:
        pixels: (H, W, 3) uint8 sRGB, upright, at most 16384 on its longer side.
        path: where it came from.
        full_size: (width, height) in the file, upright.
        focal: focal length by EXIF, in units of the picture's longer side; None where none is stated.
        whole: True if EXIF states the lens and the size of a sensor's picture, and the picture has this
            shape: nothing was cut off, and the optical axis meets its centre.
        lens_35mm: focal length by EXIF as its 35 mm equivalent, millimetres; None where none is stated.
    """

    pixels: np.ndarray
    path: str
    full_size: tuple[int, int]
    focal: float | None = None
    whole: bool = False
    lens_35mm: float | None = None


def read_photo(path: str | Path) -> Photo:
    """Reads a photograph as upright 8-bit sRGB of at most 2048 pixels a side, whatever its kind.

    Args:
        path: the file.

    Returns:
        The photo.

    Raises:
        UserError: there is no such file, it is no picture that can be read, or it is too small or too large.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file.", "Check the path.")
    _let_pillow_read_heic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            limit, Image.MAX_IMAGE_PIXELS = (
                Image.MAX_IMAGE_PIXELS,
                _MOST_PIXELS // 2,
            )  # Pillow allows twice as many
            try:
                with Image.open(path) as image:
                    return _upright(image, str(path))
            finally:
                Image.MAX_IMAGE_PIXELS = limit
    except UnidentifiedImageError as error:
        heic = path.suffix.lower() in (".heic", ".heif")
        remedy = "Save it as JPEG first, or install pillow-heif beside the backend." if heic else _REMEDY
        raise UserError(f"{path}: not a picture that can be read.", remedy) from error
    except Image.DecompressionBombError as error:
        raise UserError(
            f"{path}: more than {_MOST_PIXELS // 1_000_000} megapixels.", "Make the picture smaller first."
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UserError(f"{path}: the picture is damaged ({error}).", _REMEDY) from error


def _let_pillow_read_heic() -> None:
    """Registers HEIC if its reader is installed."""
    if importlib.util.find_spec("pillow_heif") is not None:
        importlib.import_module("pillow_heif").register_heif_opener()


def _upright(image: Image.Image, path: str) -> Photo:
    width, height = image.size
    if width * height > _MOST_PIXELS:
        raise Image.DecompressionBombError(f"{width} x {height} pixels")
    lens = _lens_of(image)
    focal, whole = _focal_of(image, lens)
    if min(width, height) < SMALLEST_SIDE:
        raise UserError(
            f"{path}: {width} x {height} pixels hold no face.", f"Give at least {SMALLEST_SIDE} on each side."
        )
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    if image.format == "JPEG":
        image.draft(
            "RGB", (LARGEST_SIDE, LARGEST_SIDE)
        )  # decodes at half or a quarter of the size where that is enough
    image = ImageOps.exif_transpose(image)
    image = _as_rgb(to_srgb_colours(image))
    if max(image.size) > LARGEST_SIDE:
        image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return Photo(
        np.array(image, np.uint8), path, (height, width) if turned else (width, height), focal, whole, lens
    )


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        values = np.asarray(image, np.float64)
        values = np.where(np.isfinite(values), values, 0.0)
        top = 65535.0 if image.mode != "F" and values.max() > 255 else (255.0 if values.max() > 1 else 1.0)
        return Image.fromarray((np.clip(values / top, 0, 1) * 255 + 0.5).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (128, 128, 128, 255))
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")


def _lens_of(image: Image.Image) -> float | None:
    """Returns EXIF's focal length as its 35 mm equivalent, millimetres, or None."""
    value = _exif_number(image, _FOCAL_35MM)
    return value if value is not None and 10 <= value <= 800 else None


def _focal_of(image: Image.Image, lens: float | None) -> tuple[float | None, bool]:
    """Returns the focal length in units of the longer side, and whether the picture is whole.

    A picture that was cut or padded keeps the EXIF size of the original: the lens then counts in its pixels.
    The 35 mm equivalent compares diagonals (CIPA DCG-001).
    """
    if lens is None:
        return None, False
    size = image.size
    width, height = _exif_number(image, _EXIF_WIDTH), _exif_number(image, _EXIF_HEIGHT)
    if not width or not height:
        return lens / _LONGER_35MM, False
    shape = max(width, height) / min(width, height)
    native = any(abs(shape / sensor - 1) < _SAME_SHAPE for sensor in _SENSOR_SHAPES)
    upright = abs((width / height) / (size[0] / size[1]) - 1) < _SAME_SHAPE
    turned = abs((height / width) / (size[0] / size[1]) - 1) < _SAME_SHAPE
    by_diagonal = lens / _DIAGONAL_35MM * float(np.hypot(width, height))
    if upright or turned:
        return by_diagonal / max(width, height), native
    return by_diagonal / max(size), False


def _exif_number(image: Image.Image, tag: int) -> float | None:
    try:
        value = float(image.getexif().get_ifd(ExifTags.IFD.Exif).get(tag, 0))
    except (TypeError, ValueError, ZeroDivisionError, KeyError):
        return None
    return value if np.isfinite(value) and value > 0 else None
