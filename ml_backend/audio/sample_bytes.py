"""The place of the samples in a sound file: walks the chunks of WAV, RIFX, RF64, W64, AIFF and AU."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

_PLACEHOLDER = 0x7FFF0000
"""Sizes from here on are written by programs that did not know the length: a pipe's 7ffff000, ffffffff."""
_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_MOST_CHUNKS = 10_000


@dataclass(frozen=True)
class SampleBytes:
    """The chunk of the samples.

    Attributes:
        promised: bytes that the header promises; None where it leaves the length open.
        available: bytes that the file holds from the chunk's beginning to its end.
        a_second: bytes a second, 0 where the header does not say.
    """

    promised: int | None
    available: int
    a_second: int

    def missing_seconds(self) -> float:
        """Returns the seconds that the header promises and the file does not hold."""
        if self.promised is None or self.promised <= self.available:
            return 0.0
        return (self.promised - self.available) / max(self.a_second, 1)


def sample_bytes(path: Path) -> SampleBytes | None:
    """Returns the chunk of the samples of a file.

    Args:
        path: of the file.

    Returns:
        None where the format has no such chunk (FLAC, MP3, Ogg ...), or where the chunk is not there.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(40)
        if start[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and start[8:12] == b"WAVE":
            return _riff(file, size, "big" if start[:4] == b"RIFX" else "little")
        if start[:4] == b"FORM" and start[8:12] in (b"AIFF", b"AIFC"):
            return _aiff(file, size)
        if start[:16] == _W64_RIFF:
            return _w64(file, size)
        if start[:4] == b".snd":
            return _au(start, size)
    return None


def _riff(file: BinaryIO, size: int, order: Literal["big", "little"]) -> SampleBytes | None:
    at = 12
    a_second = 0
    long_size = None
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return None
        name = head[:4]
        length = int.from_bytes(head[4:], order)
        if name == b"fmt ":
            a_second = int.from_bytes(file.read(12)[8:12], order)
        elif name == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:16], "little")
        elif name == b"data":
            if long_size and length >= _PLACEHOLDER:
                return SampleBytes(long_size, size - at - 8, a_second)
            left_open = length == 0 or (length >= _PLACEHOLDER and at + 8 + length > size)
            return SampleBytes(None if left_open else length, size - at - 8, a_second)
        at += 8 + length + length % 2
    return None


def _aiff(file: BinaryIO, size: int) -> SampleBytes | None:
    at = 12
    a_second = 0
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return None
        name = head[:4]
        length = int.from_bytes(head[4:], "big")
        if name == b"COMM":
            common = file.read(18)
            channels, bits = (int.from_bytes(common[i : i + 2], "big") for i in (0, 6))
            exponent = int.from_bytes(common[8:10], "big") & 0x7FFF
            rate = int.from_bytes(common[10:18], "big") / 2.0 ** (16383 + 63 - exponent) if exponent else 0
            a_second = round(rate) * channels * -(-bits // 8)
        elif name == b"SSND":
            promised = None if length == 0 or length >= _PLACEHOLDER else length
            return SampleBytes(promised, size - at - 8, a_second)
        at += 8 + length + length % 2
    return None


def _w64(file: BinaryIO, size: int) -> SampleBytes | None:
    at = 40
    a_second = 0
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(24)
        if len(head) < 24:
            return None
        length = int.from_bytes(head[16:], "little")
        if head[:4] == b"fmt ":
            a_second = int.from_bytes(file.read(12)[8:12], "little")
        elif head[:16] == _W64_DATA:
            return SampleBytes(length - 24, size - at - 24, a_second)
        at += max(24, -(-length // 8) * 8)
    return None


def _au(start: bytes, size: int) -> SampleBytes:
    begin, length, encoding, rate, channels = (
        int.from_bytes(start[index : index + 4], "big") for index in range(4, 24, 4)
    )
    width = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(encoding, 0)
    return SampleBytes(None if length >= _PLACEHOLDER else length, size - begin, rate * channels * width)
