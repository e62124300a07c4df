"""Painted clips: a person of the face model speaks, smiles, blinks and turns, drawn and encoded."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..expression_names import EXPRESSION_NAMES, both_sides
from ..geometry.camera_view import FRONTAL, Camera, rotation_about
from ..models.bilinear_face import BilinearFace
from ..simulation.portraits.painted_portrait import PortraitPainter
from ..video.video_writer import write_video

SIZE, FPS = 288, 30
_NEAREST, _FARTHEST, _DISTANCE, _WIDE = 0.26, 0.3, 0.9, 0.27
_GRAIN = 2.0
"""Standard deviation of a camera's noise, levels of 255."""


@dataclass(frozen=True)
class PaintedClip:
    """The truth of a painted clip.

    Attributes:
        path: of the video.
        expression: (T, 52) float64.
        cameras: one for each frame.
        blinks: frames of the peaks.
    """

    path: Path
    expression: np.ndarray
    cameras: list[Camera]
    blinks: tuple[int, ...]


def clip_painter(face: BilinearFace) -> PortraitPainter:
    """Returns the painter of the clips."""
    return PortraitPainter.of(face, SIZE, _NEAREST, _FARTHEST)


def paint_clip(path: Path, face: BilinearFace, first: int, seed: int, length: int) -> PaintedClip:
    """Paints and encodes a clip.

    Args:
        path: of the video to write, MP4.
        face: the model.
        first: seed of the set's first person.
        seed: number of the person in the set.
        length: frames, 24 or more.
    """
    painter = clip_painter(face)
    random = np.random.default_rng([first, seed])
    expression = np.zeros((length, 52))
    times = np.linspace(0, 1, length)
    for curve, values in (
        (np.clip((times - 0.25) / 0.2, 0, 1) * np.clip((0.7 - times) / 0.1, 0, 1), {"mouthSmile": 0.7}),
        (gaussian_filter1d((times > 0.75).astype(float), 1.5), {"jawOpen": 0.5}),
        (np.clip((times - 0.5) / 0.2, 0, 1), {"browInnerUp": 0.6, "browOuterUp": 0.5}),
    ):
        for name, value in both_sides(**values).items():
            expression[:, EXPRESSION_NAMES.index(name)] += value * curve
    top = int(0.15 * length) + 1
    for offset, value in ((-2, 0.35), (-1, 0.8), (0, 1.0), (1, 1.0), (2, 0.75), (3, 0.5), (4, 0.25)):
        for side in ("Left", "Right"):
            expression[top + offset, EXPRESSION_NAMES.index(f"eyeBlink{side}")] = value
    yaw = random.uniform(12, 20) * np.sin(2 * np.pi * times) * random.choice([-1, 1])
    pitch = random.uniform(2, 6) * np.sin(4 * np.pi * times) + 3
    cameras = [_camera(face, np.radians(a), np.radians(b)) for a, b in zip(yaw, pitch, strict=True)]
    frames = (
        np.clip(shown.pixels + random.normal(0, _GRAIN, shown.pixels.shape), 0, 255).astype(np.uint8)
        for shown in painter.clip(first, seed, expression, cameras)
    )
    write_video(path, frames, FPS)
    return PaintedClip(path, expression, cameras, (top,))


def _camera(face: BilinearFace, yaw: float, pitch: float) -> Camera:
    eyes = np.mean([face.mean[face.landmarks[f"eye_{side}"]].mean(0) for side in ("left", "right")], 0)
    rotation = rotation_about(0, -pitch) @ rotation_about(1, yaw) @ FRONTAL
    neck = eyes + (0.0, 0.03, -0.09)
    origin = np.array([0.0, 0.07, _DISTANCE])
    return Camera(rotation, origin - rotation @ neck, SIZE * _DISTANCE / _WIDE, SIZE, SIZE)
