"""The camera of a photo depends on the face and on what the file states, never on how the picture was cut."""

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import KDTree

from ml_backend.fitting.camera_evidence import fit_photos
from ml_backend.fitting.face_fit import LandmarkModel, fit_face
from ml_backend.fitting.fit_confidence import judge_fit
from ml_backend.fitting.landmark_map import LandmarkMap
from ml_backend.fitting.landmarks import FacePoints, find_faces
from ml_backend.fitting.mirror_image import mirrored_face, mirrored_points
from ml_backend.fitting.photo_camera import POSE, CameraPose, SeenFace
from ml_backend.fitting.photo_file import read_photo
from ml_backend.geometry.camera_view import FRONTAL, Camera, rotation_about
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.simulation.portraits.painted_face import draw_head, head_colours, prepare_paint

WIDE = (3000, 2000)
"""A whole picture, pixels."""


@pytest.fixture(scope="module")
def model():
    return LandmarkModel.of(BilinearFace.default(), LandmarkMap.default())


@pytest.fixture(scope="module")
def astronaut():
    from skimage import data

    return Image.fromarray(data.astronaut())


def cosine(first, second):
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def known_camera(lens, distance, degrees, size=WIDE):
    """A whole picture's camera: lens (35 mm equivalent), the face's distance (m) and angle aside."""
    aside = np.radians(degrees)
    rotation = rotation_about(1, 0.6 * aside) @ FRONTAL
    place = np.array([np.tan(aside) * distance, -0.05, distance])
    return Camera(rotation, place, size[0] * lens / 36, *size)


def landmarks(model, camera, seed=5):
    face = BilinearFace.default()
    place, _, _ = model.points(face.sample_identity(seed).astype(float), np.zeros(52))
    return camera.project(place)[0]


def test_a_principal_point_off_the_centre_scales_with_the_picture():
    camera = Camera(np.eye(3), np.array([0, 0, 1.0]), 100.0, 60, 40, (50.0, 10.0))
    points = np.array([[0.1, 0.2, 0.0]])
    np.testing.assert_allclose(camera.project(points)[0], [[60.0, 30.0]])
    np.testing.assert_allclose(camera.resized(120, 80).project(points)[0], [[120.0, 60.0]])


def test_derivatives_of_the_projection_are_those_of_small_steps(model):
    seen = SeenFace(np.zeros((3, 2)), 500, 400)
    turn = rotation_about(1, 0.3) @ FRONTAL
    points = np.random.default_rng(0).normal(0, 0.08, (6, 3))

    def pose(step):
        made = CameraPose(
            seen,
            np.array([120.0, 90.0]),
            60.0,
            turn.copy(),
            np.array([0.2, -0.1]),
            6.5,
            -0.4,
            np.array([0.3, 0.1]),
        )
        made.move(step)
        return made

    by_pose, by_place = pose(np.zeros(POSE)).jacobian(points)
    for index in range(POSE):
        step = 1e-5 * np.eye(POSE)[index]
        ahead, behind = (pose(sign * step).camera().project(points)[0] for sign in (1, -1))
        np.testing.assert_allclose(by_pose[..., index], (ahead - behind) / 2e-5, rtol=1e-4, atol=1e-3)
    camera = pose(np.zeros(POSE)).camera()
    moved = camera.project(points + (1e-6, 0, 0))[0] - camera.project(points)[0]
    np.testing.assert_allclose(by_place[..., 0], moved / 1e-6, rtol=1e-3, atol=1e-2)


def test_where_the_face_lies_in_the_picture_and_its_size_change_nothing(model):
    points = landmarks(model, known_camera(50, 0.9, 10))
    plain = fit_face(model, [SeenFace(points, *WIDE)])
    for factor, shift, size in (
        (1.0, (900, -200), (9000, 2500)),
        (0.2, (0, 40), (600, 900)),
        (1.0, (-2500, 0), (700, 700)),
    ):
        other = fit_face(model, [SeenFace(points * factor + shift, *size)])
        np.testing.assert_allclose(other.identity, plain.identity, atol=1e-4)
        camera, before = other.views[0].camera, plain.views[0].camera
        assert camera.focal == pytest.approx(factor * before.focal, rel=1e-4)
        np.testing.assert_allclose(camera.principal_point, before.principal_point * factor + shift, atol=0.1)


