"""Smooth faces of many people in texture space: the shade that a photograph has though the skin is even.

A network that reads relief off photographs knows the mean face's shading alone. The person's own form, and
the dark beside the wings of the nose, at the corners of the mouth and around the eyes, must not become
wrinkles.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...expression_names import EXPRESSION_NAMES, both_sides
from ...geometry.displacement import vertex_normals
from ...geometry.light_transfer import DIRECTIONS, light_transfer
from ...geometry.texture_space import TexelLookup, rasterise, triangles_of
from ...models.bilinear_face import BilinearFace

SMILE = both_sides(mouthSmile=0.9, cheekSquint=0.5, eyeSquint=0.3)


@dataclass(frozen=True)
class SmoothFaces:
    """A face model laid out in texture space.

    Attributes:
        face: the model.
        lookup: its skin's texels.
        openness: (M, R, R) 0..1, how much of an even sky reaches the skin of M faces, half of them smiling;
            1 off the skin.
    """

    face: BilinearFace
    lookup: TexelLookup
    openness: Tensor

    @classmethod
    def of(cls, face: BilinearFace, resolution: int, openness: np.ndarray) -> "SmoothFaces":
        """Lays a model out with what `people_openness` measured, (M, V)."""
        skin = np.asarray(face.polygon_part) == 0
        triangles, _ = triangles_of(np.asarray(face.polygons)[skin])
        uv_triangles, _ = triangles_of(np.asarray(face.uv_polygons)[skin])
        lookup = rasterise(np.asarray(face.uv, np.float64), uv_triangles, triangles, resolution)
        spread = np.stack([np.where(lookup.mask, lookup.spread(one), 1) for one in openness])
        return cls(face, lookup, torch.from_numpy(spread.astype(np.float32)).clamp(0, 1))

    def normals(self, identity: np.ndarray, expression: np.ndarray) -> Tensor:
        """Returns unit normals (B, 3, R, R) of people's smooth skin, 0 off it.

        Args:
            identity: (B, K) standard deviations.
            expression: (B, 52).
        """
        laid = []
        for one, looks in zip(identity, expression, strict=True):
            positions = self.face.evaluate(one.astype(np.float32), looks.astype(np.float32))
            laid.append(self.lookup.spread(vertex_normals(positions, self.face.polygons)))
        normals = torch.from_numpy(np.stack(laid).astype(np.float32)).permute(0, 3, 1, 2)
        return torch.nn.functional.normalize(normals, dim=1)

    def sample_openness(self, count: int, random: torch.Generator) -> Tensor:
        """Draws openness (B, 1, R, R) of the faces or their mirror images, a little out of place."""
        chosen = torch.randint(len(self.openness), (count,), generator=random)
        size = self.openness.shape[-1]
        reach = max(1, size // 128)
        drawn = []
        for number in chosen.tolist():
            one = self.openness[number]
            if float(torch.rand(1, generator=random)) < 0.5:
                one = one.flip(-1)
            shift = torch.randint(-reach, reach + 1, (2,), generator=random).tolist()
            drawn.append(one.roll(shift, (0, 1)))
        return torch.stack(drawn)[:, None]


def people_openness(face: BilinearFace, count: int = 12) -> np.ndarray:
    """Returns the openness (count, V) float32 of some people's vertices; every second one smiles."""
    smile = np.array([SMILE.get(name, 0.0) for name in EXPRESSION_NAMES], np.float32)
    opens = []
    for number in range(count):
        identity = face.sample_identity(number).astype(np.float32)
        opens.append(vertex_openness(face, face.evaluate(identity, smile * np.float32(number % 2))))
    return np.stack(opens).astype(np.float32)


def vertex_openness(face: BilinearFace, positions: np.ndarray) -> np.ndarray:
    """Returns the share of an even sky's light that reaches each vertex (V,) of a face at (V, 3) metres."""
    triangles, owner = triangles_of(face.polygons)
    triangles = triangles[face.polygon_part[owner] != face.part_names.index("lashes")]
    normals = vertex_normals(positions, face.polygons)
    reached = light_transfer(positions, normals, triangles).sum(1)
    unhidden = np.clip(normals @ DIRECTIONS.T, 0, None).sum(1) * (4 / len(DIRECTIONS))
    return (reached / np.maximum(unhidden, 1e-6)).clip(0, 1)
