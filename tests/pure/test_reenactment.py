"""The mapping network of reenactment: pairs, a tiny training that is resumed, the head's displacement."""

from functools import cache

import numpy as np
import pytest
import torch

from ml_backend.__main__ import main
from ml_backend.asset_files import ASSETS
from ml_backend.datasets.reenactment_pairs import ReenactmentPairs, displacement_errors, draw_pairs
from ml_backend.datasets.simulated_clips import simulate_clip
from ml_backend.errors import UserError
from ml_backend.evaluation.video.blendshape_scores import NAMES, POINTS, BlendshapeScores
from ml_backend.evaluation.video.evaluate_video import detected
from ml_backend.evaluation.video.mapping_rows import driven_maps
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.reenactment import (
    FILE,
    MappingConfig,
    ReenactmentMapping,
    default_mapping,
    read_mapping,
)
from ml_backend.pipelines.fit_from_image import landmark_model
from ml_backend.pipelines.generate_detail import detail_model
from ml_backend.video.clip_model import ClipModel, HeadPose
from ml_backend.video.head_displacement import head_displacement

TINY = """
[pairs]
people = 6
each = 4
held_out = 2
[network]
components = 6
source_components = 3
hidden = 16
[regression]
ridge = 0.003
errors = 2
[mapping]
steps = 12
batch = 8
rate = 1e-3
decay = 0.01
scale = 10.0
average_steps = 4
log_steps = 6
"""


@cache
def pairs() -> ReenactmentPairs:
    return draw_pairs(landmark_model(), BilinearFace.default(), detail_model(), 2, 6, 1_500_000)


def test_pairs_are_displacements_of_one_person():
    drawn = pairs()
    again = draw_pairs(landmark_model(), BilinearFace.default(), detail_model(), 2, 6, 1_500_000)
    assert np.array_equal(drawn.displacement, again.displacement)
    assert drawn.displacement.shape == (12, 956) and drawn.latents.shape == (12, 18 * 512)
    assert np.isfinite(drawn.displacement).all() and np.abs(drawn.displacement).max() < 1.0
    errors = displacement_errors(landmark_model(), np.ones(400), np.random.default_rng(0))
    calm = displacement_errors(landmark_model(), np.zeros(400), np.random.default_rng(0))
    assert 0.001 < np.median(np.abs(calm)) < np.median(np.abs(errors)) < 0.05


def test_the_network_begins_as_the_ridge_regression():
    network = ReenactmentMapping(
        MappingConfig(points=5, components=3, source_components=2, hidden=8, styles=2, latent_width=4)
    )
    with torch.no_grad():
        network.ridge.normal_()
        network.basis.normal_()
    moved, source = torch.randn(4, 5, 2), torch.randn(4, 2, 4)
    assert torch.allclose(network.eval()(moved, source), network.by_ridge(moved))
    with pytest.raises(ValueError, match="5 points"):
        network(torch.randn(4, 6, 2), source)


@pytest.mark.train
@pytest.mark.slow
def test_a_tiny_training_is_resumed_and_read(tmp_path, capsys):
    config = tmp_path / "tiny.toml"
    config.write_text(TINY)
    command = [
        "train",
        "reenactment",
        "--config",
        str(config),
        "--out",
        str(tmp_path / "run"),
        "--threads",
        "1",
    ]
    assert main(command) == 0
    network = read_mapping(tmp_path / "run" / FILE)
    assert network.config.components == 6
    assert main([*command, "--resume"]) == 0
    card = (tmp_path / "run" / FILE).with_suffix(".md").read_text()
    assert "ridge regression" in card and "python -m ml_backend train reenactment" in card
    with pytest.raises(UserError):
        read_mapping(ASSETS / "landmarks.safetensors")


def test_a_point_that_moved_is_found_from_the_front_whatever_the_pose():
    model = ClipModel.of(landmark_model(), BilinearFace.default(), np.zeros(128), 900.0, np.array([640, 360]))
    clip = simulate_clip("turn", landmark_model(), BilinearFace.default(), 620_000, 0)
    expression = np.zeros((len(clip.cameras), 52))
    expression[:, EXPRESSION_NAMES.index("jawOpen")] = 0.5
    poses = [
        HeadPose(
            camera.rotation,
            camera.translation[:2] / camera.translation[2],
            float(np.log(camera.translation[2])),
        )
        for camera in clip.cameras
    ]
    for frame, pose in enumerate(poses):
        clip.points[frame] = model.project(pose, model.places(expression[frame][model.free], pose))
    found = head_displacement(model, detected(clip, clip.points), poses, expression)
    true = (model.shapes @ expression[0][model.free])[:, [0, 2]] / model.unit
    assert np.abs(found - true).max() < 1e-4
    clip.points[3] = np.nan
    again = head_displacement(model, detected(clip, clip.points), poses, expression)
    assert np.array_equal(again[3], again[2])


def test_the_shipped_network_makes_wrinkles_and_rest_stays_rest():
    network, model = default_mapping(), detail_model()
    drawn = pairs()
    assert (ASSETS / FILE).stat().st_size < 6e6 and network.config.points == 478
    rows = np.argsort(-drawn.amount)[:3]
    source = torch.from_numpy(drawn.source[rows].astype(np.float32)).unflatten(1, (18, 512))
    moved = torch.from_numpy(drawn.displacement[rows]).unflatten(1, (478, 2))
    true = torch.from_numpy(drawn.latents[rows].astype(np.float32))
    with torch.inference_mode():
        made = network(moved, source).flatten(1)
    assert float(torch.cosine_similarity(made, true).mean()) > 0.5
    person = (np.zeros(model.identity_size, np.float32), np.zeros(model.skin_size, np.float32))
    maps = driven_maps(model, person, np.zeros((1, 52), np.float32), np.zeros((1, 478, 2), np.float32))
    assert set(maps) == {"network", "expression", "ridge"}
    assert all(np.array_equal(maps["expression"], other) for other in maps.values())


def test_blendshape_scores_need_a_file_of_the_users(tmp_path):
    assert len(POINTS) == 146 and len(NAMES) == 52 and set(NAMES[1:]) < set(EXPRESSION_NAMES)
    with pytest.raises(UserError, match="no such file"):
        BlendshapeScores.load(tmp_path / "face_landmarker.task")
    (tmp_path / "broken.task").write_bytes(b"PK")
    with pytest.raises(UserError, match="no network of blendshapes"):
        BlendshapeScores.load(tmp_path / "broken.task")


def test_figures_of_wrong_options_are_named(capsys):
    assert main(["evaluate", "video", "--blendshapes", "/nowhere/x.task", "--json"]) != 0
    assert "no such file" in capsys.readouterr().err
