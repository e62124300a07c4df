"""A stored set of portraits with known codes: pictures, what the landmark detector saw, and the surfaces.

One file a portrait, so that a set goes on where it was interrupted. Pictures in which no face was found are
kept without points.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..files.atomic_write import atomic_path
from ..fitting.attributes.quick_look import look_once
from ..models.face_codes import FaceCodes
from ..models.face_renderer import Surface
from ..simulation.portraits.coded_portrait import CodedPortrait, coded_portrait

FIRST_SEED, HIDDEN_SEED = 400_000, 450_000
"""Seeds of the first person whose codes a training knows, and of the first whose codes are hidden from it."""


@dataclass(frozen=True)
class StoredPortrait:
    """A portrait of a set.

    Attributes:
        pixels: (256, 256, 3) uint8 sRGB.
        points: (478, 2) as detected.
        codes: true.
        focal: pixels.
        gloss, hollow, blotches: of `Nuisance`.
        place: (256, 256) int32, the row of `surface` that a pixel shows, -1 where no head is.
        surface: places of the head.
    """

    pixels: np.ndarray
    points: np.ndarray
    codes: FaceCodes
    focal: float
    gloss: float
    hollow: float
    blotches: float
    place: np.ndarray
    surface: Surface

    @classmethod
    def read(cls, path: Path) -> "StoredPortrait | None":
        """Reads a file of `write_portrait`; None where no face was found in the picture."""
        with np.load(path) as found:
            if not len(found["points"]):
                return None
            table = {name: found[name] for name in found.files}
        place = np.full(table["mask"].shape, -1, np.int32)
        place[table["mask"]] = np.arange(table["mask"].sum())
        one = torch.from_numpy
        surface = Surface(
            one(table["texels"].astype(np.int64)), one(table["texel_weights"].astype(np.float32)),
            one(table["lobes"].astype(np.float32)), one(table["paint"].astype(np.float32)),
            one(table["fields"].astype(np.float32)),
        )  # fmt: skip
        focal, gloss, hollow, blotches = (float(value) for value in table["numbers"])
        codes = FaceCodes.of(table)
        return cls(table["pixels"], table["points"], codes, focal, gloss, hollow, blotches, place, surface)


def write_portrait(path: Path, shown: CodedPortrait) -> None:
    """Looks at a portrait and writes both."""
    found = look_once(shown.pixels)
    surface, nuisance = shown.seen.surface, shown.nuisance
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            pixels=shown.pixels,
            points=np.zeros((0, 2)) if found is None else found.points,
            numbers=np.array([shown.focal, nuisance.gloss, nuisance.hollow, nuisance.blotches]),
            mask=shown.seen.mask,
            texels=surface.texels.numpy().astype(np.int16),
            texel_weights=surface.texel_weights.numpy().astype(np.float16),
            lobes=surface.lobes.numpy().astype(np.float16),
            paint=surface.paint.numpy().astype(np.float16),
            fields=surface.fields.numpy().astype(np.float16),
            **shown.codes.table(),
        )


def make_portrait_set(
    folder: Path,
    count: int,
    first: int = FIRST_SEED,
    progress: Callable[[int, int], None] | None = None,
    made: Callable[[int, int], CodedPortrait] = coded_portrait,
) -> list[Path]:
    """Opens a set, painting first what it still lacks.

    Args:
        folder: of the set; made if need be.
        count: portraits.
        first: seed of the first person.
        progress: told (done, in all).
        made: makes a portrait of the first person's seed and its number.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{first}-{number:05d}.npz" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            write_portrait(path, made(first, number))
            if progress and (number + 1) % 100 == 0:
                progress(number + 1, count)
    return paths


def read_portraits(paths: list[Path]) -> list[StoredPortrait]:
    """Reads the portraits in which a face was found."""
    return [portrait for path in paths if (portrait := StoredPortrait.read(path)) is not None]
