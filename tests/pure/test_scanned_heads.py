from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from ml_backend.errors import UserError
from ml_backend.face_building.bust_cut import cut_bust
from ml_backend.face_building.closest_point import ClosestOnMesh
from ml_backend.face_building.contact import FITTED_RADIUS, Lips, eye_behind_lids
from ml_backend.face_building.proportions import PUBLISHED, compare_proportions, farkas_measures
from ml_backend.face_building.registration import Landmarks, open_edge_triangles, register
from ml_backend.face_building.scan_landmarks import open_loops, rings_outside
from ml_backend.face_building.scans import read_scans, scan_names
from ml_backend.face_building.tucker import decompose
from ml_backend.geometry.texture_space import triangles_of

SCANS = Path(__file__).resolve().parents[3] / "shared" / "data" / "ict_facekit_light_f32.npz"


def tube(rings=30, around=24, low=-0.4, high=0.12):
    """A body-like tube of quads along z, closed around, open at both ends; symmetric about x = 0."""
    angle = np.arange(around) * 2 * np.pi / around
    height = np.linspace(high, low, rings)
    radius = 0.07 + 0.08 * np.clip(-height - 0.1, 0, 0.2)
    side = np.stack([np.sin(angle), -np.cos(angle)], axis=1)
    positions = np.concatenate(
        [np.column_stack([r * side, np.full(around, h)]) for r, h in zip(radius, height, strict=True)]
    )
    index = np.arange(rings * around).reshape(rings, around)
    following = np.roll(index, -1, axis=1)
    quads = np.stack([index[:-1], index[1:], following[1:], following[:-1]], axis=-1).reshape(-1, 4)
    return positions, quads


def body(steps=16):
    """A closed, symmetric surface of quads like a capsule from z = -0.4 to 0.12: a cube blown up."""
    line = np.linspace(-1, 1, steps + 1)
    points = {}
    positions = []
    quads = []
    for axis in range(3):
        for end in (-1, 1):
            index = np.empty((steps + 1, steps + 1), int)
            for row, one in enumerate(line):
                for column, other in enumerate(line):
                    place = np.insert([one, other], axis, end)
                    key = tuple(np.round(place, 6))
                    if key not in points:
                        points[key] = len(positions)
                        positions.append(place / np.linalg.norm(place) ** 0.8)
                    index[row, column] = points[key]
            corners = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], axis=-1)
            turned = (end == 1) != (axis == 1)
            quads.append((corners[..., ::-1] if turned else corners).reshape(-1, 4))
    placed = np.array(positions)
    return placed * (0.1, 0.09, 0.26) + (0, 0, -0.14), np.concatenate(quads)


def sphere(steps=24):
    """An open globe of quads: a sphere with round holes at its poles, radius 0.1."""
    positions, quads = tube(steps, 2 * steps, -0.09, 0.09)
    positions[:, :2] *= (np.sqrt(0.01 - positions[:, 2] ** 2) / np.linalg.norm(positions[:, :2], axis=1))[
        :, None
    ]
    return positions, quads


def test_nearest_places_are_those_of_a_dense_search():
    positions, quads = sphere(10)
    triangles = triangles_of(quads)[0]
    target = ClosestOnMesh(positions, triangles)
    random = np.random.default_rng(0)
    points = random.normal(0, 0.08, (60, 3))
    places = target(points)
    share = random.dirichlet(np.ones(3), 600)
    share = np.concatenate([share, np.eye(3)])
    samples = np.einsum("sk,tkc->tsc", share, positions[triangles]).reshape(-1, 3)
    searched = np.linalg.norm(points[:, None] - samples, axis=2).min(axis=1)
    assert (places.distance <= searched + 1e-9).all()
    assert (searched - places.distance).max() < 0.002
    np.testing.assert_allclose(
        np.linalg.norm(target.points(places) - points, axis=1), places.distance, atol=1e-12
    )
    assert places.weight.min() >= 0 and np.allclose(places.weight.sum(axis=1), 1)


