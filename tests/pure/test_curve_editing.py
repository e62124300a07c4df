"""Edits of curves: each does what it says, and closed lips stay closed."""

import numpy as np
import pytest

from ml_backend.animation.curve_editing import (
    GAIN_GROUPS,
    CurveEdit,
    edit_layers,
    eyes_from_look,
    group_of,
    keyed_error,
    lip_gap,
    lip_steps,
    look_from_eyes,
    reduce_keys,
    resampled,
)
from ml_backend.animation.lip_measures import LipRuler
from ml_backend.errors import UserError
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.curve_file import Animation
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.phonetics.coarticulation import curves_from_phones
from ml_backend.phonetics.phones import PHONE_INDEX


def edit_curves(animation: Animation, edit: CurveEdit) -> Animation:
    """A single layer, edited."""
    frames, head = edit_layers(animation.fps, {"all": (animation.frames, animation.head)}, edit)["all"]
    return Animation(animation.fps, animation.names, frames, head)


@pytest.fixture(scope="module")
def speech() -> Animation:
    phones = np.array(
        [
            PHONE_INDEX[name]
            for name in "PAU B AA M P IY B AH M W AA B UW M PAU F AY V M OW B IY PAU".split() * 3
        ]
    )
    ends = np.cumsum(np.where(phones == 0, 0.4, 0.1))
    frames = curves_from_phones(phones, ends, np.arange(int(ends[-1] * 30)) / 30)
    head = np.random.default_rng(0).normal(0, 0.05, (len(frames), 9)).astype(np.float32)
    return Animation(30.0, EXPRESSION_NAMES, frames, head)


def column(animation, name):
    return animation.frames[:, EXPRESSION_NAMES.index(name)]


def test_every_expression_has_a_group():
    assert {group_of(name) for name in EXPRESSION_NAMES} == set(GAIN_GROUPS) - {"head"}


def test_the_lip_gap_is_the_rulers(speech):
    measured = LipRuler(BilinearFace.default()).measure(speech.frames).pressed_gap
    assert np.allclose(lip_gap(speech.frames), measured, atol=1e-3)
    assert (
        lip_steps()[EXPRESSION_NAMES.index("jawOpen")]
        > 10
        > -10
        > lip_steps()[EXPRESSION_NAMES.index("mouthClose")]
    )


def test_nothing_changes_nothing(speech):
    same = edit_curves(speech, CurveEdit())
    assert np.allclose(same.frames, speech.frames, atol=1e-6) and np.array_equal(same.head, speech.head)


@pytest.mark.parametrize("group", [group for group in GAIN_GROUPS if group != "head"])
def test_a_gain_scales_its_group_alone(speech, group):
    frames = np.random.default_rng(1).uniform(0.1, 0.3, speech.frames.shape).astype(np.float32)
    frames[:, EXPRESSION_NAMES.index("jawOpen")] = 0.9  # clearly open: nothing to keep closed
    frames[:, EXPRESSION_NAMES.index("mouthClose")] = 0.1
    given = Animation(30.0, EXPRESSION_NAMES, frames, speech.head)
    changed = edit_curves(given, CurveEdit({group: 0.5}))
    inside = np.array([group_of(name) == group for name in EXPRESSION_NAMES])
    assert np.allclose(changed.frames[:, inside], 0.5 * frames[:, inside], atol=1e-6)
    assert np.array_equal(changed.frames[:, ~inside], frames[:, ~inside])


def test_head_and_eyes_have_their_own_gain(speech):
    head = edit_curves(speech, CurveEdit({"head": 2.0, "eyes": 0.0})).head
    assert np.allclose(head[:, :3], 2 * speech.head[:, :3], atol=1e-6) and not head[:, 3:].any()


@pytest.mark.parametrize(
    "edit",
    [
        CurveEdit({"jaw": 2.0}),
        CurveEdit({"lips": 3.0}),
        CurveEdit({"jaw": 3.0, "lips": 0.0}),
        CurveEdit(smoothing=0.08),
        CurveEdit(smoothing=0.3),
    ],
)
def test_closed_lips_stay_closed(speech, edit):
    ruler = LipRuler(BilinearFace.default())
    before, after = ruler.measure(speech.frames).gap, ruler.measure(edit_curves(speech, edit).frames).gap
    closed = before <= 0.8
    assert closed.mean() > 0.2 and (after[closed] <= before[closed] + 0.05).all()


