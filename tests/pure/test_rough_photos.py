"""Photos that are turned, cut, dark or drawn: the fit says what is wrong with them."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ml_backend.errors import UserError
from ml_backend.fitting.camera_evidence import fit_photos
from ml_backend.fitting.fit_confidence import FacePicture, judge_fit
from ml_backend.fitting.landmarks import find_faces
from ml_backend.fitting.photo_camera import SeenFace
from ml_backend.fitting.upright_face import find_photo_face
from ml_backend.pipelines.fit_from_image import degradation_of, landmark_model


@pytest.fixture(scope="module")
def astronaut():
    from skimage import data

    return Image.fromarray(data.astronaut()).crop((60, 0, 390, 330))


@pytest.fixture(scope="module")
def plain(astronaut):
    return find_faces(np.asarray(astronaut))[0]


def judged(image, face):
    pixels = np.asarray(image)
    fit, _ = fit_photos(landmark_model(), [SeenFace(face.points, *image.size)])
    return judge_fit(fit.views[0], face, degradation_of(face), 0.0, 0.0, FacePicture.of(pixels, face.points))


def drawing():
    image = Image.new("RGB", (400, 400), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    draw.ellipse((70, 25, 330, 375), outline=(0, 0, 0), fill=(240, 200, 170), width=5)
    for x in (149, 251):
        draw.ellipse((x - 32, 145, x + 32, 181), fill=(255, 255, 255), outline=(0, 0, 0), width=4)
        draw.ellipse((x - 13, 150, x + 13, 176), fill=(60, 40, 20))
        draw.arc((x - 45, 105, x + 45, 155), 200, 340, fill=(0, 0, 0), width=6)
    draw.line((200, 165, 184, 245, 214, 250), fill=(0, 0, 0), width=4)
    draw.arc((144, 255, 256, 325), 20, 160, fill=(150, 0, 0), width=7)
    return image


@pytest.mark.parametrize("quarters", [2, 1, 3])
def test_a_turned_photo_is_turned_back_and_its_points_stay_in_its_own_pixels(astronaut, plain, quarters):
    turned = np.ascontiguousarray(np.rot90(np.asarray(astronaut), quarters))
    found = find_photo_face(turned, None, None, "turned.png")
    assert found.count == 1 and found.face.scatter < 0.012
    width, height = astronaut.size
    column, row = plain.points.T
    truth = {1: (row, width - column), 2: (width - column, height - row), 3: (height - row, column)}[quarters]
    apart = np.linalg.norm(found.face.points - np.stack(truth, 1), axis=1)
    assert np.median(apart) < 3.0
    assert found.quarters == (4 - quarters) % 4


def test_an_upright_photo_is_not_turned_and_a_blank_one_shows_no_face(astronaut, plain):
    found = find_photo_face(np.asarray(astronaut), None, None, "plain.png")
    assert found.quarters == 0 and np.array_equal(found.face.points, plain.points)
    with pytest.raises(UserError, match=r"blank\.png: no face was found"):
        find_photo_face(np.full((120, 160, 3), 128, np.uint8), None, None, "blank.png")


def test_a_face_cut_in_half_is_named_as_cut(astronaut, plain):
    assert judged(astronaut, plain).value > 0.6  # without a lens no photo is sure
    middle = int(plain.points[1, 0])
    for box in ((middle, 0, *astronaut.size), (0, 0, middle, astronaut.height)):
        half = astronaut.crop(box)
        confidence = judged(half, find_faces(np.asarray(half))[0])
        assert confidence.value < 0.5 and "cut off" in confidence.sentence


@pytest.mark.parametrize("share", [0.04, 0.08])
def test_an_almost_black_photo_is_no_sure_fit(astronaut, plain, share):
    dark = Image.fromarray((np.asarray(astronaut) * share).astype(np.uint8))
    confidence = judged(dark, plain)
    assert confidence.value < 0.2 and "black" in confidence.sentence


def test_a_crude_drawing_is_no_sure_fit(tmp_path):
    drawing().save(tmp_path / "drawing.jpg", quality=75)
    for image in (drawing(), Image.open(tmp_path / "drawing.jpg").convert("RGB")):
        faces = find_faces(np.asarray(image))
        assert faces
        confidence = judged(image, faces[0])
        assert confidence.value < 0.4 and "drawing" in confidence.sentence


def test_compression_alone_makes_no_drawing(astronaut, plain, tmp_path):
    astronaut.save(tmp_path / "poor.jpg", quality=20)
    picture = FacePicture.of(np.asarray(Image.open(tmp_path / "poor.jpg")), plain.points)
    assert picture.flat < 0.3 and picture.contrast > 60 and picture.outside == 0
