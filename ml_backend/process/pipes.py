"""The client's ends of the worker's pipes: neither reading nor writing ever waits for the worker."""

import contextlib
import os
import queue
import threading
from collections.abc import Iterable
from typing import IO


class PipeWriter:
    """Writes to a pipe from its own thread, in order; `put` returns at once, however slow the reader is."""

    def __init__(self, stream: IO[bytes]):
        """Starts the thread.

        Args:
            stream: an unbuffered pipe; the thread closes it.
        """
        self._stream = stream
        self._pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._write, name="worker pipe", daemon=True).start()

    def put(self, pieces: Iterable[bytes | memoryview]) -> None:
        """Leaves bytes to be written; they are copied, so their arrays may change afterwards."""
        for piece in pieces:
            self._pieces.put(bytes(piece))

    def close(self) -> None:
        """Closes the pipe once everything before has been written, or the reader has gone."""
        self._pieces.put(None)

    def _write(self) -> None:
        with contextlib.suppress(OSError), self._stream:  # a reader that died is noticed by the client's poll
            while (piece := self._pieces.get()) is not None:
                rest = memoryview(piece)
                while len(rest):
                    rest = rest[self._stream.write(rest) :]


def read_available(descriptor: int, limit: int = 2**20) -> bytes:
    """Reads the bytes that a pipe holds now, without waiting; empty when it holds none or has ended.

    Args:
        descriptor: a pipe's file descriptor; on POSIX it is in non-blocking mode.
        limit: bytes at most.
    """
    if os.name == "posix":
        try:
            return os.read(descriptor, limit)
        except BlockingIOError:
            return b""
    import ctypes
    import msvcrt

    waiting = ctypes.c_ulong(0)
    handle = msvcrt.get_osfhandle(descriptor)  # type: ignore[attr-defined]
    peek = ctypes.windll.kernel32.PeekNamedPipe  # type: ignore[attr-defined]
    if not peek(handle, None, 0, None, ctypes.byref(waiting), None):
        return b""
    return os.read(descriptor, min(limit, waiting.value)) if waiting.value else b""
