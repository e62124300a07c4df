import dataclasses

import numpy as np
import pytest

from ml_backend.errors import UserError
from ml_backend.evaluation.evaluate_face_model import contact_figures, direction_table
from ml_backend.expression_names import EXPRESSION_NAMES, both_sides
from ml_backend.files.tensor_file import read_tensors, write_tensors
from ml_backend.geometry.displacement import vertex_normals
from ml_backend.geometry.texture_space import covered_texels, rasterise, signed_areas, triangles_of
from ml_backend.models.bilinear_face import DEFAULT_FILE, BilinearFace
from ml_backend.models.skin.seeded_tone import seeded_tone

REGIONS = "face forehead glabella crows_feet under_eye nose cheeks nasolabial perioral chin neck lips".split()


@pytest.fixture(scope="module")
def face():
    return BilinearFace.default()


def unit(name):
    return np.eye(52, dtype=np.float32)[EXPRESSION_NAMES.index(name)]


def test_the_three_ways_to_a_shape_agree(face):
    identity = face.sample_identity(3)
    expression = np.random.default_rng(0).uniform(0, 1, 52).astype(np.float32)
    neutral, deltas = face.shapes(identity)
    expected = neutral + np.tensordot(expression, deltas, 1)
    fresh = dataclasses.replace(face, _cache={})
    np.testing.assert_allclose(fresh.evaluate(identity, expression), expected, atol=2e-6)  # nothing kept
    np.testing.assert_allclose(fresh.evaluate(identity, expression), expected, atol=2e-6)  # contracted core
    np.testing.assert_allclose(fresh.evaluate(identity, expression), expected, atol=2e-6)  # shapes kept
    np.testing.assert_allclose(face.neutral(identity), neutral, atol=2e-6)
    assert expected.shape == (face.vertex_count, 3)


def test_a_kept_identity_is_not_mistaken_for_another(face):
    one, other = face.sample_identity(1), face.sample_identity(2)
    still = np.zeros(52, np.float32)
    first = [face.evaluate(one, still) for _ in range(3)][-1]
    assert np.abs(face.evaluate(other, still) - first).max() > 1e-3
    np.testing.assert_allclose(face.evaluate(other, still), face.neutral(other), atol=2e-6)


def test_it_is_linear_in_identity_at_rest_and_in_expression(face):
    one, other = face.sample_identity(1), face.sample_identity(2)
    free = np.setdiff1d(np.arange(face.vertex_count), face.mouth_lining().vertices)
    mixed = 0.5 * (face.neutral(one) + face.neutral(other))
    np.testing.assert_allclose(face.neutral(0.5 * (one + other))[free], mixed[free], atol=2e-6)
    blink, smile = unit("eyeBlinkLeft"), unit("mouthSmileLeft")
    moved = face.evaluate(one, blink) + face.evaluate(one, smile) - face.neutral(one)
    np.testing.assert_allclose(face.evaluate(one, blink + smile), moved, atol=3e-6)


def test_a_head_of_human_size_faces_minus_y_with_its_left_at_plus_x(face):
    shape = face.neutral(np.zeros(face.identity_size, np.float32))
    marks = {name: shape[indices].mean(axis=0) for name, indices in face.landmarks.items()}
    assert 0.19 < marks["head_top"][2] - marks["chin_bottom"][2] < 0.26
    assert marks["nose_tip"][1] < marks["eye_left"][1] < marks["head_back"][1]
    assert marks["eye_left"][0] > 0.02 and marks["eye_right"][0] < -0.02
    blinking = np.linalg.norm(
        face.evaluate(np.zeros(face.identity_size, np.float32), unit("eyeBlinkLeft")) - shape, axis=1
    )
    assert (
        blinking[face.landmarks["lid_upper_left"]].min()
        > 0.001
        > 5 * blinking[face.landmarks["lid_upper_right"]].max()
    )


