"""Names of expressions in the spellings of different programs, and names that only look like them."""

import pytest

from ml_backend.expression_matching import match_columns, match_expressions, named_expression
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.face_file import expression_vector

SPELLINGS = (
    "browDownLeft",
    "BrowDownLeft",
    "brow_down_left",
    "brow down left",
    "BROW_DOWN_LEFT",
    "browDownL",
    "browDown_L",
    "browDown-L",
    "browDown.L",
    "L_browDown",
    "face.browDownLeft",
    "Head:browDownLeft",
    "blendShape1.browDownLeft",
    "ns:Head_blendShapes.browDownLeft",
    "|group|face|browDownLeft",
    "A06_Brow_Down_Left",
    "head_GEO_browDownLeft.001",
)


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_is_the_same_expression(name):
    assert named_expression(name) == "browDownLeft"
    assert match_expressions([name])["browDownLeft"] == [name]


@pytest.mark.parametrize("before", ["", "Head:", "blendShape1.", "A06_"])
def test_all_names_are_read_behind_a_prefix(before):
    assert [named_expression(before + name) for name in EXPRESSION_NAMES] == list(EXPRESSION_NAMES)


def test_names_that_only_look_like_expressions_are_none():
    for name in ("upper_mouth_left", "lip_jawOpen_x", "Basis", "", "browDown", "smile", "HeadYaw", "left"):
        assert named_expression(name) is None, name


def test_both_sides_and_names_without_a_side_stand_in():
    assert match_expressions(["browInnerUp_L", "browInnerUp_R"])["browInnerUp"] == [
        "browInnerUp_L",
        "browInnerUp_R",
    ]
    assert match_expressions(["mouthSmile"]) == {
        "mouthSmileLeft": ["mouthSmile"],
        "mouthSmileRight": ["mouthSmile"],
    }
    assert match_expressions(["Body:jawOpen", "jawOpen"]) == {"jawOpen": ["jawOpen"]}


def test_columns_of_a_table_are_matched_together():
    titles = ["Timecode", "old.jawOpen", "jawOpen", "cheekPuff_L", "cheekPuff_R", "eyeBlink", "browInnerUp_L"]
    matched = match_columns(titles)
    assert matched.columns == {
        "eyeBlinkLeft": (5,),
        "eyeBlinkRight": (5,),
        "jawOpen": (2,),
        "cheekPuff": (3, 4),
    }
    assert matched.beside == (1,) and matched.halves == (6,) and matched.twice == ()
    assert matched.read == {2, 3, 4, 5} and matched.known == {1, 2, 3, 4, 5, 6}
    assert match_columns(["jawOpen", "jaw_open"]).twice == ("jawOpen",)
    assert match_columns(["a.jawOpen", "b.jawOpen"]).twice == ("jawOpen",)
    assert match_columns(["eyeBlink", "eyeBlinkLeft"]).columns == {
        "eyeBlinkLeft": (1,),
        "eyeBlinkRight": (0,),
    }


def test_a_face_file_takes_any_spelling():
    vector = expression_vector({"jaw_open": 0.5, "Head:mouthSmile_L": 1.0}, "face.json")
    assert vector[EXPRESSION_NAMES.index("jawOpen")] == 0.5
    assert vector[EXPRESSION_NAMES.index("mouthSmileLeft")] == 1.0
    assert vector.sum() == 1.5
