"""A person of an earlier face model is the same person on another: shapes, directions, face files, clips."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from other_face_model import SHIFT, make_other_model

from ml_backend.errors import UserError
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.curve_file import read_curves
from ml_backend.files.face_file import FaceParameters, read_face, write_face
from ml_backend.files.tensor_file import read_tensors, write_tensors
from ml_backend.geometry.similarity import fit_similarity
from ml_backend.geometry.surface_places import closest_places
from ml_backend.models import earlier_face as earlier_module
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.models.earlier_face import EarlierFace, PersonCarrier, carry_face, earlier_face
from tools.earlier_face_model import keep_points

EARLIER = Path(__file__).resolve().parents[1] / "blender" / "earlier"


@pytest.fixture(scope="module")
def old() -> BilinearFace:
    """A model that is replaced: the embedded one."""
    return BilinearFace.default()


@pytest.fixture(scope="module")
def known(old) -> EarlierFace:
    """The points that are kept of it: the shipped ones while they are its own, else points chosen now."""
    return earlier_face() if earlier_face().fingerprint == old.fingerprint() else keep_points(old, 300)


@pytest.fixture(scope="module")
def other(old) -> BilinearFace:
    """The model that takes its place."""
    return make_other_model(old)


def skin_of(old, other) -> tuple[np.ndarray, np.ndarray]:
    """The old model's vertices of the skin, and the same places on the other."""
    skin = np.flatnonzero(old.vertex_part == 0)
    same = [int(np.linalg.norm(other.mean - place - SHIFT, axis=1).argmin()) for place in old.mean[skin]]
    return skin, np.array(same)


def apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Distances in millimetres after a rigid motion."""
    return 1000 * np.linalg.norm(fit_similarity(one, other, scale=False)(one) - other, axis=1)


def test_the_package_knows_the_earlier_model():
    kept = earlier_face()
    assert 200 <= len(kept.mean) <= 400 and kept.identity_size == 128 and len(kept.direction_names) == 22
    assert earlier_module.DEFAULT_FILE.stat().st_size < 300_000
    assert kept.fingerprint == "4590ca34783cfb43" and kept.mesh_vertices == 72_409


def test_its_points_are_those_of_the_model(old, known):
    person = old.sample_identity(4)
    shape = old.neutral(person)
    for name, points in known.marks.items():
        error = np.abs(known.neutral(person)[points] - shape[old.landmarks[name]]).max()
        assert error < 2e-5, (name, error)
    age = old.direction_names.index("age")
    low = abs(float(old.direction_ranges[age, 0]))
    np.testing.assert_allclose(known.direction_step("age", -0.5), -0.5 * low * old.directions[age], atol=1e-6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_person_keeps_the_shape_on_a_model_with_another_basis_and_mesh(old, known, other, seed):
    person = old.sample_identity(seed)
    found = PersonCarrier.between(known, other).carry(person)
    carried, error = found.identity, found.error_mm
    np.testing.assert_allclose(found.placement.offset, SHIFT, atol=3e-3)
    skin, same = skin_of(old, other)
    distances = apart(old.neutral(person)[skin], other.neutral(carried)[same])
    mean_person = apart(old.neutral(person)[skin], old.mean[skin])
    print(
        f"{error:.3f} mm at the points, {distances.mean():.3f} mm over the skin, of {mean_person.mean():.2f}"
    )
    assert error < 0.5
    assert distances.mean() < 0.16 * mean_person.mean()


def test_a_smaller_model_gives_nearly_its_nearest_person(old, known):
    smaller = make_other_model(old, modes=40)
    person = old.sample_identity(7)
    carried = PersonCarrier.between(known, smaller).carry(person).identity
    skin, same = skin_of(old, smaller)
    shape = old.neutral(person)[skin]
    modes = (smaller.core[1:, 0] @ smaller.basis).reshape(40, -1, 3)[:, same].reshape(40, -1)
    best = np.linalg.lstsq(modes.T, (shape - old.mean[skin]).ravel(), rcond=None)[0]
    reached, least = (
        apart(shape, smaller.neutral(found.astype(np.float32))[same]).mean() for found in (carried, best)
    )
    print(f"{reached:.3f} mm, the least with every vertex known {least:.3f} mm")
    assert reached < 1.6 * least


def test_the_mean_person_stays_the_mean_person(known, other):
    carried = PersonCarrier.between(known, other).carry(np.zeros(known.identity_size, np.float32))
    assert carried.error_mm < 0.1 and np.abs(carried.identity).max() < 0.5


def test_a_model_without_common_landmarks_is_refused(old, known):
    with pytest.raises(UserError, match="too few landmarks"):
        PersonCarrier.between(known, dataclasses.replace(old, landmarks={}, _cache={}))


def test_a_line_with_other_vertices_is_followed_by_length(old, known, other):
    halved = {
        name: indices[::2] if name.startswith("lid_") else indices
        for name, indices in other.landmarks.items()
    }
    coarser = dataclasses.replace(other, landmarks=halved, _cache={})
    assert PersonCarrier.between(known, coarser).carry(old.sample_identity(2)).error_mm < 0.25


def test_an_earlier_face_file_opens_with_the_embedded_model(old):
    stored = read_face(EARLIER / "ada.json")
    assert stored.model == "" and stored.identity is not None
    opened, said = carry_face(stored, old, "ada.json")
    assert opened.model == old.fingerprint() and opened.identity is not None
    assert opened.identity.shape == (old.identity_size,)
    if old.fingerprint() == earlier_face().fingerprint:
        assert said == ""
        np.testing.assert_array_equal(opened.identity, stored.identity)
    else:
        assert "its person was carried over" in said


@pytest.mark.parametrize("name", ["ada.json", "preset_character.json"])
def test_an_earlier_face_file_is_carried_over(other, name):
    stored = read_face(EARLIER / name)
    carried, said = carry_face(stored, other, name)
    assert said.startswith(f"{name} was made with an earlier face model: its person was carried over")
    assert carried.model == other.fingerprint()
    np.testing.assert_array_equal(carried.expression, stored.expression)
    assert carried.skin is stored.skin and carried.identity is not None and stored.identity is not None
    now, before = other.neutral(carried.identity), earlier_face().neutral(stored.identity)
    marks = earlier_face().marks
    average = earlier_face().mean
    for first, second in (("nose_tip", "chin_tip"), ("eye_outer_left", "eye_outer_right")):
        was, usual = (
            np.linalg.norm(head[marks[first][0]] - head[marks[second][0]]) for head in (before, average)
        )
        measured, mean = (
            np.linalg.norm(head[other.landmarks[first][0]] - head[other.landmarks[second][0]])
            for head in (now, other.mean)
        )
        assert measured / mean == pytest.approx(was / usual, abs=0.04)


def test_new_face_files_name_their_model_and_come_back_unchanged(old, tmp_path):
    path = tmp_path / "face.json"
    person = old.sample_identity(5)
    write_face(path, FaceParameters(person, None, np.zeros(52, np.float32), old.fingerprint()))
    assert json.loads(path.read_text("utf-8"))["face_model"] == old.fingerprint()
    read = read_face(path)
    same, said = carry_face(read, old, "face.json")
    assert same is read and said == "" and read.identity is not None
    np.testing.assert_allclose(read.identity, person, atol=1e-6)


def test_presets_of_expressions_and_clips_need_no_carrying(other):
    stored = read_face(EARLIER / "preset_expression.json")
    same, said = carry_face(stored, other, "preset")
    assert same is stored and said == "" and stored.expression[EXPRESSION_NAMES.index("jawOpen")] > 0.7
    clip = read_curves(EARLIER / "clip.csv")
    jaw = clip.frames[:, clip.names.index("jawOpen")]
    np.testing.assert_allclose(jaw, np.linspace(0, 0.75, 12), atol=1e-6)


@pytest.mark.parametrize(
    "stored, said",
    [
        (FaceParameters(np.zeros(128, np.float32), None, np.zeros(52), "0123456789abcdef"), "not known here"),
        (FaceParameters(np.zeros(3, np.float32), None, np.zeros(52)), "coefficients"),
    ],
)
def test_files_of_unknown_models_are_refused(stored, said):
    with pytest.raises(UserError, match=said):
        carry_face(stored, BilinearFace.default(), "face.json")


@pytest.mark.parametrize("length", [0, 127, 129])
def test_a_face_file_of_this_model_with_another_number_of_coefficients_is_refused(length):
    face = BilinearFace.default()
    stored = FaceParameters(np.zeros(length, np.float32), None, np.zeros(52), face.fingerprint())
    with pytest.raises(UserError, match=rf"its identity has {length} coefficients"):
        carry_face(stored, face, "face.json")


def test_a_broken_file_of_points_is_refused(tmp_path):
    arrays, metadata = read_tensors(earlier_module.DEFAULT_FILE)
    path = tmp_path / "broken.safetensors"
    write_tensors(path, arrays | {"mean": arrays["mean"][:-1]}, metadata)
    with pytest.raises(UserError, match="not points of an earlier face model"):
        EarlierFace.load(path)


def test_the_closest_place_of_a_triangle_is_found():
    positions = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], float)
    polygons = np.array([[0, 1, 2, -1]])
    points = np.array([[0.25, 0.25, 2], [2, -1, 0], [1, 1, 0], [-1, 0.5, 0], [0, 0, 1]], float)
    normals = np.array([[0, 0, 1.0]] * 4 + [[0, 0, -1.0]])
    found = closest_places(points, normals, positions, polygons)
    places = (positions[found.corners] * found.weights[..., None]).sum(1)
    np.testing.assert_allclose(
        places[:4], [[0.25, 0.25, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0]], atol=1e-12
    )
    np.testing.assert_allclose(found.distance, [2, np.sqrt(2), np.sqrt(0.5), 1, np.inf], atol=1e-12)