def test_parts_regions_and_landmarks(face):
    assert face.part_names == (
        "skin",
        "eye_left",
        "eye_right",
        "teeth_upper",
        "teeth_lower",
        "tongue",
        "lashes",
    )
    assert set(face.vertex_part) == set(face.polygon_part) == set(range(7))
    for part in range(7):
        corners = face.polygons[face.polygon_part == part]
        assert (face.vertex_part[corners[corners >= 0]] == part).all()
    assert set(REGIONS) <= set(face.regions)
    skin = face.vertex_part == 0
    for name in REGIONS:
        weights = face.regions[name]
        assert (
            weights.min() >= 0 and weights.max() <= 1 and weights.max() > 0.9 and not weights[~skin].any()
        ), name
    marks = face.landmarks
    assert len(marks["lip_upper_inner"]) == len(marks["lip_lower_inner"]) >= 9
    shape = face.neutral(np.zeros(face.identity_size, np.float32))
    assert (np.diff(shape[marks["lip_upper_inner"], 0]) > 0).all()  # from the person's right to left


def test_the_skins_texture_fills_the_square_without_flips_or_overlaps(face):
    skin = face.polygon_part == 0
    corners, _ = triangles_of(face.uv_polygons[skin])
    assert (signed_areas(face.uv.astype(float), corners) > 0).all()
    texels, _, weights = covered_texels(face.uv, corners, 512)
    inside = weights.min(axis=1) > 1e-4  # not on an edge
    assert np.bincount(texels[inside], minlength=512 * 512).max() == 1
    assert len(np.unique(texels)) > 0.99 * 512 * 512
    others = np.unique(face.uv_polygons[~skin])
    assert face.uv[others].min(axis=0)[0] >= 1 and face.uv[others].max() <= 2
    rest, _ = triangles_of(face.uv_polygons[~skin])
    texels, _, weights = covered_texels(face.uv - (1, 0), rest, 512)
    assert np.bincount(texels[weights.min(axis=1) > 1e-2]).max() == 1


def test_the_face_fills_half_of_the_texture_the_right_way_up(face):
    skin = face.polygon_part == 0
    corners, _ = triangles_of(face.uv_polygons[skin])
    vertices, _ = triangles_of(face.polygons[skin])
    lookup = rasterise(face.uv, corners, vertices, 256)
    assert (lookup.spread(face.regions["face"]) > 0.5).mean() > 0.5
    shape = face.neutral(np.zeros(face.identity_size, np.float32))
    across, up = lookup.spread(shape[:, 0]), lookup.spread(shape[:, 2])
    middle = lookup.spread(face.regions["face"]) > 0.9
    assert np.corrcoef(across[middle], np.nonzero(middle)[1])[0, 1] > 0.95  # the person's right side at low u
    assert np.corrcoef(up[middle], np.nonzero(middle)[0])[0, 1] > 0.95  # the forehead at high v


@pytest.mark.parametrize("seed", range(6))
def test_lids_close_on_the_eye_and_lips_meet(face, seed):
    figures = contact_figures(face, face.sample_identity(seed))
    assert figures["blink_gap_mm"] <= 0.3
    assert figures["blink_inside_eye_mm"] <= 0.3
    assert figures["rest_inside_eye_mm"] <= 0.3
    assert figures["rest_lip_gap_mm"] <= 0.3
    assert figures["mouth_close_lip_gap_mm"] <= 0.5
    assert 25 < figures["jaw_open_mm"] < 50