def test_smoothing_smooths(speech):
    def roughness(animation):
        return np.square(np.diff(column(animation, "jawOpen"), 2)).sum()

    assert roughness(edit_curves(speech, CurveEdit(smoothing=0.05))) < 0.8 * roughness(speech)
    head = edit_curves(speech, CurveEdit(smoothing=0.05)).head
    assert np.square(np.diff(head, 2, axis=0)).sum() < 0.2 * np.square(np.diff(speech.head, 2, axis=0)).sum()


def test_an_offset_moves_whole_and_half_frames(speech):
    later = edit_curves(speech, CurveEdit(offset=0.1))
    assert np.allclose(later.frames[3:], speech.frames[:-3], atol=1e-6) and len(later.frames) == len(
        speech.frames
    )
    earlier = edit_curves(speech, CurveEdit(offset=-0.05))
    assert np.allclose(earlier.frames[:-2], (speech.frames[1:-1] + speech.frames[2:]) / 2, atol=1e-6)


@pytest.mark.parametrize(
    "edit",
    [
        CurveEdit({"nose": 1.0}),
        CurveEdit({"jaw": -1.0}),
        CurveEdit(smoothing=2.0),
        CurveEdit(offset=float("nan")),
    ],
)
def test_what_cannot_be_is_refused(speech, edit):
    with pytest.raises(UserError):
        edit_curves(speech, edit)


@pytest.mark.parametrize("tolerance", [0.001, 0.01, 0.1])
def test_fewer_keys_stay_within_the_stated_error(speech, tolerance):
    jaw = column(speech, "jawOpen")
    keys = reduce_keys(jaw, tolerance)
    assert keys[0] == 0 and keys[-1] == len(jaw) - 1 and (np.diff(keys) > 0).all()
    assert keyed_error(jaw, keys) <= tolerance * 1.0001 and len(keys) < 0.7 * len(jaw)


def test_shared_keys_hold_for_each_curve(speech):
    both = np.stack([column(speech, "jawOpen"), column(speech, "mouthClose")], 1)
    keys = reduce_keys(both, np.array([0.01, 0.002]))
    assert keyed_error(both[:, 0], keys) <= 0.0101 and keyed_error(both[:, 1], keys) <= 0.00201


def test_keys_of_lines_and_of_nothing():
    assert reduce_keys(np.linspace(0, 1, 50), 1e-6).tolist() == [0, 49]
    assert reduce_keys(np.zeros(50), 0.01).tolist() == [0, 49]
    assert reduce_keys(np.zeros(5), 0.0).tolist() == [0, 1, 2, 3, 4] and reduce_keys(
        np.zeros(1), 0.1
    ).tolist() == [0]


def test_another_rate_keeps_time(speech):
    fast = resampled(speech, 60.0)
    assert abs(fast.seconds - speech.seconds) < 0.02
    assert np.allclose(fast.frames[::2][: len(speech.frames)], speech.frames, atol=1e-6)
    assert resampled(speech, 30.0) is speech


def test_eyes_turn_as_they_look():
    look = np.zeros((3, 52), np.float32)
    look[:, EXPRESSION_NAMES.index("eyeLookOutLeft")] = [0, 0.2, 0]
    look[:, EXPRESSION_NAMES.index("eyeLookInRight")] = [0, 0.2, 0]
    look[:, EXPRESSION_NAMES.index("eyeLookDownLeft")] = [0, 0, 0.4]
    turns = eyes_from_look(look)
    assert (
        turns[1, 0] == turns[1, 3] < 0 and turns[2, 1] > 0
    )  # both to the person's left; down: the app's signs
    head = np.concatenate([np.zeros((3, 3), np.float32), turns], 1)
    back = look_from_eyes(head)
    assert len(back) == 8 and np.allclose(
        back["eyeLookOutLeft"], look[:, EXPRESSION_NAMES.index("eyeLookOutLeft")], atol=1e-6
    )
    assert np.allclose(back["eyeLookDownLeft"], [0, 0, 0.4], atol=1e-6) and not back["eyeLookUpLeft"].any()