def test_the_bust_ends_in_one_even_symmetric_cut():
    positions, quads = body()
    bust = cut_bust(positions, quads, int(positions[:, 2].argmax()))
    placed = bust.blend @ positions
    loop = placed[bust.loop]
    assert 0 < len(bust.quads) < len(quads)
    np.testing.assert_allclose(np.asarray(bust.blend.sum(axis=1)).ravel(), 1)
    steps = np.linalg.norm(loop - np.roll(loop, 1, axis=0), axis=1)
    assert steps.max() < 2.5 * steps.min()
    mirrored = loop * (-1, 1, 1)
    assert np.linalg.norm(mirrored[:, None] - loop, axis=2).min(axis=1).max() < 1e-6
    assert abs(loop[0, 0]) < 1e-9 and loop[0, 1] < 0 < loop[1, 0]


def test_a_template_is_laid_on_a_bent_target():
    positions, quads = sphere(16)
    goal, goal_quads = sphere(24)

    def bend(p):
        wave = np.column_stack([0.01 * np.sin(20 * p[:, 2]), 0 * p[:, 0], 0.008 * np.cos(15 * p[:, 0])])
        return p * (1.1, 0.9, 1.05) + wave

    target = ClosestOnMesh(bend(goal), triangles_of(goal_quads)[0])
    marked = np.arange(0, len(positions), 37)
    rows = sparse.csr_matrix(
        (np.ones(len(marked)), (np.arange(len(marked)), marked)), shape=(len(marked), len(positions))
    )
    landmarks = Landmarks(rows, bend(positions)[marked], np.ones(len(marked)))
    laid = register(positions, triangles_of(quads)[0], np.zeros(len(positions), bool), target, landmarks)
    inner = np.abs(positions[:, 2]) < 0.07
    assert target(laid[inner]).distance.mean() < 2e-4
    assert np.linalg.norm(laid - bend(positions), axis=1)[inner].mean() < 2.5e-3
    assert open_edge_triangles(target).sum() > 0


def test_open_loops_and_the_rings_beside_them():
    positions, quads = sphere(12)
    loops = sorted(open_loops(quads), key=lambda loop: positions[loop, 2].mean())
    assert [len(loop) for loop in loops] == [24, 24]
    rings = rings_outside(quads, loops[0], 4)
    heights = [positions[ring, 2].mean() for ring in rings]
    assert heights == sorted(heights) and all(len(ring) == 24 for ring in rings)
    with pytest.raises(ValueError, match="not bordered by quads"):
        rings_outside(np.column_stack([quads[:, :3], np.full(len(quads), -1)]), loops[0], 3)


def test_an_eye_lies_behind_its_lids_and_touches_them():
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    rim = np.column_stack([0.0125 * np.cos(angle), 0 * angle, 0.0055 * np.sin(angle)])
    rim[:, 1] = 0.004 * np.cos(angle) ** 2
    centre = eye_behind_lids(rim)
    gap = np.linalg.norm(rim - centre, axis=1) - FITTED_RADIUS
    assert centre[1] > rim[:, 1].max() and -5e-4 < gap.min() < 1e-3


def test_a_mouth_shuts_on_an_open_jaw_and_stretches_the_skin_around():
    rows, columns = 31, 31
    y, x = np.meshgrid(np.linspace(-0.08, 0.08, rows), np.linspace(-0.08, 0.08, columns), indexing="ij")
    positions = np.stack([x.ravel(), 0.2 * (x.ravel() ** 2), y.ravel()], axis=1)
    index = np.arange(rows * columns).reshape(rows, columns)
    quads = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], axis=-1).reshape(-1, 4)
    upper, lower = index[16, 11:20], index[15, 11:20]
    opened = positions.copy()
    opened[:, 2] -= 0.03 / (1 + np.exp(positions[:, 2] / 0.004)) * np.exp(-((x.ravel() / 0.05) ** 2))
    lips = Lips(positions, quads, upper, lower)
    moved = lips.shut(opened, positions)
    shut = opened + moved
    np.testing.assert_allclose(shut[upper], shut[lower], atol=1e-9)
    assert not moved[index[0]].any() and np.abs(moved[index[11, 15]]).max() > 0.004
    bend = np.abs(np.diff(moved[index[:15, 15], 2], 2)).max()
    assert bend < 0.004


