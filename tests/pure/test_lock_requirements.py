"""The files of hashes that Install Backend uses agree with the pins that are edited by hand."""

import pytest

from tools import lock_requirements


def test_the_hashes_are_those_of_the_pins():
    assert lock_requirements.outdated() == [], "run python -m tools.lock_requirements"


def test_a_changed_pin_and_a_missing_hash_are_noticed(tmp_path, monkeypatch):
    for name in (
        "requirements.txt",
        "requirements-networks.txt",
        "installation.py",
        *lock_requirements.pins_by_file(),
    ):
        (tmp_path / name).write_text((lock_requirements.WORKER / name).read_text("utf-8"), "utf-8")
    monkeypatch.setattr(lock_requirements, "WORKER", tmp_path)
    pins = (tmp_path / "requirements.txt").read_text("utf-8")
    (tmp_path / "requirements.txt").write_text(pins.replace("tqdm==", "tqdm==9"), "utf-8")
    assert len(lock_requirements.outdated()) == 2
    (tmp_path / "hashed_torch.txt").write_text("torch==2.13.0\n", "utf-8")
    with pytest.raises(SystemExit, match="has no hash"):
        lock_requirements.outdated()
