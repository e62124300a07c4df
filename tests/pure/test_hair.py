"""Hair on the mean face and on other people: coverage, styles, and strands that stay out of head and eyes."""

import numpy as np
import pytest

from ml_backend.geometry.dense_face import dense_face_mesh
from ml_backend.hair.face_hair import BEARD_STYLES, BROW_STYLES, beard_hair, brow_hair, lash_hair, vellus_hair
from ml_backend.hair.head import azimuth, hair_head
from ml_backend.hair.scalp import GroomSliders, hairline_height, scalp_hair
from ml_backend.hair.scalp_styles import SCALP_STYLES
from ml_backend.hair.shaping import lengths_along, trim
from ml_backend.hair.strands import follow_face
from ml_backend.models.bilinear_face import BilinearFace

FEW = 1500


@pytest.fixture(scope="module")
def face():
    return BilinearFace.default()


@pytest.fixture(scope="module")
def dense(face):
    return dense_face_mesh(face)


@pytest.fixture(scope="module")
def head(face, dense):
    return hair_head(face, dense)


def grown_scalp(head, name, count, **sliders):
    """A cut of so many strands."""
    style = SCALP_STYLES[name]
    return scalp_hair(head, name, GroomSliders(density=(count + 0.5) / style.strands, **sliders))


def depth_in_skin(head, positions, points) -> np.ndarray:
    """Metres that points (N, 3) lie beneath the outer skin of a head, negative outside."""
    first, second, third = (positions[head.triangles[:, k]] for k in range(3))
    cross = np.cross(second - first, third - first)
    normals = np.zeros_like(positions)
    for k in range(3):
        np.add.at(normals, head.triangles[:, k], cross)
    outer = np.unique(head.triangles)
    outer = outer[(head.pocket[outer] < 0.1) & (head.ears[outer] < 0.1)]
    normals = normals[outer] / np.linalg.norm(normals[outer], axis=1, keepdims=True)
    places = positions[outer]
    depths = np.empty(len(points))
    for start in range(0, len(points), 512):
        here = points[start : start + 512]
        near = ((places**2).sum(1) - 2 * here @ places.T).argmin(1)
        depths[start : start + 512] = -((here - places[near]) * normals[near]).sum(1)
    return depths


def test_every_style_grows_on_the_skin_and_is_finite(head):
    for name in SCALP_STYLES:
        strands = grown_scalp(head, name, FEW)
        assert np.isfinite(strands.points).all() and len(strands.points) == FEW
        roots = (head.positions[strands.corners] * strands.weights[..., None]).sum(1)
        assert np.abs(strands.points[:, 0] - roots).max() < 0.002
        assert (roots[:, 2] > -0.065).all()
    for name in BEARD_STYLES:
        assert np.isfinite(beard_hair(head, name, GroomSliders(density=0.1)).points).all()
    for name in BROW_STYLES:
        assert np.isfinite(brow_hair(head, name, GroomSliders(density=0.3)).points).all()


