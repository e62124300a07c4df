"""Attributes of one face on another; a light as lamps; pictures of a face; the shell's two commands."""

import json

import numpy as np
import pytest

from ml_backend.__main__ import main
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.face_file import FaceParameters, read_face, write_face
from ml_backend.geometry.light_sources import light_sources, sphere_points
from ml_backend.geometry.spherical_harmonics import harmonics
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.face_attributes import REGION_PREFIXES, FaceAttributes, region_mask, transferred
from ml_backend.models.skin_vector import sample_skin


def expression(**values):
    return np.array([values.get(name, 0.0) for name in EXPRESSION_NAMES], np.float32)


def known(values):
    assert values is not None
    return values


def test_every_coefficient_is_in_one_region():
    masks = np.stack([region_mask([region]) for region in REGION_PREFIXES])
    assert (masks.sum(0) == 1).all()


def test_only_what_is_asked_for_changes():
    one = FaceAttributes(shape=np.ones(4), expression=expression(jawOpen=1, browInnerUp=1), pose=np.zeros(3))
    other = FaceAttributes(shape=-np.ones(4), expression=expression(mouthSmileLeft=1), skin=np.ones(16))
    mixed = transferred(one, other, {"expression": 0.5}, ["mouth"])
    np.testing.assert_allclose(
        known(mixed.expression), expression(jawOpen=0.5, browInnerUp=1, mouthSmileLeft=0.5)
    )
    assert mixed.shape is one.shape and mixed.skin is None
    twice = transferred(one, other, {"shape": 2.0, "skin": 0.25})
    np.testing.assert_allclose(known(twice.shape), -3)
    np.testing.assert_allclose(known(twice.skin), 0.25)


@pytest.mark.parametrize("amounts", [{"pose": 1.0}, {"shape": -0.1}, {"shape": float("nan")}, {"shape": 3.0}])
def test_what_cannot_be_given_is_refused(amounts):
    one = FaceAttributes(shape=np.ones(4), pose=np.ones(3))
    with pytest.raises(ValueError):
        transferred(one, FaceAttributes(shape=np.ones(4)), amounts)


def test_lamps_shade_a_face_as_the_light_they_come_from():
    normals = sphere_points(500)
    normals = normals[normals[:, 1] < -0.1]
    random = np.random.default_rng(4)
    for _ in range(5):
        direction = random.normal(size=3) * (1, 0, 0.6) - (0, 1, 0)
        direction /= np.linalg.norm(direction)
        light = 0.6 * harmonics(direction[None])[0][:, None] * ([0.0], *[[1.0]] * 3, *[[0.4]] * 5)
        light = light * (1.0, 0.9, 0.8)
        light[0] = 1.0
        setup = light_sources(light)
        wanted = np.clip(harmonics(normals) @ light, 0, None)
        assert np.abs(setup.shading(normals) - wanted).mean() < 0.09 * wanted.mean()
        mixed = sum(lamp.direction * lamp.colour.sum() for lamp in setup.lamps)
        assert mixed @ direction / np.linalg.norm(mixed) > np.cos(np.radians(20))


def test_even_light_needs_no_lamp():
    light = np.zeros((9, 3))
    light[0] = 0.7, 0.8, 0.9
    setup = light_sources(light)
    assert not setup.lamps
    np.testing.assert_allclose(setup.surround, light[0], rtol=1e-6)


@pytest.fixture
def two_faces(tmp_path):
    face = BilinearFace.default()
    light = np.zeros((9, 3), np.float32)
    light[0], light[1] = 1.0, -0.4
    paths = []
    for seed, values, lit in ((1, {}, None), (2, {"jawOpen": 0.8}, light)):
        path = tmp_path / f"face{seed}.json"
        write_face(
            path,
            FaceParameters(
                face.sample_identity(seed),
                sample_skin(seed),
                expression(**values),
                face.fingerprint(),
                lit,
                None if lit is None else np.array([10.0, 0, 0]),
            ),
        )
        paths.append(path)
    return paths