@pytest.mark.parametrize("seed", [504, 512])
@pytest.mark.parametrize("name", ["rest", "mouthPucker", "mouthShrugLower", "jawOpen"])
def test_the_lining_of_the_mouth_stays_beneath_the_skin(face, seed, name):
    lining, weights = face.mouth_lining(), unit(name) if name != "rest" else np.zeros(52, np.float32)
    assert 150 < len(lining.vertices) < 500
    skin = lining.planes[:, 0]
    identity = face.sample_identity(seed)
    linear = np.tensordot(np.append(1, weights), face._contracted(identity), 1) @ face.basis
    linear = face.mean + linear.reshape(-1, 3)
    held = face.evaluate(identity, weights)
    others = np.setdiff1d(np.arange(face.vertex_count), lining.vertices)
    np.testing.assert_allclose(held[others], linear[others], atol=2e-6)
    outside = []
    for positions in (linear, held):
        near = positions[lining.near]
        normals = vertex_normals(positions, face.polygons)[lining.near]
        apart = near[skin] - near[lining.own]
        close = np.linalg.norm(apart, axis=1) < lining.reach[:, 0]
        outside.append(int((close & ((apart * normals[skin]).sum(1) < -2e-4)).sum()))
    assert outside[1] <= max(1, 0.1 * outside[0]) and (name == "jawOpen" or outside[0] > 3), outside


def test_a_model_without_a_mouth_is_left_alone(face):
    closed = dataclasses.replace(face, landmarks={}, _cache={})
    assert not len(closed.mouth_lining().vertices)
    weights = unit("jawOpen")
    linear = np.tensordot(np.append(1, weights), face._contracted(face.sample_identity(504)), 1) @ face.basis
    np.testing.assert_allclose(
        closed.evaluate(face.sample_identity(504), weights), face.mean + linear.reshape(-1, 3), atol=2e-6
    )


def test_eyes_and_teeth_stay_rigid(face):
    neutral, deltas = face.shapes(face.sample_identity(5))
    for name in ("jawOpen", "eyeLookUpLeft", "eyeLookInLeft", "mouthSmileLeft"):
        moved = neutral + deltas[EXPRESSION_NAMES.index(name)]
        for part in (1, 3, 4):
            here = np.flatnonzero(face.vertex_part == part)[::7]
            apart = [
                np.linalg.norm(shape[here, None] - shape[None, here], axis=2) for shape in (neutral, moved)
            ]
            assert np.abs(apart[0] - apart[1]).max() < 0.0006, (name, part)
    upper, lower = (
        np.linalg.norm(deltas[EXPRESSION_NAMES.index("jawOpen")][face.vertex_part == part], axis=1)
        for part in (3, 4)
    )
    assert upper.max() < 0.0005 and lower.min() > 0.01


def test_sampled_people_are_adults_and_differ(face):
    ages = [face.age_years(face.sample_identity(seed)) for seed in range(60)]
    assert 18 <= min(ages) < 35 and 60 < max(ages) <= 90
    shapes = [face.neutral(face.sample_identity(seed)) for seed in range(4)]
    assert all(np.abs(shapes[i] - shapes[j]).max() > 0.003 for i in range(4) for j in range(i))
    np.testing.assert_array_equal(face.sample_identity(7), face.sample_identity(7))


def test_seeded_people_are_clearly_women_or_men(face):
    def shown(person):
        return face.attributes[:, 0] + face.attributes[:, 1:] @ person

    seeds = range(200)
    drawn, seeded = (
        np.array([shown(draw(seed)) for seed in seeds]) for draw in (face.sample_identity, face.seeded_person)
    )
    assert (np.abs(drawn[:, 1]) < 0.65).mean() > 0.2 and np.abs(seeded[:, 1]).min() > 0.65
    np.testing.assert_array_equal(np.sign(drawn[:, 1]), np.sign(seeded[:, 1]))
    assert 0.3 < (seeded[:, 1] < 0).mean() < 0.7
    np.testing.assert_allclose(drawn[:, [0, 2, 3, 4, 5]], seeded[:, [0, 2, 3, 4, 5]], atol=0.01)
    clear = np.abs(drawn[:, 1]) > 0.71
    for seed in np.flatnonzero(clear)[:5].tolist():
        np.testing.assert_array_equal(face.seeded_person(seed), face.sample_identity(seed))


