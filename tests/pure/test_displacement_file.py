"""Displacement maps survive their files, and broken files are refused by name."""

import numpy as np
import pytest

from ml_backend.errors import UserError
from ml_backend.files.displacement_file import read_displacement, write_displacement

MAP = (np.random.default_rng(0).normal(size=(48, 64)) * 0.4).astype(np.float32)


@pytest.mark.parametrize(("suffix", "error"), [(".npy", 0), (".exr", 2e-3), (".png", 8 / 65535)])
def test_round_trip(tmp_path, suffix, error):
    path = tmp_path / f"map{suffix}"
    write_displacement(path, MAP)
    back = read_displacement(path)
    assert back.dtype == np.float32 and back.shape == MAP.shape
    assert np.abs(back - MAP).max() <= error


def test_images_are_stored_top_row_first(tmp_path):
    from PIL import Image

    ramp = np.tile(np.linspace(-3, 3, 8, dtype=np.float32)[:, None], (1, 8))
    write_displacement(tmp_path / "ramp.png", ramp)
    stored = np.asarray(Image.open(tmp_path / "ramp.png"))
    assert stored[0, 0] == round((3 + 4) / 8 * 65535) and stored[-1, 0] == round((-3 + 4) / 8 * 65535)


@pytest.mark.parametrize("suffix", [".npy", ".exr", ".png"])
def test_broken_files_are_named(tmp_path, suffix):
    whole = tmp_path / f"whole{suffix}"
    write_displacement(whole, MAP)
    data = whole.read_bytes()
    rng = np.random.default_rng(3)
    bodies = [b"", b"not a map" * 40, *(data[: rng.integers(1, len(data) - 1)] for _ in range(20))]
    for index, body in enumerate(bodies):
        path = tmp_path / f"broken_{index}{suffix}"
        path.write_bytes(body)
        try:
            assert np.isfinite(read_displacement(path)).all()
            assert suffix == ".exr" and index >= 2, (
                "only a scan-line image that lost its end may still be readable"
            )
        except UserError as error:
            assert path.name in str(error)
    with pytest.raises(UserError, match="no such file"):
        read_displacement(tmp_path / f"missing{suffix}")


def test_values_that_are_not_finite_and_unknown_endings_are_refused(tmp_path):
    np.save(tmp_path / "nan.npy", np.full((4, 4), np.nan, np.float32))
    with pytest.raises(UserError, match="not finite"):
        read_displacement(tmp_path / "nan.npy")
    with pytest.raises(UserError, match=r"map\.jpg"):
        write_displacement(tmp_path / "map.jpg", MAP)
    np.save(tmp_path / "object.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(UserError, match=r"object\.npy"):
        read_displacement(tmp_path / "object.npy")
