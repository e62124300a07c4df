"""Measures the whole way on painted clips: decoder, detector and solve, against known curves."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...animation.curve_editing import eyes_from_look
from ...animation.curve_filters import GROUPS
from ...animation.take_curves import smoothed
from ...datasets.painted_clips import FPS, paint_clip
from ...expression_names import EXPRESSION_NAMES
from ...models.bilinear_face import BilinearFace
from ...pipelines.track_video import TrackVideoRequest, track_video
from ...video.clip_model import UNSEEN
from ...video.video_file import open_video
from ...video.video_writer import write_video
from .reenactment_tables import ReenactmentTables

FIRST_SEED, LENGTH = 410_000, 48
_LIDS = [EXPRESSION_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]


def evaluate_painted(count: int, tell: Callable[[str], None]) -> dict[str, dict[str, float]]:
    """Returns figures of painted clips under `painted`, and the tables `self` and `cross`.

    Args:
        count: clips, one person each.
        tell: told a line for each clip.
    """
    seen = [index for index, name in enumerate(EXPRESSION_NAMES) if name not in UNSEEN]
    face = BilinearFace.default()
    rows: dict[str, list[float]] = {}
    tables = ReenactmentTables()
    speed = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(count):
            path = Path(folder) / f"painted_{seed}.mp4"
            clip = paint_clip(path, face, FIRST_SEED, seed, LENGTH)
            take = track_video(TrackVideoRequest(str(path)), _quiet)
            if not seed:
                speed = frames_per_second(path, Path(folder) / "longer.mp4")
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
            tables.add(face, clip, take, FIRST_SEED, seed)
            tell(f"painted {seed}: rmse {rest:.3f}")
    figures = {name: round(float(np.mean(values)), 4) for name, values in rows.items()}
    figures |= {"frames_per_second": round(speed, 1), "n_clips": count}
    return {"painted": figures} | tables.figures()


def frames_per_second(path: Path, longer: Path) -> float:
    """Measures the whole way from a file to smoothed curves on a clip that runs to and fro.

    Args:
        path: of a short clip.
        longer: of the clip to write.
    """
    frames = [frame.pixels for frame in open_video(path).frames()]
    write_video(longer, [*frames, *frames[::-1]] * 2, FPS)
    begin = time.perf_counter()
    take = track_video(TrackVideoRequest(str(longer)), _quiet)
    smoothed(take, dict.fromkeys(GROUPS, 0.3))
    return len(take.seconds) / (time.perf_counter() - begin)


def _quiet(share: float, text: str) -> None:
    """Takes progress and says nothing."""
