"""Displacement maps of scanned people, from whichever layout, as the set of maps that training reads."""

import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from ..errors import UserError
from .map_set import MapSet
from .teacher_maps import face_mask

LEAST_PEOPLE = 2
LARGEST_MM = 50.0
ReadMap = Callable[[Path], np.ndarray]


@dataclass(frozen=True)
class ScannedPerson:
    """One person of a set.

    Attributes:
        name: of the folder.
        identity: (K,) float32, standard deviations.
        skin: (16,) float32.
        maps: expression (52,) float32 and file of each map, the one at rest first where there is one.
    """

    name: str
    identity: np.ndarray
    skin: np.ndarray
    maps: list[tuple[np.ndarray, Path]]


def order_maps(maps: list[tuple[np.ndarray, Path]]) -> list[tuple[np.ndarray, Path]]:
    """The maps at rest first, the others by name."""
    return sorted(maps, key=lambda one: (bool(one[0].any()), str(one[1])))


def describe(people: list[ScannedPerson], source: str) -> str:
    """One line on what was found."""
    count = sum(len(person.maps) for person in people)
    resting = sum(any(not face.any() for face, _ in person.maps) for person in people)
    fewest, most = min(len(person.maps) for person in people), max(len(person.maps) for person in people)
    people_text = f"{source}: {len(people)} people, {count} maps ({fewest} to {most} a person)"
    return f"{people_text}, {resting} of them with a map at rest"


def _resampled(path: Path, values: np.ndarray, resolution: int) -> np.ndarray:
    if values.shape[0] != values.shape[1] or values.shape[0] < 16:
        raise UserError(
            f"{path}: the map has shape {values.shape}.", "Maps are square, at least 16 texels along a side."
        )
    if np.abs(values).max() > LARGEST_MM:
        raise UserError(
            f"{path}: values up to {np.abs(values).max():.3g} mm.",
            "Displacement is in millimetres; check the scale.",
        )
    image = torch.from_numpy(np.ascontiguousarray(values, np.float32))[None, None]
    if values.shape[0] == resolution:
        return values
    return functional.interpolate(
        image, size=(resolution, resolution), mode="bilinear", antialias=True, align_corners=False
    )[0, 0].numpy()


def make_scanned_set(
    folder: Path, people: list[ScannedPerson], read: ReadMap, resolution: int, face
) -> MapSet:
    """Opens the maps at one resolution, reading first what an earlier run has not.

    Args:
        folder: where the resampled maps are kept; made if need be.
        people: whose maps.
        read: a file -> (H, W) millimetres, row 0 at the bottom.
        resolution: R of the set.
        face: the face model, whose skin is the mask.

    Raises:
        UserError: a map cannot be read or is not in millimetres; there are too few people.
    """
    if len(people) < LEAST_PEOPLE:
        raise UserError(
            f"{folder.name}: {len(people)} people are too few to train on.",
            f"At least {LEAST_PEOPLE} are needed, better 100.",
        )
    files = [path for person in people for _, path in person.maps]
    stamps = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    description = {"resolution": resolution, "files": hashlib.sha256(json.dumps(stamps).encode()).hexdigest()}
    folder.mkdir(parents=True, exist_ok=True)
    record, done = folder / "scans.json", 0
    if record.exists():
        state = json.loads(record.read_text())
        done = state.pop("done") if {k: state[k] for k in description} == description else 0
    maps = np.lib.format.open_memmap(
        folder / "scans.npy", "r+" if done else "w+", np.float16, (len(files), resolution, resolution)
    )  # fmt: skip
    began, last = time.monotonic(), time.monotonic()
    for number in range(done, len(files)):
        maps[number] = _resampled(files[number], read(files[number]), resolution)
        if number + 1 == len(files) or time.monotonic() - last > 10:
            maps.flush()
            record.write_text(json.dumps({**description, "done": number + 1}))
            last = time.monotonic()
            left = (last - began) / (number + 1 - done) * (len(files) - number - 1) / 60
            print(
                f"  {folder.name}: {number + 1} of {len(files)} maps read, {left:.1f} minutes left",
                file=sys.stderr,
                flush=True,
            )
    counts = [len(person.maps) for person in people]
    return MapSet(
        np.load(folder / "scans.npy", mmap_mode="r"),
        np.repeat(np.stack([person.identity for person in people]), counts, 0).astype(np.float32),
        np.repeat(np.stack([person.skin for person in people]), counts, 0).astype(np.float32),
        np.stack([face_ for person in people for face_, _ in person.maps]).astype(np.float32),
        face_mask(face, resolution).astype(np.float32),
    )
