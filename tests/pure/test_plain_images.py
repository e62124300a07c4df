"""Pictures of our own writers, read back by Pillow and OpenEXR, value for value."""

import numpy as np
import pytest
from PIL import Image

from ml_backend.errors import UserError
from ml_backend.files.displacement_file import read_displacement
from ml_backend.files.image_writers import write_exr, write_png, write_png16_millimetres


@pytest.mark.parametrize("kind, shape", [(np.uint8, (33, 20, 3)), (np.uint16, (17, 40)), (np.uint8, (9, 5))])
def test_png_comes_back_from_pillow(tmp_path, kind, shape):
    values = np.random.default_rng(1).integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)
    write_png(tmp_path / "picture.png", values)
    with Image.open(tmp_path / "picture.png") as image:
        assert np.array_equal(np.asarray(image).astype(kind)[::-1], values)


@pytest.mark.parametrize("shape", [(64, 64), (50, 31), (1, 1)])
@pytest.mark.parametrize("smooth", [True, False])
def test_exr_comes_back_from_openexr(tmp_path, shape, smooth):
    values = np.random.default_rng(2).normal(0, 1, shape).astype(np.float32)
    if smooth:
        values = np.add.outer(np.linspace(-3, 3, shape[0]), np.sin(np.arange(shape[1]))).astype(np.float32)
    write_exr(tmp_path / "map.exr", values)
    assert np.array_equal(
        read_displacement(tmp_path / "map.exr"), values.astype(np.float16).astype(np.float32)
    )


def test_png16_is_the_products_encoding(tmp_path):
    values = np.linspace(-5, 5, 24 * 30).reshape(24, 30).astype(np.float32)
    write_png16_millimetres(tmp_path / "map.png", values)
    assert np.allclose(read_displacement(tmp_path / "map.png"), values.clip(-4, 4), atol=8 / 65535)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        write_exr(tmp_path / "nowhere" / "map.exr", np.zeros((4, 4), np.float32))
