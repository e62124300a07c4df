"""Places of the head whose colours the encoder reads, and how they lie in a picture."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...models.face_renderer import HeadFields

PLACES = 400
_GROUPS = (
    ("face", 190),
    ("brows", 24),
    ("beard", 40),
    ("scalp", 70),
    ("above", 44),
    ("eyes", 20),
    ("neck", 12),
)
_ABOVE = (0.012, 0.030)
"""Metres over the scalp where hair may be."""
_LEAST_FACING = 0.12


@dataclass(frozen=True)
class HeadPlaces:
    """The places, by vertices of the face model.

    Attributes:
        vertices: (P,) int; offset: (P, 3) metres added in the face's axes.
        mean: (P, 3); core: (1 + K, (1 + 52) * B) and basis (B, 3 P) of the bilinear face at them.
        normals: (P, 3) on the mean face; free: (P,) bool, places above the skin, whose facing does not count.
        skin: (P,) bool, on the skin of the face.
    """

    vertices: np.ndarray
    offset: np.ndarray
    mean: np.ndarray
    core: np.ndarray
    basis: np.ndarray
    normals: np.ndarray
    free: np.ndarray
    skin: np.ndarray

    @classmethod
    @lru_cache(maxsize=1)
    def default(cls) -> "HeadPlaces":
        """Returns the places on the embedded face model."""
        head = HeadFields.default()
        face, rest = head.face, head.rest
        cover, _, off, taper, moustache, chin, jaw, _ = head.hair_fields(rest)
        skin = face.vertex_part == face.part_names.index("skin")
        eyes = np.zeros(len(rest), bool)
        for side in ("left", "right"):
            ball = face.landmarks[f"eye_{side}"]
            offset = rest[ball] - rest[ball].mean(0)
            eyes[ball] = offset[:, 1] < -0.55 * np.linalg.norm(offset, axis=1).max()
        front = skin & (rest[:, 1] < 0.02)
        pools = {
            "face": front & (face.regions["face"] > 0.3) & (cover < 0.5),
            "brows": skin & (taper > 0.2) & (off < 1.1),
            "beard": front & (np.maximum(np.maximum(moustache, chin), jaw) > 0.5),
            "scalp": skin & (cover > 0.4) & (rest[:, 1] < 0.03),
            "above": skin & (cover > 0.6) & (rest[:, 1] < 0.03),
            "eyes": eyes,
            "neck": front & (face.regions["neck"] > 0.5) & (rest[:, 1] < -0.03),
        }
        chosen, offsets, group = [], [], []
        for name, count in _GROUPS:
            found = _spread_out(rest, np.flatnonzero(pools[name]), count)
            height = np.zeros(len(found))
            if name == "above":
                height = np.where(np.arange(len(found)) % 2, *_ABOVE)
            chosen.append(found)
            offsets.append(head.normals[found] * height[:, None])
            group += [name] * len(found)
        vertices = np.concatenate(chosen)
        names = np.array(group)
        basis = face.basis.reshape(len(face.basis), -1, 3)[:, vertices].reshape(len(face.basis), -1)
        return cls(
            vertices, np.concatenate(offsets), rest[vertices], face.core.reshape(len(face.core), -1), basis,
            head.normals[vertices], names == "above", names == "face",
        )  # fmt: skip

    def positions(self, shape: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Returns the places (P, 3), metres, of a face."""
        rows = (np.append(1, shape).astype(np.float32) @ self.core).reshape(1 + len(expression), -1)
        row = np.append(1, expression).astype(np.float32) @ rows
        return self.mean + (row @ self.basis).reshape(-1, 3) + self.offset

    def facing(self, rotation: np.ndarray) -> np.ndarray:
        """Returns (P,) bool: the places that look towards a camera of a rotation (3, 3)."""
        return (-(self.normals @ rotation[2]) > _LEAST_FACING) | self.free


def _spread_out(rest: np.ndarray, pool: np.ndarray, count: int) -> np.ndarray:
    """Returns `count` of the vertices of a pool, each as far from those before it as can be; some twice if
    few."""
    places = rest[pool]
    chosen = [int(np.abs(places[:, 0]).argmin())]
    apart = np.linalg.norm(places - places[chosen[0]], axis=1)
    while len(chosen) < min(count, len(pool)):
        chosen.append(int(apart.argmax()))
        apart = np.minimum(apart, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return np.resize(pool[chosen], count)
