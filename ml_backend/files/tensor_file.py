"""Reads and writes safetensors files with numpy alone, for Blender, where the library is not installed."""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..asset_files import missing_file_remedy
from ..errors import UserError
from .atomic_write import atomic_path

_DTYPES = {
    "F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"), "I32": np.dtype("<i4"), "I16": np.dtype("<i2"), "I8": np.dtype("i1"),
    "U16": np.dtype("<u2"), "U8": np.dtype("u1"), "BOOL": np.dtype("?"),
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_LARGEST_HEADER = 16 * 2**20


def read_tensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Reads every array of a safetensors file.

    Args:
        path: the file.

    Returns:
        The arrays by name (read-only views of one buffer), and the file's metadata (strings by name).

    Raises:
        UserError: the file is missing, truncated, or not a safetensors file, or holds values that are not
            finite.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).", missing_file_remedy(path)) from error
    broken = UserError(
        f"{path}: not a complete safetensors file.", "Reinstall the extension, or make the file again."
    )
    if len(data) < 8:
        raise broken
    (header_size,) = struct.unpack("<Q", data[:8])
    if header_size > min(_LARGEST_HEADER, len(data) - 8):
        raise broken
    try:
        header = json.loads(data[8 : 8 + header_size])
        metadata = {str(k): str(v) for k, v in header.pop("__metadata__", {}).items()}
        arrays = {name: _array(data, 8 + header_size, entry) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise broken from error
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UserError(
                f"{path}: array {name!r} holds values that are not finite.", "Make the file again."
            )
    return arrays, metadata


def _array(data: bytes, base: int, entry: dict) -> np.ndarray:
    dtype, shape = _DTYPES[entry["dtype"]], [int(n) for n in entry["shape"]]
    start, stop = (base + int(offset) for offset in entry["data_offsets"])
    count = math.prod(shape)
    if (
        min(shape, default=0) < 0
        or not base <= start <= stop <= len(data)
        or stop - start != count * dtype.itemsize
    ):
        raise ValueError("offsets disagree with the shape")
    return np.frombuffer(data, dtype, count, start).reshape(shape)


def write_tensors(
    path: str | Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes arrays as a safetensors file, complete or not at all.

    Args:
        path: the file; replaced only when the new one is whole.
        arrays: by name; float16/32/64, integers or bool.
        metadata: strings by name.
    """
    header: dict = {"__metadata__": dict(metadata or {})}
    chunks, offset = [], 0
    for name, array in sorted(arrays.items()):
        chunk = np.ascontiguousarray(array)
        chunk = chunk.astype(chunk.dtype.newbyteorder("<"), copy=False)
        header[name] = {
            "dtype": _NAMES[chunk.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + chunk.nbytes],
        }
        chunks.append(chunk.tobytes())
        offset += chunk.nbytes
    text = json.dumps(header, sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    with atomic_path(path) as partial, partial.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(chunks)
