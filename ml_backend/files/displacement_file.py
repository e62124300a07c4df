"""Displacement maps on disk.

OpenEXR half in millimetres, PNG16 with value = (mm + 4) / 8, or NumPy float32 in millimetres.
"""

from pathlib import Path
from tokenize import TokenError

import numpy as np

from ..errors import UserError
from .atomic_write import atomic_path
from .image_writers import PNG_OFFSET_MM, PNG_RANGE_MM

SUFFIXES = (".exr", ".png", ".npy")
_CHANNEL_ORDER = {"y": 0, "luma": 0, "r": 1, "red": 1, "g": 2, "green": 2, "b": 3, "blue": 3, "v": 4} | {
    "z": 20, "id": 21, "a": 22, "alpha": 22, "ar": 22, "ag": 22, "ab": 22,
}  # fmt: skip
"""Lower is read first; a channel of another name comes between."""
_MOST_PIXELS = 2**28
_REMEDY = "Give an .exr, a 16-bit grey .png or an .npy file."


def check_suffix(path: str | Path) -> Path:
    """Raises UserError unless the suffix is .exr, .png or .npy.

    Raises:
        UserError: it names the file and the endings there are.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(
            f"{path}: a displacement map cannot be written or read as "
            f"{path.suffix or 'a file without ending'!r}.",
            _REMEDY,
        )
    return path


def write_displacement(path: str | Path, displacement_map: np.ndarray) -> None:
    """Writes a displacement map, complete or not at all.

    Args:
        path: ends in .exr, .png or .npy.
        displacement_map: (H, W) float32, millimetres, row 0 at the bottom (images are stored top row first).

    Raises:
        UserError: the ending is unknown or the file cannot be written.
    """
    path = check_suffix(path)
    top_first = np.ascontiguousarray(displacement_map[::-1], np.float32)
    try:
        with atomic_path(path) as partial:
            _write(partial, path.suffix.lower(), top_first)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{path}: cannot be written ({error}).", "Check the folder and the free space."
        ) from error


def _write(path: Path, kind: str, top_first: np.ndarray) -> None:
    if kind == ".npy":
        with path.open("wb") as file:
            np.save(file, np.ascontiguousarray(top_first[::-1]))
    elif kind == ".png":
        from PIL import Image

        values = np.round(np.clip((top_first + PNG_OFFSET_MM) / PNG_RANGE_MM, 0, 1) * 65535)
        Image.fromarray(values.astype(np.uint16)).save(path, format="PNG")
    else:
        import OpenEXR

        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        OpenEXR.File(header, {"Y": top_first.astype(np.float16)}).write(str(path))


def read_displacement(path: str | Path) -> np.ndarray:
    """Reads a displacement map.

    Args:
        path: an .exr (Y or R of its first layer that has them), a 16-bit .png or an .npy file.

    Returns:
        (H, W) float32, millimetres, row 0 at the bottom.

    Raises:
        UserError: the file is missing, broken, not a grey image, or holds values that are not finite.
    """
    path = check_suffix(path)
    if not path.is_file():
        raise UserError(f"{path}: there is no such file.", "Check the path.")
    try:
        values = _READERS[path.suffix.lower()](path)
    except (OSError, ValueError, RuntimeError, EOFError, SyntaxError, OverflowError, MemoryError) as error:
        raise UserError(f"{path}: not a displacement map that can be read ({error}).", _REMEDY) from error
    if values.ndim != 2 or not values.size:
        raise UserError(
            f"{path}: a displacement map has one channel and two axes, this has shape {values.shape}.",
            _REMEDY,
        )
    if not np.isfinite(values).all():
        raise UserError(f"{path}: the map holds values that are not finite.", "Export it again.")
    return np.ascontiguousarray(values, np.float32)


def _read_npy(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            values = np.lib.format.read_array(file, allow_pickle=False)
    except TokenError as error:
        raise ValueError(f"its header is damaged: {error}") from error
    if values.dtype.kind not in "fiu":
        raise ValueError(f"values of type {values.dtype}")
    return values.astype(np.float32)


def _read_png(path: Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode not in ("I;16", "I;16B", "I"):
                raise ValueError(f"mode {image.mode}, not 16-bit grey")
            values = np.asarray(image).astype(np.float32)
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from error
    return values[::-1] / 65535 * PNG_RANGE_MM - PNG_OFFSET_MM


def _read_exr(path: Path) -> np.ndarray:
    """Reads the value channel of an OpenEXR map, placed in the display window.

    Pixels outside the data window are 0; pixels outside the display window are cut off.
    """
    import OpenEXR

    with OpenEXR.File(str(path), separate_channels=True) as file:
        parts = [(part.header, part.channels) for part in file.parts]
        index, name = _value_channel([list(channels) for _, channels in parts])
        header, channels = parts[index]
        if channels[name].xSampling != 1 or channels[name].ySampling != 1:
            raise ValueError(f"channel {name} has fewer pixels than the picture")
        stored = np.array(channels[name].pixels, np.float32)
        low, high = (np.array(corner, np.int64) for corner in header["dataWindow"])
        first, last = (np.array(corner, np.int64) for corner in header["displayWindow"])
    width, height = last - first + 1
    if width < 1 or height < 1 or width * height > _MOST_PIXELS:
        raise ValueError(f"a display window of {width} x {height} pixels")
    if stored.shape != tuple((high - low + 1)[::-1]):
        raise ValueError("the channel's size is not that of the data window")
    placed = np.zeros((height, width), np.float32)
    start, end = np.maximum(low, first), np.minimum(high, last) + 1
    if (end <= start).any():
        raise ValueError("the data window lies outside the display window")
    inside = stored[start[1] - low[1] : end[1] - low[1], start[0] - low[0] : end[0] - low[0]]
    placed[start[1] - first[1] : end[1] - first[1], start[0] - first[0] : end[0] - first[0]] = inside
    return placed[::-1]


def _value_channel(parts: list[list[str]]) -> tuple[int, str]:
    """Returns part and channel that hold a map's values: Y or RGB before others, alpha, ids and depth last.

    Args:
        parts: the names of the channels of each part, layers before a dot ("skin.R").
    """

    def rank(item: tuple[int, str]) -> tuple[int, int, int, str]:
        part, name = item
        layer, _, channel = name.rpartition(".")
        order = _CHANNEL_ORDER.get(channel.lower(), 10)
        return order, int(bool(layer)), part, name

    names = [(index, name) for index, part in enumerate(parts) for name in part]
    if not names:
        raise ValueError("no channels")
    return min(names, key=rank)


_READERS = {".npy": _read_npy, ".png": _read_png, ".exr": _read_exr}
