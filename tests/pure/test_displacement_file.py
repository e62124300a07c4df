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


def write_exr(path, channels, data=None, display=None):
    """Writes channels of a data window inside a display window, ((left, top), (right, bottom)) each."""
    import OpenEXR

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    for name, window in (("dataWindow", data), ("displayWindow", display)):
        if window is not None:
            header[name] = tuple(np.array(corner, np.int32) for corner in window)
    OpenEXR.File(header, channels).write(str(path))


@pytest.mark.parametrize("origin", [(0, 0), (-3, 5)])
def test_a_cropped_exr_is_placed_by_its_data_window(tmp_path, origin):
    part = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
    left, top = origin
    display = ((left, top), (left + 7, top + 5))
    write_exr(tmp_path / "cut.exr", {"Y": part}, ((left + 2, top + 1), (left + 5, top + 3)), display)
    expected = np.zeros((6, 8), np.float32)
    expected[1:4, 2:6] = part
    np.testing.assert_array_equal(read_displacement(tmp_path / "cut.exr"), expected[::-1])


def test_an_exr_larger_than_its_display_window_is_cut_to_it(tmp_path):
    whole = np.arange(48, dtype=np.float32).reshape(6, 8)
    write_exr(tmp_path / "more.exr", {"R": whole}, ((-2, -1), (5, 4)), ((0, 0), (3, 3)))
    np.testing.assert_array_equal(read_displacement(tmp_path / "more.exr"), whole[1:5, 2:6][::-1])
    write_exr(tmp_path / "apart.exr", {"R": whole}, ((100, 100), (107, 105)), ((0, 0), (3, 3)))
    with pytest.raises(UserError, match=r"apart\.exr.*outside"):
        read_displacement(tmp_path / "apart.exr")


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("A", "B", "G", "R"), "R"),
        (("A", "Y"), "Y"),
        (("A", "skin.A", "skin.B", "skin.G", "skin.R"), "skin.R"),
        (("Image.A", "Image.V", "Image.Z"), "Image.V"),
        (("A", "Z", "displacement"), "displacement"),
        (("ViewLayer.Combined.A", "ViewLayer.Combined.B", "ViewLayer.Combined.R"), "ViewLayer.Combined.R"),
        (("A",), "A"),
    ],
)
def test_values_come_before_alpha_and_depth_in_any_layer(tmp_path, names, chosen):
    channels = {name: np.full((4, 4), 9.0, np.float32) for name in names}
    channels[chosen] = MAP[:4, :4].copy()
    write_exr(tmp_path / "layers.exr", channels)
    np.testing.assert_array_equal(read_displacement(tmp_path / "layers.exr"), MAP[:4, :4][::-1])


def test_all_parts_of_an_exr_are_looked_through(tmp_path):
    import OpenEXR

    parts = [
        OpenEXR.Part(
            {"name": name, "type": OpenEXR.scanlineimage}, {channel: np.full((4, 4), value, np.float32)}
        )
        for name, channel, value in (("cover", "A", 1.0), ("relief", "Y", 0.25))
    ]
    OpenEXR.File(parts).write(str(tmp_path / "parts.exr"))
    assert (read_displacement(tmp_path / "parts.exr") == 0.25).all()
