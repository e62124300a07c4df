"""The solve of a clip: its mathematics, and what it finds in simulated clips of known curves."""

from functools import cache

import numpy as np
import pytest

from ml_backend.datasets.simulated_clips import CASES, SimulatedClip, simulate_clip
from ml_backend.evaluation.video.evaluate_video import (
    SEEN,
    ClipFigures,
    best_lag,
    detected,
    measure,
    solve,
)
from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.geometry.camera_view import FRONTAL
from ml_backend.models.bilinear_face import BilinearFace
from ml_backend.pipelines.fit_from_image import landmark_model
from ml_backend.video.clip_landmarks import ClipLandmarks, lid_gaps, wrong_frames
from ml_backend.video.clip_model import ClipModel, HeadPose, rotation_of, rotation_vector
from ml_backend.video.face_following import shot_starts
from ml_backend.video.frame_chain import chain_step, windows_of
from ml_backend.video.held_channels import HeldChannels
from ml_backend.video.neutral import closures
from ml_backend.video.solve_clip import HELD, SolvedClip, solve_clip

FIRST = 600_000
"""Seeds that neither the settings nor the published figures use."""


@cache
def solved(case: str) -> tuple[SimulatedClip, SolvedClip]:
    clip = simulate_clip(case, landmark_model(), BilinearFace.default(), FIRST, 1)
    return clip, solve(landmark_model(), BilinearFace.default(), clip, clip.points, None)


def test_derivatives_of_the_projection():
    model = ClipModel.of(landmark_model(), BilinearFace.default(), np.zeros(128), 900.0, np.array([320, 240]))
    pose = HeadPose(rotation_of(np.array([0.2, -0.3, 0.1])) @ FRONTAL, np.array([0.05, -0.1]), np.log(0.8))
    places = model.places(np.full(len(model.free), 0.1), pose)
    pixels, by_place, by_pose = model.linearised(pose, places)
    assert np.allclose(pixels, model.project(pose, places))
    for axis in range(6):
        step = 1e-6 * np.eye(6)[axis]
        ahead = model.project(pose.moved(step), places)
        assert np.abs((ahead - pixels) / 1e-6 - by_pose[..., axis]).max() < 0.02
    moved = places + 1e-6 * np.array([1.0, 0, 0])
    assert np.abs((model.project(pose, moved) - pixels) / 1e-6 - by_place[..., 0]).max() < 0.02


def test_rotation_vectors_go_both_ways():
    for vector in np.random.default_rng(0).normal(0, 0.8, (20, 3)):
        assert np.allclose(rotation_vector(rotation_of(vector)), vector, atol=1e-9)
    assert np.allclose(rotation_vector(np.eye(3)), 0)


def test_the_chain_is_the_exact_minimum():
    random = np.random.default_rng(2)
    length, size = 7, 4
    roots = random.standard_normal((length, size, size))
    curves = roots @ roots.transpose(0, 2, 1) + np.eye(size)
    slopes, change = random.standard_normal((length, size)), random.standard_normal((length - 1, size))
    stiff = random.uniform(0.1, 50, (length - 1, size))
    dense, right = np.zeros((length * size,) * 2), np.zeros(length * size)
    for index in range(length):
        own = slice(index * size, (index + 1) * size)
        dense[own, own] += curves[index]
        right[own] -= slopes[index]
    for index in range(length - 1):
        difference = np.zeros((size, length * size))
        difference[:, index * size : (index + 1) * size] = -np.eye(size)
        difference[:, (index + 1) * size : (index + 2) * size] = np.eye(size)
        dense += difference.T @ (stiff[index][:, None] * difference)
        right -= difference.T @ (stiff[index] * change[index])
    expected = np.linalg.solve(dense, right).reshape(length, size)
    assert np.allclose(chain_step(curves, slopes, change, stiff), expected, atol=1e-4)


def test_windows_cover_a_long_shot_once():
    windows = windows_of(100, 2000)
    kept = [frame for _, _, first, last in windows for frame in range(first, last)]
    assert kept == list(range(100, 2000))
    assert all(first <= keep and last >= end for first, last, keep, end in windows)


def test_a_still_head_does_not_tremble():
    clip, found = solved("still")
    figures = ClipFigures()
    measure(figures, clip, found, found.expression)
    assert figures.summary()["jitter_rms"] <= 0.004
    raw = ClipFigures()
    measure(raw, clip, found, found.by_frame)
    assert figures.summary()["jitter_rms"] < 0.7 * raw.summary()["jitter_rms"]
    assert found.expression[:, SEEN].max() < 0.2
    assert (found.expression[:, EXPRESSION_NAMES.index("tongueOut")] == 0).all()
    assert (found.confidence[:, EXPRESSION_NAMES.index("cheekPuff")] == 0).all()


def test_blinks_close_and_do_not_look_down():
    clip, found = solved("blinks")
    lids = found.expression[:, EXPRESSION_NAMES.index("eyeBlinkLeft")]
    for top in clip.blinks:
        assert lids[top - 2 : top + 3].max() > 0.85
    between = np.ones(len(lids), bool)
    for top in clip.blinks:
        between[max(top - 6, 0) : top + 9] = False
    assert lids[between].max() < 0.3
    down = found.expression[:, EXPRESSION_NAMES.index("eyeLookDownLeft")]
    assert down[clip.blinks].max() < down[between].max() + 0.12
    assert best_lag(clip.expression, found.expression) == 0