def test_mirrored_landmarks_are_pairs_and_their_error_model_is_symmetric(model):
    mirror = mirrored_points(model.mean.reshape(-1, 3))
    np.testing.assert_array_equal(mirror[mirror], np.arange(478))
    assert mirror[33] == 263 and mirror[61] == 291 and mirror[1] == 1
    mean = model.noise.mean
    np.testing.assert_allclose(mean[mirror] * (-1, 1), mean, atol=1e-12)


def test_the_mirror_of_an_identity_is_the_mirrored_head(model):
    face = BilinearFace.default()
    mean = face.neutral(np.zeros(face.identity_size, np.float32))
    _, partner = KDTree(mean).query(mean * (-1, 1, 1))
    for seed in (1, 2):
        identity = face.sample_identity(seed)
        head = face.neutral(identity)
        image = face.neutral((model.mirror @ identity).astype(np.float32))
        apart = np.linalg.norm(image - head[partner] * (-1, 1, 1), axis=1)
        other = np.linalg.norm(face.neutral(identity) - head[partner] * (-1, 1, 1), axis=1)
        assert np.sqrt((apart**2).mean()) < 0.4 * np.sqrt((other**2).mean())


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_mirrored_landmarks_give_the_mirrored_person(model, seed):
    seen = SeenFace(landmarks(model, known_camera(50, 0.9, 10), seed), *WIDE)
    plain, image = fit_face(model, [seen]), fit_face(model, [mirrored_face(seen)])
    assert cosine(plain.identity, model.mirror @ image.identity) > 0.995
    assert cosine(plain.identity, BilinearFace.default().sample_identity(seed)) > 0.45
    assert image.views[0].camera.focal == pytest.approx(plain.views[0].camera.focal, rel=0.05)
    smile = [model.names.index(name) for name in ("mouthSmileLeft", "mouthSmileRight")]
    np.testing.assert_allclose(
        plain.views[0].expression[smile], image.views[0].expression[smile[::-1]], atol=0.1
    )


