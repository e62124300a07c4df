"""The device that torch computes on: the fastest device there is, or the one that is asked for."""

import pytest
import torch

from ml_backend.__main__ import main
from ml_backend.errors import UserError
from ml_backend.layers import device
from ml_backend.layers.device import available_kinds, device_name, pick_device
from ml_backend.process.handlers import describe_backend


def test_the_processor_is_always_there_and_the_fastest_is_the_default():
    kinds = available_kinds()
    assert kinds[-1] == "cpu" and pick_device().type == kinds[0]
    assert pick_device("cpu") == torch.device("cpu") and device_name(torch.device("cpu")) == "cpu"
    assert describe_backend()["device"] == device_name(pick_device())


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_an_nvidia_gpu_comes_before_an_apple_gpu_and_both_before_the_processor(
    monkeypatch, cuda, mps, expected
):
    monkeypatch.setattr(device.torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(device.torch.backends.mps, "is_available", lambda: mps)
    assert pick_device().type == expected
    assert mps == ("mps" in available_kinds())


def test_an_apple_gpu_has_a_name():
    assert device_name(torch.device("mps")) == "Apple GPU"


@pytest.mark.parametrize("name", ["tpu", "cpu:1", "cpu:x", "gpu"])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(UserError, match=f"--device {name}.*Use one of: .*cpu"):
        pick_device(name)


def test_the_command_names_a_missing_device(tmp_path, capsys):
    assert main(["simulate", "--count", "1", "--out", str(tmp_path / "maps"), "--device", "tpu"]) == 2
    assert "--device tpu" in capsys.readouterr().err and not (tmp_path / "maps").exists()
