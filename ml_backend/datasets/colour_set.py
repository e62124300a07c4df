"""A stored set of simulated colour maps of skin with the traits of their people; resumable."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..errors import UserError
from ..files.atomic_write import write_text_whole
from ..geometry.srgb import to_srgb
from ..models.bilinear_face import BilinearFace
from ..simulation.pigment.pigment_simulation import PigmentSimulation
from ..simulation.pigment.pigment_traits import TONE_GROUPS, PigmentTraits, sample_traits
from .map_set import HELD_OUT_SEED, people_done, print_of_face

_AT_ONCE = 4


@dataclasses.dataclass(frozen=True)
class ColourSetSpec:
    """The contents of a set.

    Attributes:
        people: how many; one map each.
        resolution: texels along a side, 256, 512 or 1024.
        first_seed: seed of the first person; training stays below HELD_OUT_SEED.
    """

    people: int
    resolution: int
    first_seed: int = 0


@dataclasses.dataclass(frozen=True)
class ColourSet:
    """Colour maps of people.

    Attributes:
        maps: (N, 3, R, R) uint8 sRGB, row 0 at v = 0, on disk.
        traits: (N, 23) float32, `PigmentTraits.vector`.
        mask: (R, R) bool, the face.
    """

    maps: np.ndarray
    traits: np.ndarray
    mask: np.ndarray

    def __len__(self) -> int:
        return len(self.maps)


def make_colour_set(
    folder: Path, spec: ColourSetSpec, device: str = "cpu", progress: Callable[[int, int], None] | None = None
) -> ColourSet:
    """Opens a set, simulating first what it still lacks.

    Args:
        folder: where the set lives; made if need be.
        spec: what it holds.
        device: where the simulation runs.
        progress: told (people done, people in all).

    Raises:
        UserError: people of the set are held out, or the folder holds another set or one of another face
            model.
    """
    if spec.people < 1 or not 0 <= spec.first_seed <= HELD_OUT_SEED - spec.people:
        raise UserError(
            f"{spec.people} people from seed {spec.first_seed} on: none, or some that are held out.",
            f"Keep people at 1 or more and all seeds below {HELD_OUT_SEED}.",
        )
    face = BilinearFace.default()
    folder.mkdir(parents=True, exist_ok=True)
    description = {**dataclasses.asdict(spec), "face": print_of_face(face)}
    record = folder / "set.json"
    done = people_done(record, description)
    people = [sample_traits(spec.first_seed + number) for number in range(spec.people)]
    shape = (spec.people, 3, spec.resolution, spec.resolution)
    maps = np.lib.format.open_memmap(folder / "maps.npy", "r+" if done else "w+", np.uint8, shape)
    if done < spec.people:
        simulation = PigmentSimulation(face, spec.resolution, device)
        np.save(folder / "mask.npy", simulation.mask.cpu().numpy())
        for start in range(done, spec.people, _AT_ONCE):
            rows = slice(start, min(start + _AT_ONCE, spec.people))
            maps[rows] = np.round(simulated_colours(simulation, people[rows]) * 255)
            if rows.stop % (16 * _AT_ONCE) == 0 or rows.stop == spec.people:
                maps.flush()
                write_text_whole(record, json.dumps({**description, "done": rows.stop}))
                if progress:
                    progress(rows.stop, spec.people)
    return ColourSet(
        np.load(folder / "maps.npy", mmap_mode="r"),
        np.stack([person.vector() for person in people]),
        np.load(folder / "mask.npy"),
    )


def simulated_colours(simulation: PigmentSimulation, people: list[PigmentTraits]) -> np.ndarray:
    """Returns maps (B, 3, R, R) float32, sRGB in 0..1, row 0 at v = 0."""
    with torch.inference_mode():
        return to_srgb(simulation.albedo(people).cpu().numpy()).astype(np.float32)


def held_out_colours(count: int, first: int = 0) -> list[PigmentTraits]:
    """Draws people whom no training saw, flat over the six groups of tone.

    Args:
        count: people.
        first: the first one's number; person n has group n modulo 6.
    """
    people = []
    for number in range(first, first + count):
        low, high = TONE_GROUPS[number % len(TONE_GROUPS)]
        share = np.random.default_rng([number, 0xA1B]).uniform()
        people.append(sample_traits(HELD_OUT_SEED + number, tone=low + share * (high - low)))
    return people
