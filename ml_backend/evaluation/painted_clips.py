"""Measures the whole way on painted clips: decoder, detector and solve, against known curves."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..animation.curve_editing import eyes_from_look
from ..datasets.painted_clips import paint_clip
from ..expression_names import EXPRESSION_NAMES
from ..models.bilinear_face import BilinearFace
from ..pipelines.track_video import TrackVideoRequest, track_video
from ..video.clip_model import UNSEEN

FIRST_SEED, LENGTH = 410_000, 48
_LIDS = [EXPRESSION_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]


def evaluate_painted(count: int, tell: Callable[[str], None]) -> dict[str, float]:
    """Returns figures of painted clips.

    Args:
        count: clips, one person each.
        tell: told a line for each clip.
    """
    seen = [index for index, name in enumerate(EXPRESSION_NAMES) if name not in UNSEEN]
    face = BilinearFace.default()
    rows: dict[str, list[float]] = {}
    frames, spent = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(count):
            path = Path(folder) / f"painted_{seed}.mp4"
            clip = paint_clip(path, face, FIRST_SEED, seed, LENGTH)
            begin = time.perf_counter()
            take = track_video(TrackVideoRequest(str(path)), lambda share, text: None)
            spent += time.perf_counter() - begin
            frames += len(take.seconds)
            angles = np.array([camera.head_angles() for camera in clip.cameras])
            off = np.degrees(take.head[:, :3]) - angles
            eyes = np.degrees(take.head[:, 3:] - eyes_from_look(clip.expression))[:, [0, 1, 3, 4]]
            closed = take.raw[:, _LIDS].mean(1)
            rest = np.sqrt(((take.raw - clip.expression)[:, seen] ** 2).mean())
            zero = np.sqrt((clip.expression[:, seen] ** 2).mean())
            for name, value in (
                ("rmse", float(rest)),
                ("rmse_of_no_motion", float(zero)),
                ("ard_deg", float(np.abs(off - np.median(off, axis=0)).mean())),
                ("gaze_deg", float(np.abs(eyes).mean())),
                ("blink_peak", float(np.mean([closed[top - 2 : top + 3].max() for top in clip.blinks]))),
            ):
                rows.setdefault(name, []).append(value)
            tell(f"painted {seed}: rmse {rest:.3f}")
    figures = {name: round(float(np.mean(values)), 4) for name, values in rows.items()}
    return figures | {"frames_per_second": round(frames / max(spent, 1e-9), 1), "n_clips": count}
