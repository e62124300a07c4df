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


def with_text(text: bytes) -> bytes:
    return struct.pack("<4sI", MAGIC, len(text)) + text


def framed(header) -> bytes:
    return with_text(json.dumps(header).encode())


def one_array(shape) -> dict:
    array = {"name": "a", "dtype": "<f4", "shape": shape}
    return {"kind": "x", "id": 1, "parameters": {}, "arrays": [array]}


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
        framed(one_array([2**32, 2**32])),
        framed(one_array([0, 2**70])),
        framed(one_array([1] * 9)),
        framed(one_array([True])),
        framed(one_array([10**400])),
        framed(one_array("12")),
        framed({"kind": "x", "id": True, "parameters": {}, "arrays": []}),
        framed({"kind": "x", "id": -1, "parameters": {}, "arrays": []}),
        framed({"kind": "x", "id": 2**70, "parameters": {}, "arrays": []}),
        framed({"kind": "x", "id": 1, "parameters": {"n": float("inf")}, "arrays": []}),
        with_text(b"[" * 100_000 + b"]" * 100_000),
        with_text(b'{"kind": "x", "id": ' + b"9" * 10_000 + b', "parameters": {}, "arrays": []}'),
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


def random_value(rng, depth=0):
    """A JSON value of any kind, often an absurd one."""
    simple = (
        None,
        True,
        -1,
        0,
        1,
        2**31,
        2**64,
        10**30,
        0.5,
        "",
        "<f4",
        "|u1",
        "x",
        [],
        {},
        [2, 3],
        [0, 2**40],
    )
    kind = rng.integers(4 if depth < 3 else 2)
    if kind < 2:
        return simple[rng.integers(len(simple))]
    if kind == 2:
        return [random_value(rng, depth + 1) for _ in range(rng.integers(4))]
    names = ("kind", "id", "parameters", "arrays", "name", "dtype", "shape")
    return {names[rng.integers(7)]: random_value(rng, depth + 1) for _ in range(rng.integers(4))}


def test_random_headers_end_as_a_message_or_as_a_protocol_error():
    rng = np.random.default_rng(3)
    refused = passed = 0
    for _ in range(5000):
        entry = {"name": "a", "dtype": "<f4", "shape": [2, 2]}
        header = {"kind": "x", "id": 1, "parameters": {}, "arrays": [entry]}
        changed = entry if rng.integers(2) else header
        changed[list(changed)[rng.integers(len(changed))]] = random_value(rng)
        try:
            for message in Decoder().feed(framed(header) + bytes(16)):
                assert isinstance(message.kind, str) and type(message.id) is int
                passed += 1
        except ProtocolError:
            refused += 1
    assert refused > 1000 and passed > 100


def test_infinite_parameters_are_refused_at_the_source():
    with pytest.raises(ValueError):
        encode(Message("result", 1, {"n": float("nan")}))
