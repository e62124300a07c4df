"""Faces and their points: boxes from a detector, turned squares, small, turned and several faces."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from ml_backend.errors import UserError
from ml_backend.fitting import landmark_networks, photo_file
from ml_backend.fitting.face_detector import (
    DetectedFace,
    anchors,
    decode,
    detect_in_tiles,
    detect_turned,
    detect_whole,
    merge_overlapping,
    tile_sides,
)
from ml_backend.fitting.face_mesh import face_points, settled_square, square_about_face, square_of_points
from ml_backend.fitting.face_square import PictureSquare, level_square
from ml_backend.fitting.landmark_networks import carried_file, load_networks, without_notices
from ml_backend.fitting.landmarks import find_faces, interocular_distance
from ml_backend.fitting.mesh_layout import MIRRORED
from ml_backend.fitting.photo_file import read_photo

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """A smiling person's face, (300, 300, 3) uint8."""
    return np.ascontiguousarray(astronaut()[:300, 80:380])


@pytest.fixture(scope="module")
def points(portrait) -> np.ndarray:
    return find_faces(portrait)[0].points


def apart(points: np.ndarray, expected: np.ndarray) -> float:
    """The median distance of points (478, 2), in inter-ocular distances."""
    return float(np.median(np.linalg.norm(points - expected, axis=1)) / interocular_distance(expected))


def box_at(left: float, top: float, side: float, score: float, turn: float = 0.0) -> DetectedFace:
    keypoints = np.full((6, 2), (left + side / 2, top + side / 2))
    keypoints[1] += side / 4 * np.array([np.cos(turn), np.sin(turn)])
    return DetectedFace(np.array([[left, top], [left + side, top + side]]), keypoints, score)


@pytest.mark.parametrize(("side", "count"), [(128, 896), (256, 896), (192, 2304)])
def test_anchors_cover_the_picture_evenly(side, count):
    places = anchors(side, count)
    assert places.shape == (count, 2) and places.min() > 0 and places.max() < 1
    np.testing.assert_allclose(places.mean(0), 0.5)
    with pytest.raises(ValueError, match="897 rows"):
        anchors(side, 897)


def test_a_detectors_numbers_become_a_box_in_its_place():
    regressors, logits = np.zeros((1, 896, 16), np.float32), np.full((1, 896, 1), -200, np.float32)
    regressors[0, 0, :4] = (12, 20, 32, 64)
    logits[0, 0] = 3
    shapes, scores = decode(regressors, logits, 128)
    first = anchors(128, 896)[0]
    np.testing.assert_allclose(shapes[0, 0], first + (12 / 128 - 0.125, 20 / 128 - 0.25))
    np.testing.assert_allclose(shapes[0, 1], first + (12 / 128 + 0.125, 20 / 128 + 0.25))
    assert abs(scores[0] - 1 / (1 + np.exp(-3))) < 1e-6 and scores[1:].max() < 1e-30


def test_overlapping_boxes_become_their_weighted_mean_and_other_turns_are_dropped():
    merged = merge_overlapping(
        [
            box_at(0, 0, 100, 0.9),
            box_at(10, 0, 100, 0.45),
            box_at(300, 0, 50, 0.6),
            box_at(5, 5, 95, 0.5, np.pi),
        ]
    )
    assert [face.score for face in merged] == [0.9, 0.6]
    np.testing.assert_allclose(merged[0].box, [[10 / 3, 0], [100 + 10 / 3, 100]])
    assert merged[0].right @ (1, 0) > 0.99
    np.testing.assert_array_equal(merged[1].box, [[300, 0], [350, 50]])


@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 2, -2.5])
@pytest.mark.parametrize("side", [30.0, 120.0, 700.0])
def test_a_square_shows_the_picture_where_its_points_say(angle, side):
    down, across = np.mgrid[:400, :500]
    pixels = np.stack([across / 2, down / 2, down * 0 + 50], -1).astype(np.uint8)
    square = PictureSquare(np.array([250.0, 200.0]), np.array([np.cos(angle), np.sin(angle)]), side)
    shown = square.cut(pixels, 64)
    assert shown.shape == (64, 64, 3) and shown.dtype == np.float32
    rows, columns = np.mgrid[4:60:8, 4:60:8]
    places = square.to_picture(np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], 1) / 64)
    inside = (places > 4).all(1) & (places < (496, 396)).all(1)
    seen = shown[rows.ravel(), columns.ravel(), :2] * 255 * 2 + 0.5
    assert inside.sum() > 15 and np.abs(seen - places)[inside].max() < 3.5


