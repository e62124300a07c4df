"""Photographs to faces: reading any picture, landmarks, the fit, light and texture, the command."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ml_backend.__main__ import main
from ml_backend.errors import UserError
from ml_backend.fitting.degraded_photo import degrade_photo, portrait_square
from ml_backend.fitting.face_fit import LandmarkModel, fit_face
from ml_backend.fitting.fit_confidence import judge_fit
from ml_backend.fitting.fit_priors import Noise, expression_prior
from ml_backend.fitting.landmark_map import LandmarkMap
from ml_backend.fitting.landmarks import FacePoints, choose_face, find_faces
from ml_backend.fitting.photo_camera import SeenFace
from ml_backend.fitting.photo_file import read_photo
from ml_backend.fitting.unwrap_photo import TextureDomain, fill_smoothly, fit_light
from ml_backend.geometry.camera_view import FRONTAL, Camera, rasterise_view, rotation_about
from ml_backend.geometry.spherical_harmonics import harmonics
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.skin_vector import YEARS_PER_SKIN_AGE, sample_skin
from ml_backend.pipelines.fit_from_image import FitFromImageRequest, fit_from_image, likely_skin

pytestmark = pytest.mark.photo


@pytest.fixture(scope="module")
def astronaut():
    """A photograph of a smiling person that scikit-image carries, (512, 512, 3) uint8."""
    from skimage import data

    return data.astronaut()


@pytest.fixture(scope="module")
def astronaut_file(astronaut, tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "astronaut.png"
    Image.fromarray(astronaut).save(path)
    return path


@pytest.fixture(scope="module")
def model():
    return LandmarkModel.of(BilinearFace.default(), LandmarkMap.default())


def test_the_nearer_of_two_triangles_is_seen_and_perspective_is_undone():
    camera = Camera(np.eye(3), np.zeros(3), 100.0, 100, 100)
    far, near = (
        np.array([[-2, -2, 4], [2, -2, 4], [0, 3, 4]]),
        np.array([[-0.2, -0.2, 1], [0.2, -0.2, 1], [0, 0.2, 2]]),
    )
    points = np.concatenate([far, near]).astype(float)
    pixels, depth = camera.project(points)
    view = rasterise_view(pixels, depth, np.array([[0, 1, 2], [3, 4, 5]]), 100, 100)
    assert view.triangle[50, 50] == 1 and view.triangle[5, 50] == 0
    seen = view.spread(points.astype(np.float32))
    back, _ = camera.project(seen[view.mask])
    rows, columns = np.nonzero(view.mask)
    assert np.abs(back - np.stack([columns + 0.5, rows + 0.5], 1)).max() < 1e-3


def test_head_angles_are_those_that_the_head_was_turned_by():
    turned = Camera(
        rotation_about(2, 0.05) @ FRONTAL @ rotation_about(2, 0.4), np.array([0, 0, 1.0]), 100.0, 100, 100
    )
    yaw, pitch, roll = (
        turned.head_angles()
    )  # turned about Z by +0.4: what looked along -Y now looks towards +X, the person's left
    assert abs(yaw - np.degrees(0.4)) < 0.5 and abs(pitch) < 2.0 and abs(abs(roll) - np.degrees(0.05)) < 0.5


def test_products_with_the_noise_are_those_of_the_dense_inverse():
    random = np.random.default_rng(0)
    factors, own = random.standard_normal((12, 3)), random.uniform(0.5, 1.5, 12)
    jacobian, wrong = random.standard_normal((12, 4)), random.standard_normal(12)
    inverse = np.linalg.inv(factors @ factors.T + np.diag(own**2))
    product, slope = Noise.of(np.zeros(12), factors, own).products(jacobian, wrong)
    assert np.allclose(product, jacobian.T @ inverse @ jacobian) and np.allclose(
        slope, jacobian.T @ inverse @ wrong
    )


def synthetic(model, identity, expression, yaw):
    place, _, _ = model.points(identity, expression)
    camera = Camera(rotation_about(1, yaw) @ FRONTAL, np.array([0.02, -0.01, 1.1]), 1500.0, 600, 500)
    return SeenFace(camera.project(place)[0], 600, 500), camera


@pytest.mark.parametrize("yaw", [0.0, 0.5, -0.7])
def test_a_face_of_the_model_is_found_again_from_its_landmarks(model, yaw):
    face = BilinearFace.default()
    expression = np.zeros(52)
    for name in ("mouthSmileLeft", "mouthSmileRight", "jawOpen"):
        expression[face.expression_names.index(name)] = 0.6
    seen, camera = synthetic(model, face.sample_identity(5).astype(float), expression, yaw)
    view = fit_face(model, [seen]).views[0]
    assert np.median(view.residual) < 0.02 and abs(view.camera.head_angles()[0] - camera.head_angles()[0]) < 6
    smile = view.expression[face.expression_names.index("mouthSmileLeft")]
    assert 0.25 < smile < 1.0 and view.expression[face.expression_names.index("mouthPucker")] < 0.25
    assert view.expression.min() >= 0 and view.expression.max() <= 1


def test_a_photo_of_an_old_looking_shape_has_younger_skin():
    face = BilinearFace.default()

    def years(identity):
        return face.age_years(identity) + YEARS_PER_SKIN_AGE * (
            likely_skin(face, identity)[0] - sample_skin(0)[0]
        )

    usual = np.zeros(face.identity_size, np.float32)
    older = next(
        face.sample_identity(seed)
        for seed in range(50)
        if 58 < face.age_years(face.sample_identity(seed)) < 66
    )
    assert 30 < years(usual) < 40 and years(usual) < years(older) < face.age_years(older) - 10
    np.testing.assert_array_equal(likely_skin(face, older)[1:], sample_skin(0)[1:])
    assert all(abs(likely_skin(face, face.sample_identity(seed))[0]) <= 2.5 for seed in range(20))


def test_two_photos_tell_more_of_a_person_than_one(model):
    face = BilinearFace.default()
    identity = face.sample_identity(11).astype(float)
    views = [synthetic(model, identity, np.zeros(52), yaw)[0] for yaw in (-0.6, 0.6)]
    together, alone = fit_face(model, views), fit_face(model, views[:1])
    assert len(together.views) == 2
    assert np.linalg.eigvalsh(together.precision - alone.precision).mean() > 1.0

    def closeness(found):
        return found @ identity / np.linalg.norm(found) / np.linalg.norm(identity)

    assert closeness(together.identity) > max(0.6, closeness(alone.identity) - 0.02)


@pytest.mark.slow
def test_turned_covered_and_small_faces_say_how_sure_the_fit_is(model):
    def judged(yaw, points=None, scatter=0.004, degradation=0.0, covered=0.0):
        seen, _ = synthetic(model, np.zeros(128), np.zeros(52), yaw)
        found = FacePoints(seen.points if points is None else points, scatter)
        return judge_fit(
            fit_face(model, [SeenFace(found.points, 600, 500)]).views[0], found, degradation, covered
        )

    front = judged(0.0)
    assert 0.7 < front.value < 0.8 and "how far away" in front.sentence
    seen, camera = synthetic(model, np.zeros(128), np.zeros(52), 0.0)
    stated = fit_face(model, [replace(seen, focal=camera.focal / 600, whole=True)]).views[0]
    told = judge_fit(stated, FacePoints(seen.points, 0.004), 0.0, 0.0)
    assert told.value > front.value + 0.15 and told.sentence.startswith("Sure")
    side = judged(0.95)
    assert side.value < 0.6 * front.value and "turned" in side.sentence
    scattered = synthetic(model, np.zeros(128), np.zeros(52), 0.0)[0].points + np.random.default_rng(
        2
    ).normal(0, 12, (478, 2))
    assert judged(0.0, scattered).value < 0.5 and "agree" in judged(0.0, scattered).sentence
    assert judged(0.0, scatter=0.05).value < 0.5 and judged(0.0, degradation=1.0).value < 0.6
    assert judged(0.0, covered=0.1).value == front.value
    assert judged(0.0, covered=0.8).value < 0.2 and "covers" in judged(0.0, covered=0.8).sentence


@pytest.mark.slow
def test_a_mask_is_seen_and_two_photos_make_one_face(astronaut, tmp_path):
    points = find_faces(astronaut)[0].points
    masked, darker = Image.fromarray(astronaut), Image.fromarray((0.7 * astronaut).astype(np.uint8))
    low, high = points[[234, 1]].min(0), points[[454, 152]].max(0)
    ImageDraw.Draw(masked).rectangle((low[0], points[1][1], high[0], high[1]), fill=(90, 120, 160))
    paths = [tmp_path / name for name in ("masked.png", "bare.png", "darker.png")]
    for path, image in zip(paths, (masked, Image.fromarray(astronaut), darker), strict=True):
        image.save(path)
    hidden = fit_from_image(FitFromImageRequest((str(paths[0]),)), lambda share, text: None)
    assert (
        hidden.unwrapped.covered > 0.5
        and hidden.photos[0].confidence.value < 0.3
        and "covers" in hidden.photos[0].confidence.sentence
    )
    both = fit_from_image(FitFromImageRequest((str(paths[1]), str(paths[2]))), lambda share, text: None)
    assert both.unwrapped.covered < 0.12 and all(
        item.confidence.value > 0.6 and "how far away" in item.confidence.sentence for item in both.photos
    )
    seen = both.unwrapped.confidence > 0.8
    assert (
        np.abs(both.unwrapped.albedo[seen] - hidden.unwrapped.albedo[seen]).mean() > 0.01
    )  # no mask is painted on it
    assert hidden.colour.sure < both.colour.sure and "degrees" in both.colour.sentence
    assert both.colour.low < both.colour.tone < both.colour.high and len(both.colour.coefficients) == 300
    assert np.isfinite(both.colour.albedo).all() and both.colour.albedo.min() >= 0
    skin = seen & (TextureDomain.default().skin > 0.9)
    lit = both.colour.photographed[skin]
    assert np.abs(lit - both.unwrapped.texture[skin]).mean() < 0.03, "seen skin is as photographed"
    np.testing.assert_allclose(both.photos[0].expression, both.photos[1].expression, atol=0.2)


def test_covered_landmarks_lose_their_weight(model):
    seen, _ = synthetic(model, np.zeros(128), np.zeros(52), 0.0)
    points = seen.points.copy()
    points[:40] += 60.0
    view = fit_face(model, [SeenFace(points, 600, 500)]).views[0]
    assert view.weight[:40].max() < 0.2 and np.median(view.residual[40:]) < 0.02


def test_the_expression_prior_is_a_precision():
    names = BilinearFace.default().expression_names
    prior = expression_prior(names)
    assert np.allclose(prior, prior.T) and np.linalg.eigvalsh(prior).min() > 0


def test_light_is_found_in_spite_of_a_dark_patch_and_holes_are_filled_smoothly():
    random = np.random.default_rng(1)
    normals = random.standard_normal((128, 128, 3))
    normals[..., 1] = -np.abs(normals[..., 1])
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    light = np.zeros((9, 3))
    light[0], light[1], light[3] = 1.0, -0.35, np.array([0.2, 0.1, 0.3])
    texture = np.array([0.5, 0.35, 0.3]) * (harmonics(normals) @ light)
    texture[:20] *= 0.2
    found = fit_light(texture.astype(np.float32), np.ones((128, 128), np.float32), normals)
    shading, truth = harmonics(normals) @ found, harmonics(normals) @ light
    ratio = shading / truth
    assert np.ptp(np.quantile(ratio / ratio.mean((0, 1)), [0.05, 0.95])) < 0.12
    weight = np.ones((64, 64), np.float32)
    weight[20:40, 20:40] = 0
    slope = np.repeat(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], 64, 0)
    assert np.abs(fill_smoothly(slope * weight[..., None], weight) - slope).max() < 0.2


def saved(path, image, **more):
    image.save(path, **more)
    return read_photo(path)


def test_pictures_of_every_kind_become_upright_rgb(astronaut, tmp_path):
    image = Image.fromarray(astronaut).crop((100, 0, 400, 200))
    turned = Image.Exif()
    turned[0x0112] = 6
    assert saved(tmp_path / "turned.jpg", image, exif=turned).pixels.shape == (300, 200, 3)
    upright = np.asarray(image)
    grey = np.asarray(image.convert("L"))
    for name, other in (
        ("grey.png", image.convert("L")),
        ("cmyk.jpg", image.convert("CMYK")),
        ("palette.png", image.convert("P")),
    ):
        assert saved(tmp_path / name, other).pixels.shape == upright.shape
    deep = saved(tmp_path / "deep.png", Image.fromarray(grey.astype(np.uint16) * 257)).pixels
    assert np.abs(deep[..., 0].astype(int) - grey).max() <= 1
    clear = image.convert("RGBA")
    clear.putalpha(0)
    assert np.ptp(saved(tmp_path / "clear.png", clear).pixels) <= 1
    large = saved(tmp_path / "large.jpg", image.resize((3600, 2400)))
    assert large.pixels.shape == (2400, 3600, 3) and large.full_size == (3600, 2400)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_picture_is_refused_by_name(content, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.png"):
        read_photo(path)


def test_missing_tiny_and_cut_pictures_are_refused_by_name(astronaut_file, tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_photo(tmp_path / "missing.jpg")
    with pytest.raises(UserError, match="hold no face"):
        saved(tmp_path / "tiny.png", Image.new("RGB", (8, 8)))
    cut = tmp_path / "cut.png"
    cut.write_bytes(astronaut_file.read_bytes()[:20_000])
    with pytest.raises(UserError, match=r"cut\.png"):
        read_photo(cut)


def test_faces_are_found_counted_and_chosen(astronaut):
    small = np.array(Image.fromarray(astronaut).resize((300, 300)))
    both = np.full((512, 812, 3), 90, np.uint8)
    both[:300, :300], both[:, 300:] = small, astronaut
    faces = find_faces(both)
    assert len(faces) == 2 and faces[0].size > faces[1].size
    assert choose_face(faces, 1, "both") is faces[1] and choose_face(faces, None, "both") is faces[0]
    with pytest.raises(UserError, match="no face 3"):
        choose_face(faces, 3, "both")
    with pytest.raises(UserError, match="no face was found"):
        choose_face(find_faces(np.full((200, 200, 3), 128, np.uint8)), None, "blank")


def test_a_bad_copy_of_a_photo_is_still_fitted(astronaut, model):
    face = find_faces(astronaut)[0]
    small = degrade_photo(astronaut, *portrait_square(face.points))
    assert small.shape == (64, 64, 3)
    found = find_faces(small)
    assert found
    view = fit_face(model, [SeenFace(found[0].points, 64, 64)]).views[0]
    assert np.median(view.residual) < 0.05


@pytest.mark.slow
def test_the_command_writes_what_was_asked_for(astronaut_file, tmp_path, capsys):
    out = {name: tmp_path / f"face.{name}" for name in ("json", "exr", "obj", "png")}
    albedo = tmp_path / "albedo.png"
    argv = [
        "fit",
        str(astronaut_file),
        "--out",
        str(out["json"]),
        "--map",
        str(out["exr"]),
        "--mesh",
        str(out["obj"]),
    ]
    assert main([*argv, "--preview", str(out["png"]), "--albedo", str(albedo), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["photos"][0]["sure"] > 0.5 and told["photos"][0]["reprojection"] < 0.03
    face = json.loads(out["json"].read_text())
    assert len(face["identity"]) == 128 and max(abs(value) for value in face["identity"]) < 4
    assert face["expression"]["mouthSmileLeft"] > 0.2 and all(
        0 <= value <= 1 for value in face["expression"].values()
    )
    with Image.open(albedo) as skin:
        colours = np.asarray(skin)
    middle = colours[400:700, 350:680].reshape(-1, 3).mean(0)
    assert colours.shape == (1024, 1024, 3) and middle[0] > middle[2] + 10  # skin is redder than blue
    assert (
        sum(line.startswith("v ") for line in out["obj"].open()) > 60_000 and out["exr"].stat().st_size > 1000
    )
    with Image.open(out["png"]) as preview:
        assert preview.size == (2048, 512)


def test_the_command_names_what_is_wrong(tmp_path, capsys):
    assert main(["fit", str(tmp_path / "none.jpg"), "--out", str(tmp_path / "face.json")]) == 2
    assert "none.jpg" in capsys.readouterr().err
    assert main(["fit", str(tmp_path / "none.jpg"), "--out", str(tmp_path / "face.txt")]) == 2
    assert "face.txt" in capsys.readouterr().err and not (tmp_path / "face.txt").exists()


def test_a_model_file_that_is_none_is_refused(astronaut, tmp_path):
    path = tmp_path / "face_landmarker.task"
    path.write_bytes(b"not a model")
    with pytest.raises(UserError, match=r"face_landmarker\.task"):
        find_faces(astronaut, path)
