"""A stored set of crops of drawn faces with their landmarks, for the encoder's geometry.

The head is drawn straight into the crop that its landmarks ask for, in two skins, lights and heads of hair.
The landmarks are the true ones with errors that the detector made on portraits of nearly the same pose, so no
detector has to look. Files hold a chunk each, so that a set goes on where it was interrupted.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..files.atomic_write import atomic_path
from ..fitting.attributes.face_crop import CROP, crop_camera
from ..fitting.attributes.levelled_face import levelled_place, levelled_points
from ..models.face_codes import FaceCodes, code_of_light
from ..models.face_renderer import HeadFields, camera_of, draw_face, see_surface
from ..simulation.portraits.coded_portrait import (
    SIZE,
    draw_ground,
    draw_hair,
    draw_light,
    draw_nuisance,
    draw_texture,
    exposed,
    stored_picture,
)

LOOKS = 2
CHUNK = 100
Drawn = tuple[np.ndarray, FaceCodes, float]
"""Landmarks (478, 2) in a picture of `SIZE`, codes with shape, expression and pose, and the focal length."""


def draw_crops(seen: np.ndarray, codes: FaceCodes, focal: float, random: np.random.Generator) -> np.ndarray:
    """Draws a face into its crop.

    Args:
        seen: (478, 2) landmarks in a picture of `SIZE`.
        codes: shape, expression and pose; the rest is drawn.
        focal: pixels.
        random: source of chance.

    Returns:
        (2, 96, 96, 3) uint8 sRGB.
    """
    head, number = HeadFields.default(), int(random.integers(2**31))
    face = levelled_points(seen, focal, SIZE, SIZE)
    camera = crop_camera(camera_of(codes, focal, SIZE, SIZE), face)
    nuisance, hair = draw_nuisance(random, number), draw_hair(random)
    surface, pictures = None, []
    for look in range(LOOKS):
        if look:
            hair[[1, 2, 3, 4, 5, *range(8, 16)]] = draw_hair(random)[[1, 2, 3, 4, 5, *range(8, 16)]]
        light = draw_light(random)
        codes = dataclasses.replace(
            codes,
            texture=draw_texture(random),
            hair=hair.copy(),
            illumination=code_of_light(light).astype(np.float32),
        )
        surface = surface or see_surface(head, codes, camera, nuisance)
        ground = draw_ground(random, light[0] * random.uniform(0.5, 2.0), CROP)
        linear, _ = draw_face(codes, camera, ground, nuisance, head, surface)
        pictures.append(stored_picture(linear * exposed(linear, light, random), number + look))
    return np.stack(pictures)


def make_crop_set(
    folder: Path,
    count: int,
    draw: Callable[[int, np.random.Generator], list[Drawn]],
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Opens a set, drawing first what it still lacks.

    Args:
        folder: of the set; made if need be.
        count: chunks of `CHUNK` faces.
        draw: given a number of faces and a source of chance, returns so many.
        progress: told (done, in all).

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"crops-{number:04d}.npz" for number in range(count)]
    for number, path in enumerate(paths):
        if path.exists():
            continue
        random = np.random.default_rng([number, 0xC409])
        drawn = draw(CHUNK, random)
        rows = {name: [] for name in ("crops", "points", "shape", "expression", "rotation", "translation")}
        for seen, codes, focal in drawn:
            face = levelled_points(seen, focal, SIZE, SIZE)
            rotation, translation = levelled_place(face, codes, SIZE, SIZE)
            rows["crops"].append(draw_crops(seen, codes, focal, random))
            rows["points"].append(face.points)
            known = {"shape": codes.shape, "expression": codes.expression, "rotation": rotation}
            for name, value in (known | {"translation": translation}).items():
                rows[name].append(value)
        with atomic_path(path) as partial, partial.open("wb") as file:
            np.savez(file, **{name: np.stack(values) for name, values in rows.items()})
        if progress:
            progress(number + 1, count)
    return paths


def read_crops(paths: list[Path]) -> dict[str, np.ndarray]:
    """Returns crops (N, 2, 96, 96, 3) uint8, points (N, 960) and codes (N, n) of all files."""
    tables = []
    for path in paths:
        with np.load(path) as found:
            tables.append({name: found[name] for name in found.files})
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