@pytest.mark.slow
def test_cut_padded_and_mirrored_pictures_show_the_same_person(model, astronaut):
    def fitted(image):
        faces = find_faces(np.asarray(image))
        return fit_face(model, [SeenFace(faces[0].points, *image.size)])

    plain = fitted(astronaut)
    for box in (
        (0, 0, 1024, 512),
        (0, 0, 1500, 512),
        (-900, 0, 512, 512),
        (0, -200, 512, 1300),
        (130, 0, 330, 250),
    ):
        other = fitted(astronaut.crop(box))
        assert cosine(plain.identity, other.identity) > 0.95, box
        assert abs(np.log(other.views[0].camera.focal / plain.views[0].camera.focal)) < 0.1, box
    mirrored = fitted(astronaut.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert cosine(plain.identity, model.mirror @ mirrored.identity) > 0.95


@pytest.mark.parametrize(
    ("lens", "distance", "degrees"), [(24, 0.5, 0), (24, 0.5, 25), (35, 0.7, 13), (50, 0.9, 13)]
)
def test_near_cameras_are_told_from_true_landmarks(model, lens, distance, degrees):
    camera = known_camera(lens, distance, degrees)
    view = fit_face(model, [SeenFace(landmarks(model, camera), *WIDE)]).views[0]
    assert abs(np.log(view.camera.focal / camera.focal)) < np.log(1.2)


def test_far_cameras_are_told_by_the_file_alone_and_the_fit_says_so(model):
    camera = known_camera(85, 3.0, 8)
    points = landmarks(model, camera)
    silent = fit_face(model, [SeenFace(points, *WIDE)]).views[0]
    stated = SeenFace(points, *WIDE, 85 / 36, True)
    fit, evidence = fit_photos(model, [stated])
    view = fit.views[0]
    assert evidence[0].source == "whole" and "EXIF" in evidence[0].sentence
    assert abs(np.log(view.camera.focal / camera.focal)) < 0.1
    assert np.linalg.norm(view.camera.principal_point - np.array(WIDE) / 2) < 0.05 * WIDE[0]
    near = fit_face(model, [SeenFace(landmarks(model, known_camera(24, 0.5, 0)), *WIDE)]).views[0]
    assert view.focal_spread < 0.05 < 0.3 < near.focal_spread < silent.focal_spread
    values = [
        judge_fit(item, FacePoints(points, 0.004), 0.0, 0.0, 0.0).value for item in (view, near, silent)
    ]
    assert values[0] > values[1] > values[2]


@pytest.mark.parametrize(("lens", "distance", "degrees"), [(24, 0.6, 25), (35, 1.5, 13)])
@pytest.mark.slow
def test_a_render_of_a_known_camera_is_fitted_with_the_lens_that_its_file_states(
    model, tmp_path, lens, distance, degrees
):
    face, random = BilinearFace.default(), np.random.default_rng(3)
    paint = prepare_paint(face)
    longer = round(750 * distance * 36 / lens)  # the head is some 200 pixels wide
    camera = known_camera(lens, distance, degrees, (longer, longer * 2 // 3))
    positions = paint.mesh.refine(face.evaluate(face.sample_identity(8), np.zeros(52, np.float32)))
    pixels, _ = camera.project(positions)
    low, high = np.floor(pixels.min(0)) - 30, np.ceil(pixels.max(0)) + 30
    column, row = camera.principal_point - low
    width, height = (int(side) for side in high - low)
    window = Camera(
        camera.rotation, camera.translation, camera.focal, width, height, (float(column), float(row))
    )
    light = np.zeros((9, 3))
    light[0], light[1], light[2] = 0.7, -0.2, 0.15
    drawn = draw_head(paint, positions, head_colours(paint, random), light, window, gloss=0.5, shade=1.0)
    whole = Image.new("RGB", (camera.width, camera.height), (120, 120, 120))
    whole.paste(Image.fromarray(drawn), tuple(int(value) for value in low))
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA405: lens, 0xA002: camera.width, 0xA003: camera.height})
    whole.save(tmp_path / "render.jpg", quality=95, exif=exif)
    photo = read_photo(tmp_path / "render.jpg")
    assert photo.whole and photo.focal == pytest.approx(lens / 36, rel=0.01)
    seen = SeenFace(find_faces(drawn)[0].points + low, camera.width, camera.height, photo.focal, photo.whole)
    fit, evidence = fit_photos(model, [seen])
    fitted = fit.views[0].camera
    assert evidence[0].source == "whole"
    assert abs(np.log(fitted.focal / camera.focal)) < np.log(1.2)
    assert abs(np.log(fitted.translation[2] / distance)) < np.log(1.25)
    silent = fit_face(model, [SeenFace(seen.points, camera.width, camera.height)]).views[0]
    assert abs(np.log(silent.camera.focal / camera.focal)) < 2 * silent.focal_spread
    points = FacePoints(seen.points, 0.004)
    told, guessed = (judge_fit(view, points, 0.0, 0.0) for view in (fit.views[0], silent))
    assert guessed.value < 0.85 * told.value


def test_a_lens_that_contradicts_the_face_is_not_used(model):
    points = landmarks(model, known_camera(28, 0.5, 0))
    fit, evidence = fit_photos(model, [SeenFace(points, *WIDE, 600 / 36, True)])
    free = fit_face(model, [SeenFace(points, *WIDE)])
    assert evidence[0].source == "refused" and "cut" in evidence[0].sentence
    np.testing.assert_allclose(fit.identity, free.identity, atol=1e-9)
    face = FacePoints(points, 0.004)
    doubted = judge_fit(fit.views[0], face, 0.0, 0.0, evidence[0].conflict)
    assert doubted.value < 0.8 * judge_fit(fit.views[0], face, 0.0, 0.0).value and "lens" in doubted.sentence


@pytest.mark.parametrize(
    ("stated", "size", "whole", "focal"),
    [
        ((600, 400), (600, 400), True, 50 / 36),
        ((600, 400), (300, 200), True, 50 / 36),
        ((400, 600), (600, 400), True, 50 / 36),
        ((600, 400), (800, 400), False, 50 / 36 * 600 / 800),
        ((600, 400), (300, 300), False, 50 / 36 * 600 / 300),
        ((0, 0), (600, 400), False, 50 / 36),
        ((600, 599), (600, 599), False, None),
    ],
)
def test_only_a_picture_of_the_shape_that_exif_states_is_whole(tmp_path, stated, size, whole, focal):
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA405: 50, 0xA002: stated[0], 0xA003: stated[1]})
    Image.new("RGB", size).save(tmp_path / "photo.jpg", exif=exif)
    photo = read_photo(tmp_path / "photo.jpg")
    assert photo.whole == whole and photo.lens_35mm == 50
    assert focal is None or photo.focal == pytest.approx(focal, rel=0.01)