def test_a_turning_head_does_not_smile():
    clip, found = solved("turn")
    smile = found.expression[:, [EXPRESSION_NAMES.index(f"mouthSmile{side}") for side in ("Left", "Right")]]
    assert smile.max() < 0.08
    angles = np.array([pose.angles() for pose in found.poses])
    true = np.array([camera.head_angles() for camera in clip.cameras])
    assert np.ptp(angles[:, 0]) > 0.9 * np.ptp(true[:, 0])
    assert np.corrcoef(angles[:, 0], true[:, 0])[0, 1] > 0.999


def test_one_wrong_frame_moves_nothing():
    clip, found = solved("wrong_frame")
    assert clip.wrong is not None and clip.clean is not None
    other = solve(landmark_model(), BilinearFace.default(), clip, clip.clean, None)
    assert np.abs(found.expression - other.expression)[:, SEEN].max() < 0.06
    assert found.marks[clip.wrong] == HELD
    assert sum(mark == HELD for mark in found.marks) == 1


def test_lost_frames_are_bridged_and_marked():
    clip, found = solved("dropped")
    lost = ~np.isfinite(clip.points[:, 0, 0])
    assert [mark == HELD for mark in found.marks] == lost.tolist()
    assert (found.confidence[lost] == 0).all() and np.isfinite(found.expression).all()
    assert np.abs(np.diff(found.expression[69:83], axis=0)).max() < 0.3


def test_a_hand_before_the_face_lowers_the_confidence():
    _, found = solved("hand")
    lips = [EXPRESSION_NAMES.index(name) for name in ("jawOpen", "mouthFunnel", "mouthSmileLeft")]
    assert found.confidence[44:56][:, lips].mean() < found.confidence[:30][:, lips].mean() - 0.05


def test_cases_are_complete_and_seeded():
    model, face = landmark_model(), BilinearFace.default()
    again = simulate_clip("lips", model, face, FIRST, 1)
    assert np.array_equal(again.points, simulate_clip("lips", model, face, FIRST, 1).points)
    assert not np.array_equal(again.identity, simulate_clip("lips", model, face, FIRST, 2).identity)
    assert again.contacts and len(CASES) == 12
    with pytest.raises(ValueError, match="no case"):
        simulate_clip("dance", model, face, FIRST, 1)


def test_a_single_frame_off_the_way_is_found_and_a_fast_turn_is_not():
    clip = simulate_clip("together", landmark_model(), BilinearFace.default(), FIRST, 3)
    points = clip.points.astype(np.float32)
    points[50:] += 120.0  # the head leaps and stays there: no single frame is wrong
    points[20] += 60.0
    landmarks = ClipLandmarks(clip.seconds, points, clip.presence, clip.scatter, (0,), 1280, 720)
    assert np.flatnonzero(wrong_frames(landmarks)).tolist() == [20]
    assert lid_gaps(points)[clip.blinks].max() < 0.6 * np.median(lid_gaps(points))


def test_cuts_and_flashes():
    change = np.full(60, 0.01)
    over_two = np.full(60, 0.015)
    change[30], over_two[30], over_two[31] = 0.3, 0.3, 0.3
    assert shot_starts(change, over_two) == [0, 30]
    change[45], change[46], over_two[46], over_two[45] = 0.4, 0.4, 0.01, 0.4
    assert shot_starts(change, over_two) == [0, 30], "a flash is no cut"


def test_closures_are_short():
    seconds = np.arange(90) / 30
    blink = np.interp(np.arange(90), [20, 23, 28], [0, 0.8, 0])
    asleep = np.interp(np.arange(90), [40, 43, 80, 84], [0, 0.9, 0.9, 0])
    assert closures(seconds, blink + asleep, 0.3) == [23]


def test_a_second_solve_holds_what_an_artist_corrected():
    model, face = landmark_model(), BilinearFace.default()
    clip, found = solved("release")
    smile = EXPRESSION_NAMES.index("mouthSmileLeft")
    moments = np.array([clip.seconds[20], clip.seconds[40]])
    values = np.clip(found.expression[[20, 40], smile] + 0.3, 0, 1)
    held = HeldChannels(moments, np.array([smile, smile]), values)
    again = solve_clip(
        model, face, detected(clip, clip.points), lambda share, text: None, held=held
    ).expression
    assert np.abs(again[[20, 40], smile] - values).max() < 0.03
    between = again[21:40, smile] - found.expression[21:40, smile]
    assert between.mean() > 0.12, "the frames between follow"
    assert np.abs(again[65:, smile] - found.expression[65:, smile]).max() < 0.1, "those far away stay"
    target, precision = held.targets(clip.seconds, found.expression)
    assert target[20, smile] == pytest.approx(values[0]) and precision[50].max() == 0 < precision[30, smile]
