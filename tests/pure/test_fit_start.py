"""Fits that start from the attribute encoder's pass."""

import dataclasses

import numpy as np
import pytest

import ml_backend.fitting.attributes.fit_start as fit_start
from ml_backend.errors import UserError
from ml_backend.expression_names import mirrored_name
from ml_backend.fitting.attributes.encode_face import encode_points
from ml_backend.fitting.attributes.fit_start import start_of_photos
from ml_backend.fitting.attributes.quick_look import look_once
from ml_backend.fitting.camera_evidence import fit_photos
from ml_backend.fitting.face_fit import FitStart, fit_face
from ml_backend.fitting.mirror_image import mirrored_face
from ml_backend.fitting.photo_camera import SeenFace
from ml_backend.models.attribute_encoder import FILE, default_encoder
from ml_backend.pipelines.fit_from_image import landmark_model
from ml_backend.simulation.portraits.coded_portrait import SIZE, CodedPortrait, coded_portrait

FIRST = 930_000


@pytest.fixture(scope="module")
def people() -> list[tuple[CodedPortrait, SeenFace]]:
    """Drawn people that no training saw, and what the detector sees."""
    found = []
    for number in range(12):
        shown = coded_portrait(FIRST, number)
        look = look_once(shown.pixels)
        if look is not None:
            found.append((shown, SeenFace(look.points, SIZE, SIZE)))
    assert len(found) >= 8
    return found


def errors(fit, shown: CodedPortrait) -> tuple[float, float]:
    """Returns the median landmark error and the identity's cosine with the truth."""
    identity, true = fit.identity, shown.codes.shape
    cosine = float(identity @ true / np.linalg.norm(identity) / np.linalg.norm(true))
    return float(np.median(fit.views[0].residual)), cosine


def test_three_steps_from_the_encoder_are_as_good_as_eighteen_from_the_mean_face(people):
    model = landmark_model()
    rows = []
    for shown, seen in people:
        start = start_of_photos([shown.pixels], [seen], landmark_model())
        assert start is not None
        rows.append(
            [*errors(fit_face(model, [seen], 3, start), shown), *errors(fit_face(model, [seen]), shown)]
        )
    residual, cosine, usual_residual, usual_cosine = np.mean(rows, 0)
    assert residual < 1.05 * usual_residual
    assert cosine > usual_cosine + 0.03


@pytest.mark.parametrize("margins", [((0, 0), (0, 700)), ((300, 0), (400, 0)), ((0, 500), (0, 0))])
def test_margins_of_a_photo_do_not_change_the_person(people, margins):
    shown, seen = people[0]
    model = landmark_model()
    wide = np.pad(shown.pixels, (*margins, (0, 0)))
    moved = SeenFace(seen.points + (margins[1][0], margins[0][0]), wide.shape[1], wide.shape[0])
    plain, padded = (
        fit_face(model, [face], start=start_of_photos([pixels], [face], model)).identity
        for pixels, face in ((shown.pixels, seen), (wide, moved))
    )
    assert plain @ padded > 0.99 * np.linalg.norm(plain) * np.linalg.norm(padded)
    assert np.linalg.norm(plain) > 1


def test_a_start_is_the_mean_of_the_photos_and_keeps_each_expression(people):
    shown = [one for one, _ in people[:2]]
    faces = [seen for _, seen in people[:2]]
    start = start_of_photos([one.pixels for one in shown], faces, landmark_model())
    assert start is not None
    alone = [
        start_of_photos([one.pixels], [seen], landmark_model())
        for one, seen in zip(shown, faces, strict=True)
    ]
    np.testing.assert_allclose(start.identity, np.mean([one.identity for one in alone], 0), atol=1e-9)
    for expression, one in zip(start.expressions, alone, strict=True):
        np.testing.assert_array_equal(expression, one.expressions[0])
    code = encode_points(default_encoder(), shown[0].pixels, faces[0].points)[0]
    one_side = np.linalg.norm(alone[0].identity - code.shape) / np.linalg.norm(code.shape)
    assert 0 < one_side < 0.6  # the mirror image says nearly the same


def test_a_photo_and_its_mirror_image_start_from_one_person(people):
    model, (shown, seen) = landmark_model(), people[2]
    plain = start_of_photos([shown.pixels], [seen], model)
    image = start_of_photos([shown.pixels[:, ::-1].copy()], [mirrored_face(seen)], model)
    np.testing.assert_allclose(model.mirror @ image.identity, plain.identity, atol=0.02)
    names = list(model.names)
    swapped = [names.index(mirrored_name(name)) for name in names]
    np.testing.assert_allclose(image.expressions[0][swapped], plain.expressions[0], atol=0.01)


def test_no_step_is_the_posed_start_and_a_strong_belief_holds_the_identity(people):
    model, (shown, seen) = landmark_model(), people[0]
    true = shown.codes
    start = FitStart(true.shape, [true.expression])
    posed = fit_face(model, [seen], 0, start)
    np.testing.assert_array_equal(posed.identity, true.shape)
    assert np.median(posed.views[0].residual) < 0.06
    aside = FitStart(np.roll(true.shape, 5), [true.expression], 1e6)
    held = fit_face(model, [seen], start=aside)
    np.testing.assert_allclose(held.identity, aside.identity, atol=0.01)
    assert np.linalg.eigvalsh(held.precision).min() > 1e6


def test_a_step_that_went_as_foretold_is_the_last(people):
    model = landmark_model()
    taken, usual = [], []
    for shown, seen in people:
        start = start_of_photos([shown.pixels], [seen], model)
        taken.append(fit_face(model, [seen], start=start).steps)
        usual.append(fit_face(model, [seen]).steps)
    assert 1 in taken and max(taken) <= 3
    assert sum(usual) > 4 * sum(taken)


def test_a_wrong_start_does_not_lose_the_face(people):
    model, (_, seen) = landmark_model(), people[1]
    usual = fit_face(model, [seen])
    wrong = FitStart(np.zeros(128), [np.full(52, 0.4)])
    found = fit_photos(model, [seen], wrong)[0]
    assert np.median(found.views[0].residual) < 1.1 * np.median(usual.views[0].residual)


def test_sets_without_an_encoder_start_from_the_mean_face(people, tmp_path, monkeypatch):
    shown, seen = people[0]
    smaller = dataclasses.replace(landmark_model(), mirror=np.eye(64))
    assert start_of_photos([shown.pixels], [seen], smaller) is None
    monkeypatch.setattr(fit_start, "ASSETS", tmp_path)
    assert start_of_photos([shown.pixels], [seen], landmark_model()) is None


def test_a_broken_encoder_says_so(people, tmp_path, monkeypatch):
    shown, seen = people[0]
    (tmp_path / FILE).write_bytes(b"nothing")
    monkeypatch.setattr(fit_start, "ASSETS", tmp_path)
    monkeypatch.setattr(fit_start, "default_encoder", lambda: default_encoder(tmp_path))
    with pytest.raises(UserError, match=FILE):
        start_of_photos([shown.pixels], [seen], landmark_model())
