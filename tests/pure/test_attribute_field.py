"""The radiance field of heads: rays, light, truth, a tiny training, and views by the command."""

import json

import numpy as np
import pytest
import torch

from ml_backend.__main__ import main
from ml_backend.errors import UserError
from ml_backend.files.face_file import FaceParameters, write_face
from ml_backend.geometry.spherical_harmonics import harmonics
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.head_field.deformed_field import (
    CENTRE,
    UNIT,
    DeformedField,
    FieldConfig,
    code_inputs,
    encode_points,
    in_units,
    normalised,
)
from ml_backend.models.head_field.face_field import (
    FILE,
    FaceField,
    UnlitPicture,
    draw_field,
    lit,
    torch_harmonics,
)
from ml_backend.models.head_field.framing import view_camera
from ml_backend.models.head_field.ray_features import RayFeatures, first_crossings, rays_of_cameras
from ml_backend.pipelines import render_field as render_field_module
from ml_backend.pipelines.render_face import RenderFaceRequest
from ml_backend.pipelines.render_field import render_field
from ml_backend.simulation.portraits.drawn_views import random_points, random_view
from ml_backend.training.attributes.field_losses import (
    PointBatch,
    ViewBatch,
    ViewStream,
    point_losses,
    view_losses,
)

SMALL = FieldConfig(
    width=16, basis=8, modes=8, hidden=16, features=4, rays=8, coarse=8, fine=4, channels=(8, 8)
)


@pytest.fixture(scope="module")
def view():
    return random_view(500_000, 7, 64)


