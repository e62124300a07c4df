"""Pictures of the open scene by Cycles."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FINER, _LEAST_SAMPLES = 2, 4


def render_fine(path: Path, size: int, samples: int) -> None:
    """Renders at twice the size with a quarter of the samples, and makes the picture small.

    It takes as long as a plain render, but the denoiser smears strands, lashes and pores over half as much of
    the picture.

    Args:
        path: PNG.
        size: of a frame's side in the end; where the scene renders a part of the frame, the part is halved.
        samples: of Cycles for a pixel of the end.
    """
    from PIL import Image

    with tempfile.TemporaryDirectory() as place:
        large = Path(place) / "picture.png"
        render(large, size * _FINER, max(_LEAST_SAMPLES, round(samples / _FINER**2)))
        with Image.open(large) as picture:
            picture.reduce(_FINER).save(path)


def render(path: Path, size: int, samples: int) -> None:
    """Renders the scene's camera with Cycles to a PNG of size x size pixels."""
    import bpy

    scene = bpy.context.scene
    assert scene is not None
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = samples
    scene.cycles.use_denoising = True
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = str(path)
    with quiet_output():
        bpy.ops.render.render(write_still=True)


@contextmanager
def quiet_output() -> Iterator[None]:
    """Keeps a render's progress lines off the terminal."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