def test_the_same_seed_grows_the_same_hair(head):
    first, again, other = (grown_scalp(head, "BOB", FEW, seed=seed).points for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert np.abs(first - other).max() > 0.005


def test_cuts_have_their_lengths(head):
    long = grown_scalp(head, "LONG", FEW).points
    bob = grown_scalp(head, "BOB", FEW).points
    cropped = grown_scalp(head, "CROPPED", FEW).points
    assert np.quantile(long[:, -1, 2], 0.5) < -0.11
    assert -0.085 < np.quantile(bob[:, -1, 2], 0.05) < np.quantile(bob[:, -1, 2], 0.5) < -0.03
    assert lengths_along(cropped)[:, -1].max() < 0.04
    twice = grown_scalp(head, "CROPPED", FEW, length=2.0, frizz=0, clump=0).points
    once = grown_scalp(head, "CROPPED", FEW, frizz=0, clump=0).points
    ratio = lengths_along(twice)[:, -1].mean() / lengths_along(once)[:, -1].mean()
    assert ratio == pytest.approx(2, rel=0.1)


def test_recession_and_baldness_bare_the_skin(head):
    def front_height(name):
        points = grown_scalp(head, name, 4000).points[:, 0]
        return np.quantile(points[np.abs(azimuth(points) - 27) < 6, 2], 0.03)

    assert front_height("RECEDING") > front_height("CROPPED") + 0.01
    roots = grown_scalp(head, "BALD_CROWN", 4000).points[:, 0]
    assert np.mean(np.linalg.norm(roots - (0, 0.012, 0.137), axis=1) < 0.045) < 0.02


def test_the_hairline_is_thin_and_fine(head):
    strands = grown_scalp(head, "SHAVED", 20_000)
    roots = strands.points[:, 0]
    front = np.abs(azimuth(roots)) < 30
    height = hairline_height(roots, SCALP_STYLES["SHAVED"])
    edge, inside = (front & (height > low) & (height < low + 0.005) for low in (0.0, 0.02))
    assert 20 < edge.sum() < 0.5 * inside.sum()
    assert strands.radius[edge].mean() < 0.8 * strands.radius[inside].mean()


def test_upper_lashes_rise_over_the_lid_and_lower_ones_hang(head):
    strands = lash_hair(head, "NATURAL", GroomSliders())
    rise = strands.points[:, -1, 2] - strands.points[:, 0, 2]
    upper = rise > 0
    assert 0.6 < upper.mean() < 0.75
    assert np.median(rise[upper]) > 0.0012 and np.median(rise[~upper]) < -0.001


def test_brows_point_up_inside_and_down_outside(head):
    strands = brow_hair(head, "NATURAL", GroomSliders(clump=0, frizz=0))
    aim = strands.points[:, -1] - strands.points[:, 0]
    outward = aim[:, 0] * np.sign(strands.points[:, 0, 0])
    angle = np.degrees(np.arctan2(aim[:, 2], outward))
    across = np.abs(strands.points[:, 0, 0])
    inner, outer = np.quantile(across, [0.08, 0.92])
    assert angle[across < inner].mean() > 35 and angle[across > outer].mean() < -5
    assert len(strands.points) == 1250


def test_trim_cuts_to_a_length():
    line = np.zeros((2, 6, 3))
    line[:, :, 0] = np.linspace(0, 1, 6)
    short = trim(line, np.array([0.5, 0.9]), 4)
    assert np.allclose(short[:, -1, 0], [0.5, 0.9])
    assert np.allclose(np.diff(short[:, :, 0], axis=1).std(1), 0, atol=1e-6)


def check_people(face, dense, head, seeds) -> None:
    """No strand of anybody's hair runs through an eyeball or deep beneath the skin."""
    sparse = GroomSliders(density=0.3)
    grown = {name: grown_scalp(head, name, 700) for name in ("BOB", "CROPPED", "SIDE_PART", "COILY")}
    grown["brows"] = brow_hair(head, "NATURAL", sparse)
    grown["vellus"] = vellus_hair(head, "FINE", GroomSliders(density=0.03))
    lashes = lash_hair(head, "NATURAL", GroomSliders())
    eyes = {side: face.landmarks[f"eye_{side}"] for side in ("left", "right")}
    for seed in seeds:
        neutral = face.neutral(face.sample_identity(seed))
        positions = dense.refine(neutral)
        for name, strands in grown.items():
            points = follow_face(strands, head, positions, positions)
            here = points[:, 2:].reshape(-1, 3)
            here = here[(here[:, 2] > -0.06) & (azimuth(here) < 72)]
            depth = depth_in_skin(head, positions, here)
            assert np.quantile(depth, 0.9995) < 0.004 and np.mean(depth > 0.0015) < 0.01, (
                seed,
                name,
                depth.max(),
            )
        points = follow_face(lashes, head, positions, positions)
        for side, sign in (("left", 1), ("right", -1)):
            ball = neutral[eyes[side]]
            centre = ball.mean(0)
            radius = np.median(np.linalg.norm(ball - centre, axis=1))
            own = points[points[:, 0, 0] * sign > 0]
            assert np.linalg.norm(own - centre, axis=2).min() > radius - 0.0004, (seed, side)


def test_hair_stays_out_of_eyes_and_head(face, dense, head):
    check_people(face, dense, head, range(3))


@pytest.mark.slow
def test_hair_of_a_hundred_people_stays_out_of_eyes_and_head(face, dense, head):
    check_people(face, dense, head, range(3, 103))


def test_parted_hair_leaves_the_forehead_free(head):
    for name in ("BOB", "WAVY", "LONG"):
        strands = grown_scalp(head, name, 6000, seed=2)
        assert len(strands.points) == 6000
        middles = (strands.points[:, 1:] + strands.points[:, :-1]) / 2
        before = (azimuth(middles) < 25) & (middles[..., 2] < 0.085) & (middles[..., 2] > 0.01)
        assert not before.any(), name
