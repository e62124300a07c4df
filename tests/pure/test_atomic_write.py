"""Files are replaced whole: a failure leaves the old one, two writers at once leave one of theirs."""

import threading

import numpy as np
import pytest

from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.atomic_write import atomic_path
from ml_backend.files.curve_file import Animation, read_curves, write_csv
from ml_backend.files.face_file import FaceParameters, read_face, write_face
from ml_backend.files.tensor_file import read_tensors, write_tensors


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with atomic_path(path) as partial:
        assert partial.parent == tmp_path
        partial.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_long_names_and_plain_permissions(tmp_path):
    path = tmp_path / ("n" * 200 + ".txt")
    (tmp_path / "plain").write_text("x")
    with atomic_path(path) as partial:
        partial.write_text("x")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_two_writers_of_one_file_leave_a_whole_one(tmp_path):
    path = tmp_path / "a.safetensors"
    failures = []

    def write(value):
        try:
            for _ in range(30):
                write_tensors(path, {"values": np.full(20_000, value, np.float32)})
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(value,)) for value in (1.0, 2.0, 3.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    values = read_tensors(path)[0]["values"]
    assert not failures and len(set(values.tolist())) == 1 and list(tmp_path.iterdir()) == [path]


def test_a_face_or_curve_that_cannot_be_written_keeps_the_old_file(tmp_path):
    face = FaceParameters(None, None, np.zeros(52, np.float32))
    path = tmp_path / "face.json"
    write_face(path, face, {"hair": 0.5})
    with pytest.raises(ValueError):
        write_face(path, face, {"hair": float("nan")})
    assert '"hair": 0.5' in path.read_text() and not read_face(path).expression.any()
    curves = tmp_path / "take.csv"
    good = Animation(30.0, EXPRESSION_NAMES, np.zeros((3, 52), np.float32), np.zeros((3, 9), np.float32))
    write_csv(curves, good)
    broken = Animation(0.0, EXPRESSION_NAMES, good.frames, good.head)
    with pytest.raises(ZeroDivisionError):
        write_csv(curves, broken)
    assert len(read_curves(curves).frames) == 3 and len(list(tmp_path.iterdir())) == 2
