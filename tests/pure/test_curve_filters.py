"""Smoothing after the solve: nothing at 0, no lag, little where lids and lips move."""

import numpy as np
import pytest

from ml_backend.animation.curve_filters import GROUPS, channel_group, smooth_curves
from ml_backend.expression_names import EXPRESSION_NAMES

NAMES = ("jawOpen", "eyeBlinkLeft", "browInnerUp")
SECONDS = np.arange(120) / 30


def test_a_dial_at_zero_is_the_raw_solve():
    raw = 0.4 + 0.01 * np.random.default_rng(0).random((120, 3))
    assert (smooth_curves(SECONDS, raw, NAMES, 0.0) == raw).all()
    only = smooth_curves(SECONDS, raw, NAMES, {"brows": 0.8})
    assert (only[:, :2] == raw[:, :2]).all()
    assert np.abs(np.diff(only[:, 2])).mean() < 0.5 * np.abs(np.diff(raw[:, 2])).mean()


def test_it_smooths_rest_keeps_motion_and_does_not_lag():
    random = np.random.default_rng(1)
    blink = np.interp(np.arange(120), [57, 60, 61, 66], [0, 1, 1, 0])
    speech = 0.3 + 0.3 * np.sin(2 * np.pi * 3 * SECONDS)
    clean = np.stack([speech, blink, np.zeros(120)], 1)
    noisy = clean + 0.01 * random.standard_normal(clean.shape)
    smooth = smooth_curves(SECONDS, noisy, NAMES, 0.5)
    assert smooth[:, 2].std() < 0.35 * noisy[:, 2].std()
    assert smooth[58:63, 1].max() > 0.93
    assert np.corrcoef(smooth[:, 0], clean[:, 0])[0, 1] > 0.99
    lags = [np.corrcoef(np.roll(smooth[:, 0], -lag)[6:-6], clean[6:-6, 0])[0, 1] for lag in (-1, 0, 1)]
    assert np.argmax(lags) == 1
    backward = smooth_curves(SECONDS, noisy[::-1], NAMES, 0.5)[::-1]
    assert np.allclose(backward, smooth, atol=1e-9), "time run backwards gives the same curves"


def test_uneven_time_stamps_and_short_clips():
    raw = np.full((2, 3), 0.4)
    assert (smooth_curves(np.array([0, 0.1]), raw, NAMES, 1.0) == raw).all()
    steady = smooth_curves(np.cumsum([0.01, 0.2, 0.03, 0.5]), np.full((4, 3), 0.4), NAMES, 1.0)
    assert np.allclose(steady, 0.4)


def test_groups_and_bad_dials():
    assert {channel_group(name) for name in EXPRESSION_NAMES} == set(GROUPS) - {"head"}
    assert channel_group("eyeLookInLeft") == "gaze" and channel_group("HeadYaw") == "head"
    for dial in (1.5, {"ears": 0.1}):
        with pytest.raises(ValueError, match="dials are 0 to 1"):
            smooth_curves(SECONDS, np.zeros((120, 3)), NAMES, dial)
