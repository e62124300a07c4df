"""Pictures of a take: the frame of the video, the solved face under its camera, and that with wrinkles."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..files.take_file import Take
from ..fitting.face_preview import CLAY, crop_photo, draw_clay, portrait_crop
from ..fitting.unwrap_photo import TextureDomain
from ..geometry.camera_view import Camera
from ..geometry.srgb import to_srgb
from ..models.bilinear_face import BilinearFace
from ..simulation.portraits.painted_face import prepare_paint
from ..video.video_file import open_video
from .generate_detail import detail_model

_GROUND = 40
_RESOLUTION = 512
_FINER = 2
"""Samples along a pixel."""
_IRIS, _PUPIL = 0.48, 0.2


def take_camera(take: Take, row: int) -> Camera:
    """Returns the camera of a take's frame."""
    seen = take.camera
    return Camera(
        take.rotation[row],
        take.translation[row],
        seen["focal"],
        int(seen["width"]),
        int(seen["height"]),
        (seen["column"], seen["row"]),
    )


def preview_take(
    take: Take,
    path: str | Path,
    rows: Sequence[int] | None = None,
    size: int = 256,
    start: float = 0.0,
    rate: float = 30.0,
) -> Iterator[np.ndarray]:
    """Yields a picture of each frame: video, solved face, solved face with wrinkles, (S, 3 S, 3) uint8.

    Args:
        take: of the video.
        path: of the video.
        rows: frames of the take to draw; None for all.
        size: S, pixels.
        start: seconds of the video at which the take begins.
        rate: frames a second of a sequence of pictures.
    """
    face, domain, detail = BilinearFace.default(), TextureDomain.default(), detail_model()
    wanted = set(range(len(take.seconds))) if rows is None else {int(row) for row in rows}
    skin = np.zeros((1, detail.skin_size), np.float32)
    painted = painted_clay()
    for row, frame in enumerate(open_video(path, rate).frames(start)):
        if row >= len(take.seconds):
            break
        if row not in wanted:
            continue
        expression = take.raw[row]
        positions = domain.mesh.refine(face.evaluate(take.identity, expression))
        displacement = detail.displacement(take.identity[None], skin, expression[None], _RESOLUTION)[0]
        camera = take_camera(take, row)
        camera, window = portrait_crop(camera, positions)
        shrink = frame.pixels.shape[1] / camera.width
        shown = crop_photo(frame.pixels, (window[0] * shrink, window[1] * shrink, window[2] * shrink), size)
        drawn = [shown]
        for relief in (None, displacement):
            fine = size * _FINER
            clay, mask = draw_clay(domain, positions, camera, window, fine, relief, painted=painted)
            picture = np.where(mask[..., None], np.clip(to_srgb(clay), 0, 1) * 255, _GROUND)
            picture = picture.reshape(size, _FINER, size, _FINER, 3).mean((1, 3))
            drawn.append((picture + 0.5).astype(np.uint8))
        yield np.concatenate(drawn, 1)


@lru_cache(maxsize=1)
def painted_clay() -> tuple[np.ndarray, np.ndarray]:
    """Returns the clay (N, 3) linear with brows, lips, eyes and teeth told apart, and the triangles (T, 3)
    without lashes: gaze and lips are to be read in a small picture."""
    paint = prepare_paint(BilinearFace.default())
    colours = np.repeat(CLAY[None], len(paint.skin), 0)
    colours *= 1 - 0.25 * np.clip((paint.lips[:, None] - 0.3) / 0.45, 0, 1) * np.array([0.4, 1.0, 1.0])
    colours *= 1 - 0.6 * paint.brows[:, None]
    colours *= 1 - 0.5 * paint.lid_edge[:, None]
    radius = np.hypot(paint.eye[:, 0], paint.eye[:, 1])
    front = paint.eye[:, 2] > 0
    colours[np.abs(paint.eye).sum(1) > 0] = 0.62
    colours[front & (radius < _IRIS)] = 0.13
    colours[front & (radius < _PUPIL)] = 0.02
    colours[paint.teeth > 0] = 0.6
    colours[paint.tongue > 0] = np.array([0.3, 0.14, 0.13])
    return colours.astype(np.float32), paint.triangles
