"""Networks in files: arrays as whole numbers with steps, and fingerprints that outlive another storage."""

import hashlib

import numpy as np
import torch
from torch import nn

from ml_backend.asset_files import ASSETS
from ml_backend.files.network_file import read_network_file, write_network_file
from ml_backend.files.tensor_file import read_tensors, write_tensors
from ml_backend.models.detailed_3dmm import ENCODER_FILE, GENERATOR_FILE, read_generator, whole_numbers
from ml_backend.models.saved_latent import STANDS_FOR, weights_fingerprint


def test_whole_numbers_are_read_to_half_a_step_of_their_row(tmp_path):
    torch.manual_seed(2)
    network = nn.Linear(50, 7)
    with torch.no_grad():
        network.weight[3] *= 100
        network.weight[4] = 0
    path = tmp_path / "small.safetensors"
    write_network_file(path, network, {}, {}, whole_numbers=("weight",))
    assert read_tensors(path)[0]["weight"].dtype == np.int8
    found = read_network_file(path, lambda config: nn.Linear(50, 7)).weight
    largest = network.weight.abs().amax(1, keepdim=True)
    assert ((found - network.weight).abs() <= 0.51 * largest / 127 + 1e-6).all() and (found[4] == 0).all()


def test_the_generator_that_ships_holds_whole_numbers_and_keeps_its_fingerprint(tmp_path):
    arrays, metadata = read_tensors(ASSETS / GENERATOR_FILE)
    for name in whole_numbers(read_generator(ASSETS / GENERATOR_FILE)):
        assert arrays[name].dtype == np.int8
    encoder, former = metadata[STANDS_FOR].split()
    assert weights_fingerprint() == former
    assert encoder == hashlib.sha256((ASSETS / ENCODER_FILE).read_bytes()).hexdigest()


def test_another_encoder_gives_another_fingerprint(tmp_path):
    values = {"a": np.ones(3, np.float32)}
    write_tensors(tmp_path / ENCODER_FILE, values, {})
    sha256 = hashlib.sha256((tmp_path / ENCODER_FILE).read_bytes()).hexdigest()
    found = []
    for stands_for in (f"{sha256} 0123", "other 0123"):
        folder = tmp_path / stands_for[:4]
        folder.mkdir()
        write_tensors(folder / GENERATOR_FILE, values, {STANDS_FOR: stands_for})
        (folder / ENCODER_FILE).write_bytes((tmp_path / ENCODER_FILE).read_bytes())
        found.append(weights_fingerprint(folder))
    assert found[0] == "0123" and found[1] != "0123" and len(found[1]) == 16
