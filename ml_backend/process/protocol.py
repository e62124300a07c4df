"""Frames between Blender and the worker: JSON headers with raw arrays behind them.

A frame is the magic `D3DM`, the header's size (uint32, little endian), a JSON header, then the arrays'
bytes in the order of the header's `arrays` list. Nothing is ever unpickled.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

PROTOCOL_VERSION = 1
MAGIC = b"D3DM"
LARGEST_HEADER = 4 * 2**20
LARGEST_PAYLOAD = 2**30
MOST_AXES = 8
_PREFIX = struct.Struct("<4sI")
_DTYPES = ("<f4", "<i4", "|u1")


class ProtocolError(Exception):
    """The other side sent bytes that are not a frame of this protocol."""


@dataclass(frozen=True)
class Message:
    """One frame.

    Attributes:
        kind: from Blender `request`, `cancel` or `stop`; from the worker `hello`, `ready`, `progress`,
            `result`, `error`, `superseded` or `cancelled`.
        id: the request that it belongs to; 0 for none.
        parameters: JSON values.
        arrays: float32, int32 or uint8 arrays by name.
    """

    kind: str
    id: int = 0
    parameters: dict = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def encode(message: Message) -> list[bytes | memoryview]:
    """Turns a message into the pieces to be written, in order.

    Args:
        message: its arrays may be of any float or integer type; floats travel as float32, integers as int32.

    Returns:
        Buffers to write one after another.
    """
    arrays = {name: _portable(array) for name, array in message.arrays.items()}
    header = {
        "kind": message.kind,
        "id": message.id,
        "parameters": message.parameters,
        "arrays": [
            {"name": name, "dtype": array.dtype.str, "shape": list(array.shape)}
            for name, array in arrays.items()
        ],
    }
    text = json.dumps(header, allow_nan=False).encode()
    return [
        _PREFIX.pack(MAGIC, len(text)),
        text,
        *(array.reshape(-1).data.cast("B") for array in arrays.values() if array.size),
    ]


def _portable(array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype == np.uint8 or array.dtype == bool:
        return np.ascontiguousarray(array, "|u1")
    return np.ascontiguousarray(array, "<f4" if array.dtype.kind == "f" else "<i4")


class Decoder:
    """Cuts a stream of bytes into messages, however the bytes arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._header: Mapping | None = None
        self._needed = _PREFIX.size

    def feed(self, data: bytes) -> list[Message]:
        """Takes the bytes that have arrived.

        Args:
            data: any part of the stream.

        Returns:
            The messages that are complete now.

        Raises:
            ProtocolError: the bytes are not this protocol's.
        """
        self._buffer += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> Message | None:
        if self._header is None:
            if len(self._buffer) < _PREFIX.size:
                return None
            magic, size = _PREFIX.unpack_from(self._buffer)
            if magic != MAGIC or size > LARGEST_HEADER:
                raise ProtocolError(f"not a frame of this protocol: {bytes(self._buffer[:16])!r}")
            if len(self._buffer) < _PREFIX.size + size:
                return None
            self._header, self._needed = _parse_header(
                bytes(self._buffer[_PREFIX.size : _PREFIX.size + size])
            )
            del self._buffer[: _PREFIX.size + size]
        if len(self._buffer) < self._needed:
            return None
        header = self._header
        payload = bytes(self._buffer[: self._needed])
        del self._buffer[: self._needed]
        self._header = None
        arrays = {}
        offset = 0
        for entry in header["arrays"]:
            shape = tuple(entry["shape"])
            count = math.prod(shape)
            array = (
                np.frombuffer(payload, entry["dtype"], count, offset)
                if count
                else np.zeros(0, entry["dtype"])
            )
            arrays[entry["name"]] = array.reshape(shape)
            offset += array.nbytes
        return Message(header["kind"], header["id"], header["parameters"], arrays)


def _parse_header(text: bytes) -> tuple[Mapping, int]:
    """Reads a header.

    Returns:
        The header, and the size of its arrays in bytes.

    Raises:
        ProtocolError: it is not a header of this protocol.
    """
    try:
        header = json.loads(text, parse_constant=_refuse_constant)
        size = sum(_array_size(entry) for entry in header["arrays"])
        valid = (
            isinstance(header["kind"], str)
            and type(header["id"]) is int
            and 0 <= header["id"] < 2**63
            and isinstance(header["parameters"], dict)
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ProtocolError("a frame's header cannot be read") from error
    if not valid or size > LARGEST_PAYLOAD:
        raise ProtocolError("a frame's header holds the wrong types or too large an array")
    return header, size


def _array_size(entry: Mapping) -> int:
    """Returns the bytes of one array of a header.

    Raises:
        ProtocolError: its name, type or shape is not allowed.
    """
    shape = entry["shape"]
    if not isinstance(shape, list) or len(shape) > MOST_AXES or entry["dtype"] not in _DTYPES:
        raise ProtocolError("an array has an unknown type or shape")
    if not isinstance(entry["name"], str) or not all(type(n) is int and n >= 0 for n in shape):
        raise ProtocolError("an array has an unknown name or shape")
    itemsize = np.dtype(entry["dtype"]).itemsize
    if math.prod(length for length in shape if length) * itemsize > LARGEST_PAYLOAD:
        raise ProtocolError("an array is too large")
    return math.prod(shape) * itemsize


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
