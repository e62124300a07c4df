"""A stored set of simulated displacement maps with their identities, skins and expressions; resumable."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..errors import UserError
from ..files.atomic_write import write_text_whole
from ..layers.blur_resampling import resize_by_halving
from ..models.bilinear_face import BilinearFace
from ..models.skin_vector import sample_skin
from ..simulation.relief.skin_simulation import SkinSimulation
from .sampled_expressions import sample_expressions

HELD_OUT_SEED = 1_000_000


@dataclasses.dataclass(frozen=True)
class MapSetSpec:
    """The contents of a set.

    Attributes:
        people: how many.
        expressions: maps per person, the first at rest.
        resolution: texels along a side of the stored maps.
        rendered: texels along a side at which they are simulated, a power of two times `resolution`.
        first_seed: seed of the first person; training stays below HELD_OUT_SEED.
    """

    people: int
    expressions: int
    resolution: int
    rendered: int
    first_seed: int = 0


@dataclasses.dataclass(frozen=True)
class MapSet:
    """Maps of people.

    Person p's maps are rows p E to p E + E - 1 of the flat arrays, the first of them at rest.

    Attributes:
        maps: (N, R, R) float16 millimetres, on disk.
        identity: (N, K) float32.
        skin: (N, 16) float32.
        expression: (N, 52) float32.
        mask: (R, R) float32, 1 inside the face.
    """

    maps: np.ndarray
    identity: np.ndarray
    skin: np.ndarray
    expression: np.ndarray
    mask: np.ndarray

    def seen_at(self, resolution: int) -> "MapSet":
        """Returns the set low-passed to a coarser resolution, in memory.

        The resolution is a power of two below that of the maps.
        """
        if resolution == self.maps.shape[-1]:
            return self
        maps = np.empty((len(self), resolution, resolution), np.float16)
        for start in range(0, len(self), 16):
            full = torch.from_numpy(np.asarray(self.maps[start : start + 16], np.float32))[:, None]
            maps[start : start + 16] = resize_by_halving(full, resolution)[:, 0].numpy()
        mask = resize_by_halving(torch.from_numpy(self.mask)[None, None], resolution)[0, 0]
        return dataclasses.replace(self, maps=maps, mask=(mask > 0.5).float().numpy())

    def thinned(self, count: int) -> "MapSet":
        """Every k-th of the set's maps, so that about `count` are left; still on disk."""
        rows = slice(None, None, max(1, round(len(self) / count)))
        parts = {name: getattr(self, name)[rows] for name in ("maps", "identity", "skin", "expression")}
        return dataclasses.replace(self, **parts)

    def __len__(self) -> int:
        return len(self.maps)

    def batch(self, rows: np.ndarray, device: torch.device) -> tuple[torch.Tensor, ...]:
        """Maps (B, 1, R, R) in mm, identity, skin and expression of these rows, float32 on the device."""
        maps = torch.from_numpy(np.asarray(self.maps[rows], np.float32))[:, None]
        given = (torch.from_numpy(values[rows]) for values in (self.identity, self.skin, self.expression))
        return maps.to(device), *(values.to(device) for values in given)


def person(face: BilinearFace, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Identity (K,) and skin (16,) of one simulated person."""
    return face.sample_identity(seed), sample_skin(seed)


def print_of_face(face: BilinearFace) -> str:
    """Returns a short name of the shapes that a set was simulated on."""
    return hashlib.sha256(np.ascontiguousarray(face.core).tobytes()).hexdigest()[:16]


def people_done(record: Path, description: dict) -> int:
    """Returns the number of people that a set on disk holds already; 0 where there is none yet.

    Args:
        record: set.json of the set.
        description: of the set that is asked for.

    Raises:
        UserError: the folder holds another set, or one of another face model.
    """
    if not record.exists():
        return 0
    state = json.loads(record.read_text())
    done = state.pop("done")
    if state != description:
        raise UserError(
            f"{record.parent}: holds maps of another set or face model.",
            "Name another --data folder, or remove this one.",
        )
    return done


def make_map_set(
    folder: Path, spec: MapSetSpec, device: str = "cpu", progress: Callable[[int, int], None] | None = None
) -> MapSet:
    """Opens a set, simulating first what it still lacks.

    Args:
        folder: where the set lives; made if need be.
        spec: what it holds.
        device: where the simulation runs.
        progress: told (people done, people in all).

    Raises:
        UserError: the folder holds another set, or one of another face model.
    """
    face = BilinearFace.default()
    folder.mkdir(parents=True, exist_ok=True)
    description = {**dataclasses.asdict(spec), "face": print_of_face(face)}
    record = folder / "set.json"
    done = people_done(record, description)
    shape = (spec.people * spec.expressions, spec.resolution, spec.resolution)
    maps = np.lib.format.open_memmap(folder / "maps.npy", "r+" if done else "w+", np.float16, shape)
    people = [person(face, spec.first_seed + p) for p in range(spec.people)]
    expression = np.stack(
        [
            sample_expressions(spec.expressions, np.random.default_rng([spec.first_seed + p, 0xE]))
            for p in range(spec.people)
        ]
    )
    expression[:, 0] = 0
    if done < spec.people or not (folder / "mask.npy").exists():
        simulation = SkinSimulation(face, resolution=spec.rendered, device=device)
        mask = resize_by_halving(simulation.mask.float()[None, None].cpu(), spec.resolution)[0, 0]
        np.save(folder / "mask.npy", (mask > 0.5).float().numpy())
        for p in range(done, spec.people):
            rows = slice(p * spec.expressions, (p + 1) * spec.expressions)
            maps[rows] = _simulate_person(simulation, people[p], expression[p], spec.resolution)
            if (p + 1) % 10 == 0 or p + 1 == spec.people:
                maps.flush()
                write_text_whole(record, json.dumps({**description, "done": p + 1}))
                if progress:
                    progress(p + 1, spec.people)
    return MapSet(
        np.load(folder / "maps.npy", mmap_mode="r"),
        np.repeat(np.stack([identity for identity, _ in people]), spec.expressions, 0).astype(np.float32),
        np.repeat(np.stack([skin for _, skin in people]), spec.expressions, 0).astype(np.float32),
        expression.reshape(-1, expression.shape[-1]),
        np.load(folder / "mask.npy"),
    )


@torch.inference_mode()
def _simulate_person(
    simulation: SkinSimulation, one: tuple[np.ndarray, np.ndarray], expression: np.ndarray, resolution: int
) -> np.ndarray:
    """(E, resolution, resolution) float32 maps of one person under (E, 52) expressions."""
    identity, skin = (torch.from_numpy(values)[None].to(simulation.device) for values in one)
    displacement = simulation.displacement(
        simulation.prepare(identity, skin), torch.from_numpy(expression)[None].to(simulation.device)
    )
    return resize_by_halving(displacement.transpose(0, 1), resolution)[:, 0].cpu().numpy()
