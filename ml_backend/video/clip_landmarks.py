"""The landmarks of one face over a clip, as the solve takes them, and the frames that show something else."""

from dataclasses import dataclass

import numpy as np

from ..fitting.mesh_layout import LEFT_EYE, LEFT_IRIS, LEFT_LID_PAIRS, RIGHT_EYE, RIGHT_IRIS, RIGHT_LID_PAIRS

_LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409, 78, 95, 88,
    178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
)  # fmt: skip
_SPIKE, _SPIKE_OVER_USUAL = 0.05, 8.0
"""Inter-ocular distances by which the firm points of a single frame leave the way of its neighbours."""
_BLOCK = 1500
"""Frames that are looked at together."""
_LOST_SECONDS = 0.25
"""Between two frames farther apart nothing is said of a spike."""


@dataclass(frozen=True)
class ClipLandmarks:
    """Landmarks of one face over a clip.

    Attributes:
        seconds: (T,) float64, rising.
        points: (T, 478, 2) float32 pixels (a memory map of a long clip); NaN in frames without the face.
        presence: (T,) 0..1, how surely a face was seen.
        scatter: (T, 478) float32, distance of two looks from their mean in inter-ocular distances.
        shots: first frame of each shot, ascending, the first 0.
        width: of the picture, pixels.
        height: of the picture, pixels.
    """

    seconds: np.ndarray
    points: np.ndarray
    presence: np.ndarray
    scatter: np.ndarray
    shots: tuple[int, ...]
    width: int
    height: int

    @property
    def seen(self) -> np.ndarray:
        """Returns (T,) bool, the frames with a face."""
        return np.isfinite(self.points[:, 0, 0])

    def ranges(self) -> list[tuple[int, int]]:
        """Returns the first frame of each shot and the one behind its last."""
        ends = [*self.shots[1:], len(self.seconds)]
        return list(zip(self.shots, ends, strict=True))


def firm_points() -> np.ndarray:
    """Returns the indices of points that neither lids, irises nor lips move."""
    loose = {*RIGHT_EYE, *LEFT_EYE, *_LIPS, *range(RIGHT_IRIS.start, LEFT_IRIS.stop)}
    return np.array([index for index in range(478) if index not in loose])


def interocular_distances(points: np.ndarray) -> np.ndarray:
    """Returns (T,) distances between the middles of the eyes of points (T, 478, 2), pixels."""
    right, left = points[:, [33, 133]].mean(1), points[:, [362, 263]].mean(1)
    return np.maximum(np.linalg.norm(left - right, axis=1), 1e-6)


def wrong_frames(clip: ClipLandmarks) -> np.ndarray:
    """Finds frames whose face lies off the way from the frame before to the frame after.

    A head that turns fast leaves the middle of its neighbours by less than they are apart; another face, or a
    look that failed, lies off both. Lids and lips may do so: they are not looked at.

    Returns:
        (T,) bool.
    """
    found = np.zeros(len(clip.seconds), bool)
    firm = firm_points()
    for first, last in clip.ranges():
        for start in range(first, last, _BLOCK):
            begin, end = max(first, start - 2), min(last, start + _BLOCK + 2)
            if end - begin >= 3:
                found[begin + 1 : end - 1] |= _spikes(
                    np.asarray(clip.points[begin:end], np.float64), clip.seconds[begin:end], firm
                )
    return found


def _spikes(points: np.ndarray, seconds: np.ndarray, firm: np.ndarray) -> np.ndarray:
    """Returns (T - 2,) bool, the inner frames of points (T, 478, 2) that leave their neighbours' way."""
    if not np.isfinite(points[:, 0, 0]).any():
        return np.zeros(len(points) - 2, bool)
    places = points[:, firm]
    unit = float(np.nanmedian(interocular_distances(points)))
    off = np.linalg.norm(places[1:-1] - (places[:-2] + places[2:]) / 2, axis=2)
    apart = np.linalg.norm(places[2:] - places[:-2], axis=2)
    spike = np.quantile(off - 0.5 * apart, 0.4, axis=1) / unit
    near = (seconds[2:] - seconds[:-2]) < 2 * _LOST_SECONDS
    known = np.isfinite(off)
    noise = float(np.median(off[known])) / unit if known.any() else 0.0
    return np.nan_to_num(spike) * near > max(_SPIKE, _SPIKE_OVER_USUAL * noise)


def lid_gaps(points: np.ndarray) -> np.ndarray:
    """Returns the heights (T, 2) of the right and the left eye's opening over the eye's width.

    Args:
        points: (T, 478, 2) pixels.
    """
    gaps = []
    for pairs, corners in ((RIGHT_LID_PAIRS, (33, 133)), (LEFT_LID_PAIRS, (362, 263))):
        chosen = [*corners, *(index for pair in pairs for index in pair)]
        rim = np.asarray(points[:, chosen], np.float64)  # a part of a memory map
        along = rim[:, 1] - rim[:, 0]
        width = np.maximum(np.linalg.norm(along, axis=1), 1e-6)
        down = np.stack([-along[:, 1], along[:, 0]], 1) / width[:, None]
        heights = ((rim[:, 3::2] - rim[:, 2::2]) * down[:, None]).sum(2)  # [T, pairs]
        gaps.append(heights.mean(1) / width)
    return np.stack(gaps, 1)