def test_form_and_skin_of_a_seed_go_together(face):
    seeds = range(200)
    shares = np.array([face.origin_shares(face.sample_identity(seed)) for seed in seeds])
    np.testing.assert_allclose(shares.sum(1), 1, atol=0.05)
    tones = np.array([seeded_tone(seed, share) for seed, share in zip(seeds, shares, strict=True)])
    assert 0 < tones.min() < 0.2 and 0.8 < tones.max() < 1
    assert np.corrcoef(shares[:, 0], tones)[0, 1] > 0.7
    least, most = (tones[shares[:, column] > 0.7].mean() for column in (2, 0))
    assert least < 0.3 and most > 0.6
    further = face.identity_from_directions({"african": 0.4})
    assert face.origin_shares(further)[0] > face.origin_shares(0 * further)[0] + 0.3
    assert dataclasses.replace(face, attributes=face.attributes[:1]).origin_shares(further) is None


def test_named_directions_change_what_they_say_and_little_else(face):
    assert len(face.direction_names) >= 12 and {
        "age",
        "gender",
        "weight",
        "african",
        "asian",
        "caucasian",
    } <= set(face.direction_names)
    people = [_features(face, seed) for seed in range(40)]
    for row in direction_table(face, people):
        assert row["own"] == pytest.approx(row["asked"], rel=0.1, abs=0.1), row
        if row["unit"] == "mm":
            assert row["other_deviations"] < 0.5, row
    older = face.identity_from_directions({"age": 20.0})
    assert face.age_years(older) == pytest.approx(face.age_years(0 * older) + 20, abs=1)
    with pytest.raises(UserError, match="beauty"):
        face.identity_from_directions({"beauty": 1.0})


def _features(face, seed):
    from ml_backend.face_building.named_directions import measure_features

    return measure_features(face.neutral(face.sample_identity(seed)), face.landmarks)


def test_wrong_shapes_are_refused(face):
    with pytest.raises(ValueError, match="identity"):
        face.neutral(np.zeros(3))
    with pytest.raises(ValueError, match="expression"):
        face.evaluate(np.zeros(face.identity_size), np.zeros(51))


def test_a_saved_model_is_the_same_and_a_broken_one_is_refused_by_name(face, tmp_path):
    arrays, metadata = face.tensors()
    copy = tmp_path / "copy.safetensors"
    write_tensors(copy, arrays, metadata)
    again = BilinearFace.load(copy)
    np.testing.assert_allclose(
        again.neutral(face.sample_identity(1)), face.neutral(face.sample_identity(1)), atol=2e-5
    )
    for name, change in {
        "basis": arrays["basis"][:, :-3],
        "polygons": arrays["polygons"] + 10**6,
        "mean": arrays["mean"][:-1],
    }.items():
        write_tensors(copy, arrays | {name: change}, metadata)
        with pytest.raises(UserError, match=r"copy\.safetensors"):
            BilinearFace.load(copy)
    write_tensors(copy, arrays, {})
    with pytest.raises(UserError, match="not a face model"):
        BilinearFace.load(copy)
    copy.write_bytes(DEFAULT_FILE.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"copy\.safetensors"):
        BilinearFace.load(copy)
    with pytest.raises(UserError, match=r"missing\.safetensors"):
        BilinearFace.load(tmp_path / "missing.safetensors")


def test_the_asset_is_small_and_finite():
    arrays, _ = read_tensors(DEFAULT_FILE)
    assert DEFAULT_FILE.stat().st_size <= 20e6
    assert all(np.isfinite(array).all() for array in arrays.values() if array.dtype.kind == "f")


def test_units_without_a_side_stand_for_both():
    assert both_sides(jawOpen=0.2, browDown=1.0, mouthLeft=0.3) == {
        "jawOpen": 0.2,
        "browDownLeft": 1.0,
        "browDownRight": 1.0,
        "mouthLeft": 0.3,
    }
    with pytest.raises(ValueError, match="browdown"):
        both_sides(browdown=1.0)
