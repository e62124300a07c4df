"""Writes pictures with numpy and the standard library alone: 8 or 16-bit PNG, one-channel OpenEXR.

Blender's own writers pass pixels through colour management and the scene's settings; numbers that other
programs read must not be.
"""

import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import UserError
from .atomic_write import atomic_path

PNG_OFFSET_MM, PNG_RANGE_MM = 4.0, 8.0
_EXR_ROWS = 16  # a ZIP block holds this many
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}


def write_png(path: str | Path, values: np.ndarray) -> None:
    """Writes a picture: grey, RGB, or RGB with opacity.

    Args:
        path: the file.
        values: (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16, row 0 at the bottom (the file holds the top
            row first).

    Raises:
        ValueError: another shape or type.
        UserError: the file cannot be written.
    """
    channels = 1 if values.ndim == 2 else values.shape[2]
    if (
        values.ndim not in (2, 3)
        or channels not in _COLOUR_TYPES
        or values.dtype not in (np.uint8, np.uint16)
    ):
        raise ValueError(f"values of shape {values.shape} and type {values.dtype} are no PNG")
    height, width = values.shape[:2]
    size = 1 if values.dtype == np.uint8 else 2
    rows = np.ascontiguousarray(values[::-1]).astype(f">u{size}").view(np.uint8).reshape(height, -1)
    filtered = rows.copy()
    filtered[1:] -= rows[:-1]  # the filter "up": smooth maps become small numbers
    filter_bytes = np.full((height, 1), 2, np.uint8)
    data = zlib.compress(np.concatenate([filter_bytes, filtered], 1).tobytes(), 6)
    header = struct.pack(">IIBBBBB", width, height, 8 * size, _COLOUR_TYPES[channels], 0, 0, 0)
    chunks = b"".join(
        _png_chunk(name, content) for name, content in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    )
    _write(path, b"\x89PNG\r\n\x1a\n" + chunks)


def write_png16_millimetres(path: str | Path, displacement_map: np.ndarray) -> None:
    """Writes a displacement map (H, W), millimetres, row 0 at the bottom, as 16-bit grey.

    The value is (mm + 4) / 8, cut at +-4 mm.

    Raises:
        UserError: the file cannot be written.
    """
    share = np.clip((displacement_map + PNG_OFFSET_MM) / PNG_RANGE_MM, 0, 1)
    write_png(path, np.round(share * 65535).astype(np.uint16))


def write_exr(path: str | Path, values: np.ndarray) -> None:
    """Writes one channel, Y, as half floats, ZIP compressed.

    Args:
        path: the file.
        values: (H, W) float32, row 0 at the bottom.

    Raises:
        UserError: the file cannot be written.

    Source: "OpenEXR File Layout", openexr.com; scan lines, version 2.
    """
    height, width = values.shape
    rows = np.ascontiguousarray(values[::-1]).astype("<f2")
    blocks = [_exr_block(first, rows[first : first + _EXR_ROWS]) for first in range(0, height, _EXR_ROWS)]
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    attributes = (
        (b"channels", b"chlist", b"Y\0" + struct.pack("<iB3xii", 1, 0, 1, 1) + b"\0"),
        (b"compression", b"compression", b"\x03"),
        (b"dataWindow", b"box2i", window),
        (b"displayWindow", b"box2i", window),
        (b"lineOrder", b"lineOrder", b"\0"),
        (b"pixelAspectRatio", b"float", struct.pack("<f", 1)),
        (b"screenWindowCenter", b"v2f", struct.pack("<2f", 0, 0)),
        (b"screenWindowWidth", b"float", struct.pack("<f", 1)),
    )
    listed = b"".join(
        name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value
        for name, kind, value in attributes
    )
    header = struct.pack("<ii", 20000630, 2) + listed + b"\0"
    starts = len(header) + 8 * len(blocks) + np.cumsum([0, *map(len, blocks[:-1])])
    _write(path, header + starts.astype("<u8").tobytes() + b"".join(blocks))


def _exr_block(first_row: int, rows: np.ndarray) -> bytes:
    """Returns a block of scan lines: its first row, its size, its bytes.

    The bytes are in two halves, as differences, deflated where that is smaller.
    """
    plain = rows.tobytes()
    values = np.frombuffer(plain, np.uint8)
    halves = np.concatenate([values[0::2], values[1::2]])
    differences = halves.copy()
    differences[1:] = halves[1:] - halves[:-1] + np.uint8(128)
    packed = zlib.compress(differences.tobytes(), 4)
    data = packed if len(packed) < len(plain) else plain
    return struct.pack("<ii", first_row, len(data)) + data


def _png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _write(path: str | Path, content: bytes) -> None:
    try:
        with atomic_path(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}).", "Choose another folder, or make room."
        ) from error
