"""Small photographs made clear: the training pictures, the network, its training, what landmarks gain."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from ml_backend.__main__ import main
from ml_backend.datasets.degraded_portraits import degrade, small_and_clear, vary
from ml_backend.datasets.simulated_portraits import make_portrait_set
from ml_backend.errors import UserError
from ml_backend.files.network_file import read_network_file
from ml_backend.fitting import landmarks
from ml_backend.fitting.clear_face import clear_face
from ml_backend.fitting.degraded_photo import degrade_photo, portrait_square
from ml_backend.fitting.landmarks import find_faces, interocular_distance
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.photo_upscaler import (
    PhotoUpscaler,
    PhotoUpscalerConfig,
    default_upscaler,
    enlarged,
    upscaler_config,
)
from ml_backend.simulation.portraits.dead_leaves import dead_leaves
from ml_backend.simulation.portraits.painted_portrait import SIZE, PortraitPainter

pytestmark = pytest.mark.photo

TINY = PhotoUpscalerConfig(widths=(8, 12), blocks=1, last=8)
SETTINGS = """
pictures = 16

[network]
widths = [12, 16]
blocks = 1
last = 12

[clear]
steps = 240
batch = 4
rate = 3e-3
half_life = 10
clip = 1.0
bfloat16 = false
log_steps = 20

