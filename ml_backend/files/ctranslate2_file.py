"""Reads arrays out of a model.bin of CTranslate2, also one in parts.

The layout: version, name of the model's kind and its revision, number of variables; for each its name, shape,
type and bytes; names that stand for others. Numbers are little-endian, names have their length before them.
"""

import math
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import UserError

MODEL_FILE = "model.bin"
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_VERSIONS = range(4, 10)
_MOST_VARIABLES = 100_000
_MOST_DIMENSIONS = 8


def model_parts(path: Path) -> list[Path]:
    """Returns the files that make up a model, in their order.

    Args:
        path: model.bin, one of its parts (model.bin.part1 brings the others beside it), or a folder with them
            at any depth, as `pip install --target` lays it.

    Returns:
        One file, or all parts by their numbers; none where a folder holds no such file.
    """
    if path.is_dir():
        files = sorted(path.rglob(f"{MODEL_FILE}*"))
    elif path.suffix.startswith(".part") and path.is_file():
        files = sorted(path.parent.glob(f"{path.stem}.part*"))
    else:
        return [path] if path.is_file() else []
    whole = [file for file in files if file.suffix == Path(MODEL_FILE).suffix]
    parts = {file.suffix: file for file in files if file.suffix[5:].isdigit()}
    return whole[:1] or [parts[suffix] for suffix in sorted(parts, key=lambda text: int(text[5:]))]


def read_ctranslate2(
    path: Path, kind: str, wanted: Callable[[str], bool], remedy: str
) -> dict[str, np.ndarray]:
    """Reads some variables of a model.

    Args:
        path: see `model_parts`.
        kind: name of the model's kind that the file must have, e.g. "WhisperSpec".
        wanted: chooses variables by name; the others are passed over.
        remedy: for messages, the place of a fitting file.

    Returns:
        Arrays by name, of their stored type.

    Raises:
        UserError: there is no such file, it ends early, is of another layout or kind, or a part is missing.
    """
    parts = model_parts(path)
    if not parts:
        raise UserError(f"{path}: no {MODEL_FILE} of CTranslate2.", remedy)
    name = str(parts[0])
    try:
        with _Joined(parts) as file:
            return _variables(file, name, kind, wanted, remedy)
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror}).", remedy) from error
    except EOFError as error:
        raise UserError(f"{name}: ends early, or a part is missing.", remedy) from error


def _variables(
    file: "_Joined", name: str, kind: str, wanted: Callable[[str], bool], remedy: str
) -> dict[str, np.ndarray]:
    other = UserError(f"{name}: not a model of CTranslate2 of the kind {kind}.", remedy)
    if file.number("I") not in _VERSIONS or file.text() != kind:
        raise other
    file.number("I")  # the kind's revision
    count = file.number("I")
    if count > _MOST_VARIABLES:
        raise other
    arrays = {}
    for _ in range(count):
        variable = file.text()
        dimensions = file.number("B")
        if dimensions > _MOST_DIMENSIONS:
            raise other
        shape = tuple(file.number("I") for _ in range(dimensions))
        dtype = _TYPES.get(file.number("B"))
        size = file.number("I")
        if not wanted(variable):
            file.skip(size)
            continue
        if dtype is None or math.prod(shape) * np.dtype(dtype).itemsize != size:
            raise other
        arrays[variable] = np.frombuffer(file.read(size), dtype).reshape(shape)
    return arrays


class _Joined:
    """Files one after the other, read as one."""

    def __init__(self, paths: list[Path]):
        self._paths = paths
        self._files: list[BinaryIO] = []
        self._lengths = [os.path.getsize(path) for path in paths]
        self._place = 0

    def __enter__(self) -> "_Joined":
        for path in self._paths:
            self._files.append(path.open("rb"))
        return self

    def __exit__(self, *_) -> None:
        for file in self._files:
            file.close()

    def skip(self, count: int) -> None:
        """Passes over bytes.

        Raises:
            EOFError: the files end before.
        """
        if self._place + count > sum(self._lengths):
            raise EOFError
        self._place += count

    def read(self, count: int) -> bytes:
        """Returns the next bytes.

        Raises:
            EOFError: the files end before.
        """
        begin = self._place
        self.skip(count)
        found = b""
        for file, length in zip(self._files, self._lengths, strict=True):
            if begin < length and len(found) < count:
                file.seek(begin)
                found += file.read(min(length - begin, count - len(found)))
                begin = 0
            else:
                begin = max(0, begin - length)
        return found

    def number(self, kind: str) -> int:
        """Returns the next number of a kind of `struct`."""
        return struct.unpack("<" + kind, self.read(struct.calcsize("<" + kind)))[0]

    def text(self) -> str:
        """Returns the next name."""
        return self.read(self.number("H")).rstrip(b"\0").decode("utf-8", "replace")