def test_beyond_the_picture_its_edge_goes_on():
    pixels = np.full((40, 40, 3), 90, np.uint8)
    for centre in ((-200.0, 20.0), (20.0, 300.0), (39.0, 0.0), (500.0, -500.0)):
        shown = PictureSquare(np.array(centre), np.array([0.6, 0.8]), 50.0).cut(pixels, 32)
        np.testing.assert_allclose(shown, 90 / 255, atol=1e-6)


def test_a_level_square_holds_its_points():
    corners = np.array([[0, 0], [100, 0], [100, 60], [0, 60]], float)
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    square = level_square(corners @ turn, 0, 1, 1.5)
    np.testing.assert_allclose(square.right, [0.8, 0.6])
    assert abs(square.side - 150) < 1e-9
    np.testing.assert_allclose(square.centre, corners.mean(0) @ turn)


def test_two_eyes_of_a_mirrored_face_are_placed_alike(portrait, points):
    mirrored = find_faces(np.ascontiguousarray(portrait[:, ::-1]))[0].points
    mirrored[:, 0] = 300 - mirrored[:, 0]
    unit = interocular_distance(points)
    pairs = ((468, 473), (33, 263), (133, 362), (159, 386), (145, 374), (105, 334), (469, 476), (470, 475))
    for right, left in pairs:
        assert np.linalg.norm(mirrored[left] - points[right]) < 0.06 * unit, (right, left)


def test_the_same_points_are_found_from_any_rough_square(portrait, points):
    networks = load_networks()
    (face,) = detect_whole(networks, Image.fromarray(portrait))
    square = square_about_face(networks.detectors[0], portrait, face)
    for scale in (0.75, 1.0, 1.5):
        settled = settled_square(networks, portrait, square.moved(scale, (0.05, -0.05), 0.2))
        assert settled is not None
        again, presence = face_points(networks, portrait, settled)
        assert presence > 0.9 and apart(again, points) < 0.02
    assert settled_square(networks, np.full((300, 300, 3), 120, np.uint8), square) is None


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_faces_on_their_side_and_upside_down_are_found(portrait, points, quarters):
    turned = np.ascontiguousarray(np.rot90(portrait, quarters))
    placed = points - 150
    for _ in range(quarters):
        placed = np.stack([placed[:, 1], -placed[:, 0]], 1)
    (face,) = find_faces(turned)
    assert apart(face.points, placed + 150) < 0.03


@pytest.mark.parametrize("degrees", [35, 140])
def test_a_face_at_an_angle_is_found(portrait, points, degrees):
    turned = np.asarray(Image.fromarray(portrait).rotate(degrees, fillcolor=(90, 90, 90)))
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    (face,) = find_faces(turned)
    assert apart(face.points, (points - 150) @ rotation.T + 150) < 0.04


@pytest.mark.parametrize("size", [110, 200])
def test_a_small_face_in_a_large_picture_is_found_at_full_size(portrait, points, size):
    canvas = np.full((2000, 3000, 3), (105, 110, 120), np.uint8)
    canvas[1300 : 1300 + size, 2200 : 2200 + size] = np.asarray(
        Image.fromarray(portrait).resize((size, size))
    )
    (face,) = find_faces(canvas)
    assert apart(face.points, points * size / 300 + (2200, 1300)) < 0.04


def test_a_face_in_a_panorama_is_found(portrait, points):
    canvas = np.full((500, 5000, 3), (150, 140, 120), np.uint8)
    canvas[150:450, 4100:4400] = portrait
    (face,) = find_faces(canvas)
    assert apart(face.points, points + (4100, 150)) < 0.03


@pytest.mark.slow
def test_small_faces_beside_each_other_are_all_found(portrait):
    canvas = np.full((900, 1600, 3), (105, 110, 120), np.uint8)
    small = np.asarray(Image.fromarray(portrait).resize((200, 200)))
    corners = ((100, 100), (700, 500), (1300, 200))
    for left, top in corners:
        canvas[top : top + 200, left : left + 200] = small
    faces = sorted(find_faces(canvas), key=lambda face: face.points[:, 0].mean())
    assert len(faces) == 3
    for face, corner in zip(faces, corners, strict=True):
        assert np.linalg.norm(face.points.mean(0) - corner - (97, 82)) < 25


def test_pictures_without_a_face_have_none():
    random = np.random.default_rng(0)
    noise = random.integers(0, 255, (400, 600, 3)).astype(np.uint8)
    for pixels in (np.full((200, 300, 3), 128, np.uint8), noise):
        assert find_faces(pixels) == []


