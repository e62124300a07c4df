"""The landmark library's network in torch, for losses: it sees what the library sees, and gradients pass."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from ml_backend.datasets.degraded_portraits import SIZE, looked_at, vary
from ml_backend.datasets.simulated_portraits import face_frames
from ml_backend.errors import UserError
from ml_backend.files.network_file import write_network_file
from ml_backend.fitting import landmark_conversion
from ml_backend.fitting.landmark_conversion import convert_landmark_network
from ml_backend.fitting.landmark_networks import Network, carried_file
from ml_backend.fitting.landmarks import find_faces, interocular_distance
from ml_backend.models.landmark_network import (
    CROP,
    MESH_POINTS,
    LandmarkNetwork,
    read_landmark_network,
)
from ml_backend.training.landmark_features import face_crops, landmark_losses

pytestmark = pytest.mark.photo


@pytest.fixture(scope="module")
def network() -> LandmarkNetwork:
    return convert_landmark_network()


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.asarray(Image.fromarray(astronaut()[:256, 96:352]))


@pytest.fixture(scope="module")
def frame(picture, tmp_path_factory) -> np.ndarray:
    """Of the astronaut's face, which has to be no multiple of four in a set: those show no faces."""
    return face_frames(tmp_path_factory.mktemp("set"), np.stack([picture, picture]))[1]


def tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def test_the_points_are_the_librarys(network, picture, frame):
    square = torch.from_numpy(frame * np.array([1.45, 1.45, 1], np.float32))[None]
    crop = face_crops(tensor(picture), square)
    features, points = network(crop)
    assert [tuple(level.shape[1:]) for level in features] == [
        (16, 96, 96),
        (32, 48, 48),
        (64, 24, 24),
        (128, 12, 12),
        (128, 6, 6),
    ]
    original = Network(carried_file("face_landmark.tflite"))(crop[0].permute(1, 2, 0).numpy())[0]
    np.testing.assert_allclose(points[0].numpy(), original.reshape(MESH_POINTS, 3)[:, :2], atol=0.01)
    across = torch.cat([points[0] / CROP * 2 - 1, torch.ones(MESH_POINTS, 1)], 1) @ square[0].T
    placed = ((across + 1) * SIZE / 2).numpy()
    expected = find_faces(picture)[0].points
    apart = np.linalg.norm(placed - expected[:MESH_POINTS], axis=1) / interocular_distance(expected)
    assert np.median(apart) < 0.03, (
        "one look leans to a side; the library's points are a mean of mirrored looks"
    )


def test_a_stored_network_reads_back_and_another_one_is_refused(network, tmp_path, monkeypatch):
    path = tmp_path / "landmark_network.safetensors"
    write_network_file(path, network, network.config, {})
    crop = torch.rand(1, 3, CROP, CROP)
    np.testing.assert_allclose(read_landmark_network(path)(crop)[1], network(crop)[1], atol=0.2)
    monkeypatch.setattr(landmark_conversion, "MESH_FILE", "iris_landmark.tflite")
    with pytest.raises(UserError, match="not the landmark network"):
        convert_landmark_network()


def test_pictures_that_are_the_same_are_seen_the_same_and_worse_ones_lead_back(network, picture, frame):
    square = looked_at(frame[None], np.random.default_rng(0))
    truth = tensor(picture)
    features, mesh = landmark_losses(network, truth, truth, square)
    assert float(features) == 0 and mesh.shape == (1,) and float(mesh) == 0
    made = torch.nn.functional.avg_pool2d(truth, 8).requires_grad_()
    features, mesh = landmark_losses(network, made, truth, square)
    assert float(features.detach()) > 0.1 and float(mesh.detach()) > 0.005
    (slope,) = torch.autograd.grad(features, made)
    better, _ = landmark_losses(network, (made - 1e-3 * slope / slope.abs().max()).detach(), truth, square)
    assert float(better) < float(features.detach())


def test_a_frame_follows_its_face_through_mirrors_and_shifts(picture, frame):
    whole = face_crops(tensor(picture), torch.from_numpy(frame)[None])[0]
    mirrored = 0
    for seed in range(6):
        plain, _ = vary(picture, np.zeros((2, 3), np.float32), np.random.default_rng(seed))
        varied, moved = vary(picture, frame, np.random.default_rng(seed))
        np.testing.assert_array_equal(plain, varied)
        crop = face_crops(tensor(varied), torch.from_numpy(moved)[None])[0]
        alike = [np.corrcoef(crop.ravel(), other.ravel())[0, 1] for other in (whole, whole.flip(-1))]
        assert max(alike) > 0.93, "the square lost its face"
        mirrored += alike[1] > alike[0]
    assert 0 < mirrored < 6


def test_frames_are_found_once_and_only_where_a_face_can_be(tmp_path, picture):
    pictures = np.stack([picture, picture, np.zeros_like(picture)])
    frames = face_frames(tmp_path, pictures)
    assert np.isnan(frames[0]).all() and np.isfinite(frames[1]).all() and np.isnan(frames[2]).all()
    points = find_faces(picture)[0].points * 2 / SIZE - 1
    inside = np.linalg.solve(frames[1][:, :2], (points - frames[1][:, 2]).T)
    assert 0.8 < np.abs(inside).max() < 1.15, "the square does not hold the face"
    np.testing.assert_array_equal(face_frames(tmp_path, pictures * 0), frames)
