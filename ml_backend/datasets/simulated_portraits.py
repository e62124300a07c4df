"""A stored set of small pictures: painted portraits, and pictures of no faces (dead leaves)."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files.atomic_write import atomic_path, write_text_whole
from ..fitting.landmarks import find_faces, level_frame
from ..models.bilinear_face import BilinearFace
from ..simulation.portraits.dead_leaves import dead_leaves
from ..simulation.portraits.painted_portrait import SIZE, PortraitPainter

FIRST_SEED = 300_000
_NO_FACE_EVERY = 4


def make_portrait_set(
    folder: Path, count: int, progress: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """Opens a set, painting first what it still lacks.

    Args:
        folder: where the set lives; made if need be.
        count: pictures; every fourth shows no face.
        progress: told (done, in all).

    Returns:
        (count, 256, 256, 3) uint8 sRGB, on disk.

    Raises:
        UserError: the folder holds a set of another size.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record, path = folder / "set.json", folder / "portraits.npy"
    state = json.loads(record.read_text()) if record.exists() else {"count": count, "done": 0}
    if state["count"] != count:
        raise UserError(
            f"{folder}: holds {state['count']} portraits, not {count}.",
            "Name another --data folder, or remove this one.",
        )
    if state["done"] < count:
        pictures = np.lib.format.open_memmap(
            path, "r+" if state["done"] else "w+", np.uint8, (count, SIZE, SIZE, 3)
        )
        painter = PortraitPainter.of(BilinearFace.default())
        for index in range(state["done"], count):
            pictures[index] = (
                _no_face(index) if index % _NO_FACE_EVERY == 0 else painter.portrait(FIRST_SEED, index).pixels
            )
            if (index + 1) % 50 == 0 or index + 1 == count:
                pictures.flush()
                write_text_whole(record, json.dumps({"count": count, "done": index + 1}))
                if progress:
                    progress(index + 1, count)
    return np.load(path, mmap_mode="r")


def face_frames(folder: Path, pictures: np.ndarray) -> np.ndarray:
    """Returns the places of the faces of a stored set, detected once and kept beside the set.

    Args:
        folder: of the set.
        pictures: (N, 256, 256, 3) uint8.

    Returns:
        (N, 2, 3) float32: what takes coordinates -1..1 of an upright square about the face (right, down, 1)
        to the picture's, also -1..1; NaN where none is shown, or none was found.
    """
    path = folder / "frames.npy"
    if path.exists() and len(stored := np.load(path)) == len(pictures):
        return stored
    frames = np.full((len(pictures), 2, 3), np.nan, np.float32)
    for index in range(len(pictures)):
        for face in find_faces(np.array(pictures[index]))[:1] if index % _NO_FACE_EVERY else ():
            turn, _ = level_frame(face.points)
            low, high = face.points.min(0), face.points.max(0)
            frames[index, :, :2] = turn.T * float((high - low).max()) / SIZE
            frames[index, :, 2] = (low + high) / SIZE - 1
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.save(file, frames)
    return frames


def _no_face(seed: int) -> np.ndarray:
    return (dead_leaves(SIZE, np.random.default_rng([FIRST_SEED + 1, seed])) * 255 + 0.5).astype(np.uint8)