def test_tiles_find_a_face_once_where_the_whole_picture_may_not(portrait):
    canvas = np.full((1200, 1200, 3), 110, np.uint8)
    canvas[700:850, 300:450] = np.asarray(Image.fromarray(portrait).resize((150, 150)))
    picture, networks = Image.fromarray(canvas), load_networks()
    (face,) = detect_in_tiles(networks, picture, 400)
    middle = face.box.mean(0)
    assert np.abs(middle - (300 + 72, 700 + 65)).max() < 15 and 25 < face.side < 70
    sides = list(tile_sides(4000, 3000))
    assert sides == [2400, 1200, 600, 300] and list(tile_sides(400, 300)) == []


def test_a_turned_picture_gives_boxes_of_the_picture_itself(portrait):
    networks = load_networks()
    for quarters in (1, 2, 3):
        turned = Image.fromarray(np.ascontiguousarray(np.rot90(portrait[:, :260], quarters)))
        best = max(detect_turned(networks, turned), key=lambda face: face.score)
        eyes = best.keypoints[:2].mean(0)
        place = {1: (105, 117), 2: (117, 195), 3: (195, 143)}[quarters]
        assert np.linalg.norm(eyes - place) < 15


def test_photos_are_read_at_full_size_up_to_a_bound(tmp_path, monkeypatch):
    path = tmp_path / "large.jpg"
    Image.new("RGB", (4000, 3000), (90, 80, 70)).save(path)
    photo = read_photo(path)
    assert photo.pixels.shape == (3000, 4000, 3) and photo.full_size == (4000, 3000)
    monkeypatch.setattr(photo_file, "LARGEST_SIDE", 1000)
    photo = read_photo(path)
    assert photo.pixels.shape == (750, 1000, 3) and photo.full_size == (4000, 3000)


@pytest.mark.parametrize(
    ("mesh", "words"), [("iris_landmark.tflite", "no 478 points"), ("face_landmark.tflite", "no 478 points")]
)
def test_a_model_file_with_another_network_is_refused_by_name(tmp_path, mesh, words):
    path = tmp_path / "other.task"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("face_detector.tflite", carried_file("face_detection_short_range.tflite"))
        archive.writestr("face_landmarks_detector.tflite", carried_file(mesh))
    with pytest.raises(UserError, match=f"other.task.*{words}"):
        load_networks(str(path))


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04" + b"\0" * 60])
def test_a_broken_model_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "broken.task"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.task.*not a face landmark model"):
        load_networks(str(path))
    with pytest.raises(UserError, match=r"missing\.task: no such file"):
        load_networks(str(tmp_path / "missing.task"))


def test_missing_networks_are_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(landmark_networks, "PACKAGE", "no_such_package_of_networks")
    with pytest.raises(UserError, match="The landmark networks are not installed") as caught:
        carried_file("face_landmark.tflite")
    assert "--no-deps" in caught.value.remedy


def test_the_mirror_image_is_a_pairing_that_keeps_the_middle_line(points):
    np.testing.assert_array_equal(MIRRORED[MIRRORED], np.arange(478))
    middle = np.flatnonzero(np.arange(478) == MIRRORED)
    assert len(middle) == 28 and set(middle.tolist()) >= {1, 10, 152, 0, 17, 13, 14, 168}
    for right, left in ((33, 263), (61, 291), (105, 334), (234, 454), (468, 473), (469, 476), (160, 387)):
        assert MIRRORED[right] == left
    assert (points[MIRRORED[234]] - points[234])[0] > interocular_distance(points)


def test_a_mirrored_look_sees_the_same_face(portrait, points):
    networks = load_networks()
    square = square_of_points(points)
    plain, _ = face_points(networks, portrait, square)
    mirrored, presence = face_points(networks, portrait, square, mirrored=True)
    assert presence > 0.9 and apart(mirrored, plain) < 0.06
    swapped, _ = face_points(networks, np.ascontiguousarray(portrait[:, ::-1]), reflected(square))
    swapped = swapped[MIRRORED] * (-1, 1) + (300, 0)
    assert apart(swapped[:468], mirrored[:468]) < 0.004


def reflected(square: PictureSquare) -> PictureSquare:
    """The square in a picture of 300 pixels that is mirrored."""
    return PictureSquare(
        np.array([300 - square.centre[0], square.centre[1]]), square.right * (1, -1), square.side
    )


def test_loading_the_networks_prints_nothing():
    module = "ml_backend.fitting.landmark_networks"
    code = f"from {module} import load_networks; print(len(load_networks().detectors))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3" and done.stderr == ""


def test_notices_are_dropped_and_errors_are_passed_on(capfd):
    with without_notices():
        os.write(2, b"INFO: a notice\nERROR: a fault\n")
    assert capfd.readouterr().err == "ERROR: a fault\n"
    with pytest.raises(ValueError, match="broken"), without_notices():
        raise ValueError("broken")
    os.write(2, b"INFO: later\n")
    assert capfd.readouterr().err == "INFO: later\n"
