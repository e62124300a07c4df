"""Corrections of a solved clip by its artist: keys that were changed, and frames between that follow them."""

from collections.abc import Mapping
from dataclasses import dataclass

import bpy
import numpy as np

from ...ml_backend.animation.curve_editing import group_of
from ...ml_backend.expression_names import EXPRESSION_NAMES
from ..actions.action_reader import MARK, NAMES, curve_bag
from ..actions.action_writer import key_path
from ..model.arkit_keys import expression_keys
from . import targets as animation_targets

_FADE = 0.3
"""Seconds over which the first and the last correction of a channel fade in and out."""
_LEAST_GAIN = 0.1
_CHANGED = 1e-3
"""A key that is off by less than this was not changed."""


@dataclass(frozen=True)
class Corrections:
    """Values of single channels at single moments, that hold whatever a solve or a dial says.

    Attributes:
        seconds: (K,) float64 from the clip's first frame.
        channels: (K,) int32 places in EXPRESSION_NAMES.
        values: (K,) float32.
    """

    seconds: np.ndarray
    channels: np.ndarray
    values: np.ndarray

    @classmethod
    def none(cls) -> "Corrections":
        """Returns no corrections."""
        return cls(np.zeros(0), np.zeros(0, np.int32), np.zeros(0, np.float32))

    def joined(self, newer: "Corrections", fps: float) -> "Corrections":
        """Returns these with newer ones, which replace those of the same channel and frame."""
        taken = set(zip(np.rint(newer.seconds * fps).tolist(), newer.channels.tolist(), strict=True))
        mine = zip(np.rint(self.seconds * fps).tolist(), self.channels.tolist(), strict=True)
        kept = np.array([place not in taken for place in mine], bool)
        return Corrections(
            np.concatenate([self.seconds[kept], newer.seconds]),
            np.concatenate([self.channels[kept], newer.channels]),
            np.concatenate([self.values[kept], newer.values]),
        )

    def before_gains(self, gains: Mapping[str, float]) -> dict[str, np.ndarray]:
        """Returns the corrections of the curves before gains: seconds, channels and values, (K,) each.

        Args:
            gains: factor by group, as `CurveEdit.gains`.
        """
        factors = [gains.get(group_of(EXPRESSION_NAMES[channel]), 1.0) for channel in self.channels]
        return {
            "seconds": np.asarray(self.seconds, np.float64),
            "channels": np.asarray(self.channels, np.int32),
            "values": np.asarray(self.values / np.maximum(factors, _LEAST_GAIN), np.float32),
        }

    def applied(self, frames: np.ndarray, fps: float, shift: float) -> np.ndarray:
        """Returns curves that go through the corrections.

        What a correction adds to a channel goes over into what the next one adds, in a straight line: the
        error of a landmark detector changes slowly, and the motion of the clip stays on top of it. This is
        the most likely curve where that error is a random walk and the corrections are true.

        Args:
            frames: (T, 52) float32.
            fps: frames a second.
            shift: seconds by which the clip was moved since its corrections.
        """
        corrected = frames.copy()
        count = len(frames)
        for channel in np.unique(self.channels):
            chosen = self.channels == channel
            rows = np.rint((self.seconds[chosen] + shift) * fps).astype(int)
            inside = (rows >= 0) & (rows < count)
            order = np.argsort(rows[inside])
            rows, values = rows[inside][order], self.values[chosen][inside][order]
            if not len(rows):
                continue
            curve = frames[:, channel]
            added = values - curve[rows]
            fade = max(1.0, _FADE * fps)
            places = np.concatenate([[rows[0] - fade], rows, [rows[-1] + fade]])
            error = np.interp(np.arange(count), places, np.concatenate([[0], added, [0]]))
            low, high = min(0, curve.min(), values.min()), max(1, curve.max(), values.max())
            corrected[:, channel] = np.clip(curve + error, low, high)
            corrected[rows, channel] = values
        return corrected


def changed_keys(
    target: bpy.types.Object, written: np.ndarray, first_frame: int, fps: float, shift: float
) -> Corrections:
    """Returns the keys of the clip's action or strip that differ from what was written.

    Args:
        target: the mesh.
        written: (T, 52) float32, the clip as it was written.
        first_frame: scene frame of its first row.
        fps: of the scene.
        shift: seconds by which the clip is moved.
    """
    values = animation_targets.key_values_of(target, written)
    expressions: dict[str, list[int]] = {}
    for name, keys in expression_keys(target.data).items():
        for key in keys:
            expressions.setdefault(key_path(key), []).append(EXPRESSION_NAMES.index(name))
    expected = {key_path(name): curve for name, curve in values.items()}
    moments: list[float] = []
    channels: list[int] = []
    changed: list[float] = []
    for curve in _playing_curves(target.data.shape_keys):
        if curve.data_path not in expected:
            continue
        points = np.empty(2 * len(curve.keyframe_points), np.float32)
        curve.keyframe_points.foreach_get("co", points)
        for frame, value in points.reshape(-1, 2).tolist():
            row = round(frame - first_frame)
            if not 0 <= row < len(written) or abs(value - expected[curve.data_path][row]) < _CHANGED:
                continue
            for channel in expressions[curve.data_path]:
                moments.append(row / fps - shift)
                channels.append(channel)
                changed.append(value)
    return Corrections(np.array(moments), np.array(channels, np.int32), np.array(changed, np.float32))


def _playing_curves(keys: bpy.types.Key) -> list[bpy.types.FCurve]:
    """Returns our curves in the action of some shape keys, and in the strips of their NLA that play."""
    data = keys.animation_data
    if data is None:
        return []
    played = [(data.action, getattr(data, "action_slot", None))]
    for track in data.nla_tracks:
        if not track.mute:
            played += [
                (strip.action, getattr(strip, "action_slot", None))
                for strip in track.strips
                if not strip.mute
            ]
    curves = []
    for action, slot in played:
        if action is not None and action.get(MARK):
            names = set(action.get(NAMES, ()))
            curves += [
                curve
                for curve in curve_bag(action, slot)
                if f"{curve.array_index} {curve.data_path}" in names
            ]
    return curves