def test_harmonics_agree_with_those_of_numpy():
    normals = np.random.default_rng(0).standard_normal((50, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    found = torch_harmonics(torch.from_numpy(normals.T)[None])[0].numpy().T
    np.testing.assert_allclose(found, harmonics(normals), atol=2e-5)


def test_encoded_points_repeat_after_their_octave():
    point = torch.tensor([[0.1, -0.2, 0.3]])
    assert encode_points(point, 3).shape == (1, 3 + 18)
    one, other = encode_points(point, 2, first=2)[:, 3:], encode_points(point + 0.5, 2, first=2)[:, 3:]
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_rays_pass_through_their_pixels_and_the_head():
    camera = view_camera(BilinearFace.default(), 25, -10, 64)
    rays = rays_of_cameras([camera], 8)
    places = (rays.origin[:, None] + rays.direction * rays.reach[..., :1]) * UNIT + torch.tensor(CENTRE)
    pixels, depth = camera.project(places[0].numpy())
    grid = (np.arange(8) + 0.5) * 8
    expected = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    np.testing.assert_allclose(pixels, expected, atol=1e-2)
    assert (depth > 0.8).all() and (rays.reach[..., 1] > rays.reach[..., 0]).all()


def test_rays_find_where_they_enter_a_ball():
    class Ball(DeformedField):
        def signed_distance(self, points, amounts):
            return points.norm(dim=-1) - 0.5

    field = Ball(SMALL)
    rays = rays_of_cameras([view_camera(BilinearFace.default(), 0, 0, 64)], 16)
    amounts = field.amounts(*code_inputs([random_view(500_000, 1, 16).codes]))
    depth = first_crossings(field, amounts, rays, 24, 0.5)
    off = ((rays.origin[:, None] + rays.direction * depth[..., None]).norm(dim=-1) - 0.5)[0]
    nearest = torch.linalg.cross(rays.origin[:, None].expand_as(rays.direction), rays.direction)
    hits = nearest.norm(dim=-1)[0] < 0.45
    assert hits.sum() > 20 and off[hits].abs().max() < 0.02


def test_the_truth_is_lit_as_the_exact_decoder_lights_it(view):
    def picture(values):
        return torch.from_numpy(values).permute(2, 0, 1)[None]

    nothing = torch.zeros(1, 1, 8, 8)
    unlit = UnlitPicture(
        picture(view.colour), picture(view.normal), torch.zeros(1, 1, 64, 64), nothing,
        RayFeatures(nothing, nothing, nothing),
    )  # fmt: skip
    towards = normalised(rays_of_cameras([view.camera], 8).origin)
    light = torch.from_numpy(view.codes.light.astype(np.float32))[None]
    matt = lit(unlit, light, towards)[0].permute(1, 2, 0).numpy()
    gap = (view.linear - matt)[view.mask]
    assert gap.min() > -1e-3 and gap.mean() < 0.02 * view.linear[view.mask].mean()


def test_points_about_a_head_lie_as_far_off_as_they_say():
    points = random_points(500_000, 3, 200, 100)
    near, far = points.distance[:200], points.distance[200:]
    assert np.abs(near).max() < 0.06 and (far > 0).mean() > 0.3 and (far < 0).any()
    apart = np.linalg.norm(points.rest - points.places[:200], axis=1)
    assert np.median(apart) < 0.02, "people are near the mean head"
    np.testing.assert_allclose(np.linalg.norm(points.normal, axis=1), 1, atol=1e-5)
    assert torch.allclose(in_units(torch.tensor(CENTRE)), torch.zeros(3), atol=1e-6)


def test_a_few_steps_bring_pictures_nearer_to_the_truth():
    torch.manual_seed(0)
    network = FaceField(SMALL)
    stream = ViewStream(SMALL.size, 1, 2)
    batch = ViewBatch.of(stream.take(2, np.random.default_rng(0)), SMALL.rays, torch.device("cpu"))
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        terms = view_losses(network, batch, None, False)
        optimiser.zero_grad()
        terms["all"].backward()
        optimiser.step()
        losses.append(float(terms["lit"].detach()))
    assert losses[-1] < 0.6 * losses[0]


def test_a_stream_that_goes_on_shows_the_same_views():
    stream = ViewStream(16, 1, 3)
    for _ in range(2):
        stream.take(2, np.random.default_rng(1))
    again = ViewStream(16, 1, 3, done=2)
    one, other = (part.take(2, np.random.default_rng(5)) for part in (stream, again))
    for first, second in zip(one, other, strict=True):
        np.testing.assert_allclose(first.linear, second.linear, atol=1e-5)


TINY = """
[network]
width = 16
basis = 8
modes = 8
hidden = 16
features = 4
rays = 8
coarse = 8
fine = 4
channels = [8, 8]
[points]
steps = 80
heads = 3
near = 48
free = 16
bfloat16 = false
rate = 3e-3
average_steps = 4
log_steps = 4
[pictures]
steps = 80
batch = 4
drawn = 1
kept = 6
heads = 1
places = 0.3
bfloat16 = false
rate = 5e-3
field_rate = 0.5
average_steps = 4
log_steps = 4
measure_steps = 40
save_steps = 4
[figures]
people = 1
"""


def losses_of(network):
    """Returns the losses of a network on places about people, and on views, that no training saw."""
    cpu = torch.device("cpu")
    views = [random_view(1_030_000, number, network.config.size) for number in range(4)]
    points = PointBatch.drawn(np.arange(4), 64, 16, cpu, first=1_030_000)
    with torch.no_grad():
        seen = view_losses(network, ViewBatch.of(views, network.config.rays, cpu), None, False)
        return float(point_losses(network.field, points)["all"]), float(seen["all"])


@pytest.mark.train
@pytest.mark.slow
def test_a_tiny_training_lowers_its_losses_and_is_resumed(tmp_path, monkeypatch):
    config = tmp_path / "tiny.toml"
    config.write_text(TINY)

    def command(out):
        return ["train", "attribute-field", "--config", str(config), "--out", str(out), "--threads", "1"]

    def steps_of(out, stage):
        records = map(json.loads, (out / "log.jsonl").read_text().splitlines())
        return [record["step"] for record in records if record["stage"] == stage]

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main(command(whole)) == 0
    trained = FaceField.load(whole / FILE)
    torch.manual_seed(0)
    untrained = losses_of(FaceField(trained.config))
    for name, before, after in zip(("places", "views"), untrained, losses_of(trained), strict=True):
        assert after < 0.95 * before, (name, before, after)
    card = (whole / FILE).with_suffix(".md").read_text()
    assert "train attribute-field" in card and "mean picture" in card and (whole / "sheet.png").exists()
    codes = random_view(1_030_000, 0, 16)
    linear, cover = draw_field([codes.codes], [codes.camera], FaceField.load(whole / FILE))
    assert linear.shape == (1, 16, 16, 3) and cover.shape == (1, 16, 16) and np.isfinite(linear).all()

    from ml_backend.training.attributes import train_attribute_field

    left = [30]
    usual = train_attribute_field.view_losses

    def until_the_power_fails(*given):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return usual(*given)

    monkeypatch.setattr(train_attribute_field, "view_losses", until_the_power_fails)
    with pytest.raises(KeyboardInterrupt):
        train_attribute_field.run(_arguments(command(broken)))
    monkeypatch.setattr(train_attribute_field, "view_losses", usual)
    assert main([*command(broken), "--resume"]) == 0
    assert steps_of(broken, "pictures") == steps_of(whole, "pictures"), "no step is lost or made twice"
    for before, after in zip(untrained, losses_of(FaceField.load(broken / FILE)), strict=True):
        assert after < 0.95 * before, "rounding grows in so wild a training; that it learned stays"


def _arguments(words):
    import argparse

    from ml_backend.training.attributes.train_attribute_field import add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words[2:])


@pytest.fixture
def face_file(tmp_path):
    face = BilinearFace.default()
    expression = np.zeros(52, np.float32)
    expression[face.expression_names.index("jawOpen")] = 0.3
    path = tmp_path / "face.json"
    write_face(path, FaceParameters(face.sample_identity(3), None, expression, face.fingerprint()))
    return path


def test_the_shell_draws_views_by_the_field(face_file, tmp_path, capsys):
    from PIL import Image

    pictures = {}
    for decoder in ("field", "exact"):
        words = ["--yaw", "-30:30:30", "--size", "128", "--decoder", decoder, "--json"]
        words += ["--without-detail", "--without-residual"]
        assert main(["render", str(face_file), *words, "--out", str(tmp_path / decoder)]) == 0
        files = json.loads(capsys.readouterr().out)["files"]
        pictures[decoder] = [np.asarray(Image.open(file).convert("L"), float) for file in files]
    for made, true in zip(pictures["field"], pictures["exact"], strict=True):
        assert made.shape == (128, 128)
        one, other = (np.abs(picture - picture[0, 0]) > 10 for picture in (made, true))
        assert (one & other).sum() > 0.75 * (one | other).sum(), "the same head from the same side"
    left, _, right = pictures["field"]
    assert np.abs(left - right).mean() > 3


def test_the_shell_says_that_weights_are_missing(face_file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(render_field_module, "ASSETS", tmp_path / "empty")
    words = ["--decoder", "field", "--out", str(tmp_path / "views")]
    assert main(["render", str(face_file), *words]) == 2
    said = capsys.readouterr().err
    assert "has no weights" in said and "--decoder exact" in said and not (tmp_path / "views").exists()


@pytest.mark.parametrize("angles", [(60.0, 0.0), (0.0, -30.0)])
def test_the_field_refuses_sides_that_it_has_not_learned(angles):
    identity = np.zeros(BilinearFace.default().identity_size, np.float32)
    request = RenderFaceRequest(identity, np.zeros(16, np.float32), np.zeros(52, np.float32), (angles,))
    with pytest.raises(UserError, match="has not learned a view"):
        render_field(request)


def test_the_field_refuses_a_face_of_another_model(monkeypatch):
    monkeypatch.setattr(render_field_module, "load_field", lambda: FaceField(SMALL))
    request = RenderFaceRequest(np.zeros(5, np.float32), np.zeros(16, np.float32), np.zeros(52, np.float32))
    with pytest.raises(UserError, match="another face model"):
        render_field(request)