def test_light_and_pose_survive_a_file(two_faces):
    read = read_face(two_faces[1])
    assert read.light.shape == (9, 3) and read.light[1, 0] == pytest.approx(-0.4)
    np.testing.assert_array_equal(read.pose, [10, 0, 0])
    assert read_face(two_faces[0]).light is None


def test_the_shell_transfers(two_faces, tmp_path, capsys):
    out = tmp_path / "out.json"
    words = ["--from", str(two_faces[1]), "--to", str(two_faces[0]), "--out", str(out), "--json"]
    assert main(["transfer", *words, "--attributes", "expression=0.5,light"]) == 0
    assert json.loads(capsys.readouterr().out)["attributes"] == {"expression": 0.5, "light": 1.0}
    made, target, source = (read_face(path) for path in (out, *two_faces))
    np.testing.assert_allclose(known(made.identity), known(target.identity), atol=1e-5)
    np.testing.assert_allclose(made.expression, source.expression / 2, atol=1e-6)
    np.testing.assert_allclose(known(made.light), known(source.light), atol=1e-6)
    assert made.pose is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--attributes", "hat"], "not an attribute"),
        (["--attributes", ""], "No attribute"),
        (["--attributes", "shape=much"], "not NAME"),
        (["--attributes", "shape=9"], "amount"),
        (["--attributes", "expression", "--regions", "ears"], "not a region"),
        (["--attributes", "light"], "shows no light"),
    ],
)
def test_the_shell_says_what_it_cannot_transfer(two_faces, tmp_path, capsys, words, said):
    out = tmp_path / "out.json"
    given = ["--from", str(two_faces[0]), "--to", str(two_faces[1]), "--out", str(out)]
    assert main(["transfer", *given, *words]) == 2
    assert said in capsys.readouterr().err and not out.exists()


def test_the_shell_draws_views(two_faces, tmp_path, capsys):
    from PIL import Image

    out = tmp_path / "views"
    words = ["--yaw", "-30:30:30", "--size", "96", "--without-detail", "--without-residual"]
    words += ["--out", str(out), "--json"]
    assert main(["render", str(two_faces[1]), *words]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    pictures = [np.asarray(Image.open(file).convert("L"), float) for file in files]
    assert len(pictures) == 3 and all(picture.shape == (96, 96) for picture in pictures)
    covered = [np.abs(picture - picture[0, 0]) > 8 for picture in pictures]
    columns = np.nonzero(covered[1])[1]
    assert 30 < columns.mean() < 66 and covered[1][60:, 40:56].mean() > covered[1][:20, 40:56].mean()
    assert (covered[0][:, ::-1] ^ covered[2]).mean() < 0.5 * (covered[0] ^ covered[2]).mean()


@pytest.mark.parametrize(
    "words", [["--yaw", "east"], ["--yaw", "0:90:-10"], ["--yaw", "120"], ["--size", "5"]]
)
def test_the_shell_refuses_views(two_faces, tmp_path, capsys, words):
    assert main(["render", str(two_faces[0]), *words, "--out", str(tmp_path / "v")]) == 2
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize(("yaw", "pitch"), [(30.0, 0.0), (-40.0, -20.0), (25.0, 10.0)])
def test_views_are_turned_as_asked(yaw, pitch):
    from ml_backend.models.head_field.framing import view_camera

    face = BilinearFace.default()
    camera = view_camera(face, yaw, pitch, 256)
    np.testing.assert_allclose(camera.head_angles(), (yaw, pitch, 0.0), atol=1e-6)
    nose, eye = (face.mean[face.landmarks[name]].mean(0) for name in ("nose_tip", "eye_left"))
    (nose_at, eye_at), _ = camera.project(np.stack([nose, eye]))
    assert np.sign(nose_at[0] - 128) == np.sign(yaw), "turned to the person's left, the nose goes right"
    assert eye_at[0] > 128 or yaw < 0