def test_measures_of_women_and_men_are_held_against_the_published():
    marks = {
        name: np.array([index])
        for index, name in enumerate(
            ["nose_root", "chin_bottom", "nose_base", "lip_border_upper", "lip_border_lower"]
            + [f"{n}_{s}" for n in ("jaw", "nose_wing", "cheilion", "endocanthion", "exocanthion", "ear_top",
                                    "ear_bottom") for s in ("left", "right")]
        )
    }  # fmt: skip
    face = np.random.default_rng(0).normal(0, 0.05, (len(marks), 3))
    marks |= {"zygion_band": np.array([0, 1, 2]), "euryon_band": np.array([3, 4])}
    measures = farkas_measures(face, marks)
    assert set(measures) == set(PUBLISHED)
    assert measures["n-gn"] == pytest.approx(1000 * np.linalg.norm(face[0] - face[1]))
    women = [{name: norms[0][0] + k * norms[0][1] for name, norms in PUBLISHED.items()} for k in (-1, 1)]
    men = [{name: norms[1][0] + 3 * norms[1][1] for name, norms in PUBLISHED.items()}] * 2
    table = compare_proportions(women, men)
    assert all(abs(row["women"]["off"]) < 0.05 and row["women"]["spread"] == 1 for row in table.values())
    assert all(row["men"]["off"] == pytest.approx(3, abs=0.05) for row in table.values())


def test_modes_of_people_and_their_mirror_images_are_symmetric_or_the_opposite():
    random = np.random.default_rng(3)
    opposite = np.array([1, 0, 3, 2, 4, 6, 5, 7])
    flip = np.array([-1, 1, 1])
    people = random.standard_normal((30, 8, 3))
    moves = 0.1 * random.standard_normal((30, 52, 8, 3)).astype(np.float32)
    neutrals = np.stack([people, people[:, opposite] * flip], axis=1).reshape(60, 8, 3)
    deltas = np.stack([moves, moves[:, :, opposite] * flip.astype(np.float32)], axis=1).reshape(60, 52, 8, 3)
    parts = decompose(neutrals, deltas, 12, 24, np.ones(8))
    np.testing.assert_allclose(parts.mean, parts.mean[opposite] * flip, atol=1e-12)
    for mode in (parts.core[1:, 0] @ parts.basis).reshape(-1, 8, 3):
        image = mode[opposite] * flip
        cosine = float((mode * image).sum() / (mode**2).sum())
        assert abs(abs(cosine) - 1) < 1e-3


def test_the_scans_names_of_expressions():
    assert scan_names("eyeBlinkLeft") == ["eyeBlink_L"]
    assert scan_names("jawLeft")[0] == "jawLeft"
    assert scan_names("cheekPuff") == ["cheekPuff", "cheekPuff_L", "cheekPuff_R"]


@pytest.mark.parametrize("make", ["missing", "text", "other arrays", "empty folder"])
def test_what_is_not_the_scans_is_refused_by_name(tmp_path, make):
    path = tmp_path / "scans.npz"
    if make == "text":
        path.write_text("not an archive")
    elif make == "other arrays":
        np.savez(path, neutral=np.zeros((5, 3)))
    elif make == "empty folder":
        path.mkdir()
    with pytest.raises(UserError, match=r"scans\.npz.*not ICT-FaceKit's light release"):
        read_scans(path)


@pytest.mark.skipif(not SCANS.exists(), reason="ICT-FaceKit's arrays are not here")
def test_the_scans_are_read_in_metres_and_drawn():
    scans = read_scans(SCANS)
    assert 0.3 < np.ptp(scans.neutral[:, 2]) < 0.4 and len(scans.expressions) == 51
    assert "tongueOut" not in scans.expressions
    one, other = (scans.person(np.random.default_rng(seed)) for seed in (1, 2))
    assert 0.001 < np.linalg.norm(one - other, axis=1).mean() < 0.02
    left = scans.expressions["mouthSmileLeft"]
    assert scans.neutral[np.linalg.norm(left, axis=1).argmax(), 0] > 0
