"""Frames survive any cut of the stream, and nothing but frames gets through."""

import json
import struct

import numpy as np
import pytest

from ml_backend.process.protocol import MAGIC, Decoder, Message, ProtocolError, encode


def as_bytes(message):
    return b"".join(bytes(piece) for piece in encode(message))


def test_messages_survive_any_cut():
    rng = np.random.default_rng(1)
    arrays = {
        "map": rng.normal(size=(7, 5)).astype(np.float32),
        "empty": np.zeros((0, 3), np.float32),
        "index": np.arange(4),
        "mask": np.array([True, False]),
    }
    stream = as_bytes(Message("result", 3, {"text": "Ä", "n": 1.5}, arrays)) + as_bytes(Message("stop"))
    for step in (1, 7, 64, len(stream)):
        decoder = Decoder()
        messages = [
            m for start in range(0, len(stream), step) for m in decoder.feed(stream[start : start + step])
        ]
        assert [m.kind for m in messages] == ["result", "stop"]
        assert messages[0].id == 3 and messages[0].parameters == {"text": "Ä", "n": 1.5}
        np.testing.assert_array_equal(messages[0].arrays["map"], arrays["map"])
        assert messages[0].arrays["empty"].shape == (0, 3)
        assert messages[0].arrays["index"].dtype == np.int32 and messages[0].arrays["mask"].dtype == np.uint8


def test_float64_travels_as_float32():
    (message,) = Decoder().feed(as_bytes(Message("result", 1, {}, {"a": np.array([1.0, 2.5])})))
    assert message.arrays["a"].dtype == np.float32


def framed(header) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<4sI", MAGIC, len(text)) + text


@pytest.mark.parametrize(
    "data",
    [
        b"hello, this is not a frame",
        struct.pack("<4sI", MAGIC, 2**31),
        struct.pack("<4sI", MAGIC, 4) + b"nope",
        framed({"kind": "x"}),
        framed({"kind": 1, "id": 1, "parameters": {}, "arrays": []}),
        framed(
            {"kind": "x", "id": 1, "parameters": {}, "arrays": [{"name": "a", "dtype": "|O", "shape": [1]}]}
        ),
        framed(
            {"kind": "x", "id": 1, "parameters": {}, "arrays": [{"name": "a", "dtype": "<f4", "shape": [-1]}]}
        ),
        framed(
            {
                "kind": "x",
                "id": 1,
                "parameters": {},
                "arrays": [{"name": "a", "dtype": "<f4", "shape": [2**40]}],
            }
        ),
        framed([1, 2, 3]),
    ],
)
def test_garbage_is_refused(data):
    with pytest.raises(ProtocolError):
        Decoder().feed(data)


def test_random_bytes_never_pass_as_a_message():
    rng = np.random.default_rng(2)
    good = bytearray(as_bytes(Message("result", 3, {"n": 1}, {"map": np.ones((4, 4), np.float32)})))
    refused = 0
    for _ in range(1000):
        broken = bytearray(good)
        broken[rng.integers(len(broken) - 64)] = rng.integers(256)
        try:
            for message in Decoder().feed(bytes(broken)):
                assert isinstance(message.kind, str) and isinstance(message.parameters, dict)
        except ProtocolError:
            refused += 1
    assert refused > 300


def test_infinite_parameters_are_refused_at_the_source():
    with pytest.raises(ValueError):
        encode(Message("result", 1, {"n": float("nan")}))
