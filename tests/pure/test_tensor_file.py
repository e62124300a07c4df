"""The numpy reader agrees with the safetensors library, and refuses broken files by name."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ml_backend.errors import UserError
from ml_backend.files.tensor_file import read_tensors, write_tensors

ARRAYS = {
    "a": np.arange(12, dtype=np.float32).reshape(3, 4),
    "half": np.ones((2, 2), np.float16),
    "i": np.arange(5, dtype=np.int32),
    "m": np.array([True, False]),
}


def test_agrees_with_the_library_both_ways(tmp_path):
    write_tensors(tmp_path / "ours.safetensors", ARRAYS, {"what": "test"})
    for name, array in load_file(tmp_path / "ours.safetensors").items():
        np.testing.assert_array_equal(array, ARRAYS[name])
    save_file(ARRAYS, tmp_path / "theirs.safetensors", {"what": "test"})
    arrays, metadata = read_tensors(tmp_path / "theirs.safetensors")
    assert metadata == {"what": "test"} and set(arrays) == set(ARRAYS)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, ARRAYS[name])


def test_thousand_broken_files_give_an_error_that_names_them(tmp_path):
    path = tmp_path / "whole.safetensors"
    write_tensors(path, ARRAYS)
    data, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    target = tmp_path / "broken.safetensors"
    for index in range(1000):
        body = bytearray(data)
        if index % 2:
            body = body[: rng.integers(len(body))]
        else:
            body[rng.integers(min(len(body), 400))] = rng.integers(256)
        target.write_bytes(bytes(body))
        try:
            arrays, _ = read_tensors(target)
            assert all(np.isfinite(array).all() for array in arrays.values())
        except UserError as error:
            refused += 1
            assert "broken.safetensors" in str(error)
    assert refused > 600


def test_values_that_are_not_finite_and_missing_files(tmp_path):
    save_file({"a": np.array([np.nan], np.float32)}, tmp_path / "nan.safetensors")
    with pytest.raises(UserError, match="not finite"):
        read_tensors(tmp_path / "nan.safetensors")
    with pytest.raises(UserError, match=r"missing\.safetensors"):
        read_tensors(tmp_path / "missing.safetensors")