[landmarks]
steps = 12
batch = 4
rate = 3e-4
half_life = 4
clip = 1.0
bfloat16 = false
features = 0.1
mesh = 0.05
log_steps = 4
"""


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    painter = PortraitPainter.of(BilinearFace.default())
    return [painter.portrait(0, seed).pixels for seed in (1, 2, 3)]


def test_dead_leaves_hide_each_other_and_repeat_by_seed():
    first, again, other = (dead_leaves(64, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (64, 64, 3) and first.dtype == np.float64
    assert first.min() >= 0 and first.max() <= 1
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.02
    assert np.abs(np.diff(first, axis=0)).max() > 0.1, "no edges"


@pytest.mark.slow
def test_portraits_show_faces_that_the_detector_finds(portraits):
    found = [find_faces(picture) for picture in portraits]
    assert all(picture.shape == (SIZE, SIZE, 3) for picture in portraits)
    assert sum(bool(faces) for faces in found) >= 2
    assert all(50 < interocular_distance(faces[0].points) < 130 for faces in found if faces)


@pytest.mark.slow
def test_degraded_pictures_are_small_and_differ_by_chance(portraits):
    one, again, other = (degrade(portraits[0], np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape == (64, 64, 3) and one.dtype == np.uint8
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    poor, clear = small_and_clear(
        [vary(portraits[1], np.eye(2, 3), np.random.default_rng(0))[0]], np.random.default_rng(0)
    )
    assert poor.shape == (1, 3, 64, 64) and clear.shape == (1, 3, 128, 128)
    assert float((enlarged(poor) - clear).abs().mean()) < 0.12, "the two do not lie on each other"


def test_an_untrained_network_is_bicubic_interpolation():
    pictures = torch.rand(2, 3, 24, 32)
    network = PhotoUpscaler(TINY).eval()
    torch.testing.assert_close(network(pictures), enlarged(pictures))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (37, 51), (12, 9)])
def test_any_size_becomes_twice_as_large_in_place(height, width):
    down, across = np.mgrid[:height, :width]
    pixels = np.stack([40 + down * 120 // height, 40 + across * 120 // width, down * 0 + 90], -1).astype(
        np.uint8
    )
    found = default_upscaler().clear(pixels)
    assert found.shape == (2 * height, 2 * width, 3) and found.dtype == np.uint8
    usual = np.asarray(Image.fromarray(pixels).resize((2 * width, 2 * height), Image.Resampling.BICUBIC))
    assert np.abs(found.astype(int) - usual).mean() < 6, "a smooth picture is moved or recoloured"


@pytest.mark.train
@pytest.mark.slow
def test_training_beats_bicubic_interpolation_resumes_and_reads_back(tmp_path):
    (tmp_path / "tiny.toml").write_text(SETTINGS)
    landmark_network = str(tmp_path / "landmark_network.safetensors")
    assert main(["build-landmarks", "--network-out", landmark_network]) == 0
    given = [
        "train",
        "photo-upscaler",
        "--config",
        str(tmp_path / "tiny.toml"),
        "--data",
        str(tmp_path / "set"),
        "--out",
        str(tmp_path),
        "--landmark-network",
        landmark_network,
    ]
    assert main([*given, "--device", "cpu"]) == 0
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["stage"] == "measured"
    assert log[-1]["clear_db"] > log[-1]["bicubic_db"]
    minded = [line for line in log if line["stage"] == "landmarks"]
    assert [line["step"] for line in minded] == [4, 8, 12]
    assert all(line["features"] > 0 and line["mesh"] > 0 for line in minded)
    assert 0 < log[-1]["clear_mesh"] < 0.5
    card = (tmp_path / "photo_upscaler.md").read_text()
    assert "not from photographs of people" in card and f"{log[-1]['clear_db']:.1f} dB" in card
    stored = read_network_file(
        tmp_path / "photo_upscaler.safetensors", lambda table: PhotoUpscaler(upscaler_config(table))
    )
    assert stored.config.widths == (12, 16)
    with Image.open(tmp_path / "samples.png") as sheet:
        assert sheet.size[1] == 4 * 128
    before = (tmp_path / "photo_upscaler.safetensors").read_bytes()
    assert main([*given, "--device", "cpu", "--resume"]) == 0
    assert (tmp_path / "photo_upscaler.safetensors").read_bytes()[-4096:] == before[-4096:], (
        "a finished run was trained on"
    )
    with pytest.raises(UserError, match="holds 16 portraits, not 20"):
        make_portrait_set(tmp_path / "set", 20)


@pytest.mark.parametrize(("size", "blur"), [(64, 0.8), (512, 6.0)])
def test_a_small_or_blurred_photo_gets_nearer_landmarks_than_as_it_is(monkeypatch, size, blur):
    photo = astronaut()
    clear = find_faces(photo)[0].points
    corner, side = portrait_square(clear)
    poor = degrade_photo(photo, corner, side, size=size, blur=blur, quality=95)
    wanted, unit = (clear - corner) * size / side, interocular_distance(clear) * size / side

    def missed() -> float:
        return float(np.median(np.linalg.norm(find_faces(poor)[0].points - wanted, axis=1)) / unit)

    with_network = missed()
    monkeypatch.setattr(landmarks, "clear_face", lambda *_: None)
    assert with_network < missed()
    assert with_network < 0.05


def test_a_clear_photo_is_left_alone():
    photo = astronaut()
    points = find_faces(photo)[0].points
    assert clear_face(photo, points, interocular_distance(points)) is None


def test_the_clear_part_lies_over_its_place_in_the_picture():
    photo = astronaut()
    points = find_faces(photo)[0].points / 2
    small = np.asarray(Image.fromarray(photo).resize((256, 256), Image.Resampling.LANCZOS))
    part = clear_face(small, points, interocular_distance(points))
    assert part is not None
    whole = part.laid_over(small)
    assert whole.shape == (512, 512, 3)
    assert np.abs(whole.astype(int) - photo).mean() < 8, "moved"
    usual = np.asarray(Image.fromarray(small).resize((512, 512), Image.Resampling.BICUBIC))
    changed = np.argwhere(np.abs(whole.astype(int) - usual).max(2) > 0)
    assert (changed.min(0)[::-1] >= np.floor(2 * part.low)).all(), "something beside the face was changed"
    assert (whole[400:] == usual[400:]).all()


@pytest.mark.slow
def test_jpegs_blocks_stay_where_they_are():
    photo = np.pad(
        np.asarray(Image.fromarray(astronaut()).resize((128, 128), Image.Resampling.LANCZOS)),
        ((90, 9), (53, 9), (0, 0)),
    )
    points = find_faces(photo)[0].points
    part = clear_face(photo, points, interocular_distance(points))
    assert part is not None
    assert (part.low > 0).all() and (part.low % 8 == 0).all()


@pytest.mark.slow
def test_a_face_of_a_few_pixels_in_a_large_picture_is_found_where_it_is():
    photo = astronaut()
    clear = find_faces(photo)[0].points
    small = np.asarray(Image.fromarray(photo).resize((128, 128), Image.Resampling.LANCZOS))
    found = find_faces(small)[0].points
    assert interocular_distance(found) < 14
    assert np.median(np.linalg.norm(found - clear / 4, axis=1)) / interocular_distance(found) < 0.08
