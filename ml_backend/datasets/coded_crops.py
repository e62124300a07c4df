"""A stored set of faces as the encoder's first trunk sees them: crops of drawn portraits, the landmarks that
the detector found, and the codes of geometry.

Files hold a chunk each, so that a set goes on where it was interrupted. Portraits in which no face is found
are left out.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..files.atomic_write import atomic_path
from ..fitting.attributes.face_crop import face_crop
from ..fitting.attributes.levelled_face import levelled_place, levelled_points
from ..fitting.attributes.quick_look import look_once
from ..models.attribute_encoder import GEOMETRY
from ..models.face_codes import FaceCodes
from ..simulation.portraits.coded_portrait import SIZE, CodedPortrait, coded_portrait

CHUNK = 100


def seen_face(pixels: np.ndarray, points: np.ndarray, codes: FaceCodes, focal: float):
    """Returns what the first trunk sees of a portrait, and what it should say.

    Args:
        pixels: (256, 256, 3) uint8; points: (478, 2) as detected; codes: true; focal: pixels.

    Returns:
        By name: crops (192, 192, 3) uint8, points (960,), and the codes of geometry, levelled.
    """
    face = levelled_points(points, focal, SIZE, SIZE)
    rotation, translation = levelled_place(face, codes, SIZE, SIZE)
    crop = (face_crop(pixels, face) * 255 + 0.5).astype(np.uint8)
    known = {"shape": codes.shape, "expression": codes.expression, "rotation": rotation}
    return {"crops": crop, "points": face.points, **known, "translation": translation}


def make_crop_set(
    folder: Path,
    count: int,
    first: int,
    progress: Callable[[int, int], None] | None = None,
    made: Callable[[int, int], CodedPortrait] = coded_portrait,
) -> list[Path]:
    """Opens a set, drawing first what it still lacks.

    Args:
        folder: of the set; made if need be.
        count: chunks of `CHUNK` portraits.
        first: seed of the first person.
        progress: told (done, in all).
        made: makes a portrait of the first person's seed and its number.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{first}-{number:04d}.npz" for number in range(count)]
    for number, path in enumerate(paths):
        if path.exists():
            continue
        rows = {name: [] for name in ("crops", "points", *GEOMETRY)}
        for portrait in range(CHUNK * number, CHUNK * (number + 1)):
            shown = made(first, portrait)
            found = look_once(shown.pixels)
            if found is not None:
                for name, value in seen_face(shown.pixels, found.points, shown.codes, shown.focal).items():
                    rows[name].append(value)
        with atomic_path(path) as partial, partial.open("wb") as file:
            np.savez(file, **{name: np.stack(values) for name, values in rows.items()})
        if progress:
            progress(number + 1, count)
    return paths


def read_crops(paths: list[Path]) -> dict[str, np.ndarray]:
    """Returns crops (N, 192, 192, 3) uint8, points (N, 960) and codes (N, n) of all files."""
    tables = []
    for path in paths:
        with np.load(path) as found:
            tables.append({name: found[name] for name in found.files})
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
